//! What a series has besides when sections are timed with it.

use super::family::Family;
use crate::clock;
use crate::grid::Grid;
use crate::sampling::Sampling;
use crate::sampling::block;
use crate::storage::{Lease, Slot};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many cells a series' sampling has. All are the recording thread's.
///
/// First the words of all members side by side, which is all that a section needs that is only counted: the stages of a
/// step then share a line of the caches, where each step finds them cold. Then each member's state, on a line of its own; that
/// of a single member is on the line of its word.
pub(crate) const fn cells(width: usize) -> usize {
    first_state(width) + width * STRIDE - 1
}

const fn first_state(width: usize) -> usize {
    if width == 1 { 1 } else { width.next_multiple_of(STRIDE) }
}

/// How far apart the states of two members are: a line. They have one cell less.
const STRIDE: usize = 8;

// What is in the cells of a state. The scraper reads the first two.

/// How many samples were taken.
pub(crate) const SAMPLES: usize = 0;
/// What they have cost, in picoseconds.
pub(crate) const COST: usize = 1;
/// A [`Block`](crate::sampling::block::Block).
pub(crate) const BLOCK: usize = 2;
/// When the last sample began, in ticks.
pub(crate) const LAST: usize = 3;
/// When the one before it began.
pub(crate) const BEFORE_LAST: usize = 4;
/// How many events apart these two were; 0 when there were no two.
pub(crate) const LAST_GAP: usize = 5;
/// A [`SeriesState`](crate::sampling::budget::SeriesState).
pub(crate) const STATE: usize = 6;

/// For how long a series is called infeasible after it was found to be so.
const INFEASIBLE_FOR: u64 = 10_000_000_000;

/// The sampling of a series: its cells, and what all threads share.
#[derive(Debug)]
pub(crate) struct Timing {
    /// The histogram's, for samples: one step nearer than through the family.
    pub(crate) grid: Arc<Grid>,
    /// The first cell of the series' first histogram, and how many cells each has.
    histogram: Slot,
    stride: usize,
    lease: Lease,
    /// As [`Sampling::to_bits`] says.
    sampling: AtomicU64,
    /// For each member, when its budget was last found too small, in nanoseconds of the monotonic clock; 0 for never.
    infeasible: Box<[AtomicU64]>,
}

/// What was counted in a member of a series, over all threads.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimingTotals {
    /// Modulo 2^44.
    pub(crate) events: u64,
    pub(crate) samples: u64,
    pub(crate) cost_picos: u64,
}

impl Timing {
    /// For the members of `family` whose first cell is `histogram`; `None` when that is no family of histograms.
    pub(crate) fn new(family: &Family, histogram: Slot, lease: Lease) -> Option<Self> {
        Some(Timing {
            grid: Arc::clone(family.grid.as_ref()?),
            histogram,
            stride: family.stride,
            lease,
            sampling: AtomicU64::new(family.sampling().to_bits()),
            infeasible: (0..family.width).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// The first cell of the histogram whose sampling has this word.
    pub(crate) fn histogram(&self, word: Slot) -> Slot {
        self.histogram.add(self.member_at(word) * self.stride)
    }

    /// The first cell of the state that belongs to a word.
    pub(crate) fn state(&self, word: Slot) -> Slot {
        self.lease.slot().add(self.state_of(self.member_at(word)))
    }

    /// The word of a member: events, and the countdown to the next one that is timed. See [`crate::sampling::block`].
    pub(crate) fn word(&self, member: usize) -> Slot {
        self.lease.slot().add(member)
    }

    fn member_at(&self, word: Slot) -> usize {
        word.offset() - self.lease.slot().offset()
    }

    /// Which of the cells is the first one of a member's state.
    fn state_of(&self, member: usize) -> usize {
        first_state(self.infeasible.len()) + member * STRIDE
    }

    pub(crate) fn sampling(&self) -> Sampling {
        Sampling::from_bits(self.sampling.load(Relaxed))
    }

    pub(crate) fn set_sampling(&self, sampling: Sampling) {
        self.sampling.store(sampling.to_bits(), Relaxed);
    }

    pub(crate) fn totals(&self, member: usize) -> TimingTotals {
        let state = self.state_of(member);
        TimingTotals {
            events: block::events(self.lease.total(member)),
            samples: self.lease.total(state + SAMPLES),
            cost_picos: self.lease.total(state + COST),
        }
    }

    /// Notes that the budget is too small for a member's events, found by the thread that records them.
    #[cold]
    pub(crate) fn set_infeasible(&self, word: Slot) {
        self.infeasible[self.member_at(word)].store(clock::monotonic_nanos().max(1), Relaxed);
    }

    /// Whether the budget has been too small for a member's events lately.
    pub(crate) fn is_infeasible(&self, member: usize) -> bool {
        let at = self.infeasible[member].load(Relaxed);
        at != 0 && clock::monotonic_nanos().saturating_sub(at) < INFEASIBLE_FOR
    }

    pub(crate) fn epoch(&self) -> usize {
        self.lease.epoch()
    }
}
