//! What recording costs, as the crate itself reckons: the number of records of each kind times what one costs, and for
//! timed sections what the samples were seen to cost.
//!
//! Nothing is counted for it on the way of a record. The cells say how often they were called; each scrape looks how much
//! that is more than at the last one, and books the difference at what such a record costs now: see
//! [`crate::sampling::costs`]. Gauges and look-ups of labels are not in it.

use super::timing::Timing;
use super::{BUCKETS, Kind};
use crate::sampling::costs;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What recording has cost, over all registries, in picoseconds.
static SPENT: AtomicU64 = AtomicU64::new(0);

/// What recording has cost, in seconds, as reckoned by the scrapes so far.
pub(crate) fn seconds() -> f64 {
    SPENT.load(Relaxed) as f64 / 1e12
}

/// For the child of a fork: what its parent has spent is not in it.
#[cfg(unix)]
pub(super) fn start_over() {
    SPENT.store(0, Relaxed);
}

/// How often users have called something that records.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calls {
    /// Counters and up-down counters.
    adds: u64,
    /// Histograms.
    observations: u64,
    /// Sections that are timed.
    events: u64,
    /// What the samples among these have cost.
    sample_picos: u64,
}

impl Calls {
    /// Takes in the cells of a member, as they are laid out by [`Family::new`](super::Family::new).
    pub(super) fn take_in(&mut self, kind: Kind, cells: &[u64]) {
        match (kind, cells) {
            (Kind::Counter, [value, excess]) => self.adds = self.adds.wrapping_add(value.wrapping_sub(*excess)),
            (Kind::UpDownCounter, [down, up, excess]) => {
                self.adds = self.adds.wrapping_add(down.wrapping_add(*up).wrapping_sub(*excess));
            }
            (Kind::Histogram, [_, excess, ..]) => {
                let count = cells[BUCKETS..].iter().fold(0, |sum: u64, bucket| sum.wrapping_add(*bucket));
                self.observations = self.observations.wrapping_add(count.wrapping_sub(*excess));
            }
            _ => {}
        }
    }

    pub(super) fn take_in_timing(&mut self, timing: &Timing, member: usize) {
        let totals = timing.totals(member);
        self.events = self.events.wrapping_add(totals.events);
        self.sample_picos = self.sample_picos.wrapping_add(totals.cost_picos);
    }

    /// Books what these are more than those that were booked before. Series that are hidden do not make them fewer.
    pub(crate) fn book(self, booked: &mut Calls) {
        let more = |now: u64, before: &mut u64| {
            let more = now.saturating_sub(*before);
            *before += more;
            more
        };
        let picos = |calls: u64, nanos: f32| (calls as f64 * 1e3 * f64::from(nanos)) as u64;
        let spent = picos(more(self.adds, &mut booked.adds), costs::ADD.here())
            + picos(more(self.observations, &mut booked.observations), costs::OBSERVE.here())
            + picos(more(self.events, &mut booked.events), costs::SAMPLED.event.here())
            + more(self.sample_picos, &mut booked.sample_picos);
        SPENT.fetch_add(spent, Relaxed);
    }
}

/// The calls of a registry's series that are gone.
#[derive(Debug, Default)]
pub(super) struct Retired([AtomicU64; 4]);

impl Retired {
    pub(super) fn take_in(&self, calls: Calls) {
        let Calls { adds, observations, events, sample_picos } = calls;
        for (sum, more) in self.0.iter().zip([adds, observations, events, sample_picos]) {
            sum.fetch_add(more, Relaxed);
        }
    }

    /// To be asked for before the series are read that are there: one that goes meanwhile is counted then, and not now.
    pub(super) fn calls(&self) -> Calls {
        let [adds, observations, events, sample_picos] = self.0.each_ref().map(|sum| sum.load(Relaxed));
        Calls { adds, observations, events, sample_picos }
    }

    /// For the child of a fork.
    #[cfg(unix)]
    pub(super) fn start_over(&self) {
        self.0.iter().for_each(|sum| sum.store(0, Relaxed));
    }
}
