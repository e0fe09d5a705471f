//! What the parts of recording cost on this machine, in nanoseconds.
//!
//! Each part has a cost that is measured once, with everything in the caches. Where it is made, the memory may be cold;
//! how much that adds is measured again and again, by a record now and then: see [`crate::storage::probe`].

use super::budget::Terms;
use crate::clock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What something costs with everything in the caches.
#[derive(Debug)]
pub(crate) struct Hot {
    nanos: AtomicU32,
    /// In how many batches that was measured, up to [`Hot::MEMORY`].
    batches: AtomicU32,
}

/// What a record costs.
#[derive(Debug)]
pub(crate) struct Cost {
    hot: Hot,
    /// What each nanosecond costs that a record was seen to wait.
    remains: f32,
    /// How often a record has measured itself, and by how much it took longer, on average. In one word.
    cold: AtomicU64,
}

/// The mean goes over so many of the last ones.
const MEMORY: u32 = 256;

/// One that took longer, as it waited for memory, counts as this; nanoseconds. Such waits are hidden best. (No multiple of
/// the mean: in a loop where one in ten waits for memory, most of what the mean is made of would be cut off.)
const MOST: f32 = 60.0;

/// What each nanosecond costs that a record to one cell was seen to wait for its memory. Records do not wait: the processor
/// goes on with what follows, also with further records. On the other hand there is what the one that was measured has in
/// the caches already, as its handle and its code. By comparison with loops that were timed with and without their records:
/// see `docs/overhead.md`.
const ONE_CELL: f32 = 0.65;
/// The same for a record to a histogram, which also looks up the bucket.
const SEVERAL_CELLS: f32 = 1.1;

impl Hot {
    /// The mean goes over about so many of the last batches.
    const MEMORY: u32 = 8;

    /// It is taken for this until it is measured.
    const fn usually(nanos: f32) -> Self {
        Hot { nanos: AtomicU32::new(nanos.to_bits()), batches: AtomicU32::new(0) }
    }

    pub(crate) fn get(&self) -> f32 {
        f32::from_bits(self.nanos.load(Relaxed))
    }

    /// Takes in what so many batches have measured: the mean counts, for a processor changes its speed. What cannot be is
    /// cut to what can. One thread at a time does this; two would lose one of the two.
    pub(crate) fn follow(&self, nanos: f32, batches: u32) {
        let (nanos, known) = (nanos.clamp(0.05, 10_000.0), self.get());
        let all = (self.batches.load(Relaxed) + batches).min(Self::MEMORY);
        self.batches.store(all, Relaxed);
        self.nanos.store((known + (nanos - known) * batches as f32 / all as f32).to_bits(), Relaxed);
    }
}

impl Cost {
    const fn usually(nanos: f32, remains: f32) -> Self {
        Cost { hot: Hot::usually(nanos), remains, cold: AtomicU64::new(0) }
    }

    /// With everything in the caches.
    pub(crate) fn hot(&self) -> &Hot {
        &self.hot
    }

    /// Where it is made.
    pub(crate) fn here(&self) -> f32 {
        let cold = f32::from_bits(self.cold.load(Relaxed) as u32);
        self.hot.get() + self.remains * cold.max(0.0)
    }

    /// Takes in by how much a record that measured itself took longer than in the caches.
    pub(crate) fn observe(&self, more: f32) {
        let take_in = |bits: u64| {
            let (times, mean) = ((bits >> 32) as u32, f32::from_bits(bits as u32));
            let times = (times + 1).min(MEMORY);
            let mean = mean + (more.clamp(-MOST, MOST) - mean) / times as f32;
            Some(u64::from(times) << 32 | u64::from(mean.to_bits()))
        };
        // The closure always answers `Some`, so this cannot fail.
        let _ = self.cold.fetch_update(Relaxed, Relaxed, take_in);
    }
}

/// An add to one cell: a counter, an up-down counter.
pub(crate) static ADD: Cost = Cost::usually(0.7, ONE_CELL);
/// A record to a histogram.
pub(crate) static OBSERVE: Cost = Cost::usually(3.0, SEVERAL_CELLS);

/// What a sample asks for. On a line of its own: where the caches are cold, each line is a wait.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Sampled {
    budget: AtomicU32,
    /// A section that is timed, and measures what that costs; less what it would cost not to be timed.
    pub(crate) sample: Hot,
    /// What a sample does not see of itself: how it is called, and what it does after its last look at the clock.
    pub(crate) besides: Hot,
    /// By how much a sample is cheaper that does not measure itself.
    pub(crate) measuring: Hot,
    /// An event that is not timed.
    pub(crate) event: Cost,
}

pub(crate) static SAMPLED: Sampled = Sampled {
    budget: AtomicU32::new((super::DEFAULT_BUDGET as f32).to_bits()),
    sample: Hot::usually(100.0),
    besides: Hot::usually(40.0),
    measuring: Hot::usually(20.0),
    event: Cost::usually(1.5, ONE_CELL),
};

impl Sampled {
    pub(crate) fn set_budget(&self, share: f32) {
        self.budget.store(share.to_bits(), Relaxed);
    }

    #[cfg(feature = "overhead")]
    pub(crate) fn budget(&self) -> f32 {
        f32::from_bits(self.budget.load(Relaxed))
    }

    /// What the budget reckons with now.
    #[inline(always)]
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            budget: f32::from_bits(self.budget.load(Relaxed)),
            nanos_per_tick: clock::nanos_per_tick(),
            event_cost: self.event.hot.get(),
            sample_cost: self.sample.get(),
            measuring: self.measuring.get(),
        }
    }

    /// What a sample costs that has seen so many ticks of itself.
    #[inline(always)]
    pub(crate) fn whole(&self, ticks: u64) -> f32 {
        ticks as f32 * clock::nanos_per_tick() + self.besides.get()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn waits_of_which_one_comes_in_ten_are_in_the_mean() {
        let cost = Cost::usually(1.0, 0.5);
        (0..10 * MEMORY).for_each(|at| cost.observe(if at % 10 == 0 { 50.0 } else { 0.0 }));
        let here = cost.here();
        assert!((3.0..4.0).contains(&here), "{here}");
    }

    #[test]
    fn one_record_that_was_interrupted_changes_little_and_none_makes_the_cost_less_than_in_the_caches() {
        let cost = Cost::usually(1.0, 0.5);
        (0..MEMORY).for_each(|_| cost.observe(0.0));
        cost.observe(900.0);
        assert!(cost.here() < 1.2, "{}", cost.here());
        (0..MEMORY).for_each(|_| cost.observe(-5.0));
        assert_eq!(cost.here(), 1.0);
    }
}
