//! A counter that is found by a label whose value is known at run time only.

use super::{Goal, Row, note, split};
use crate::allocations::Allocations;
use crate::contests::label::{MODEL, SAME, by_macro, contestants};
use crate::timing::{Course, race};

pub(super) fn rows() -> Vec<Row> {
    let mut timings = race(Course::SHORT, contestants());
    let more = timings.split_off(SAME);
    let (ours, peers) = split(timings);
    let before = Allocations::now();
    by_macro(MODEL, 1_000);
    let allocations = Allocations::since(before).count;
    vec![Row {
        name: "counter, 1 run-time label",
        ours,
        unit: "ns",
        peers,
        lesser: Vec::new(),
        goals: vec![Goal::AtMost(4.0)],
        rivals: true,
        conditions: "one thread; hot; a value of 12 bytes",
        notes: vec![note("our other ways", &more), format!("allocations in 1,000 of our records: {allocations}")],
    }]
}
