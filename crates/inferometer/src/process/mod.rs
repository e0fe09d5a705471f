//! The metrics of the process, under the names that all of Prometheus' client libraries give them.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod proc;
#[cfg(unix)]
mod system;

#[cfg(unix)]
use crate::registry::CollectorError;
use crate::registry::{Collector, CollectorFamily, CollectorSink};
use std::error::Error;

const CPU_SECONDS: &str = "process_cpu_seconds_total";
const OPEN_FDS: &str = "process_open_fds";
const MAX_FDS: &str = "process_max_fds";
const VIRTUAL_BYTES: &str = "process_virtual_memory_bytes";
const VIRTUAL_MAX_BYTES: &str = "process_virtual_memory_max_bytes";
const RESIDENT_BYTES: &str = "process_resident_memory_bytes";
const START_TIME: &str = "process_start_time_seconds";
const THREADS: &str = "process_threads";

/// The standard metrics of the process.
///
/// | metric | what it is | where |
/// |---|---|---|
/// | `process_cpu_seconds_total` | processor time, in user space and in the kernel | Unix |
/// | `process_max_fds` | how many file descriptors it may have | Unix |
/// | `process_open_fds` | how many it has | Linux |
/// | `process_virtual_memory_bytes`, `process_resident_memory_bytes` | its address space, and what of it is in RAM | Linux |
/// | `process_virtual_memory_max_bytes` | how large the address space may be | Linux |
/// | `process_start_time_seconds` | when it started, in seconds since 1970 | Linux |
/// | `process_threads` | its threads | Linux |
///
/// What the system does not say is absent, on other systems than Unix all of it. So is a limit that there is not.
///
/// ```
/// use inferometer::{ProcessCollector, Registry};
///
/// let registry = Registry::new();
/// registry.register_collector("process", ProcessCollector::new())?;
/// if cfg!(target_os = "linux") {
///     assert!(registry.snapshot().gauge("process_resident_memory_bytes", &[]) > Some(0.0));
/// }
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Debug, Default)]
pub struct ProcessCollector {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    proc: proc::Proc,
}

impl ProcessCollector {
    /// Of this process.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Collector for ProcessCollector {
    fn families(&self) -> Vec<CollectorFamily> {
        vec![
            CollectorFamily::counter(CPU_SECONDS, "Processor time in user space and in the kernel, in seconds."),
            CollectorFamily::gauge(OPEN_FDS, "Open file descriptors."),
            CollectorFamily::gauge(MAX_FDS, "How many file descriptors may be open."),
            CollectorFamily::gauge(VIRTUAL_BYTES, "The size of the address space, in bytes."),
            CollectorFamily::gauge(VIRTUAL_MAX_BYTES, "How large the address space may be, in bytes."),
            CollectorFamily::gauge(RESIDENT_BYTES, "Memory that is in RAM, in bytes."),
            CollectorFamily::gauge(START_TIME, "When the process started, in seconds since 1970."),
            CollectorFamily::gauge(THREADS, "Threads of the operating system."),
        ]
    }

    #[cfg_attr(not(unix), expect(unused_variables, reason = "nothing is known"))]
    fn collect(&mut self, sink: &mut CollectorSink<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        #[cfg(unix)]
        {
            if let Some(time) = system::cpu_time() {
                sink.float_counter(CPU_SECONDS, &[], time.as_secs_f64())?;
            }
            gauge(sink, MAX_FDS, system::max_fds())?;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            gauge(sink, VIRTUAL_MAX_BYTES, system::max_virtual_bytes())?;
            gauge(sink, OPEN_FDS, proc::open_fds().map(|fds| fds as f64))?;
            if let Some(stat) = self.proc.stat() {
                gauge(sink, VIRTUAL_BYTES, Some(stat.virtual_bytes as f64))?;
                gauge(sink, RESIDENT_BYTES, system::page_bytes().map(|bytes| stat.resident_pages as f64 * bytes))?;
                gauge(sink, START_TIME, self.proc.start_time(&stat))?;
                gauge(sink, THREADS, Some(stat.threads as f64))?;
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn gauge(sink: &mut CollectorSink<'_>, name: &str, value: Option<f64>) -> Result<(), CollectorError> {
    value.map_or(Ok(()), |value| sink.gauge(name, &[], value))
}
