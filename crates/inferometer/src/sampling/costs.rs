//! What the parts of recording cost on this machine, in nanoseconds.
//!
//! Each part has a cost that is measured once, with everything in the caches. Where it is made, the memory may be cold;
//! how much that adds is measured again and again, by a record now and then: see [`crate::storage::probe`].

use super::budget::Terms;
use crate::clock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// A cost, and what it is taken for until it is measured.
#[derive(Debug)]
pub(crate) struct Cost {
    hot: AtomicU32,
    /// Whether that was measured.
    is_known: AtomicBool,
    /// How often a record has measured itself, and by how much it took longer, on average. In one word.
    cold: AtomicU64,
}

/// A record that measures itself waits until its memory has arrived; others do not, and the processor meanwhile goes on
/// with what follows. On the other hand it has the thread's table in the cache already. What remains of the wait is this
/// much, by comparison with loops that were timed with and without their records: see `docs/overhead.md`.
const OVERLAP: f32 = 0.8;

/// By so much a record that measures itself seems to take longer although its memory is near; nanoseconds.
const NOISE: f32 = 1.0;

/// The mean goes over so many of the last ones.
const MEMORY: u32 = 64;

/// One that took more times the mean than this was interrupted, and counts as this.
const MOST_TIMES: f32 = 8.0;

/// What the mean is taken for at least then: memory may be near now and far later.
const LEAST: f32 = 10.0;

impl Cost {
    const fn usually(nanos: f32) -> Self {
        Cost { hot: AtomicU32::new(nanos.to_bits()), is_known: AtomicBool::new(false), cold: AtomicU64::new(0) }
    }

    /// With everything in the caches.
    pub(crate) fn hot(&self) -> f32 {
        f32::from_bits(self.hot.load(Relaxed))
    }

    /// How much more it is where it is made.
    pub(crate) fn cold(&self) -> f32 {
        OVERLAP * (f32::from_bits(self.cold.load(Relaxed) as u32) - NOISE).max(0.0)
    }

    /// Takes in what was measured with everything in the caches: at once if it is less than was known, for what disturbs
    /// only adds to it; else bit by bit, for a processor may become slower. What cannot be is cut to what can.
    pub(crate) fn follow(&self, nanos: f32) {
        let (nanos, known) = (nanos.clamp(0.05, 10_000.0), self.hot());
        let first = !self.is_known.swap(true, Relaxed);
        let hot = if first || nanos < known { nanos } else { known + (nanos - known) / 8.0 };
        self.hot.store(hot.to_bits(), Relaxed);
    }

    /// Takes in by how much a record that measured itself took longer than in the caches.
    pub(crate) fn observe(&self, more: f32) {
        let take_in = |bits: u64| {
            let (times, mean) = ((bits >> 32) as u32, f32::from_bits(bits as u32));
            let times = (times + 1).min(MEMORY);
            let most = MOST_TIMES * mean.max(LEAST);
            let mean = mean + (more.clamp(-most, most) - mean) / times as f32;
            Some(u64::from(times) << 32 | u64::from(mean.to_bits()))
        };
        // The closure always answers `Some`, so this cannot fail.
        let _ = self.cold.fetch_update(Relaxed, Relaxed, take_in);
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

/// What a sample sees of its own cost, with everything in the caches: not how it is called, nor what it does after its
/// last look at the clock.
static SEEN: Cost = Cost::usually(70.0);

/// How much more a sample costs for each nanosecond that it sees of cold memory: it cannot see how its own first
/// instructions are fetched. By comparison with samples that were timed from outside: see `docs/overhead.md`.
const UNSEEN: f32 = 1.2;

/// What a sample costs that has seen this of itself.
pub(crate) fn whole(seen: f32) -> f32 {
    (SAMPLE.hot() + (seen - SEEN.hot()) * UNSEEN).max(1.0)
}

/// Takes in what a sample costs with everything in the caches, and what was booked for it by [`whole`], on average.
pub(crate) fn follow_sample(whole: f32, booked: f32) {
    let seen = SEEN.hot() + (booked - SAMPLE.hot()) / UNSEEN;
    SEEN.follow(seen);
    SAMPLE.follow(whole);
}

/// What the budget reckons with now.
pub(crate) fn terms() -> Terms {
    Terms {
        budget: super::budget(),
        nanos_per_tick: clock::nanos_per_tick(),
        event_cost: EVENT.hot(),
        sample_cost: SAMPLE.hot(),
    }
}
