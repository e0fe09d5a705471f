//! Measures what records cost on this machine while everything is in the caches, and has the cells for those that measure
//! themselves to rehearse with.
//!
//! A processor changes its speed, and at the start of a program it may be busy with other things. So it is measured again
//! and again, when somebody scrapes.

use super::{Counter, Histogram, Observation};
use crate::clock;
use crate::grid::{Buckets, Domain, Grid};
use crate::registry::{BUCKETS, RegisterError, Registry};
use crate::sampling::{self, Sampling, costs};
use crate::storage::{Cells, Slot};
use crate::sync::{AtomicU64, OnceLock};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64 as Time, Ordering::Relaxed};
use std::time::Duration;

/// How often each cost is measured the first time; the best one counts.
const BATCHES: u32 = 8;
/// It is not measured again sooner than after this.
const PERIOD: Duration = Duration::from_secs(1);

/// What is recorded to in order to measure, in a registry of its own.
#[derive(Debug)]
struct Instruments {
    /// Several of both, as records to one and the same cell wait for each other.
    counters: Vec<Counter>,
    observed: Vec<Histogram>,
    /// A section that is hardly ever timed, and one that always is.
    rarely: Histogram,
    always: Histogram,
}

/// When it was measured last, in ticks.
static MEASURED: Time = Time::new(0);

/// Measures the costs, once in the process; takes less than a millisecond. Whoever comes meanwhile goes on with what is
/// usual. Not to be called in a cold path: it records.
pub(crate) fn ensure() {
    static DONE: AtomicBool = AtomicBool::new(false);
    // A clock that stands still can measure nothing.
    if clock::is_mocked() || DONE.load(Relaxed) || DONE.swap(true, Relaxed) {
        return;
    }
    measure(BATCHES);
    MEASURED.store(clock::now().max(1), Relaxed);
    for domain in [Domain::Nanoseconds, Domain::Integers, Domain::Floats] {
        REHEARSALS[domain as usize].get_or_init(|| Rehearsal::new(domain));
    }
}

/// Measures the costs again if that was long ago; takes some fifty microseconds then. For a scrape.
pub(crate) fn refresh() {
    ensure();
    let (measured, now) = (MEASURED.load(Relaxed), clock::now());
    let due = measured != 0 && u128::from(clock::nanos(clock::ticks_between(measured, now))) > PERIOD.as_nanos();
    if due && MEASURED.compare_exchange(measured, now, Relaxed, Relaxed).is_ok() {
        measure(1);
    }
}

impl Instruments {
    fn new() -> Result<Self, RegisterError> {
        let registry = Registry::new();
        let histogram = |name, sampling| {
            let histogram: Histogram = registry.histogram(name, &[])?;
            histogram.set_sampling(sampling);
            Ok(histogram)
        };
        Ok(Instruments {
            counters: (0..8).map(|i| registry.counter(&format!("add_{i}_total"), &[])).collect::<Result<_, _>>()?,
            observed: (0..4)
                .map(|i| registry.histogram(&format!("observe_{i}_seconds"), &[]))
                .collect::<Result<_, _>>()?,
            rarely: histogram("rarely_seconds", Sampling::EveryN(Sampling::MAX_N))?,
            always: histogram("always_seconds", Sampling::Always)?,
        })
    }
}

/// Measures so many batches of each kind of record, and takes the costs from the best.
fn measure(batches: u32) {
    // Where there is no room, what is known must do.
    let Ok(instruments) = Instruments::new() else { return };
    let Instruments { counters, observed, rarely, always } = black_box(&instruments);
    // The budget of this thread has nothing to do with it.
    sampling::aside(|| {
        let add = |_| counters.iter().for_each(|counter| counter.increment(1));
        costs::ADD.follow(cost_of(batches, 500, add) / counters.len() as f32);
        let observe = |i| observed.iter().for_each(|histogram| histogram.record_nanos(black_box(u64::from(i) << 8)));
        costs::OBSERVE.follow(cost_of(batches, 500, observe) / observed.len() as f32);
        let event = cost_of(batches, 2_000, |_| _ = rarely.start().stop());
        costs::EVENT.follow(event);
        let before = booked(always);
        let whole = cost_of(batches, 200, |_| _ = always.start().stop()) - event;
        let after = booked(always);
        let samples = after.0.saturating_sub(before.0);
        if samples > 0 {
            costs::follow_sample(whole, after.1.saturating_sub(before.1) as f32 / 1e3 / samples as f32);
        }
    });
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
fn cost_of(batches: u32, calls: u32, mut call: impl FnMut(u32)) -> f32 {
    let mut batch = || {
        let start = clock::now();
        (0..calls).for_each(&mut call);
        clock::nanos(clock::ticks_between(start, clock::now())) as f32 / calls as f32
    };
    batch(); // into the caches
    (0..batches).map(|_| batch()).fold(f32::INFINITY, f32::min)
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
