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
    wait: Wait,
    /// Whether that was measured.
    is_known: AtomicBool,
    /// How often a record has measured itself, and by how much it took longer, on average. In one word.
    cold: AtomicU64,
}

/// What a record that waits for its memory says of one that does not. Records do not wait: the processor goes on with what
/// follows, also with further records. On the other hand there is what the waiting one has in the caches already, as a
/// histogram's bounds. By comparison with loops that were timed with and without their records: see `docs/overhead.md`.
#[derive(Clone, Copy, Debug)]
struct Wait {
    /// So many nanoseconds of the wait are hidden altogether ...
    hidden: f32,
    /// ... and each one more costs this.
    remains: f32,
}

/// The mean goes over so many of the last ones.
const MEMORY: u32 = 64;

/// One that took more times the mean than this was interrupted, and counts as this.
const MOST_TIMES: f32 = 8.0;

/// What the mean is taken for at least then: memory may be near now and far later.
const LEAST: f32 = 10.0;

impl Cost {
    const fn usually(nanos: f32, wait: Wait) -> Self {
        let (is_known, cold) = (AtomicBool::new(false), AtomicU64::new(0));
        Cost { hot: AtomicU32::new(nanos.to_bits()), wait, is_known, cold }
    }

    /// With everything in the caches.
    pub(crate) fn hot(&self) -> f32 {
        f32::from_bits(self.hot.load(Relaxed))
    }

    /// How much more it is where it is made.
    pub(crate) fn cold(&self) -> f32 {
        self.wait.remains * (f32::from_bits(self.cold.load(Relaxed) as u32) - self.wait.hidden).max(0.0)
    }

    /// Takes in what was measured with everything in the caches, bit by bit, for it is a difference of two times, and a
    /// processor changes its speed. What cannot be is cut to what can.
    pub(crate) fn follow(&self, nanos: f32) {
        let (nanos, known) = (nanos.clamp(0.05, 10_000.0), self.hot());
        let first = !self.is_known.swap(true, Relaxed);
        let hot = if first { nanos } else { known + (nanos - known) / 8.0 };
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

const ONE_CELL: Wait = Wait { hidden: 8.0, remains: 0.35 };

/// An add to one cell: a counter, an up-down counter.
pub(crate) static ADD: Cost = Cost::usually(0.7, ONE_CELL);
/// A record to a histogram.
pub(crate) static OBSERVE: Cost = Cost::usually(3.0, Wait { hidden: 0.0, remains: 1.5 });
/// An event that is not timed.
pub(crate) static EVENT: Cost = Cost::usually(1.5, ONE_CELL);
/// A section that is timed, less what it would cost not to be.
pub(crate) static SAMPLE: Cost = Cost::usually(80.0, ONE_CELL);

/// What a sample sees of its own cost, with everything in the caches: not how it is called, nor what it does after its
/// last look at the clock.
static SEEN: Cost = Cost::usually(70.0, ONE_CELL);

/// How much a sample costs besides for each nanosecond of cold memory that it sees: it cannot see how the first
/// instructions of its start and of its end are fetched. By comparison with samples that were timed from outside: see
/// `docs/overhead.md`.
const UNSEEN: f32 = 1.0;

/// What a sample never sees of itself.
fn besides() -> f32 {
    (SAMPLE.hot() - SEEN.hot()).max(0.0)
}

/// What a sample costs that has seen this of itself.
pub(crate) fn whole(seen: f32) -> f32 {
    seen + besides() + UNSEEN * (seen - SEEN.hot()).max(0.0)
}

/// Takes in what a sample costs with everything in the caches, and what was found by [`whole`] for such a one.
pub(crate) fn follow_sample(cost: f32, found: f32) {
    let more = found - besides() - SEEN.hot();
    SEEN.follow(SEEN.hot() + if more > 0.0 { more / (1.0 + UNSEEN) } else { more });
    SAMPLE.follow(cost);
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
