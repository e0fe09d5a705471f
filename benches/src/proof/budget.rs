//! Whether timing stays inside its budget, and uses it, in loops that really work.
//!
//! What a sample costs is measured here, with a clock of our own around the beginning and the end of each section. So it
//! is neither what the crate believes that it costs nor an average of another time.

use super::curve::duration;
use super::{Length, Measured, Section, until_good};
use crate::workload::Weights;
use inferometer::{DEFAULT_BUDGET, Histogram, Registry, Sampling, set_budget};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

/// Over so long the budget holds.
const WINDOW: f64 = 100e6;
/// A sample that takes longer was interrupted, by the kernel or by another guest of the machine; nanoseconds.
const LONGEST_SAMPLE: f64 = 100_000.0;
/// What takes longer, of an event that is only counted, was interrupted too; nanoseconds.
const LONGEST_EVENT: f64 = 1_000.0;
/// A window may exceed the budget by so many standard deviations of what as many samples as it has cost together. Those
/// are parts in a hundred where it has a thousand samples, and more where it has a dozen, as after long work. Four, since
/// it is the worst of a hundred windows and more.
const SCATTER: f64 = 4.0;
/// Of the samples that its share allows, a series gets so many at least.
const LEAST_SHARE: f64 = 0.9;

/// What a loop does between two events.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// Computes for some nanoseconds.
    Compute(u64),
    /// The same, but each fiftieth time for some other nanoseconds.
    ButEachFiftieth(u64, u64),
    /// Reads 48 MiB.
    Stream,
}

/// One loop.
#[derive(Clone, Debug)]
struct Case {
    name: &'static str,
    budget: f64,
    series: usize,
    /// One after the other, each for so many milliseconds.
    phases: &'static [(Work, u64)],
    feasible: bool,
}

const CASES: [Case; 8] = [
    Case {
        name: "100 us of work",
        budget: 0.001,
        series: 1,
        phases: &[(Work::Compute(100_000), 3_000)],
        feasible: true,
    },
    Case { name: "10 us of work", budget: 0.001, series: 1, phases: &[(Work::Compute(10_000), 3_000)], feasible: true },
    Case { name: "1 us of work", budget: 0.005, series: 1, phases: &[(Work::Compute(1_000), 3_000)], feasible: true },
    Case {
        name: "100 us, then 1 us, then 100 us",
        budget: 0.005,
        series: 1,
        phases: &[(Work::Compute(100_000), 1_500), (Work::Compute(1_000), 1_500), (Work::Compute(100_000), 1_500)],
        feasible: true,
    },
    Case {
        name: "100 ms, each fiftieth time 100 ns",
        budget: 0.001,
        series: 1,
        phases: &[(Work::ButEachFiftieth(100_000_000, 100), 10_000)],
        feasible: true,
    },
    Case {
        name: "20 sections in 100 us of work",
        budget: 0.001,
        series: 20,
        phases: &[(Work::Compute(100_000 / 20), 3_000)],
        feasible: true,
    },
    Case { name: "48 MiB read", budget: 0.001, series: 1, phases: &[(Work::Stream, 3_000)], feasible: true },
    Case {
        name: "300 ns of work: infeasible",
        budget: 0.001,
        series: 1,
        phases: &[(Work::Compute(300), 1_000)],
        feasible: false,
    },
];

pub(super) fn cases() -> Vec<&'static str> {
    CASES.iter().map(|case| case.name).collect()
}

/// What was seen of one phase.
#[derive(Clone, Debug, Default)]
struct Phase {
    /// For each series its samples: when, and how much it cost; nanoseconds.
    samples: Vec<Vec<(f64, f64)>>,
    begin: f64,
    end: f64,
    /// Of one series.
    events: u64,
    /// What those that were not sampled cost, all together.
    unsampled: f64,
    interrupted: u64,
}

/// A case, measured.
#[derive(Clone, Debug)]
struct Outcome {
    spacing: Vec<f64>,
    sample_cost: f64,
    event_cost: f64,
    worst_window: f64,
    /// Of the samples that its share allows, what the series that got the fewest has, in the phase where it got fewest.
    least_share: f64,
    interrupted: u64,
    reported: bool,
    failures: Vec<String>,
}

/// How many turns of [`compute`] take a nanosecond, about.
fn turns_per_nano() -> f64 {
    const TURNS: u64 = 1_000_000;
    let start = std::time::Instant::now();
    compute(TURNS);
    TURNS as f64 / start.elapsed().as_nanos() as f64
}

