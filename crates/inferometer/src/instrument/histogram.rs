//! Histograms.

#[cfg(feature = "tracing")]
use super::current_span::CurrentSpan;
use super::measured::measured;
use super::private::{Bind, Bound};
use super::{Instrument, IntoF64, Owner, calibration, owner};
use crate::grid::{self, Domain, Entry, Grid, LIMIT};
use crate::registry::{self, BUCKETS, Declaration, Declared, EXCESS, Kind, RegisterError, Registry, Series};
use crate::sampling::costs;
use crate::self_metrics;
use crate::storage::{self, Cells, Slot};
use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::Duration;

/// A distribution: latencies, batch sizes, lengths.
///
/// What it observes is its type parameter: a [`Duration`] (the default), counted in nanoseconds and exposed in seconds;
/// a `u64`, for tokens and bytes; or an `f64`. Its [`Buckets`](crate::Buckets) are exact for the classic and for the
/// native exposition at once. A record adds to a bucket and to the sum, both in memory that only this thread writes.
///
/// Negative, infinite and NaN observations, and integers of 2^48 and more (78 hours in nanoseconds), are not recorded
/// but counted in `inferometer_invalid_observations_total`. A series of 2^63 observations or more, which only `record_n`
/// can reach, is left out of scrapes: no format can tell it.
///
/// ```
/// use inferometer::{Histogram, Registry};
/// use std::time::Duration;
///
/// let registry = Registry::new();
/// let itl: Histogram = registry.histogram("inter_token_latency_seconds", &[])?;
/// itl.record_n(Duration::from_millis(12), 8); // one step gave eight sequences a token each
/// let snapshot = registry.snapshot();
/// let seen = snapshot.histogram("inter_token_latency_seconds", &[]).unwrap();
/// assert_eq!(seen.count(), 8);
/// assert!((seen.quantile(0.5).unwrap() - 0.012).abs() < 0.001);
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
///
/// # Exemplars
///
/// An exemplar is one observation with labels of its own, a trace's id say, which leads from a bucket of a dashboard to
/// a request that was in it. [`record_with_exemplar`](Histogram::record_with_exemplar) keeps one for each classic
/// bucket (for each doubling of the value where there are native buckets only; 64 at most), and replaces it when it is
/// a second old. Its labels have up to 128 characters, names and values together, as OpenMetrics demands. With longer
/// labels, or with names that no label may have, the observation is recorded all the same, and the exemplar is dropped
/// and counted in `inferometer_exemplars_dropped_total`. The first exemplar of a series allocates the memory for all.
///
/// ```
/// # use inferometer::{Histogram, Registry};
/// # use std::time::Duration;
/// # let registry = Registry::new();
/// let ttft: Histogram = registry.histogram("time_to_first_token_seconds", &[])?;
/// ttft.record_with_exemplar(Duration::from_millis(180), &[("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736")]);
/// let seen = registry.snapshot().histogram("time_to_first_token_seconds", &[]).unwrap();
/// assert_eq!(seen.exemplars()[0].value, 0.18);
/// assert_eq!(seen.exemplars()[0].labels[0].0, "trace_id");
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
pub struct Histogram<T: Observation = Duration> {
    /// Released after the fields below are set.
    slot: AtomicU32,
    /// The position of the table's first entry, and the number of entries.
    first: AtomicU32,
    entries: AtomicU32,
    table: AtomicPtr<Entry>,
    /// For the cold path; null until it is known.
    series: AtomicPtr<Series>,
    /// The word of the sampling; unregistered until sections are timed.
    timing: AtomicU32,
    owner: Owner,
    observes: PhantomData<fn(T)>,
}

/// What a histogram can observe.
pub trait Observation: Copy + fmt::Debug + private::Key + 'static {}

impl Observation for Duration {}
impl Observation for u64 {}
impl Observation for f64 {}

mod private {
    use super::Domain;
    use crate::sync::AtomicU64;

    /// How an observation finds its bucket and adds to the sum. Not for users.
    pub trait Key {
        #[doc(hidden)]
        const DOMAIN: Domain;

        /// What is compared with the bounds.
        #[doc(hidden)]
        fn key(self) -> u64;

        /// The entry of the table.
        #[doc(hidden)]
        fn position(key: u64) -> u32;

        /// The key as the grid knows it; `None` for what must not be recorded.
        #[doc(hidden)]
        fn valid(key: u64) -> Option<u64>;

