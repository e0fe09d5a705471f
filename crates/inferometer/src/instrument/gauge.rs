//! Gauges.

use super::private::{Bind, Bound};
use super::{Instrument, IntoF64, Owner, owner};
use crate::registry::{Declaration, Declared, Kind, RegisterError, Registry, Series};
use crate::storage::{self, Slot};
use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

/// A value that is set: temperature, cache usage, a limit.
///
/// The last `set` of any thread wins, so the value is one atomic on a cache line of its own, and `increment` and
/// `decrement` are compare-and-swap loops. What many threads count up and down is better an
/// [`UpDownCounter`](crate::UpDownCounter).
///
/// ```
/// use inferometer::{Gauge, Registry};
/// let registry = Registry::new();
/// let usage: Gauge = registry.gauge("kv_cache_usage_ratio", &[])?;
/// usage.set(0.25);
/// usage.increment(0.5);
/// assert_eq!(registry.snapshot().gauge("kv_cache_usage_ratio", &[]), Some(0.75));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
pub struct Gauge {
    /// The shared cell; null until it is known.
    cell: AtomicPtr<AtomicU64>,
    owner: Owner,
}

/// A place that is never a gauge's cell: not to be tried again.
static REFUSED: AtomicU64 = AtomicU64::new(0);

impl Gauge {
    #[doc(hidden)]
    pub const fn declared(declaration: &'static Declaration) -> Self {
        Gauge { cell: AtomicPtr::new(ptr::null_mut()), owner: Owner::declared(declaration) }
    }

    /// Sets the value.
    #[inline(always)]
    pub fn set(&self, value: impl IntoF64) {
        if cfg!(inferometer_off) {
            return;
        }
        match self.cell() {
            Some(cell) => cell.store(value.into_f64().to_bits(), Relaxed),
            None => self.update_cold(value.into_f64(), |_, value| value),
        }
    }

    /// Adds to the value.
    #[inline(always)]
    pub fn increment(&self, by: impl IntoF64) {
        if cfg!(inferometer_off) {
            return;
        }
        match self.cell() {
            Some(cell) => update(cell, by.into_f64(), |old, by| old + by),
            None => self.update_cold(by.into_f64(), |old, by| old + by),
        }
    }

    /// Subtracts from the value.
    #[inline(always)]
    pub fn decrement(&self, by: impl IntoF64) {
        self.increment(-by.into_f64());
    }

    /// A handle of its own: `Send`, for use across threads and `.await`. It keeps the series from being reused.
    #[must_use]
    pub fn handle(&self) -> Gauge {
        self.clone()
    }

    #[inline(always)]
    fn cell(&self) -> Option<&AtomicU64> {
        let cell = self.cell.load(Acquire);
        // SAFETY: validity: a pointer that is not null points into a series that this gauge owns a share of or has
        // pinned, or to a static. Aliasing: atomics are shared.
        unsafe { cell.as_ref() }
    }

    #[cold]
    #[inline(never)]
    fn update_cold(&self, value: f64, with: fn(f64, f64) -> f64) {
        match self.owner.resolve::<Self>(Slot::UNREGISTERED) {
            Ok((series, member)) => {
                if let Some(cell) = self.pin(series, member) {
                    update(cell, value, with);
                }
            }
            Err(Slot::REFUSED) => self.cell.store(ptr::from_ref(&REFUSED).cast_mut(), Release),
            Err(_) => storage::drop_record(),
        }
    }

    fn pin(&self, series: Arc<Series>, member: usize) -> Option<&'static AtomicU64> {
        let cell = owner::pin(series).gauge(member)?;
        self.cell.store(ptr::from_ref(cell).cast_mut(), Release);
        Some(cell)
    }
}

fn update(cell: &AtomicU64, value: f64, with: fn(f64, f64) -> f64) {
    let update = |bits| Some(with(f64::from_bits(bits), value).to_bits());
    // The closure always answers `Some`, so this cannot fail.
    let _ = cell.fetch_update(Relaxed, Relaxed, update);
}

impl Instrument for Gauge {
    const KIND: Kind = Kind::Gauge;
}

impl Bind for Gauge {
    #[inline(always)]
    fn bind(bound: Bound<'_>) -> Self {
        let cell = bound.series.gauge(bound.member).unwrap_or(&REFUSED);
        Gauge { cell: AtomicPtr::new(ptr::from_ref(cell).cast_mut()), owner: bound.owner }
    }

    #[inline(always)]
    fn detached() -> Self {
        Gauge { cell: AtomicPtr::new(ptr::from_ref(&REFUSED).cast_mut()), owner: Owner::NOWHERE }
    }
}

impl Clone for Gauge {
    fn clone(&self) -> Self {
        self.owner.handle()
    }
}

impl Declared for Gauge {
    fn register(&self, registry: &Registry) -> Result<(), RegisterError> {
        if let Some((series, member)) = self.owner.series_in::<Self>(Some(registry))? {
            self.pin(series, member);
        }
        Ok(())
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge").field(&self.owner).finish()
    }
}
