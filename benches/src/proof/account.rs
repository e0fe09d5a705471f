//! Whether the crate's own account of what it costs is right: loops with their records and without, in turns, and beside
//! the difference what `inferometer_overhead_seconds_total` says.

use super::{Length, Measured, Section, until_good};
use crate::cpu_clock;
use crate::inputs::SplitMix64;
use crate::paired::Difference;
use crate::reckoned;
use crate::workload::Weights;
use inferometer::{Counter, Histogram, Registry, Sampling, counter};
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// The account must be within this factor of the difference.
const FACTOR: f64 = 1.5;
/// And in a short look within this one: loops are still off, see the page, and a busy machine adds to that.
const SHORT_FACTOR: f64 = 5.0;
/// The overheads for which that is promised.
const OVERHEADS: std::ops::RangeInclusive<f64> = 0.01..=0.2;
/// How long the two arms of a pair take, about.
const PAIR: Duration = Duration::from_millis(2);
/// How often there is a scrape, which is when the account is made.
const SCRAPES: Duration = Duration::from_millis(25);

const COUNTERS: usize = 2_000;
const HISTOGRAMS: usize = 100;
const SECTIONS: usize = 50;

/// Everything that the loops record to, in the registry of the process: the account is of that.
struct Instruments {
    /// In an order in which neighbours' cells lie far apart.
    counters: Vec<Counter>,
    histograms: Vec<Histogram>,
    always: Vec<Histogram>,
    sampled: Vec<Histogram>,
    nanos: Vec<u64>,
}

/// One loop: so many KiB are read, and then it records.
struct Case {
    name: &'static str,
    kib: usize,
    /// How often.
    reads: usize,
    record: fn(&Instruments, usize),
}

const CASES: [Case; 10] = [
    Case { name: "hot: 10 counters", kib: 4, reads: 2, record: ten_counters },
    Case { name: "hot: 10 histograms", kib: 8, reads: 8, record: |all, at| histograms(all, 10, at) },
    Case { name: "hot: a section, always timed", kib: 8, reads: 8, record: |all, _| sections(&all.always[..1]) },
    Case { name: "hot: 10 sections, 1 in 64 timed", kib: 8, reads: 2, record: |all, _| sections(&all.sampled) },
    Case { name: "256 KiB read: 100 counters", kib: 256, reads: 1, record: |all, at| counters(all, 100, at) },
    Case { name: "256 KiB read: 10 histograms", kib: 256, reads: 1, record: |all, at| histograms(all, 10, at) },
    Case { name: "2 MiB read: 200 counters", kib: 2_048, reads: 1, record: |all, at| counters(all, 200, at) },
    Case { name: "2 MiB read: 100 histograms", kib: 2_048, reads: 1, record: |all, at| histograms(all, 100, at) },
    Case { name: "48 MiB read: 1,000 counters", kib: 49_152, reads: 1, record: |all, at| counters(all, 1_000, at) },
    Case {
        name: "48 MiB read: 50 sections, always timed",
        kib: 49_152,
        reads: 1,
        record: |all, _| sections(&all.always),
    },
];

pub(super) fn cases() -> Vec<&'static str> {
    CASES.iter().map(|case| case.name).collect()
}

fn nothing(_: &Instruments, _: usize) {}

/// Ten call sites, as an engine has them.
fn ten_counters(_: &Instruments, _: usize) {
    macro_rules! each {
        ($($name:literal)*) => { $(counter!($name).increment(1);)* };
    }
    each!(
        "proof_0_total" "proof_1_total" "proof_2_total" "proof_3_total" "proof_4_total"
        "proof_5_total" "proof_6_total" "proof_7_total" "proof_8_total" "proof_9_total"
    );
}

fn counters(all: &Instruments, n: usize, at: usize) {
    let from = at * n % COUNTERS;
    for counter in &all.counters[from..from + n] {
        counter.increment(1);
    }
}

fn histograms(all: &Instruments, n: usize, at: usize) {
    let nanos = all.nanos[at % all.nanos.len()];
    for histogram in &all.histograms[..n] {
        histogram.record_nanos(nanos);
    }
}

fn sections(histograms: &[Histogram]) {
    for histogram in histograms {
        histogram.start().stop();
    }
}

