//! The thread that asks a driver, and what it leaves for scrapes.

mod backoff;
mod builder;
mod collector;
mod event_thread;
mod plausible;
mod state;
mod status;
mod totals;
mod worker;

pub use builder::{GpuMonitorBuilder, StartError};
pub use collector::DeviceLabel;
pub use status::Status;

use crate::call::{Call, Tier};
use crate::probe::Device;
use crate::selection::Devices;
use inferometer::Registry;
use state::Shared;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Watches GPUs from a thread of its own, and puts what it sees into a registry.
///
/// No scrape and no record ever waits for a driver: a scrape reads the latest values, with their age. A call that hangs
/// makes `gpu_probe_up` 0 once it is past its deadline; the values grow old and, after a while, are left out. The thread
/// waits for the call, however long it takes, since the driver's own lock would stop a second thread as well.
///
/// The monitor stops when it is dropped.
///
/// ```
/// use inferometer::Registry;
/// use inferometer_gpu::{GpuMonitor, testing::FakeProbe};
///
/// let registry = Registry::new();
/// let monitor = GpuMonitor::builder().registry(&registry).probe(FakeProbe::example()).start()?;
/// while !monitor.status().is_up() {
///     std::thread::yield_now();
/// }
/// assert_eq!(registry.snapshot().gauge("gpu_memory_total_bytes", &[("gpu", "0")]), Some(85_899_345_920.0));
/// # Ok::<(), inferometer_gpu::StartError>(())
/// ```
pub struct GpuMonitor {
    shared: Arc<Shared>,
    registry: Registry,
    stop: Arc<AtomicBool>,
    /// Disconnected once the thread has ended.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
    patience: Duration,
    /// For how long what the thread said last is believed.
    lifetime: Duration,
}

/// The name of the collector.
const COLLECTOR: &str = "gpu";

/// What was asked for.
struct Config {
    devices: Devices,
    intervals: [Duration; Tier::ALL.len()],
    deadline: Duration,
    grace: Duration,
    backoff: (Duration, Duration),
    process_memory: bool,
    labels: Vec<DeviceLabel>,
    on_status: Option<OnStatus>,
}

type OnStatus = Box<dyn Fn(&Status) + Send + Sync>;

impl Config {
    fn interval(&self, tier: Tier) -> Duration {
        self.intervals[tier as usize]
    }

    /// How old a value may be.
    fn lifetime(&self, tier: Tier) -> Duration {
        self.interval(tier).saturating_add(self.grace)
    }

    /// A driver may have to wake all GPUs before it can list them.
    fn deadline(&self, call: Call) -> Duration {
        match call {
            Call::Open | Call::Devices => self.deadline.saturating_mul(10),
            _ => self.deadline,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("devices", &self.devices)
            .field("intervals", &self.intervals)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl GpuMonitor {
    /// A monitor to be set up.
    pub fn builder() -> GpuMonitorBuilder {
        GpuMonitorBuilder::new()
    }

    /// How the driver is.
    pub fn status(&self) -> Status {
        self.shared.lock().status.clone()
    }

    /// Whether the driver answers for all GPUs that are watched, and no call is past its deadline: `gpu_probe_up`.
    pub fn is_up(&self) -> bool {
        self.shared.lock().is_up(Instant::now(), self.lifetime)
    }

    /// The GPUs that are watched, by the latest list.
    pub fn devices(&self) -> Vec<Device> {
        let state = self.shared.lock();
        state.devices.values().filter(|known| known.listed).map(|known| known.device.clone()).collect()
    }

    /// Takes the metrics out of the registry and ends the threads, and says whether they have ended. One that is inside
    /// a call to the driver ends when that returns; it is waited for as long as a call may take and two seconds, and no longer.
    pub fn stop(mut self) -> bool {
        self.end()
    }

    fn end(&mut self) -> bool {
        let Some(thread) = self.thread.take() else { return true };
        self.registry.unregister_collector(COLLECTOR);
        self.stop.store(true, Relaxed);
        thread.thread().unpark();
        // Nothing is ever sent: the thread holds the other end until it has ended.
        let ended = self.ended.recv_timeout(self.patience) != Err(RecvTimeoutError::Timeout);
        if ended {
            // It catches its panics.
            let _ = thread.join();
        } else {
            log::warn!("the GPU probe is inside a call to the driver, and ends when that returns");
        }
        ended
    }
}

impl Drop for GpuMonitor {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for GpuMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuMonitor").field("status", &self.status()).finish_non_exhaustive()
    }
}