#[inline(never)]
fn compute(turns: u64) {
    let mut x = 1_u64;
    for _ in 0..turns {
        x = black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// What a phase's loop does, once the machine's speed is known.
enum Turns<'a> {
    Compute(u64),
    ButEachFiftieth(u64, u64),
    Stream(&'a Weights),
}

impl Turns<'_> {
    #[inline(always)]
    fn work(&self, at: u64) {
        match *self {
            Turns::Compute(turns) => compute(turns),
            Turns::ButEachFiftieth(turns, rarely) => compute(if at % 50 == 49 { rarely } else { turns }),
            Turns::Stream(weights) => weights.stream(),
        }
    }
}

#[inline(never)]
fn run_phase(turns: &Turns<'_>, histograms: &[Histogram], length: Duration, clock: &quanta::Clock) -> Phase {
    let mut phase = Phase { samples: vec![Vec::new(); histograms.len()], ..Phase::default() };
    let origin = clock.raw();
    let length = length.as_nanos() as u64;
    phase.begin = origin as f64;
    loop {
        let mut now = 0;
        for (series, histogram) in histograms.iter().enumerate() {
            let before_start = clock.raw();
            let timer = histogram.start();
            let after_start = clock.raw();
            turns.work(phase.events);
            let before_stop = clock.raw();
            let sampled = timer.stop().is_some();
            let after_stop = clock.raw();
            now = clock.raw();
            // What it takes to read the clock is in the first two times, and is all that the third one is.
            let between = |first, second| clock.delta_as_nanos(first, second) as f64;
            let reading = between(after_stop, now);
            let cost = between(before_start, after_start) + between(before_stop, after_stop) - 2.0 * reading;
            if sampled {
                phase.samples[series].push((now as f64, cost));
            } else if cost < LONGEST_EVENT {
                phase.unsampled += cost;
            } else {
                phase.interrupted += 1;
            }
        }
        phase.events += 1;
        if clock.delta_as_nanos(origin, now) > length {
            phase.end = now as f64;
            return phase;
        }
    }
}

fn run(case: &Case, length: Length, weights: &Weights, clock: &quanta::Clock) -> Outcome {
    set_budget(case.budget);
    let registry = Registry::new();
    let histograms: Vec<Histogram> = (0..case.series)
        .map(|at| registry.histogram(&format!("section_{at}_seconds"), &[]).expect("a valid histogram"))
        .collect();
    let per_nano = turns_per_nano();
    let turns = |nanos: u64| (nanos as f64 * per_nano).max(1.0) as u64;
    let phases: Vec<Phase> = case
        .phases
        .iter()
        .map(|&(work, millis)| {
            let work = match work {
                Work::Compute(nanos) => Turns::Compute(turns(nanos)),
                Work::ButEachFiftieth(nanos, rarely) => Turns::ButEachFiftieth(turns(nanos), turns(rarely)),
                Work::Stream => Turns::Stream(weights),
            };
            let millis = if length == Length::Short {
                if millis > 5_000 { millis } else { (millis / 3).max(500) }
            } else {
                millis
            };
            run_phase(&work, &histograms, Duration::from_millis(millis), clock)
        })
        .collect();
    let reported = registry.snapshot().gauge("inferometer_budget_infeasible", &[]).is_some();
    set_budget(DEFAULT_BUDGET);
    outcome(case, &phases, reported, clock, length)
}

/// A number of raw readings in nanoseconds.
fn nanos(clock: &quanta::Clock, raw: f64) -> f64 {
    clock.delta_as_nanos(0, raw as u64) as f64
}

fn outcome(case: &Case, phases: &[Phase], reported: bool, clock: &quanta::Clock, length: Length) -> Outcome {
    let all = |of: fn(&Phase) -> f64| -> f64 { phases.iter().map(of).sum() };
    let samples: Vec<(f64, f64)> = {
        let mut samples: Vec<_> = phases.iter().flat_map(|phase| phase.samples.iter().flatten().copied()).collect();
        samples.sort_by(|a, b| a.0.total_cmp(&b.0));
        samples.iter().map(|&(at, cost)| (nanos(clock, at), cost)).collect()
    };
    let mean = |samples: &mut dyn Iterator<Item = f64>| {
        let (sum, n) = samples.fold((0.0, 0_u64), |(sum, n), cost| (sum + cost, n + 1));
        if n == 0 { 0.0 } else { sum / n as f64 }
    };
    let interrupted = samples.iter().filter(|sample| sample.1 > LONGEST_SAMPLE).count() as u64;
    let samples: Vec<(f64, f64)> = samples.into_iter().filter(|sample| sample.1 <= LONGEST_SAMPLE).collect();
    let sample_cost = mean(&mut samples.iter().map(|sample| sample.1));
    let events = all(|phase| (phase.events * phase.samples.len() as u64) as f64);
    let event_cost = (all(|phase| phase.unsampled) / (events - samples.len() as f64).max(1.0)).max(0.0);
    // Each section is counted, also one that is timed; what that costs is not the sample's.
    let sample_cost = sample_cost - event_cost;
    let samples: Vec<(f64, f64)> = samples.into_iter().map(|(at, cost)| (at, cost - event_cost)).collect();

    // Not the first sample of each series, which is not planned: there has been no event to plan by.
    let begin = samples.first().map_or(0.0, |first| first.0) + 1e6;
    let mut worst_window = 0.0_f64;
    let (mut from, mut sum) = (0, 0.0);
    for &(at, cost) in &samples {
        sum += cost;
        while samples[from].0 < at - WINDOW {
            sum -= samples[from].1;
            from += 1;
        }
        if at >= begin + WINDOW {
            worst_window = worst_window.max(sum / WINDOW);
        }
    }

    // By how much the sum of a window's samples scatters that cost now less, now more.
    let variance = mean(&mut samples.iter().map(|&(_, cost)| (cost - sample_cost).powi(2)));
    let windows = samples.last().map_or(0.0, |last| last.0 - begin) / WINDOW;
    let scatter = (variance * samples.len() as f64 / windows.max(1.0)).sqrt() / WINDOW;

    let mut spacing = Vec::new();
    let mut least_share = f64::INFINITY;
    for phase in phases {
        let time = nanos(clock, phase.end - phase.begin);
        spacing.push(time / phase.events as f64);
        // After a jump it has 100 ms to settle.
        let settled = nanos(clock, phase.begin) + WINDOW;
        let time = time - WINDOW;
        let events = phase.events as f64 * time / (time + WINDOW);
        let is_settled = |&&(at, _): &&(f64, f64)| nanos(clock, at) >= settled;
        // What they cost is the same for all series, so it is known best from all.
        let costs = phase.samples.iter().flatten().filter(is_settled).map(|&(_, cost)| cost);
        let cost = mean(&mut costs.filter(|&cost| cost <= LONGEST_SAMPLE)) - event_cost;
        // Nothing where counting takes all of it.
        let for_samples = (case.budget / case.series as f64 * time - event_cost * events).max(0.0);
        let allowed = (for_samples / cost.max(1.0)).min(events);
        for series in &phase.samples {
            least_share = least_share.min(series.iter().filter(is_settled).count() as f64 / allowed);
        }
    }

    let mut failures = Vec::new();
    let mut fail = |what: String| failures.push(format!("{}: {what}", case.name));
    if case.feasible {
        let shortest = spacing.iter().copied().fold(f64::INFINITY, f64::min) / case.series as f64;
        let most = case.budget + event_cost / shortest + SCATTER * scatter;
        if worst_window > most * length.tolerance() {
            fail(format!("{:.4} % of 100 ms, more than {:.4} %", 100.0 * worst_window, 100.0 * most));
        }
        if least_share < LEAST_SHARE / length.tolerance() {
            fail(format!("a series got {:.0} % of the samples that its share allows", 100.0 * least_share));
        }
    }
    if reported == case.feasible {
        fail(format!("the budget is {}reported as infeasible", if reported { "" } else { "not " }));
    }
    let interrupted = interrupted + phases.iter().map(|phase| phase.interrupted).sum::<u64>();
    Outcome { spacing, sample_cost, event_cost, worst_window, least_share, interrupted, reported, failures }
}

pub(super) fn section(length: Length) -> Measured {
    let weights = Weights::new();
    let clock = quanta::Clock::new();
    // What is measured once in the process, and belongs to no case.
    let registry = Registry::new();
    let first: Histogram = registry.histogram("first_seconds", &[]).expect("a valid histogram");
    first.set_sampling(Sampling::Always);
    (0..100).for_each(|_| _ = first.start().stop());

    let mut text = String::from(
        "| loop | budget | spacing of events | a sample costs | an event that is not timed | worst 100 ms | fewest samples |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mut failures = Vec::new();
    for case in &CASES {
        let outcome = until_good(|| run(case, length, &weights, &clock), |outcome| outcome.failures.is_empty());
        let spacing: Vec<String> =
            outcome.spacing.iter().map(|&spacing| duration(spacing / case.series as f64)).collect();
        let fewest = if case.feasible {
            format!("{:.0} % of its share", 100.0 * outcome.least_share)
        } else {
            format!("1 in 4,096; {}", if outcome.reported { "reported" } else { "not reported" })
        };
        let _ = writeln!(
            text,
            "| {} | {} % | {} | {:.0} ns | {:.1} ns | {:.4} % | {fewest} |",
            case.name,
            100.0 * case.budget,
            spacing.join(", "),
            outcome.sample_cost,
            outcome.event_cost,
            100.0 * outcome.worst_window,
        );
        if outcome.interrupted > 0 {
            eprintln!("{}: {} sections were interrupted and are left out", case.name, outcome.interrupted);
        }
        failures.extend(outcome.failures);
    }
    Section { text, failures }.into()
}
