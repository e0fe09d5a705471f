//! The shortest step that an engine may have, so that recording what a decode step records stays below one per cent of
//! it: of this library, and of the others in the same run.

use super::curve::{Curve, Point};
use super::plot::{Line, Plot};
use super::step::{Beside, Clock, Pace, Recorder, hot, race, recorder, recorder_by};
use super::{Length, Measured, Section, until_good};
use crate::library::{
    Buckets, Exporter, Fastmetrics, Library as _, Metriken, MetrikenSharded, OpenTelemetry, Ours, Prometheus,
    PrometheusClient, nm,
};
use crate::workload::Weights;
use std::fmt::Write as _;
use std::time::Duration;

/// What ours must be at most, in nanoseconds.
const GOAL: f64 = 3_500.0;

/// The lengths of the steps, in nanoseconds.
pub(super) const STEPS: [u64; 11] =
    [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 10_000_000];
/// And in a short look.
pub(super) const FEW_STEPS: [u64; 3] = [1_000, 10_000, 100_000];
/// Longer ones than this are tried in the first way only: nobody's break-even is near.
const LONGEST_OF_ALL_WAYS: u64 = 500_000;

/// How the steps record.
#[derive(Clone, Copy, Debug)]
struct Way {
    name: &'static str,
    clock: Clock,
    second_thread: bool,
}

const WAYS: [Way; 3] = [
    Way { name: "the records", clock: Clock::Given, second_thread: false },
    Way { name: "and a reading of the clock", clock: Clock::Instant, second_thread: false },
    Way { name: "the records, two threads", clock: Clock::Given, second_thread: true },
];

/// It cannot record all.
const NM: &str = "nm (six of nine records)";

/// A library's name, and how its recorder is made.
type Maker = (&'static str, fn(&'static str, Clock) -> Recorder);

/// Ours is the first.
const RECORDERS: [Maker; 9] = [
    (Ours::NAME, |name, clock| {
        let own = if clock == Clock::Instant { Clock::Moment } else { clock };
        recorder::<Ours>(name, Buckets::Both, own)
    }),
    (Exporter::NAME, |name, clock| recorder::<Exporter>(name, Buckets::Classic, clock)),
    (Prometheus::NAME, |name, clock| recorder::<Prometheus>(name, Buckets::Classic, clock)),
    (PrometheusClient::NAME, |name, clock| recorder::<PrometheusClient>(name, Buckets::Classic, clock)),
    (Fastmetrics::NAME, |name, clock| recorder::<Fastmetrics>(name, Buckets::Classic, clock)),
    (OpenTelemetry::NAME, |name, clock| recorder::<OpenTelemetry>(name, Buckets::Classic, clock)),
    (Metriken::NAME, |name, clock| recorder::<Metriken>(name, Buckets::Native, clock)),
    (MetrikenSharded::NAME, |name, clock| recorder::<MetrikenSharded>(name, Buckets::Native, clock)),
    (NM, |name, clock| {
        recorder_by(name, clock, |nanos| nanos, |nanos, _| nm::record_decode_step(nanos), nm::push_decode_steps)
    }),
];

pub(super) fn cases() -> Vec<&'static str> {
    RECORDERS.iter().map(|&(name, _)| name).collect()
}

/// The curves of all recorders, one way.
fn measure(way: Way, length: Length, weights: &Weights) -> Vec<Curve> {
    let recorders = RECORDERS.map(|(name, make)| make(name, way.clock));
    let mut curves = vec![Curve::default(); recorders.len()];
    let (steps, time) = match length {
        Length::Full => (&STEPS[..], Duration::from_secs(3)),
        Length::Short => (&FEW_STEPS[..], Duration::from_millis(250)),
    };
    let first = way.clock == WAYS[0].clock && way.second_thread == WAYS[0].second_thread;
    let steps = steps.iter().filter(|&&step| first || step <= LONGEST_OF_ALL_WAYS);
    let mut pace = Pace::of(hot(weights.words()));
    for &step in steps {
        let beside = Beside { second_thread: way.second_thread, scrapes: None };
        let raced = race(&mut pace, Duration::from_nanos(step), &recorders, &beside, time);
        for (curve, overhead) in curves.iter_mut().zip(raced.more) {
            curve.0.push(Point { step: raced.step, overhead });
        }
    }
    curves
}

pub(super) fn section(length: Length) -> Measured {
    let weights = Weights::new();
    let goal = GOAL * length.tolerance();
    let kept = |curves: &Vec<Curve>| curves[0].break_even().estimate <= goal;
    let first = until_good(|| measure(WAYS[0], length, &weights), kept);
    let failures = if kept(&first) {
        Vec::new()
    } else {
        vec![format!("{} us is the goal, and it is {}", goal / 1e3, first[0].break_even())]
    };
    let mut ways = vec![first];
    ways.extend(WAYS[1..].iter().map(|&way| measure(way, length, &weights)));

    let names = cases();
    let mut text = String::from("| library |");
    WAYS.iter().for_each(|way| _ = write!(text, " {} |", way.name));
    text.push_str(" of a step of 10 us, the records |\n|---|---|---|---|---|\n");
    for (at, name) in names.iter().enumerate() {
        let _ = write!(text, "| {name} |");
        ways.iter().for_each(|curves| _ = write!(text, " {} |", curves[at].break_even()));
        let at_10_us = ways[0][at].0.iter().min_by(|a, b| (a.step - 1e4).abs().total_cmp(&(b.step - 1e4).abs()));
        let _ = writeln!(text, " {} |", at_10_us.map_or_else(String::new, share));
    }
    let lines = names.iter().zip(&ways[0]).map(|(name, curve)| Line { name, curve });
    let plot = Plot::new("break-even", "Share of a decode step that its records take", lines);
    let _ = writeln!(text, "\n{}", plot.reference());
    Measured { section: Section { text, failures }, plots: vec![plot] }
}

/// With its interval.
pub(super) fn share(point: &Point) -> String {
    let per_cent = |share: f64| {
        let per_cent = 100.0 * share;
        if per_cent.abs() >= 10.0 { format!("{per_cent:.0}") } else { format!("{per_cent:.2}") }
    };
    let Point { overhead, .. } = point;
    format!(
        "{} % ({} to {})",
        per_cent(overhead.estimate),
        per_cent(overhead.interval.0),
        per_cent(overhead.interval.1)
    )
}

#[cfg(test)]
mod tests {
    use super::super::curve::{MOST, duration};
    use super::*;

    #[test]
    fn the_goal_is_what_the_page_says() {
        let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/overhead.md"));
        assert!(page.contains(&format!("at most {}", duration(GOAL))) && page.contains(&format!("{} %", 100.0 * MOST)));
    }
}
