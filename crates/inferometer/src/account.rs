//! What recording costs, as the crate itself reckons: the number of records of each kind times what one costs while
//! everything is in the caches, as measured on this machine, and for timed sections what the samples were seen to cost.
//!
//! So it is a lower bound where records find their memory cold. Gauges and look-ups of labels are not in it.

use crate::registry::Calls;
use crate::sampling::costs;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The calls of series that are gone.
static GONE: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
/// What was exposed last, in picoseconds: a series that is hidden does not make it fall.
static SHOWN: AtomicU64 = AtomicU64::new(0);

/// Takes in what was called of a series that goes.
pub(crate) fn retire(calls: Calls) {
    let Calls { adds, observations, events, sample_picos } = calls;
    for (sum, more) in GONE.iter().zip([adds, observations, events, sample_picos]) {
        sum.fetch_add(more, Relaxed);
    }
}

/// The calls of series that are gone, to be asked for before the series are read that are there: one that goes meanwhile
/// is counted then, and not now.
pub(crate) fn gone() -> Calls {
    let [adds, observations, events, sample_picos] = GONE.each_ref().map(|sum| sum.load(Relaxed));
    Calls { adds, observations, events, sample_picos }
}

/// Takes in the calls of the global registry, and of what is gone.
pub(crate) fn show(calls: Calls) {
    let picos = |calls: u64, cost: &costs::Cost| (calls as f64 * 1e3 * f64::from(cost.nanos())) as u64;
    let all = picos(calls.adds, &costs::ADD)
        .saturating_add(picos(calls.observations, &costs::OBSERVE))
        .saturating_add(picos(calls.events, &costs::EVENT))
        .saturating_add(calls.sample_picos);
    SHOWN.fetch_max(all, Relaxed);
}

/// What recording has cost, in seconds.
pub(crate) fn seconds() -> f64 {
    SHOWN.load(Relaxed) as f64 / 1e12
}
