//! The process's own metrics, read from /proc when somebody scrapes.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use inferometer::{RegisterError, Registry, counter_fn, gauge_fn};

/// Registers them. What cannot be read is absent from the scrape.
pub fn register() -> Result<(), RegisterError> {
    let registry = Registry::global();
    let describe = |name, help| registry.describe(name, None, help);

    describe("process_cpu_seconds_total", "Processor time of this process, in user space and in the kernel.")?;
    counter_fn("process_cpu_seconds_total", || or_absent(cpu_seconds()))?;

    describe("process_resident_memory_bytes", "Memory of this process that is in RAM.")?;
    gauge_fn("process_resident_memory_bytes", || or_absent(resident_bytes()))?;

    describe("process_start_time_seconds", "When this process started, in seconds since 1970.")?;
    let started = start_time_seconds();
    gauge_fn("process_start_time_seconds", move || or_absent(started))
}

/// NaN is how a function says that it has no value.
fn or_absent(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

/// The unit of the times in `/proc/self/stat`. It is 100 on every Linux that Rust runs on: the kernel has kept it
/// since 2.4, whatever its own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Fields 14 and 15: in user space and in the kernel.
    let ticks: f64 = stat_field(&stat, 14)? + stat_field(&stat, 15)?;
    Some(ticks / TICKS_PER_SECOND)
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    crate::machine::kilobytes(&status, "VmRSS").map(|bytes| bytes as f64)
}

/// When the process started: the kernel says how long after boot, and how long ago boot was.
fn start_time_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let age = uptime - stat_field(&stat, 22)? / TICKS_PER_SECOND;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(now.as_secs_f64() - age)
}

/// A field of `/proc/self/stat`, counted from 1 as the manual does. The second one is the program's name in
/// parentheses, and may hold spaces and parentheses itself.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_whitespace().nth(number - 3)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn plausible() {
        let stat = "42 (a) b) S 1 42 42 0 -1 0 1 2 3 4 250 50 0 0 20 0 1 0 1234 9 9";
        assert_eq!(stat_field(stat, 14), Some(250.0));
        assert_eq!(stat_field(stat, 22), Some(1234.0));
        assert!(cpu_seconds().expect("Linux has it") >= 0.0);
        assert!(resident_bytes().expect("Linux has it") > 1e6);
        let started = start_time_seconds().expect("Linux has it");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        assert!((0.0..3_600.0).contains(&(now - started)), "{started}");
    }
}
