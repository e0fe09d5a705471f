//! A decode step through the catalogue of inference metrics.

use super::{Goal, Row, split};
use crate::contests::catalogue::{allocations, contestants};
use crate::inputs::Distribution;
use crate::timing::{Course, race};
use std::hint::black_box;

pub(super) fn rows() -> Vec<Row> {
    let nanos = black_box(Distribution::ALL[0].nanos());
    let row = |name, batch: usize, goal| {
        let (ours, mut peers) = split(race(Course::SHORT, contestants(&nanos, batch)));
        peers.iter_mut().for_each(|(_, time)| *time /= batch as f64);
        Row {
            name,
            ours: ours / batch as f64,
            unit: "ns",
            peers,
            lesser: Vec::new(),
            goals: vec![Goal::AtMost(goal)],
            rivals: true,
            conditions: "one thread; hot; without the reading of the clock; each sequence's time since its last token, two \
                         histograms of sizes and one of the step, a counter, and four gauges of the KV cache when a block of 16 tokens is full; the peers' \
                         histograms are classic, ours classic and native",
            notes: vec![format!("allocations in 1,000 of our steps: {}", allocations(&nanos, batch))],
        }
    };
    vec![
        row("decode step through the catalogue, one sequence", 1, 20.0),
        row("decode step through the catalogue, each sequence of 64", 64, 8.0),
    ]
}
