//! A counter, as hot as it gets.

use super::{Goal, Row, note, split};
use crate::contests::counter::{FETCH_ADD, METRICS_HANDLE, METRICS_MACRO, OTHER_WAYS, contestants};
use crate::timing::{Course, race};

pub(super) fn rows() -> Vec<Row> {
    let mut timings = race(Course::SHORT, contestants());
    let medians =
        format!("median batch: inferometer {:.2}, {FETCH_ADD} {:.2} ns", timings[0].median, timings[1].median);
    let others = timings.split_off(timings.len() - OTHER_WAYS);
    let (ours, peers) = split(timings);
    vec![Row {
        name: "counter, literal call site",
        ours,
        unit: "ns",
        peers,
        lesser: Vec::new(),
        goals: vec![
            Goal::AtMost(0.8),
            Goal::ShareOf(FETCH_ADD, 0.4),
            Goal::ShareOf(METRICS_HANDLE, 1.0 / 6.0),
            Goal::ShareOf(METRICS_MACRO, 1.0 / 50.0),
        ],
        rivals: true,
        conditions: "one thread; hot; increment(1) in a loop, two literal labels",
        notes: vec![note("our other ways", &others), medians],
    }]
}
