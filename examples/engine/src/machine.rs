//! What the program runs on and how it was built, for the report. What cannot be found out is left out.

use std::fs;

use serde::Serialize;

/// How this program was built.
#[derive(Debug, Clone, Serialize)]
pub struct Build {
    /// The package's name.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The compiler.
    pub rustc: &'static str,
    /// `release` or `debug`.
    pub profile: &'static str,
    /// The vector instructions that the compiler was allowed to use; candle's kernels are chosen by them.
    pub vector_instructions: Vec<&'static str>,
}

impl Build {
    /// Of this program.
    pub fn of_this_program() -> Self {
        let vector_instructions = [
            ("avx512f", cfg!(target_feature = "avx512f")),
            ("avx2", cfg!(target_feature = "avx2")),
            ("fma", cfg!(target_feature = "fma")),
            ("f16c", cfg!(target_feature = "f16c")),
            ("sse4.2", cfg!(target_feature = "sse4.2")),
            ("neon", cfg!(target_feature = "neon")),
        ]
        .into_iter()
        .filter_map(|(name, allowed)| allowed.then_some(name))
        .collect();
        Self {
            package: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            rustc: env!("BUILT_BY"),
            profile: env!("BUILT_AS"),
            vector_instructions,
        }
    }
}

/// The machine.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Operating system and architecture.
    pub platform: String,
    /// The processor's name.
    pub cpu: Option<String>,
    /// Cores that this process may use.
    pub cores: Option<usize>,
    /// The machine's memory.
    pub memory_total_bytes: Option<u64>,
    /// What of it was free for new programs when this was read.
    pub memory_available_bytes: Option<u64>,
}

impl Machine {
    /// This one, now.
    pub fn now() -> Self {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            cpu: fs::read_to_string("/proc/cpuinfo")
                .ok()
                .and_then(|text| field(&text, "model name").map(str::to_owned)),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            memory_total_bytes: kilobytes(&meminfo, "MemTotal"),
            memory_available_bytes: kilobytes(&meminfo, "MemAvailable"),
        }
    }
}

/// This process's memory.
#[derive(Debug, Clone, Serialize)]
pub struct ProcessMemory {
    /// In use now.
    pub resident_bytes: Option<u64>,
    /// The most that was ever in use.
    pub peak_resident_bytes: Option<u64>,
}

impl ProcessMemory {
    /// Now.
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self { resident_bytes: kilobytes(&status, "VmRSS"), peak_resident_bytes: kilobytes(&status, "VmHWM") }
    }
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let number = field(text, name)?.strip_suffix("kB")?.trim();
    Some(number.parse::<u64>().ok()? * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files() {
        let text = "MemTotal:       24620036 kB\nMemAvailable:   100 kB\nHugePages_Total:       0\n";
        assert_eq!(kilobytes(text, "MemTotal"), Some(24_620_036 * 1_024));
        assert_eq!(kilobytes(text, "HugePages_Total"), None);
        assert_eq!(kilobytes(text, "Mem"), None);
        assert_eq!(field("model name\t: A B\n", "model name"), Some("A B"));
    }
}
