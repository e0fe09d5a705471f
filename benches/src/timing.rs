//! Taking turns.

use std::fmt;
use std::time::{Duration, Instant};

/// One of those whose times are compared.
pub struct Contestant<'a> {
    name: String,
    batch: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl fmt::Debug for Contestant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contestant").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a> Contestant<'a> {
    /// `batch` does its operation as often as it is told.
    pub fn new(name: impl Into<String>, batch: impl FnMut(u64) + 'a) -> Self {
        Self::with_upkeep(name, batch, || ())
    }

    /// The same with something to do after each batch that is not timed.
    pub fn with_upkeep(
        name: impl Into<String>,
        mut batch: impl FnMut(u64) + 'a,
        mut upkeep: impl FnMut() + 'a,
    ) -> Self {
        Self::timing_itself(name, move |n| {
            let start = Instant::now();
            batch(n);
            let time = start.elapsed();
            upkeep();
            time
        })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Does one batch of `n` operations and says how long that took.
    pub fn time(&mut self, n: u64) -> Duration {
        (self.batch)(n)
    }

    /// `batch` says how long its operations took, all together.
    pub fn timing_itself(name: impl Into<String>, batch: impl FnMut(u64) -> Duration + 'a) -> Self {
        Contestant { name: name.into(), batch: Box::new(batch) }
    }
}

/// How long one operation takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// Whose.
    pub name: String,
    /// The fastest batch but a tenth, in nanoseconds: what the operation takes when nobody disturbs it. Others only add
    /// to a time, and on a shared machine they do so to more than half of the batches.
    pub quiet: f64,
    /// The median of the batches, in nanoseconds.
    pub median: f64,
}

/// The share of batches that are as fast as [`Timing::quiet`].
pub const QUIET: f64 = 0.1;

/// How long a race goes on.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// How many batches each contestant does.
    pub rounds: usize,
    /// How long a batch takes, about.
    pub batch: Duration,
}

impl Course {
    /// For operations of nanoseconds. A batch is shorter than a scheduler's slice, so most batches are undisturbed.
    pub const SHORT: Course = Course { rounds: 151, batch: Duration::from_micros(250) };
    /// For operations that take a batch each.
    pub const SINGLE: Course = Course { rounds: 61, batch: Duration::ZERO };
}

/// Has all contestants do their batches in turns.
pub fn race(course: Course, mut contestants: Vec<Contestant<'_>>) -> Vec<Timing> {
    let sizes: Vec<u64> = contestants.iter_mut().map(|contestant| size_of_batch(contestant, course.batch)).collect();
    let mut times = vec![Vec::with_capacity(course.rounds); contestants.len()];
    for round in 0..course.rounds {
        for turn in 0..contestants.len() {
            // Another one begins each time, so that nobody always comes after the same one.
            let at = (round + turn) % contestants.len();
            let time = contestants[at].time(sizes[at]);
            times[at].push(time.as_nanos() as f64 / sizes[at] as f64);
        }
    }
    let timing = |(contestant, times): (Contestant<'_>, Vec<f64>)| Timing {
        name: contestant.name,
        quiet: quantile(&times, QUIET),
        median: quantile(&times, 0.5),
    };
    contestants.into_iter().zip(times).map(timing).collect()
}

fn size_of_batch(contestant: &mut Contestant<'_>, wanted: Duration) -> u64 {
    let mut size = 1;
    // The first call pays for what is set up once.
    contestant.time(size);
    while contestant.time(size) < wanted {
        size *= 2;
    }
    size
}

/// The smallest time that at least this share of the times does not exceed; 0 of none.
pub fn quantile(times: &[f64], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}