        /// Adds `n` such observations to a sum that only this thread writes.
        #[doc(hidden)]
        fn add_to_sum(key: u64, n: u64, cell: &AtomicU64);
    }
}

use private::Key;

macro_rules! integer_key {
    ($type:ty, $domain:expr, $key:expr) => {
        impl Key for $type {
            const DOMAIN: Domain = $domain;

            #[inline(always)]
            fn key(self) -> u64 {
                let key: fn(Self) -> u64 = $key;
                key(self)
            }

            #[inline(always)]
            fn position(key: u64) -> u32 {
                grid::position_of_integer(key)
            }

            fn valid(key: u64) -> Option<u64> {
                (key < LIMIT).then_some(key)
            }

            #[inline(always)]
            fn add_to_sum(key: u64, n: u64, cell: &crate::sync::AtomicU64) {
                storage::add_own(cell, key.wrapping_mul(n));
            }
        }
    };
}

integer_key!(u64, Domain::Integers, |value| value);
integer_key!(Duration, Domain::Nanoseconds, |value: Duration| {
    // A duration past the limit must stay past it: as_nanos() as u64 could wrap around to a small one.
    const MOST_SECONDS: u64 = LIMIT / 1_000_000_000;
    if value.as_secs() > MOST_SECONDS {
        return u64::MAX;
    }
    value.as_secs() * 1_000_000_000 + u64::from(value.subsec_nanos())
});

impl Key for f64 {
    const DOMAIN: Domain = Domain::Floats;

    #[inline(always)]
    fn key(self) -> u64 {
        self.to_bits()
    }

    #[inline(always)]
    fn position(key: u64) -> u32 {
        grid::position_of_float(key)
    }

    fn valid(key: u64) -> Option<u64> {
        let value = f64::from_bits(key);
        // The addition makes +0 of -0, whose bits are not in the order of the values.
        (value >= 0.0 && value.is_finite()).then(|| (value + 0.0).to_bits())
    }

    #[inline(always)]
    fn add_to_sum(key: u64, n: u64, cell: &crate::sync::AtomicU64) {
        storage::add_own_f64(cell, f64::from_bits(key) * n as f64);
    }
}

impl<T: Observation> Histogram<T> {
    #[doc(hidden)]
    pub const fn declared(declaration: &'static Declaration) -> Self {
        Self::unbound(Slot::UNREGISTERED, Owner::declared(declaration))
    }

    const fn unbound(slot: Slot, owner: Owner) -> Self {
        Histogram {
            slot: AtomicU32::new(slot.bits()),
            first: AtomicU32::new(0),
            entries: AtomicU32::new(0),
            table: AtomicPtr::new(ptr::null_mut()),
            series: AtomicPtr::new(ptr::null_mut()),
            timing: AtomicU32::new(Slot::UNREGISTERED.bits()),
            owner,
            observes: PhantomData,
        }
    }

    /// A handle of its own: `Send`, for use across threads and `.await`. It keeps the series from being reused.
    #[must_use]
    pub fn handle(&self) -> Histogram<T> {
        self.clone()
    }

    /// Records each of `values`.
    pub fn record_slice(&self, values: &[T]) {
        for value in values {
            self.add(value.key(), 1);
        }
    }

    #[inline(always)]
    fn add(&self, key: u64, n: u64) {
        if cfg!(inferometer_off) {
            return;
        }
        let slot = Slot::from_bits(self.slot.load(Acquire));
        let chunk = storage::chunk(slot);
        let at = T::position(key).wrapping_sub(self.first.load(Relaxed));
        if chunk.is_null() || at >= self.entries.load(Relaxed) {
            // Only a static may be without a series. The other case takes plain values: see `Owner`.
            if self.owner.is_declared() {
                return self.add_declared(key, n);
            }
            return add_cold::<T>(self.series.load(Relaxed), slot, key, n);
        }
        let table = self.table.load(Relaxed).cast_const();
        // SAFETY: validity: the table has `entries` entries and `at` is below that. Aliasing: no memory is touched yet.
        let entry = unsafe { table.add(at as usize) };
        // SAFETY: validity: as above; the table belongs to the grid of a series that this histogram owns a share of or
        // has pinned. Aliasing: a grid is never written to.
        let entry = unsafe { &*entry };
        let bucket = grid::index_in(entry, key);
        T::add_to_sum(key, n, storage::cell(chunk, slot.offset()));
        storage::add_own(storage::cell(chunk, slot.offset() + BUCKETS + bucket), n);
        if n != 1 {
            storage::add_own(storage::cell(chunk, slot.offset() + EXCESS), n.wrapping_sub(1));
        }
    }

