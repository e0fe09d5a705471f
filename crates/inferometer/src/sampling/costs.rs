//! What the parts of recording cost on this machine while everything is in the caches, in nanoseconds.

use super::budget::Terms;
use crate::clock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A cost, and what it is taken for until it is measured.
#[derive(Debug)]
pub(crate) struct Cost(AtomicU32);

impl Cost {
    const fn usually(nanos: f32) -> Self {
        Cost(AtomicU32::new(nanos.to_bits()))
    }

    pub(crate) fn nanos(&self) -> f32 {
        f32::from_bits(self.0.load(Relaxed))
    }

    /// Sets what was measured; what cannot be is cut to what can.
    pub(crate) fn set(&self, nanos: f32) {
        self.0.store(nanos.clamp(0.05, 10_000.0).to_bits(), Relaxed);
    }
}

/// An add to one cell: a counter, an up-down counter.
pub(crate) static ADD: Cost = Cost::usually(0.7);
/// A record to a histogram.
pub(crate) static OBSERVE: Cost = Cost::usually(3.0);
/// An event that is not timed.
pub(crate) static EVENT: Cost = Cost::usually(1.5);
/// A section that is timed, less what it would cost not to be.
pub(crate) static SAMPLE: Cost = Cost::usually(80.0);

/// What the budget reckons with now.
pub(crate) fn terms() -> Terms {
    Terms {
        budget: super::budget(),
        nanos_per_tick: clock::nanos_per_tick(),
        event_cost: EVENT.nanos(),
        sample_cost: SAMPLE.nanos(),
    }
}
