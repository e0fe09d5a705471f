//! Values of the user's that are read when somebody scrapes, on a thread apart and with a deadline.

mod poller;
mod registration;
mod sink;

#[cfg(unix)]
pub(super) use poller::Desk;
pub(crate) use poller::{FailureReason, Poller, Polls};
pub(crate) use registration::Origin;
pub(crate) use sink::{Collected, Reading};
pub use sink::{CollectorError, CollectorSink};

use super::{Kind, Registry};
use crate::unit::Unit;
use std::error::Error;
use std::time::Duration;

/// Metrics whose values are read at each scrape, several at a time or slowly: what a library or the system counts, the
/// depth of queues that come and go. Registered with [`Registry::register_collector`].
///
/// A collector is polled on a thread of its own, which starts at the first scrape. Those of a registry are polled side by
/// side, before anything else is read, and only for so long ([`Collector::timeout`]). One that panics, fails or is late
/// has no values in that scrape, and the others are not affected; it is counted in
/// `inferometer_collector_errors_total{collector, reason}`. As long as it hangs it is not polled again, and no scrape
/// waits for it.
///
/// (For a single value that takes no time, [`Registry::gauge_fn`] is simpler.)
///
/// ```
/// use inferometer::{Collector, CollectorFamily, CollectorSink, Registry};
/// use std::{collections::HashMap, error::Error, sync::{Arc, Mutex}};
///
/// struct Queues(Arc<Mutex<HashMap<String, Vec<u32>>>>);
///
/// impl Collector for Queues {
///     fn families(&self) -> Vec<CollectorFamily> {
///         vec![CollectorFamily::gauge("queue_requests", "Requests that wait.").labels(&["queue"])]
///     }
///
///     fn collect(&mut self, sink: &mut CollectorSink<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
///         for (queue, waiting) in &*self.0.lock().map_err(|_| "poisoned")? {
///             sink.gauge("queue_requests", &[queue], waiting.len() as f64)?;
///         }
///         Ok(())
///     }
/// }
///
/// let queues = Arc::new(Mutex::new(HashMap::from([("batch".to_owned(), vec![1, 2, 3])])));
/// let registry = Registry::new();
/// registry.register_collector("queues", Queues(Arc::clone(&queues)))?;
/// assert_eq!(registry.snapshot().gauge("queue_requests", &[("queue", "batch")]), Some(3.0));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
pub trait Collector: Send + 'static {
    /// The families that it has values for. Asked once, by the registration.
    fn families(&self) -> Vec<CollectorFamily>;

    /// Hands the present values to `sink`.
    ///
    /// It may record metrics and read the registry, but what it reads there has no values of collectors.
    ///
    /// # Errors
    /// When there are no values to be had. None of those that were handed over is used then.
    fn collect(&mut self, sink: &mut CollectorSink<'_>) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// How long a scrape waits for it; one second unless this is overridden. Asked once, by the registration.
    fn timeout(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// A family that a [`Collector`] has values for.
#[derive(Clone, Debug)]
#[must_use]
pub struct CollectorFamily {
    name: String,
    help: String,
    kind: Kind,
    unit: Option<Unit>,
    labels: Vec<String>,
    max_series: usize,
}

impl CollectorFamily {
    /// A family of gauges.
    pub fn gauge(name: &str, help: &str) -> Self {
        Self::new(Kind::Gauge, name, help)
    }

    /// A family of counters.
    pub fn counter(name: &str, help: &str) -> Self {
        Self::new(Kind::Counter, name, help)
    }

    fn new(kind: Kind, name: &str, help: &str) -> Self {
        CollectorFamily {
            name: name.to_owned(),
            help: help.to_owned(),
            kind,
            unit: None,
            labels: Vec::new(),
            max_series: Registry::DEFAULT_MAX_SERIES_PER_FAMILY,
        }
    }

    /// The unit, where the name does not say it.
    pub fn unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }

    /// The names of the labels, whose values [`CollectorSink`] takes in this order. None unless this is called.
    pub fn labels(mut self, names: &[&str]) -> Self {
        self.labels = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// How many series a scrape takes; [`Registry::DEFAULT_MAX_SERIES_PER_FAMILY`] unless this is called. Those past it
    /// are left out, and counted in `inferometer_series_dropped_total{family}`.
    pub fn max_series(mut self, series: usize) -> Self {
        self.max_series = series;
        self
    }
}
