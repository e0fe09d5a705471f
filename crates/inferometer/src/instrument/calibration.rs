//! Measures what records cost on this machine while everything is in the caches, and has the cells for those that measure
//! themselves to rehearse with.

use super::{Histogram, Observation};
use crate::clock;
use crate::grid::{Buckets, Domain, Grid};
use crate::registry::{BUCKETS, Registry};
use crate::sampling::{self, Sampling, costs};
use crate::storage::{Cells, Slot};
use crate::sync::{AtomicU64, OnceLock};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const BATCHES: u32 = 8;

/// Measures the costs, once in the process; takes less than a millisecond. Whoever comes meanwhile goes on with what is
/// usual. Not to be called in a cold path: it records.
pub(crate) fn ensure() {
    static DONE: AtomicBool = AtomicBool::new(false);
    // A clock that stands still can measure nothing.
    if clock::is_mocked() || DONE.load(Relaxed) || DONE.swap(true, Relaxed) {
        return;
    }
    let registry = Registry::new();
    // Adds to one and the same cell would wait for each other.
    let counters = [0, 1, 2, 3].map(|i| registry.counter(&format!("probe_{i}_total"), &[]));
    let probe: Result<Histogram, _> = registry.histogram("probe_seconds", &[]);
    let always: Result<Histogram, _> = registry.histogram("probe_always_seconds", &[]);
    let ([Ok(a), Ok(b), Ok(c), Ok(d)], Ok(probe), Ok(always)) = (counters, probe, always) else {
        return; // no room: then what is usual must do
    };
    // The budget of this thread has nothing to do with it.
    sampling::aside(|| {
        let counters = black_box([&a, &b, &c, &d]);
        costs::ADD.set(cost_of(1_000, |_| counters.iter().for_each(|counter| counter.increment(1))) / 4.0);
        costs::OBSERVE.set(cost_of(4_000, |i| black_box(&probe).record_nanos(black_box(u64::from(i) << 8))));
        probe.set_sampling(Sampling::EveryN(Sampling::MAX_N));
        let event = cost_of(4_000, |_| _ = black_box(&probe).start().stop());
        costs::EVENT.set(event);
        always.set_sampling(Sampling::Always);
        let sample = |_| _ = black_box(&always).start().stop();
        costs::set_sample(0.0, 0.0);
        let whole = cost_of(200, sample) - event;
        // What it sees of itself is booked by now, as if that were all.
        let before = booked(&always);
        (0..200).for_each(sample);
        let (samples, picos) = booked(&always);
        costs::set_sample(whole, (picos - before.1) as f32 / 1e3 / (samples - before.0) as f32);
    });
    for domain in [Domain::Nanoseconds, Domain::Integers, Domain::Floats] {
        REHEARSALS[domain as usize].get_or_init(|| Rehearsal::new(domain));
    }
}

/// How many samples were taken with a histogram, and what they have cost in picoseconds.
fn booked(histogram: &Histogram) -> (u64, u64) {
    let timing = histogram.known_series().and_then(|series| series.timing());
    timing.map_or((0, 0), |timing| {
        let totals = timing.totals(0);
        (totals.samples, totals.cost_picos)
    })
}

/// A grid and cells that nobody reads.
#[derive(Debug)]
struct Rehearsal {
    grid: Arc<Grid>,
    cells: Box<[AtomicU64]>,
}

/// For each [`Domain`].
static REHEARSALS: [OnceLock<Rehearsal>; 3] = [const { OnceLock::new() }; 3];

impl Rehearsal {
    fn new(domain: Domain) -> Self {
        let grid = Grid::shared(domain, &Buckets::DEFAULT);
        let cells = (0..BUCKETS + grid.len()).map(|_| AtomicU64::new(0)).collect();
        Rehearsal { grid, cells }
    }

    fn of(domain: Domain) -> Option<&'static Self> {
        REHEARSALS[domain as usize].get()
    }
}

/// Cells for a counter to rehearse with, once the costs are known.
pub(super) fn cells() -> Option<Cells> {
    Some(Cells::Own(Rehearsal::of(Domain::Nanoseconds)?.cells.as_ptr(), 0))
}

/// A chunk and a place in it for a section's event.
pub(super) fn chunk() -> Option<(*const AtomicU64, Slot)> {
    Some((Rehearsal::of(Domain::Nanoseconds)?.cells.as_ptr(), Slot::new(0, 0)))
}

/// A grid and cells for a histogram.
pub(super) fn histogram<T: Observation>() -> Option<(&'static Grid, Cells)> {
    let rehearsal = Rehearsal::of(T::DOMAIN)?;
    Some((&rehearsal.grid, Cells::Own(rehearsal.cells.as_ptr(), 0)))
}

/// Nanoseconds a call, in the best of some batches.
fn cost_of(calls: u32, mut call: impl FnMut(u32)) -> f32 {
    let mut batch = || {
        let start = clock::now();
        (0..calls).for_each(&mut call);
        clock::nanos(clock::ticks_between(start, clock::now())) as f32 / calls as f32
    };
    batch(); // into the caches
    (0..BATCHES).map(|_| batch()).fold(f32::INFINITY, f32::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_measured_once_and_are_plausible() {
        ensure();
        ensure();
        let hot = [costs::ADD.hot(), costs::OBSERVE.hot(), costs::EVENT.hot(), costs::SAMPLE.hot()];
        // Without optimisation they are some ten times as much.
        assert!(hot.iter().all(|nanos| (0.05..2_000.0).contains(nanos)), "{hot:?}");
        assert!(hot[3] > hot[2], "{hot:?}");
        assert!(cells().is_some() && histogram::<f64>().is_some());
    }
}
