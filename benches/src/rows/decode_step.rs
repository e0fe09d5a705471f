//! Everything that one decode step records.

use super::{Goal, Row, note, split};
use crate::contests::decode_step::Contest;
use crate::inputs::Distribution;
use crate::timing::{Course, race};
use crate::workload::Weights;
use std::hint::black_box;

pub(super) fn rows() -> Vec<Row> {
    let weights = Weights::new();
    let contest = Contest::new(&black_box(Distribution::ALL[0].nanos()), &weights);
    let (ours, peers) = split(race(Course::SHORT, contest.hot));
    let cold = race(Course::SINGLE, contest.cold);
    vec![Row {
        name: "decode step, one sequence, full catalogue",
        ours,
        unit: "ns",
        peers,
        lesser: Vec::new(),
        goals: vec![Goal::AtMost(20.0)],
        rivals: true,
        conditions: "one thread; hot; nine records: four histograms, two counters, three gauges; the peers' histograms \
                     are classic, ours classic and native; metriken's are log-linear without a sum",
        notes: vec![note("once after streaming 48 MiB", &cold)],
    }]
}
