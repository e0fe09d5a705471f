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
use crate::storage::{Cells, Slot, probe};
use crate::sync::{AtomicU64, OnceLock};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64 as Time, Ordering::Relaxed};
use std::time::Duration;

/// How many times as often each cost is measured the first time.
const BATCHES: u32 = 3;
/// How often each cost is measured; the median counts.
const BATCHES_EACH: u32 = 7;
/// One section in so many is timed of those that are timed often.
const OFTEN: u32 = 3;
/// How many calls a batch has.
const CALLS: u32 = 96;
/// Of the time of a record in a row of them this much is left where it stands in other work, beside which the processor
/// does the rest. By comparison with loops that were timed with and without their records: see `docs/overhead.md`.
const BESIDE: f32 = 0.6;
/// The same for an add to a counter, which is five instructions.
const ADD_BESIDE: f32 = 0.45;
/// Nothing is measured again sooner than after this.
const PERIOD: Duration = Duration::from_millis(100);

/// What has a cost of its own.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// To add to a counter.
    Add,
    /// To record in a histogram.
    Observe,
    /// To count a section.
    Event,
    /// To time one, besides counting it.
    Sample,
}

/// When they were measured last, in ticks.
static MEASURED: Time = Time::new(0);

/// Measures the costs, once in the process. Whoever comes meanwhile goes on with what is usual. Not to be called in a cold
/// path: it records.
pub(crate) fn ensure() {
    static DONE: AtomicBool = AtomicBool::new(false);
    // A clock that stands still can measure nothing.
    if clock::is_mocked() || DONE.load(Relaxed) || DONE.swap(true, Relaxed) {
        return;
    }
    Part::ALL.iter().for_each(|part| part.measure(BATCHES));
    MEASURED.store(clock::now().max(1), Relaxed);
    for domain in [Domain::Nanoseconds, Domain::Integers, Domain::Floats] {
        REHEARSALS[domain as usize].get_or_init(|| Rehearsal::new(domain));
    }
}

/// Measures the costs again, and lets some records measure themselves, if that was long ago. For a scrape, before it reads
/// what users record: by the time it does, the threads that record quickly have made those records.
pub(crate) fn refresh() {
    ensure();
    let (measured, now) = (MEASURED.load(Relaxed), clock::now());
    let due = measured != 0 && u128::from(clock::nanos(clock::ticks_between(measured, now))) > PERIOD.as_nanos();
    if due && MEASURED.compare_exchange(measured, now, Relaxed, Relaxed).is_ok() {
        probe::begin(sampling::draw(), || Part::ALL.iter().for_each(|part| part.measure(1)));
    }
}

impl Part {
    /// A sample's comes after that of the event, which is taken off it.
    const ALL: [Part; 4] = [Part::Add, Part::Observe, Part::Event, Part::Sample];

    /// Measures so many batches, and takes the cost from them.
    fn measure(self, batches: u32) {
        // The budget of this thread has nothing to do with it.
        sampling::aside(|| {
            let measured = match self {
                Part::Add => add(batches),
                Part::Observe => observe(batches),
                Part::Event => event(batches),
                Part::Sample => sample(batches),
            };
            // Where there is no room, or it cannot be measured, what is known must do.
            let _: Option<()> = measured;
        });
    }
}

/// Instruments to measure with, in a registry of their own. Several, as records to one and the same cell wait for each
/// other.
fn several<I>(count: usize, make: impl Fn(&Registry, &str) -> Result<I, RegisterError>) -> Option<Vec<I>> {
    let registry = Registry::new();
    black_box((0..count).map(|at| make(&registry, &format!("measured_{at}")).ok()).collect())
}

/// Histograms whose sections are sampled so.
fn timed(count: usize, sampling: Sampling) -> Option<Vec<Histogram>> {
    several(count, |registry, name| {
        let histogram: Histogram = registry.histogram(name, &[])?;
        histogram.set_sampling(sampling);
        Ok(histogram)
    })
}

fn add(batches: u32) -> Option<()> {
    let counters: [Counter; 8] = several(8, |registry, name| registry.counter(name, &[]))?.try_into().ok()?;
    // One after the other, as in a program: a loop would cost as much again.
    let [a, b, c, d, e, f, g, h] = &counters;
    let add = |_| {
        a.increment(1);
        b.increment(1);
        c.increment(1);
        d.increment(1);
        e.increment(1);
        f.increment(1);
        g.increment(1);
        h.increment(1);
    };
    costs::ADD.hot().follow(ADD_BESIDE * time_of(batches, add) / counters.len() as f32, batches);
    Some(())
}

fn observe(batches: u32) -> Option<()> {
    let histograms: Vec<Histogram> = several(4, |registry, name| registry.histogram(name, &[]))?;
    let observe = |i| histograms.iter().for_each(|histogram| histogram.record_nanos(black_box(u64::from(i) << 8)));
    costs::OBSERVE.hot().follow(BESIDE * time_of(batches, observe) / histograms.len() as f32, batches);
    Some(())
}

