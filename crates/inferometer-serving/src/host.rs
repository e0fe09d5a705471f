//! The machine that an engine runs on.

use inferometer::{Collector, CollectorFamily, CollectorSink};
use std::error::Error;

pub(crate) const CPU_UTILIZATION: &str = "host_cpu_utilization_ratio";
pub(crate) const MEMORY_USED: &str = "host_memory_used_bytes";
pub(crate) const MEMORY_TOTAL: &str = "host_memory_total_bytes";

/// What the machine's processors and memory are used for, by whomever: what servers such as Triton tell beside their own
/// metrics, for places without an exporter for machines. Linux only; elsewhere it has no values.
///
/// | metric | what it is |
/// |---|---|
/// | `host_cpu_utilization_ratio` | the share of the processors' time that was used, since the reading before; of all the time since the machine started, at first |
/// | `host_memory_used_bytes` | memory that programs could not have |
/// | `host_memory_total_bytes` | memory in all |
///
/// ```
/// use inferometer::Registry;
/// use inferometer_serving::HostCollector;
///
/// let registry = Registry::new();
/// registry.register_collector("host", HostCollector::new())?;
/// if cfg!(target_os = "linux") {
///     let snapshot = registry.snapshot();
///     assert!(snapshot.gauge("host_memory_used_bytes", &[]) < snapshot.gauge("host_memory_total_bytes", &[]));
/// }
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Debug, Default)]
pub struct HostCollector {
    before: CpuTime,
    utilization: f64,
}

/// What all processors together have done since the machine started, in the kernel's ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CpuTime {
    used: u64,
    idle: u64,
}

/// Readings that follow each other sooner than this, in ticks of all processors, have the value of the one before: several
/// scrapers would leave each other nothing to see.
const SHORTEST: u64 = 100;

impl HostCollector {
    /// Of this machine.
    pub fn new() -> Self {
        Self::default()
    }

    /// The share that was used since the last reading that was long enough ago.
    fn utilization(&mut self, now: CpuTime) -> f64 {
        let used = now.used.saturating_sub(self.before.used);
        let all = used + now.idle.saturating_sub(self.before.idle);
        if all >= SHORTEST {
            self.utilization = used as f64 / all as f64;
            self.before = now;
        }
        self.utilization
    }
}

impl Collector for HostCollector {
    fn families(&self) -> Vec<CollectorFamily> {
        vec![
            CollectorFamily::gauge(CPU_UTILIZATION, "Share of the processors' time that was used, by any program."),
            CollectorFamily::gauge(MEMORY_USED, "Memory of the machine that programs could not have, in bytes."),
            CollectorFamily::gauge(MEMORY_TOTAL, "Memory of the machine, in bytes."),
        ]
    }

    fn collect(&mut self, sink: &mut CollectorSink<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        if cfg!(not(target_os = "linux")) {
            return Ok(());
        }
        let stat = std::fs::read_to_string("/proc/stat")?;
        let now = CpuTime::parse(&stat).ok_or("/proc/stat does not begin with the processors' times")?;
        sink.gauge(CPU_UTILIZATION, &[], self.utilization(now))?;
        let memory = std::fs::read_to_string("/proc/meminfo")?;
        let bytes = |name: &str| memory_bytes(&memory, name).ok_or_else(|| format!("/proc/meminfo has no {name}"));
        let total = bytes("MemTotal")?;
        sink.gauge(MEMORY_USED, &[], total.saturating_sub(bytes("MemAvailable")?) as f64)?;
        sink.gauge(MEMORY_TOTAL, &[], total as f64)?;
        Ok(())
    }
}

impl CpuTime {
    /// From the first line of `/proc/stat`: user, nice, system, idle, waiting for a disk, interrupts of both kinds, and what
    /// a hypervisor took. What guests used is part of the first two.
    fn parse(stat: &str) -> Option<Self> {
        let times = stat.lines().next()?.strip_prefix("cpu ")?;
        let times: Vec<u64> = times.split_ascii_whitespace().take(8).map_while(|time| time.parse().ok()).collect();
        let idle = times.get(3)? + times.get(4)?;
        Some(CpuTime { used: times.iter().sum::<u64>() - idle, idle })
    }
}

/// From a line such as `MemTotal:       25276100 kB`.
fn memory_bytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_times_are_found() {
        let stat = "cpu  100 5 50 800 40 3 2 10 30 0\ncpu0 1 2 3\n";
        assert_eq!(CpuTime::parse(stat), Some(CpuTime { used: 170, idle: 840 }));
        for broken in ["", "cpu0 1 2 3 4 5", "cpu  1 2 3", "cpu  a b c d e"] {
            assert_eq!(CpuTime::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn the_share_is_that_of_the_time_since_the_last_reading() {
        let mut collector = HostCollector::new();
        assert_eq!(collector.utilization(CpuTime { used: 100, idle: 300 }), 0.25);
        assert_eq!(collector.utilization(CpuTime { used: 250, idle: 350 }), 0.75);
        // Too soon, and then the time since the last one that was not.
        assert_eq!(collector.utilization(CpuTime { used: 250, idle: 360 }), 0.75);
        assert_eq!(collector.utilization(CpuTime { used: 250, idle: 450 }), 0.0);
    }

    #[test]
    fn memory_is_in_bytes() {
        let meminfo = "MemTotal:       25276100 kB\nMemFree:            12 kB\nHugePages_Total:       0\n";
        assert_eq!(memory_bytes(meminfo, "MemTotal"), Some(25_276_100 * 1024));
        assert_eq!(memory_bytes(meminfo, "MemAvailable"), None);
        assert_eq!(memory_bytes(meminfo, "HugePages_Total"), None);
    }
}
