//! Up-down counters.

use super::private::{Bind, Bound};
use super::{Instrument, Owner, owner};
use crate::registry::{Declaration, Declared, Kind, RegisterError, Series};
use crate::storage::{self, Lease, Slot};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A number that goes up and down by steps, from any thread: requests in flight, queue depth.
///
/// It costs what a [`Counter`](crate::Counter) costs, because it is two of them. Exposed as a gauge.
///
/// ```
/// use inferometer::{Registry, UpDownCounter};
/// let registry = Registry::new();
/// let waiting: UpDownCounter = registry.up_down_counter("requests_waiting", &[])?;
/// waiting.increment(3);
/// waiting.decrement(1);
/// assert_eq!(registry.snapshot().gauge("requests_waiting", &[]), Some(2.0));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
pub struct UpDownCounter {
    slot: AtomicU32,
    owner: Owner,
}

/// The cells of an up-down counter. The decrements come first because they must be read first.
const DOWN: usize = 0;
const UP: usize = 1;
const CELLS: usize = 2;

impl UpDownCounter {
    #[doc(hidden)]
    pub const fn declared(declaration: &'static Declaration) -> Self {
        UpDownCounter { slot: AtomicU32::new(Slot::UNREGISTERED.bits()), owner: Owner::declared(declaration) }
    }

    /// Adds `n`.
    #[inline(always)]
    pub fn increment(&self, n: u64) {
        self.add(UP, n);
    }

    /// Subtracts `n`. The value may become negative.
    #[inline(always)]
    pub fn decrement(&self, n: u64) {
        self.add(DOWN, n);
    }

    /// A handle of its own: `Send`, for use across threads and `.await`. It keeps the series from being reused.
    #[must_use]
    pub fn handle(&self) -> UpDownCounter {
        self.clone()
    }

    #[inline(always)]
    fn add(&self, cell: usize, n: u64) {
        if cfg!(inferometer_off) {
            return;
        }
        let slot = self.slot();
        let chunk = storage::chunk(slot);
        if chunk.is_null() {
            let slot = if self.owner.is_declared() { self.registered_slot() } else { slot };
            return storage::add_cold(slot.add(cell), n);
        }
        storage::add_own(storage::cell(chunk, slot.offset() + cell), n);
    }

    #[inline(always)]
    fn slot(&self) -> Slot {
        Slot::from_bits(self.slot.load(Relaxed))
    }

    #[cold]
    #[inline(never)]
    fn registered_slot(&self) -> Slot {
        let slot = self.slot();
        if slot.is_registered() {
            return slot;
        }
        match self.owner.resolve::<Self>(slot) {
            Ok((series, member)) => self.pin(series, member),
            Err(slot) => {
                self.slot.store(slot.bits(), Relaxed);
                slot
            }
        }
    }

    fn pin(&self, series: Arc<Series>, member: usize) -> Slot {
        let slot = owner::pin(series).lease().map_or(Slot::REFUSED, Lease::slot).add(member * CELLS);
        self.slot.store(slot.bits(), Relaxed);
        slot
    }
}

impl Instrument for UpDownCounter {
    const KIND: Kind = Kind::UpDownCounter;
}

impl Bind for UpDownCounter {
    #[inline(always)]
    fn bind(bound: Bound<'_>) -> Self {
        UpDownCounter { slot: AtomicU32::new(bound.slot.add(bound.member * CELLS).bits()), owner: bound.owner }
    }

    #[inline(always)]
    fn detached() -> Self {
        UpDownCounter { slot: AtomicU32::new(Slot::REFUSED.bits()), owner: Owner::NOWHERE }
    }
}

impl Clone for UpDownCounter {
    fn clone(&self) -> Self {
        self.owner.handle()
    }
}

impl Declared for UpDownCounter {
    fn register(&self) -> Result<(), RegisterError> {
        if let Some((series, member)) = self.owner.series::<Self>()? {
            self.pin(series, member);
        }
        Ok(())
    }
}

impl fmt::Debug for UpDownCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UpDownCounter").field(&self.owner).finish()
    }
}