    fn add_with_exemplar(&self, key: u64, labels: &[(&str, &str)]) {
        if cfg!(inferometer_off) {
            return;
        }
        self.add(key, 1);
        // What is not valid has been counted as such.
        let Some(key) = T::valid(key) else { return };
        match self.known_series() {
            Some(series) if registry::are_allowed(labels) => {
                series.keep_exemplar(self.owner.member(), T::position(key), key, labels);
            }
            _ => self_metrics::count_dropped_exemplar(),
        }
    }

    #[cfg(feature = "tracing")]
    fn add_with_current_span(&self, key: u64) {
        if cfg!(inferometer_off) {
            return;
        }
        self.add(key, 1);
        let Some(key) = T::valid(key) else { return };
        let (series, member, position) = (self.known_series(), self.owner.member(), T::position(key));
        // Where none is due, nobody need look for the span.
        if series.is_none_or(|series| series.exemplar_is_due(member, position, key))
            && let Some(span) = CurrentSpan::find()
        {
            match series {
                Some(series) => series.keep_exemplar(member, position, key, &span.labels()),
                None => self_metrics::count_dropped_exemplar(),
            }
        }
    }

    /// For what may not be registered yet.
    #[cold]
    #[inline(never)]
    fn add_declared(&self, key: u64, n: u64) {
        let slot = Slot::from_bits(self.slot.load(Acquire));
        let known = self.series.load(Relaxed).cast_const();
        if slot.is_registered() && !known.is_null() {
            return add_cold::<T>(known, slot, key, n);
        }
        match self.owner.resolve::<Self>(slot) {
            Ok((series, member)) => {
                let (series, slot) = self.pin(series, member);
                add_cold::<T>(series, slot, key, n);
            }
            Err(slot) => {
                self.slot.store(slot.bits(), Relaxed);
                storage::drop_record();
            }
        }
    }

    fn pin(&self, series: Arc<Series>, member: usize) -> (&'static Series, Slot) {
        let series = owner::pin(series);
        let slot = self.point_to(series, series.slot().unwrap_or(Slot::REFUSED), member);
        (series, slot)
    }

    /// Sets the fields of the fast path. Threads that do so at the same time store the same values.
    #[inline(always)]
    fn point_to(&self, series: &Series, first_slot: Slot, member: usize) -> Slot {
        let slot = first_slot.add(member * series.family.stride);
        if let Some(grid) = &series.family.grid {
            let (table, first) = grid.table();
            self.first.store(first, Relaxed);
            self.entries.store(table.len() as u32, Relaxed);
            self.table.store(table.as_ptr().cast_mut(), Relaxed);
        }
        self.series.store(ptr::from_ref(series).cast_mut(), Release);
        if let Some(timing) = series.timing() {
            self.timing.store(timing.word(member).bits(), Relaxed);
        }
        self.slot.store(slot.bits(), Release);
        slot
    }

    /// The word of the sampling.
    #[inline(always)]
    pub(super) fn timing_slot(&self) -> Slot {
        Slot::from_bits(self.timing.load(Relaxed))
    }

    /// The series, registered if need be; `None` where it cannot be, and inside an allocator that the registry called.
    pub(super) fn series(&self) -> Option<&Series> {
        if self.known_series().is_none() && self.owner.is_declared() {
            match self.owner.resolve::<Self>(self.slot()) {
                Ok((series, member)) => _ = self.pin(series, member),
                Err(slot) => self.slot.store(slot.bits(), Relaxed),
            }
        }
        self.known_series()
    }

    /// The same for one that has been recorded to.
    pub(super) fn known_series(&self) -> Option<&Series> {
        let series = self.series.load(Acquire).cast_const();
        // SAFETY: validity: null, or a series that the histogram owns a share of, borrows or has pinned. Aliasing: a
        // series is shared.
        unsafe { series.as_ref() }
    }

    /// The word of the sampling, whose cells are made if need be.
    pub(super) fn begin_timing(&self) -> Option<Slot> {
        let series = self.series()?;
        let _mark = match storage::enter() {
            storage::Entry::Nested => return None, // in an allocator or a signal handler
            mark => mark,
        };
        let slot = series.begin_timing()?.word(self.owner.member());
        self.timing.store(slot.bits(), Relaxed);
        Some(slot)
    }

