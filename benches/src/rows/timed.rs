//! A timed section.

use super::{Goal, Row, digits, note};
use crate::contests::timed::{BUDGET_FOR_WORK, in_budget_so_far, others, ours, peers, working};
use crate::timing::{Contestant, Course, Timing, race};
use inferometer::{DEFAULT_BUDGET, set_budget};

/// Also says how many sections within the budget there were for each that was timed.
fn race_and_count(contestants: Vec<Contestant<'static>>) -> (Vec<Timing>, f64) {
    let [events, samples] = in_budget_so_far();
    let timings = race(Course::SHORT, contestants);
    let [events_now, samples_now] = in_budget_so_far();
    (timings, (events_now - events) as f64 / (samples_now - samples) as f64)
}

/// What sections of some length cost with a budget that gives them more samples than one in 4,096.
fn with_work() -> String {
    set_budget(BUDGET_FOR_WORK);
    let (timings, distance) = race_and_count(working());
    set_budget(DEFAULT_BUDGET);
    format!(
        "with {} ns of work in the section and a budget of {} %: 1 in {distance:.0} is timed, {} ns more than the work",
        digits(timings[1].quiet),
        100.0 * BUDGET_FOR_WORK,
        digits(timings[0].quiet - timings[1].quiet)
    )
}

pub(super) fn rows() -> Vec<Row> {
    let mut contestants = ours();
    contestants.extend(peers());
    let same = contestants.len();
    contestants.extend(others());
    let (mut timings, distance) = race_and_count(contestants);
    let mut more = timings.split_off(same);
    let clock = more.split_off(more.len() - 1);
    let peers: Vec<(String, f64)> = timings.drain(2..).map(|timing| (timing.name, timing.quiet)).collect();
    let row = |name, timing: &Timing, conditions, notes| Row {
        name,
        ours: timing.quiet,
        unit: "ns",
        peers: peers.clone(),
        lesser: Vec::new(),
        goals: vec![Goal::AtMost(2.0), Goal::ShareOfBest(0.035)],
        rivals: true,
        conditions,
        notes,
    };
    vec![
        row(
            "timed section, sampled 1/64",
            &timings[0],
            "one thread; hot; a declared histogram with 15 classic bounds and schema 3; nothing is done in the section; the \
             peers time every section",
            vec![note("our other ways", &more), note("what the peers cannot do without", &clock)],
        ),
        row(
            "timed section, under a budget",
            &timings[1],
            "the same with the default budget, which empty sections that follow each other at once exceed by being \
             counted, so that no more than one in 4,096 is timed",
            vec![format!("1 in {distance:.0} was timed"), with_work()],
        ),
    ]
}
