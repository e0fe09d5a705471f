//! Counters.

use super::Instrument;
use super::anchor::Anchor;
use super::private::{Bind, Bound};
use crate::registry::{Declaration, Declared, Kind, RegisterError, Registry};
use crate::storage;
use std::fmt;

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
pub struct Counter(Anchor<CELLS>);

/// The value, and what of it was added in calls past one each.
const CELLS: usize = 2;

impl Counter {
    #[doc(hidden)]
    pub const fn declared(declaration: &'static Declaration) -> Self {
        Counter(Anchor::declared(declaration))
    }

    /// Adds `n`.
    #[inline(always)]
    pub fn increment(&self, n: u64) {
        self.0.add::<Self>(0, n);
    }

    /// Raises the counter to `value` when it is lower: for a number that something else counts.
    ///
    /// This adds up all threads' cells, so it is not for the hot path.
    pub fn absolute(&self, value: u64) {
        if cfg!(inferometer_off) {
            return;
        }
        match self.0.owner().resolve::<Self>(self.0.slot()) {
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
        match storage::overflow(self.0.0.slot()) {
            Some(cells) => {
                cells.add(0, n);
                cells.add(CELLS - 1, n.wrapping_sub(1));
            }
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
        Counter(Anchor::of_member(bound.slot, bound.member, bound.owner))
    }

    #[inline(always)]
    fn detached() -> Self {
        Counter(Anchor::detached())
    }
}

impl Clone for Counter {
    fn clone(&self) -> Self {
        self.0.owner().handle()
    }
}

impl Declared for Counter {
    fn register(&self, registry: &Registry) -> Result<(), RegisterError> {
        self.0.register::<Self>(registry)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(self.0.owner()).finish()
    }
}