impl Instruments {
    fn new() -> Self {
        let registry = Registry::global();
        let histogram = |name: String| registry.histogram(&name, &[]).expect("a valid histogram");
        let mut counters: Vec<Counter> = (0..COUNTERS)
            .map(|at| registry.counter(&format!("proof_far_{at}_total"), &[]).expect("a valid counter"))
            .collect();
        SplitMix64(7).shuffle(&mut counters);
        let histograms: Vec<Histogram> = (0..HISTOGRAMS).map(|at| histogram(format!("proof_{at}_seconds"))).collect();
        let always: Vec<Histogram> = (0..SECTIONS).map(|at| histogram(format!("proof_always_{at}_seconds"))).collect();
        let sampled: Vec<Histogram> = (0..10).map(|at| histogram(format!("proof_sampled_{at}_seconds"))).collect();
        always.iter().for_each(|histogram| histogram.set_sampling(Sampling::Always));
        sampled.iter().for_each(|histogram| histogram.set_sampling(Sampling::EveryN(64)));
        let nanos = crate::inputs::Distribution::ALL[0].nanos();
        Instruments { counters, histograms, always, sampled, nanos }
    }
}

struct Outcome {
    step: f64,
    measured: Difference,
    reckoned: f64,
}

/// Runs a case while another thread scrapes.
fn run(case: &Case, all: &Instruments, weights: &Weights, length: Duration) -> Outcome {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                Registry::global().snapshot();
                thread::sleep(SCRAPES);
            }
        });
        let outcome = compare(case, all, weights, length);
        done.store(true, Relaxed);
        outcome
    })
}

/// Not inlined: else there would be one piece of code for each arm, and they need not be equally fast.
#[inline(never)]
fn read(words: &[u64]) {
    black_box(words.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word)));
}

fn compare(case: &Case, all: &Instruments, weights: &Weights, length: Duration) -> Outcome {
    let words = &weights.words()[..case.kib << 7];
    let block = |steps: usize, records: bool| {
        // Both arms call something, so that the call is not taken for the records' cost.
        let record = black_box(if records { case.record } else { nothing });
        let start = cpu_clock::now();
        for at in 0..steps {
            (0..case.reads).for_each(|_| read(words));
            record(all, at);
        }
        (cpu_clock::now() - start).as_secs_f64() / steps as f64
    };
    block(100, true); // the first record of its kind calibrates, which takes longer than a block
    let mut steps = 1;
    while block(steps, true) * (steps as f64) < PAIR.as_secs_f64() / 2.0 {
        steps *= 2;
    }
    let mut ratios = Vec::new();
    let (mut bare, mut recorded) = (Vec::new(), 0);
    let mut begin = Instant::now();
    let mut before = None;
    loop {
        // Until the crate has found out what its records cost here.
        if before.is_none() && begin.elapsed() > length / 2 {
            before = Some(reckoned::seconds());
            (ratios, recorded, begin) = (Vec::new(), 0, Instant::now());
        }
        if before.is_some() && begin.elapsed() > length && ratios.len() > 20 {
            break;
        }
        let first = ratios.len() % 2 == 0;
        let one = block(steps, first);
        let other = block(steps, !first);
        let (with, without) = if first { (one, other) } else { (other, one) };
        ratios.push((with / without).ln());
        bare.push(without);
        recorded += steps;
    }
    let step = crate::timing::quantile(&bare, 0.5);
    let spent = reckoned::seconds() - before.unwrap_or_default();
    Outcome { step, measured: Difference::of(&ratios), reckoned: spent / recorded as f64 / step }
}

impl Outcome {
    /// Whether the machine was quiet enough to tell.
    fn tells(&self) -> bool {
        self.measured.interval.1 - self.measured.interval.0 < self.measured.estimate / 2.0
    }

    fn factor(&self) -> f64 {
        self.reckoned / self.measured.estimate
    }

    fn holds(&self, length: Length) -> bool {
        let factor = if length == Length::Short { SHORT_FACTOR } else { FACTOR };
        (1.0 / factor..=factor).contains(&self.factor())
    }
}

pub(super) fn section(length: Length) -> Measured {
    let all = Instruments::new();
    let weights = Weights::new();
    let time = if length == Length::Short { Duration::from_millis(800) } else { Duration::from_secs(8) };
    let mut text = String::from(
        "| loop | a turn without records | measured, with its 99 % interval | by the account | factor |\n\
         |---|---|---|---|---|\n",
    );
    let mut failures = Vec::new();
    for case in &CASES {
        let good = |outcome: &Outcome| outcome.tells() && outcome.holds(length);
        let outcome = until_good(|| run(case, &all, &weights, time), good);
        let Outcome { step, measured, reckoned } = &outcome;
        let _ = writeln!(
            text,
            "| {} | {:.0} ns | {:.2} % ({:.2} to {:.2}) | {:.2} % | {:.2} |",
            case.name,
            1e9 * step,
            100.0 * measured.estimate,
            100.0 * measured.interval.0,
            100.0 * measured.interval.1,
            100.0 * reckoned,
            outcome.factor(),
        );
        if OVERHEADS.contains(&measured.estimate) && outcome.tells() && !outcome.holds(length) {
            failures.push(format!("{}: the account is off by a factor of {:.2}", case.name, outcome.factor()));
        }
    }
    Section { text, failures }.into()
}
