//! Up-down counters.

use super::Instrument;
use super::anchor::Anchor;
use super::private::{Bind, Bound};
use crate::registry::{Declaration, Declared, Kind, RegisterError, Registry};
use std::fmt;

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
pub struct UpDownCounter(Anchor<CELLS>);

/// The cells of an up-down counter. The decrements come first because they must be read first.
const DOWN: usize = 0;
const UP: usize = 1;
/// And what was added in calls past one each.
const CELLS: usize = 3;

impl UpDownCounter {
    #[doc(hidden)]
    pub const fn declared(declaration: &'static Declaration) -> Self {
        UpDownCounter(Anchor::declared(declaration))
    }

    /// Adds `n`.
    #[inline(always)]
    pub fn increment(&self, n: u64) {
        self.0.add::<Self>(UP, n);
    }

    /// Subtracts `n`. The value may become negative.
    #[inline(always)]
    pub fn decrement(&self, n: u64) {
        self.0.add::<Self>(DOWN, n);
    }

    /// A handle of its own: `Send`, for use across threads and `.await`. It keeps the series from being reused.
    #[must_use]
    pub fn handle(&self) -> UpDownCounter {
        self.clone()
    }
}

impl Instrument for UpDownCounter {
    const KIND: Kind = Kind::UpDownCounter;
}

impl Bind for UpDownCounter {
    #[inline(always)]
    fn bind(bound: Bound<'_>) -> Self {
        UpDownCounter(Anchor::of_member(bound.slot, bound.member, bound.owner))
    }

    #[inline(always)]
    fn detached() -> Self {
        UpDownCounter(Anchor::detached())
    }
}

impl Clone for UpDownCounter {
    fn clone(&self) -> Self {
        self.0.owner().handle()
    }
}

impl Declared for UpDownCounter {
    fn register(&self, registry: &Registry) -> Result<(), RegisterError> {
        self.0.register::<Self>(registry)
    }
}

impl fmt::Debug for UpDownCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UpDownCounter").field(self.0.owner()).finish()
    }
}
