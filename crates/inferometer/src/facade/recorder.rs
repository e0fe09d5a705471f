//! The recorder that the facade is given.

use super::cache::{self, Cached};
use super::handles::Handle;
use super::series::series;
use crate::registry::{RegisterError, Registry};
use crate::unit::Unit;
use metrics::{Key, KeyName, Metadata, SetRecorderError, SharedString};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Takes in what is recorded through the crate `metrics`; see [the module](crate::facade).
///
/// It may be the recorder of the process ([`Recorder::install`]), of a thread or a section of code
/// (`metrics::with_local_recorder`), or stand behind the layers of `metrics-util`. Clones are the same recorder.
#[derive(Clone, Debug)]
pub struct Recorder {
    registry: Registry,
    /// Names it in the threads' caches.
    id: u64,
}

/// How many errors a registry remembers.
const MOST_ERRORS: usize = 64;

impl Recorder {
    /// For this registry.
    ///
    /// ```
    /// let registry = inferometer::Registry::new();
    /// let recorder = inferometer::facade::Recorder::new(&registry);
    /// metrics::with_local_recorder(&recorder, || metrics::gauge!("queue_depth").set(3.0));
    /// assert_eq!(registry.snapshot().gauge("queue_depth", &[]), Some(3.0));
    /// ```
    pub fn new(registry: &Registry) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Recorder { registry: registry.clone(), id: NEXT.fetch_add(1, Relaxed) }
    }

    /// For [`Registry::global`].
    ///
    /// ```
    /// let recorder = inferometer::facade::Recorder::global();
    /// metrics::with_local_recorder(&recorder, || metrics::counter!("doc_facade_total").increment(2));
    /// assert_eq!(inferometer::Registry::global().snapshot().counter("doc_facade_total", &[]), Some(2));
    /// ```
    pub fn global() -> Self {
        Self::new(Registry::global())
    }

    /// Makes this the recorder of the process.
    ///
    /// ```
    /// use inferometer::facade::Recorder;
    ///
    /// let recorder = Recorder::global();
    /// recorder.clone().install()?;
    /// assert!(recorder.install().is_err());
    /// # Ok::<(), metrics::SetRecorderError<Recorder>>(())
    /// ```
    ///
    /// # Errors
    /// When the process has one already. The error gives this one back.
    pub fn install(self) -> Result<(), SetRecorderError<Self>> {
        metrics::set_global_recorder(self)
    }

    /// Why something could not be registered: each error once, up to 64 of a registry.
    ///
    /// ```
    /// use inferometer::{RegisterError, Registry, facade::Recorder};
    ///
    /// let recorder = Recorder::new(&Registry::new());
    /// metrics::with_local_recorder(&recorder, || {
    ///     metrics::counter!("cache.hits").increment(1);
    ///     metrics::counter!("cache_hits").increment(1);
    /// });
    /// let error =
    ///     RegisterError::SameWhenEscaped { name: "cache_hits".to_owned(), registered: "cache.hits".to_owned() };
    /// assert_eq!(recorder.errors(), [error]);
    /// ```
    pub fn errors(&self) -> Vec<RegisterError> {
        self.registry.directory().refused.clone()
    }

    #[inline(always)]
    fn handle<H: Handle + Cached>(&self, key: &Key) -> H {
        if cfg!(inferometer_off) {
            return H::noop();
        }
        cache::get(self.id, key, || match series::<H::Instrument>(&self.registry, key) {
            Ok(series) => H::of(crate::instrument::handle(series)),
            Err(error) => {
                self.refuse(error);
                H::refused()
            }
        })
    }

    fn describe(&self, name: &KeyName, unit: Option<metrics::Unit>, help: &SharedString) {
        if cfg!(inferometer_off) {
            return;
        }
        if let Err(error) = self.registry.describe_foreign(name.as_str(), unit.and_then(own_unit), help) {
            self.refuse(error);
        }
    }

    fn refuse(&self, error: RegisterError) {
        let mut directory = self.registry.directory();
        let known = &mut directory.refused;
        if known.len() >= MOST_ERRORS || known.contains(&error) {
            return;
        }
        known.push(error.clone());
        drop(directory);
        log::warn!("records through the `metrics` facade are dropped: {error}");
    }
}

/// Base units only. A percentage is a hundred times our ratio, so it is none.
fn own_unit(unit: metrics::Unit) -> Option<Unit> {
    match unit {
        metrics::Unit::Count => Some(Unit::Count),
        metrics::Unit::Seconds => Some(Unit::Seconds),
        metrics::Unit::Bytes => Some(Unit::Bytes),
        _ => None,
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, unit: Option<metrics::Unit>, help: SharedString) {
        self.describe(&name, unit, &help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<metrics::Unit>, help: SharedString) {
        self.describe(&name, unit, &help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<metrics::Unit>, help: SharedString) {
        self.describe(&name, unit, &help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        self.handle(key)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        self.handle(key)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        self.handle(key)
    }
}