    /// A count of the series for somebody who may live longer: see [`Owner::counted`].
    pub(super) fn counted(&self) -> *const Series {
        self.owner.counted()
    }

    /// The first cell.
    pub(super) fn slot(&self) -> Slot {
        Slot::from_bits(self.slot.load(Acquire))
    }
}

/// For the first record of a thread, and for values outside the table: zero, very large and very small ones, and those
/// that are not valid. `series` is null for a histogram that records nowhere. By its calling convention it does not
/// unwind: see `add_cold` of counters.
#[cold]
#[inline(never)]
extern "C" fn add_cold<T: Observation>(series: *const Series, slot: Slot, key: u64, n: u64) {
    // SAFETY: validity: null, or a series that the histogram owns a share of, borrows or has pinned. Aliasing: a series
    // is shared.
    match unsafe { series.as_ref() }.and_then(|series| series.family.grid.as_deref()) {
        Some(grid) => {
            let Some(cells) = storage::touch(slot) else { return storage::drop_record() };
            measured(&costs::OBSERVE, (grid, cells), calibration::histogram::<T>(), |(grid, cells)| {
                add_in::<T>(grid, cells, key, n, n.wrapping_sub(1));
            });
        }
        None => storage::drop_record(),
    }
}

/// Records to a histogram of which only the grid and the cells are known. `excess` is how many of the `n` are not
/// calls of their own.
pub(super) fn add_in<T: Observation>(grid: &Grid, cells: Cells, key: u64, n: u64, excess: u64) {
    let Some(key) = T::valid(key) else { return crate::self_metrics::count_invalid(n) };
    if T::DOMAIN.has_float_sum() {
        cells.add_f64(0, f64::from_bits(key) * n as f64);
    } else {
        cells.add(0, key.wrapping_mul(n));
    }
    cells.add(BUCKETS + grid.bucket(T::position(key), key), n);
    if excess != 0 {
        cells.add(EXCESS, excess);
    }
}

impl Histogram<Duration> {
    /// Records a duration.
    #[inline(always)]
    pub fn record(&self, value: Duration) {
        self.add(value.key(), 1);
    }

    /// Records a duration `n` times, at the cost of once: the time of one step, say, that `n` sequences went through.
    #[inline(always)]
    pub fn record_n(&self, value: Duration, n: u64) {
        self.add(value.key(), n);
    }

    /// Records a number of nanoseconds.
    #[inline(always)]
    pub fn record_nanos(&self, nanos: u64) {
        self.add(nanos, 1);
    }

    /// Records a number of nanoseconds `n` times, at the cost of once.
    #[inline(always)]
    pub fn record_nanos_n(&self, nanos: u64, n: u64) {
        self.add(nanos, n);
    }

    /// Records a duration, and keeps it as an exemplar, with these labels, if there is none in its bucket that is
    /// younger than a second. See [Exemplars](Histogram#exemplars).
    pub fn record_with_exemplar(&self, value: Duration, labels: &[(&str, &str)]) {
        self.add_with_exemplar(value.key(), labels);
    }

    /// Records a duration, with the `trace_id` and the `span_id` of the current span as its exemplar. The span is that
    /// of the current OpenTelemetry context or, where that has none, the one that `tracing-opentelemetry` has made of
    /// the current `tracing` span. Without a span, and with one that is not sampled, it is a plain record: the exemplar
    /// would lead to a trace that nobody kept. See [Exemplars](Histogram#exemplars).
    ///
    /// ```
    /// # use inferometer::{Histogram, Registry};
    /// # use std::time::Duration;
    /// # let registry = Registry::new();
    /// let histogram: Histogram<Duration> = registry.histogram("request_seconds", &[])?;
    /// histogram.record_with_current_span(Duration::from_millis(12));
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    #[cfg(feature = "tracing")]
    pub fn record_with_current_span(&self, value: Duration) {
        self.add_with_current_span(value.key());
    }
}

impl Histogram<u64> {
    /// Records an integer.
    #[inline(always)]
    pub fn record(&self, value: u64) {
        self.add(value, 1);
    }

    /// Records an integer `n` times, at the cost of once.
    #[inline(always)]
    pub fn record_n(&self, value: u64, n: u64) {
        self.add(value, n);
    }

