//! Values that are computed when they are read.

use crate::grid::Domain;
use crate::registry::{ForeignLabel, Kind, RegisterError, Registry, Request, RequestLabels, SliceLabels};

/// Registers a gauge of the global registry whose value is read at each scrape. See [`Registry::gauge_fn`].
///
/// # Errors
/// As for [`Registry::gauge_fn`].
pub fn gauge_fn(name: &str, value: impl Fn() -> f64 + Send + Sync + 'static) -> Result<(), RegisterError> {
    Registry::global().gauge_fn(name, &[], value)
}

/// Registers a counter of the global registry whose value is read at each scrape. See [`Registry::counter_fn`].
///
/// # Errors
/// As for [`Registry::gauge_fn`].
pub fn counter_fn(name: &str, value: impl Fn() -> f64 + Send + Sync + 'static) -> Result<(), RegisterError> {
    Registry::global().counter_fn(name, &[], value)
}

impl Registry {
    /// A gauge whose value is read at each scrape: memory in use, the age of something. `value` runs on the scraping
    /// thread and holds up the scrape, so it should be quick; what may hang is for a [`Collector`](crate::Collector). NaN
    /// means that there is no value, and so does a panic: the series is absent from that scrape.
    ///
    /// ```
    /// let registry = inferometer::Registry::new();
    /// registry.gauge_fn("process_threads", &[], || 7.0)?;
    /// assert_eq!(registry.snapshot().gauge("process_threads", &[]), Some(7.0));
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    ///
    /// # Errors
    /// When a name is not allowed or is registered as something else, when the series exists, or when there is no room.
    pub fn gauge_fn(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Result<(), RegisterError> {
        self.function(Kind::Gauge, name, "", labels, Box::new(value))
    }

    /// The same for something that only goes up: CPU seconds of the process, bytes that a library has counted.
    ///
    /// # Errors
    /// As for [`Registry::gauge_fn`].
    pub fn counter_fn(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Result<(), RegisterError> {
        self.function(Kind::Counter, name, "", labels, Box::new(value))
    }

    pub(crate) fn function(
        &self,
        kind: Kind,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: Box<dyn Fn() -> f64 + Send + Sync>,
    ) -> Result<(), RegisterError> {
        let names: Vec<&str> = labels.iter().map(|&(name, _)| name).collect();
        let family = self.family(&Request {
            name,
            help,
            unit: None,
            kind,
            labels: RequestLabels::Open(&names),
            domain: Domain::Integers,
            buckets: None,
            max_series: None,
            sampling: None,
        })?;
        let labels: Vec<_> = labels.iter().map(|&(name, value)| ForeignLabel::own(name, value)).collect();
        family.create_function(&SliceLabels(&family.key(&labels)?), value)
    }
}