/// With sections that are hardly ever timed.
fn event(batches: u32) -> Option<()> {
    let rarely = timed(4, Sampling::EveryN(Sampling::MAX_N))?;
    let count = |_| rarely.iter().for_each(|histogram| _ = histogram.start().stop());
    costs::SAMPLED.event.hot().follow(BESIDE * time_of(batches, count) / rarely.len() as f32, batches);
    Some(())
}

/// With sections that are timed so often that their samples can be measured, and so seldom that the processor does not
/// foresee them.
fn sample(batches: u32) -> Option<()> {
    let [often] = timed(1, Sampling::EveryN(OFTEN))?.try_into().ok()?;
    let Samples { measured, unseen, others } = samples(&often, batches * CALLS);
    // None where another thread records to shared cells.
    if !measured.is_empty() && !others.is_empty() {
        let event = costs::SAMPLED.event.hot().get();
        let measured = median(measured);
        costs::SAMPLED.sample.follow(measured - event, batches);
        costs::SAMPLED.besides.follow(median(unseen) - event, batches);
        costs::SAMPLED.measuring.follow(measured - median(others), batches);
    }
    Some(())
}

/// A grid and cells that nobody reads.
#[derive(Debug)]
struct Rehearsal {
    grid: Grid,
    cells: Box<[AtomicU64]>,
}

/// For each [`Domain`].
static REHEARSALS: [OnceLock<Rehearsal>; 3] = [const { OnceLock::new() }; 3];

impl Rehearsal {
    fn new(domain: Domain) -> Self {
        // Of its own: that of a histogram is to be as cold as it is.
        let grid = Grid::new(domain, &Buckets::DEFAULT);
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

/// How many nanoseconds a call takes, of many that follow each other: the median of some batches.
///
/// The records of a call are to different instruments, so that none waits for the one before it. Their difference in a
/// loop that works is less, see [`BESIDE`]; but to measure that as a difference would be to measure how the loop's branches
/// and lines happen to lie.
fn time_of(batches: u32, mut call: impl FnMut(u32)) -> f32 {
    let batch = |_| {
        let start = clock::now();
        for at in 0..CALLS {
            call(at);
        }
        clock::nanos(clock::ticks_between(start, clock::now())) as f32 / CALLS as f32
    };
    // The first one brings everything into the caches.
    median((0..=BATCHES_EACH * batches).map(batch).skip(1).collect())
}

/// What was seen of samples from outside, with what counting costs.
#[derive(Debug, Default)]
struct Samples {
    /// What those cost that measure themselves.
    measured: Vec<f32>,
    /// How much of that they do not see.
    unseen: Vec<f32>,
    /// What the others cost.
    others: Vec<f32>,
}

/// Those among so many sections.
fn samples(histogram: &Histogram, sections: u32) -> Samples {
    let known = costs::SAMPLED.besides.get();
    let mut samples = Samples::default();
    for _ in 0..sections {
        work();
        let mut times = [0; 5];
        let mut is_sample = false;
        let own = sampling::own_account(|| {
            times[0] = clock::now();
            let timer = histogram.start();
            times[1] = clock::now();
            work();
            times[2] = clock::now();
            is_sample = timer.stop().is_some();
            times[3] = clock::now();
            times[4] = clock::now();
        });
        let nanos = |from: usize| clock::nanos(clock::ticks_between(times[from], times[from + 1])) as f32;
        // Each of these contains a reading of the clock, and the last one nothing else.
        let cost = nanos(0) + nanos(2) - 2.0 * nanos(3);
        if let Some(own) = own {
            samples.measured.push(cost);
            samples.unseen.push(cost - (own - known));
        } else if is_sample {
            samples.others.push(cost);
        }
    }
    samples
}

/// Of at least one number.
fn median(mut of: Vec<f32>) -> f32 {
    of.sort_by(f32::total_cmp);
    of[of.len() / 2]
}

/// Some hundred nanoseconds of what programs do: reads memory and compares. It is a function of the standard library that
/// is compiled already, so that it takes no longer where nothing is optimised, and a record is not lost in it. And one
/// that leaves the processor room, as programs do: beside a copy of memory records would cost twice as much.
fn work() {
    static BYTES: [u8; 1_024] = [0; 1_024];
    black_box(black_box(&BYTES).contains(&1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_measured_once_and_are_plausible() {
        ensure();
        ensure();
        let sampled = &costs::SAMPLED;
        let hot = [costs::ADD.hot(), costs::OBSERVE.hot(), sampled.event.hot(), &sampled.sample].map(costs::Hot::get);
        // Without optimisation they are some ten times as much.
        assert!(hot.iter().all(|nanos| (0.05..2_000.0).contains(nanos)), "{hot:?}");
        assert!(hot[3] > hot[2], "{hot:?}");
        assert!(cells().is_some() && histogram::<f64>().is_some());
    }
}
