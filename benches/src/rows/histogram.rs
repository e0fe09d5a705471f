//! A histogram of durations.

use super::{Goal, Row, note, split};
use crate::contests::histogram::{declared, lesser_peers, peers, run_time};
use crate::inputs::Distribution;
use crate::timing::{Contestant, Course, Timing, race};
use std::hint::black_box;

/// A row, with `ours` over all distributions. The first of ours is compared with the peers.
fn row(name: &'static str, goal: f64, ours: fn(&[u64]) -> Vec<Contestant<'static>>) -> Row {
    let mut notes = Vec::new();
    let mut first: Option<Vec<Timing>> = None;
    let mut same = 0;
    for distribution in Distribution::ALL {
        let nanos = black_box(distribution.nanos());
        let mut contestants = ours(&nanos);
        let others = contestants.split_off(1);
        contestants.extend(peers(&nanos));
        same = contestants.len();
        contestants.extend(lesser_peers(&nanos));
        let all = contestants.len();
        contestants.extend(others);
        let mut timings = race(Course::SHORT, contestants);
        let others = timings.split_off(all);
        if first.is_some() {
            notes.push(note(&distribution.name(), &timings));
        }
        if !others.is_empty() {
            notes.push(note(&format!("our other ways, {}", distribution.name()), &others));
        }
        first.get_or_insert(timings);
    }
    let mut timings = first.unwrap_or_default();
    let lesser = timings.split_off(same);
    let lesser = lesser.into_iter().map(|timing| (timing.name, timing.quiet)).collect();
    let (ours, peers) = split(timings);
    Row {
        name,
        ours,
        unit: "ns",
        peers,
        lesser,
        goals: vec![Goal::AtMost(goal)],
        rivals: true,
        conditions: "one thread; hot; log-normal durations around 12 ms, sigma 0.3; 15 classic bounds, schema 3; peers get \
                     seconds as f64, ready made",
        notes,
    }
}

pub(super) fn declared_rows() -> Vec<Row> {
    vec![row("histogram, exact classic + native + sum, declared bounds", 3.0, declared)]
}

pub(super) fn run_time_rows() -> Vec<Row> {
    vec![row("histogram, run-time bounds", 4.5, run_time)]
}
