//! What the core costs whoever depends on it: crates, and time to compile them.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::library::until_quiet;
use crate::log::Log;
use crate::report::{Outcome, seconds};
use crate::workspace::{Build, Workspace};

/// The core itself and all that it needs, its procedural macros included.
const MOST_CRATES: usize = 15;

/// How long a cold build should take at most. Beyond it there is a warning: it says as much of the machine as of the
/// core.
const GOAL: Duration = Duration::from_secs(10);

/// The machine's speed is measured by building another library of metrics, which is large enough to use both of two
/// processors and is pinned by Cargo.lock.
const YARDSTICK: &str = "prometheus";

/// How many times as long as that the core may take. It takes 1.4 times as long, on machines of any speed.
const LIMIT: f64 = 2.0;

pub(super) fn run(workspace: &Workspace, log: &mut Log) -> Result<Outcome> {
    let tree =
        log.run(workspace.cargo(Build::Plain).args(["tree", "-p", "inferometer", "-e", "normal", "--prefix", "none"]))?;
    let crates = crates_in(&tree);
    let count = crates.len();
    ensure!(count > 1, "`cargo tree` printed nothing to count");
    if count > MOST_CRATES {
        bail!(
            "the core needs {count} crates, and {MOST_CRATES} are allowed: {}",
            crates.iter().copied().collect::<Vec<_>>().join(", ")
        );
    }

    // The downloads are not part of what is measured.
    log.run(workspace.cargo(Build::Plain).arg("fetch"))?;
    let (took, ratio) = until_quiet(|| {
        let yardstick = cold_build(YARDSTICK, workspace, log)?;
        let took = cold_build("inferometer", workspace, log)?;
        let ratio = took.as_secs_f64() / yardstick.as_secs_f64();
        ensure!(
            ratio <= LIMIT,
            "a cold build takes {}, which is {ratio:.2} times that of {YARDSTICK}, and the limit is {LIMIT}",
            seconds(took)
        );
        Ok((took, ratio))
    })?;
    let warning = if took > GOAL { format!("; WARNING: the goal is {}", seconds(GOAL)) } else { String::new() };
    Ok(Outcome::Passed(format!(
        "{count} crates of {MOST_CRATES}, cold build {}, {ratio:.2} times that of {YARDSTICK}{warning}",
        seconds(took)
    )))
}

/// Builds a library where nothing is built yet. Returns how long that took.
fn cold_build(package: &str, workspace: &Workspace, log: &mut Log) -> Result<Duration> {
    let directory = workspace.target("cold");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    let (started, cpu_before) = (Instant::now(), cpu_of_children());
    let built = log.run(
        workspace.cargo(Build::Plain).args(["build", "-p", package, "--release"]).env("CARGO_TARGET_DIR", &directory),
    );
    let wall = started.elapsed();
    // On a machine that does other things as well, the processor's time says more than the wall's.
    let cpu = cpu_of_children().zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    // A directory that stays behind costs space and is removed by the next run.
    let _ = fs::remove_dir_all(&directory);
    built?;
    Ok(cpu.map_or(wall, |cpu| cpu.min(wall)))
}

/// What the programs that this one started and waited for have had of the processor, where the system tells.
fn cpu_of_children() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Fields 16 and 17. The second field is the program's name in brackets, which can hold anything.
    let after_name = &stat[stat.rfind(')')? + 1..];
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields.get(13)?.parse::<u64>().ok()? + fields.get(14)?.parse::<u64>().ok()?;
    // A tick is a hundredth of a second, whatever the kernel's own is.
    Some(Duration::from_millis(ticks * 10))
}

/// The different crates in what `cargo tree` printed: `name v1.2.3 (proc-macro) (*)`, or a path in the brackets.
fn crates_in(tree: &str) -> BTreeSet<&str> {
    tree.lines()
        .filter_map(|line| {
            let at = line.find(" v")?;
            let version = line[at + 2..].split(' ').next()?;
            version.starts_with(|c: char| c.is_ascii_digit()).then(|| &line[..at + 2 + version.len()])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_processors_time_is_found() {
        let before = cpu_of_children().expect("Linux tells");
        let status =
            std::process::Command::new("sh").args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"]).status();
        assert!(status.expect("there is a shell").success());
        let spent = cpu_of_children().expect("Linux tells") - before;
        assert!(spent > Duration::ZERO && spent < Duration::from_secs(30), "{spent:?}");
    }

    #[test]
    fn each_crate_counts_once() {
        let tree = "    Updating crates.io index\ninferometer v0.1.0 (/a/b)\nlog v0.4.35\n\
                    linkme-impl v0.3.37 (proc-macro)\nlog v0.4.35\nsyn v3.0.0 (*)\n";
        let crates: Vec<_> = crates_in(tree).into_iter().collect();
        assert_eq!(crates, ["inferometer v0.1.0", "linkme-impl v0.3.37", "log v0.4.35", "syn v3.0.0"]);
    }
}