    /// Records an integer, and keeps it as an exemplar, with these labels, if there is none in its bucket that is
    /// younger than a second. See [Exemplars](Histogram#exemplars).
    ///
    /// ```
    /// # use inferometer::{Histogram, Registry};
    /// # let registry = Registry::new();
    /// let histogram: Histogram<u64> = registry.histogram("prompt_tokens", &[])?;
    /// histogram.record_with_exemplar(2_048, &[("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736")]);
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    pub fn record_with_exemplar(&self, value: u64, labels: &[(&str, &str)]) {
        self.add_with_exemplar(value, labels);
    }

    /// Records an integer, with the `trace_id` and the `span_id` of the current span as its exemplar. The span is that
    /// of the current OpenTelemetry context or, where that has none, the one that `tracing-opentelemetry` has made of
    /// the current `tracing` span. Without a span, and with one that is not sampled, it is a plain record: the exemplar
    /// would lead to a trace that nobody kept. See [Exemplars](Histogram#exemplars).
    ///
    /// ```
    /// # use inferometer::{Histogram, Registry};
    /// # let registry = Registry::new();
    /// let histogram: Histogram<u64> = registry.histogram("prompt_tokens", &[])?;
    /// histogram.record_with_current_span(2_048);
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    #[cfg(feature = "tracing")]
    pub fn record_with_current_span(&self, value: u64) {
        self.add_with_current_span(value);
    }
}

impl Histogram<f64> {
    /// Records a number; a duration is recorded in seconds.
    #[inline(always)]
    pub fn record(&self, value: impl IntoF64) {
        self.add(value.into_f64().key(), 1);
    }

    /// Records a number `n` times, at the cost of once.
    #[inline(always)]
    pub fn record_n(&self, value: impl IntoF64, n: u64) {
        self.add(value.into_f64().key(), n);
    }

    /// The same under the name that it has in the `metrics` crate.
    #[inline(always)]
    pub fn record_many(&self, value: impl IntoF64, count: usize) {
        self.record_n(value, count as u64);
    }

    /// Records a number, and keeps it as an exemplar, with these labels, if there is none in its bucket that is
    /// younger than a second. See [Exemplars](Histogram#exemplars).
    ///
    /// ```
    /// # use inferometer::{Histogram, Registry};
    /// # let registry = Registry::new();
    /// let histogram: Histogram<f64> = registry.histogram("loss_ratio", &[])?;
    /// histogram.record_with_exemplar(0.25, &[("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736")]);
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    pub fn record_with_exemplar(&self, value: impl IntoF64, labels: &[(&str, &str)]) {
        self.add_with_exemplar(value.into_f64().key(), labels);
    }

    /// Records a number, with the `trace_id` and the `span_id` of the current span as its exemplar. The span is that
    /// of the current OpenTelemetry context or, where that has none, the one that `tracing-opentelemetry` has made of
    /// the current `tracing` span. Without a span, and with one that is not sampled, it is a plain record: the exemplar
    /// would lead to a trace that nobody kept. See [Exemplars](Histogram#exemplars).
    ///
    /// ```
    /// # use inferometer::{Histogram, Registry};
    /// # let registry = Registry::new();
    /// let histogram: Histogram<f64> = registry.histogram("loss_ratio", &[])?;
    /// histogram.record_with_current_span(0.25);
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    #[cfg(feature = "tracing")]
    pub fn record_with_current_span(&self, value: impl IntoF64) {
        self.add_with_current_span(value.into_f64().key());
    }
}

impl<T: Observation> Instrument for Histogram<T> {
    const KIND: Kind = Kind::Histogram;
}

impl<T: Observation> Bind for Histogram<T> {
    const DOMAIN: Domain = T::DOMAIN;

    #[inline(always)]
    fn bind(bound: Bound<'_>) -> Self {
        let histogram = Self::unbound(Slot::UNREGISTERED, bound.owner);
        histogram.point_to(bound.series, bound.slot, bound.member);
        histogram
    }

    #[inline(always)]
    fn detached() -> Self {
        Self::unbound(Slot::REFUSED, Owner::NOWHERE)
    }
}

impl<T: Observation> Clone for Histogram<T> {
    fn clone(&self) -> Self {
        self.owner.handle()
    }
}

impl<T: Observation> Declared for Histogram<T> {
    fn register(&self, registry: &Registry) -> Result<(), RegisterError> {
        if let Some((series, member)) = self.owner.series_in::<Self>(Some(registry))? {
            self.pin(series, member);
        }
        Ok(())
    }
}

impl<T: Observation> fmt::Debug for Histogram<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Histogram").field(&self.owner).finish()
    }
}
