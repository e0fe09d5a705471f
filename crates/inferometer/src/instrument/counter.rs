//! Counters.

use super::private::{Bind, Bound};
use super::{Instrument, Owner, owner};
use crate::registry::{Declaration, Declared, Kind, RegisterError, Series};
use crate::storage::{self, Lease, Slot};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A number that only goes up: requests, tokens, errors.
///
/// A record is an add to memory that only this thread writes: no lock, no contention, no allocation after a thread's
/// first record. A counter is a u64 and wraps; the reader of an exposition takes that for a restart.
///
/// ```
/// use inferometer::{Counter, Registry, metric};
///
/// /// Tokens generated.
/// #[metric(name = "doc_generation_tokens_total")]
/// static TOKENS: Counter = Counter::new();
///
/// TOKENS.increment(8);
/// assert_eq!(Registry::global().snapshot().counter("doc_generation_tokens_total", &[]), Some(8));
/// ```
pub struct Counter {
    /// Relaxed throughout: what it points to is found through the thread's own table.
    slot: AtomicU32,
    owner: Owner,
}

impl Counter {
    #[doc(hidden)]
    pub const fn declared(declaration: &'static Declaration) -> Self {
        Counter { slot: AtomicU32::new(Slot::UNREGISTERED.bits()), owner: Owner::declared(declaration) }
    }

    /// Adds `n`.
    #[inline(always)]
    pub fn increment(&self, n: u64) {
        if cfg!(inferometer_off) {
            return;
        }
        let slot = self.slot();
        let chunk = storage::chunk(slot);
        if chunk.is_null() {
            // Only a static may be without a slot. The other case takes plain values: see `Owner`.
            let slot = if self.owner.is_declared() { self.registered_slot() } else { slot };
            return storage::add_cold(slot, n);
        }
        storage::add_own(storage::cell(chunk, slot.offset()), n);
    }

    /// Raises the counter to `value` when it is lower: for a number that something else counts.
    ///
    /// This adds up all threads' cells, so it is not for the hot path.
    pub fn absolute(&self, value: u64) {
        if cfg!(inferometer_off) {
            return;
        }
        match self.owner.resolve::<Self>(self.slot()) {
            Ok((series, member)) => series.raise_to(member, value),
            Err(_) => storage::drop_record(),
        }
    }

    /// A view of this counter that may be used in a signal handler.
    ///
    /// An ordinary record is a load, an add and a store. A handler that interrupts it between them and records to the
    /// same counter loses its own record; through this view it does not, for an atomic add to a cell that all threads
    /// share. The counter must have been recorded to before; else the record is dropped, and counted as such.
    pub fn signal_safe(&self) -> SignalSafe<'_> {
        SignalSafe(self)
    }

    /// A handle of its own: `Send`, for use across threads and `.await`. It keeps the series from being reused.
    #[must_use]
    pub fn handle(&self) -> Counter {
        self.clone()
    }

    #[inline(always)]
    fn slot(&self) -> Slot {
        Slot::from_bits(self.slot.load(Relaxed))
    }

    /// The slot, found if need be.
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
        let slot = owner::pin(series).lease().map_or(Slot::REFUSED, Lease::slot).add(member);
        self.slot.store(slot.bits(), Relaxed);
        slot
    }
}

/// See [`Counter::signal_safe`].
#[derive(Debug)]
pub struct SignalSafe<'a>(&'a Counter);

impl SignalSafe<'_> {
    /// Adds `n`. Async-signal-safe.
    pub fn increment(&self, n: u64) {
        if cfg!(inferometer_off) {
            return;
        }
        match storage::overflow(self.0.slot()) {
            Some(cells) => cells.add(0, n),
            None => storage::drop_record(),
        }
    }
}

impl Instrument for Counter {
    const KIND: Kind = Kind::Counter;
}

impl Bind for Counter {
    #[inline(always)]
    fn bind(bound: Bound<'_>) -> Self {
        Counter { slot: AtomicU32::new(bound.slot.add(bound.member).bits()), owner: bound.owner }
    }

    #[inline(always)]
    fn detached() -> Self {
        Counter { slot: AtomicU32::new(Slot::REFUSED.bits()), owner: Owner::NOWHERE }
    }
}

impl Clone for Counter {
    fn clone(&self) -> Self {
        self.owner.handle()
    }
}

impl Declared for Counter {
    fn register(&self) -> Result<(), RegisterError> {
        if let Some((series, member)) = self.owner.series::<Self>()? {
            self.pin(series, member);
        }
        Ok(())
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.owner).finish()
    }
}
