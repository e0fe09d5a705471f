//! What figures were measured on.

use std::{fs, thread};

/// The machine, its system and the compiler, in a line for a page. What cannot be found out is left out.
pub fn line() -> String {
    let cores = thread::available_parallelism().ok().map(|cores| format!("{cores} cores"));
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = field(&cpuinfo, "model name");
    let virtual_machine = field(&cpuinfo, "flags")
        .and_then(|flags| flags.split(' ').any(|flag| flag == "hypervisor").then(|| "a virtual machine".to_owned()));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|release| release.trim().to_owned());
    let system = format!("{}{}", std::env::consts::OS, kernel.map_or_else(String::new, |kernel| format!(" {kernel}")));
    let parts = [processor, cores, virtual_machine, Some(system), Some(env!("BUILT_BY").to_owned())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_the_first_that_is_named() {
        let text = "processor\t: 0\nmodel name\t: A B\nprocessor\t: 1\nmodel name\t: C\n";
        assert_eq!(field(text, "model name").as_deref(), Some("A B"));
        assert_eq!(field(text, "flags"), None);
    }

    #[test]
    fn the_line_names_the_compiler() {
        assert!(line().contains("rustc 1."), "{}", line());
    }
}
