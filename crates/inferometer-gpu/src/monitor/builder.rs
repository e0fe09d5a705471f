//! How a monitor is set up.

use super::collector::GpuCollector;
use super::event_thread::PATIENCE;
use super::state::Shared;
use super::worker::Worker;
use super::{COLLECTOR, Config, DeviceLabel, GpuMonitor, Status};
use crate::auto::AutoProbe;
use crate::call::Tier;
use crate::probe::Probe;
use crate::selection::Devices;
use inferometer::{RegisterError, Registry};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Sets a [`GpuMonitor`] up. All settings have defaults.
#[must_use]
pub struct GpuMonitorBuilder {
    registry: Registry,
    probe: Option<Box<dyn Probe>>,
    config: Config,
}

impl GpuMonitorBuilder {
    pub(super) fn new() -> Self {
        let second = Duration::from_secs;
        GpuMonitorBuilder {
            registry: Registry::global().clone(),
            probe: None,
            config: Config {
                devices: Devices::visible(),
                intervals: [second(1), second(5), second(60)],
                deadline: second(2),
                grace: second(5),
                backoff: (second(1), second(60)),
                process_memory: false,
                labels: Vec::new(),
                on_status: None,
            },
        }
    }

    /// Where the metrics go; the global registry unless this is called.
    pub fn registry(mut self, registry: &Registry) -> Self {
        self.registry = registry.clone();
        self
    }

    /// What asks the driver; [`AutoProbe`] unless this is called.
    pub fn probe(mut self, probe: impl Probe) -> Self {
        self.probe = Some(Box::new(probe));
        self
    }

    /// Which GPUs are watched; [`Devices::visible`] unless this is called.
    pub fn devices(mut self, devices: Devices) -> Self {
        self.config.devices = devices;
        self
    }

    /// How often the calls of a tier are made; 1, 5 and 60 seconds unless this is called. Drivers refresh few of their
    /// values more than once a second, and each call takes a lock that the submission of work may need.
    pub fn interval(mut self, tier: Tier, interval: Duration) -> Self {
        self.config.intervals[tier as usize] = interval;
        self
    }

    /// How long a call may take before `gpu_probe_up` is 0; two seconds unless this is called. To open the driver and to
    /// list its GPUs may take ten times as long.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.config.deadline = deadline;
        self
    }

    /// For how long a value is shown after its successor was due; five seconds unless this is called.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace;
        self
    }

    /// How long a driver that does not work is left alone: at first, and at most. It doubles in between; one second and
    /// one minute unless this is called.
    pub fn backoff(mut self, first: Duration, limit: Duration) -> Self {
        self.config.backoff = (first, limit);
        self
    }

    /// Whether this process's memory on each GPU is asked for, which means that the driver lists all processes on it:
    /// one of its slowest calls. Not unless this is called.
    pub fn process_memory(mut self, wanted: bool) -> Self {
        self.config.process_memory = wanted;
        self
    }

    /// Labels of all series of a GPU besides `gpu` and `uuid`; none unless this is called. (They are in `gpu_info`
    /// anyway, and can be joined by `uuid`.)
    pub fn labels(mut self, labels: impl IntoIterator<Item = DeviceLabel>) -> Self {
        self.config.labels.clear();
        for label in labels {
            if !self.config.labels.contains(&label) {
                self.config.labels.push(label);
            }
        }
        self
    }

    /// Is told when the status changes, on the monitor's thread. (It is logged as well.)
    pub fn on_status(mut self, told: impl Fn(&Status) + Send + Sync + 'static) -> Self {
        self.config.on_status = Some(Box::new(told));
        self
    }

    /// Registers the metrics and starts the thread. The driver is first called there, so this takes no time, and a
    /// machine without a GPU is no error: see [`GpuMonitor::status`].
    ///
    /// # Errors
    /// When an interval is zero, when the registry has such metrics already, or when there is no thread to be had.
    pub fn start(self) -> Result<GpuMonitor, StartError> {
        let GpuMonitorBuilder { registry, probe, config } = self;
        if let Some(tier) = Tier::ALL.into_iter().find(|&tier| config.interval(tier).is_zero()) {
            return Err(StartError::Interval { tier });
        }
        let patience = config.deadline.saturating_add(PATIENCE);
        let lifetime = config.lifetime(Tier::Fast);
        let (shared, config) = (Arc::new(Shared::new()), Arc::new(config));
        let collector = GpuCollector { shared: Arc::clone(&shared), config: Arc::clone(&config) };
        registry.register_collector(COLLECTOR, collector).map_err(StartError::Register)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (alive, ended) = mpsc::channel();
        let worker = Worker::new(config, Arc::clone(&shared), Arc::clone(&stop));
        let probe = probe.unwrap_or_else(|| Box::new(AutoProbe::new()));
        let thread = thread::Builder::new().name("gpu-probe".to_owned()).spawn(move || {
            worker.run(probe);
            drop(alive);
        });
        match thread {
            Ok(thread) => Ok(GpuMonitor { shared, registry, stop, ended, thread: Some(thread), patience, lifetime }),
            Err(error) => {
                registry.unregister_collector(COLLECTOR);
                Err(StartError::Thread(error))
            }
        }
    }
}

impl fmt::Debug for GpuMonitorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuMonitorBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why a monitor does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// An interval is zero.
    Interval {
        /// Of this tier.
        tier: Tier,
    },
    /// The registry does not take the metrics: another monitor may have put its own there.
    Register(RegisterError),
    /// The system has no thread.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Interval { tier } => write!(f, "the interval of the tier {tier:?} is zero"),
            StartError::Register(error) => write!(f, "the GPU metrics cannot be registered: {error}"),
            StartError::Thread(error) => write!(f, "no thread for the GPU probe: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Interval { .. } => None,
            StartError::Register(error) => Some(error),
            StartError::Thread(error) => Some(error),
        }
    }
}
