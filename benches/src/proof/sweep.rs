//! What the records of a decode step take of steps from a microsecond to ten milliseconds, while other things go on.

use super::break_even::{FEW_STEPS, STEPS, share};
use super::curve::{Curve, Point};
use super::plot::{Line, Plot};
use super::step::{Beside, Pace, hot, race, recorder_in};
use super::{Length, Measured, Section, until_good};
use crate::inputs::Distribution;
use crate::library::{Buckets, Exposition as _, Ours};
use crate::workload::{Populated, Weights};
use std::fmt::Write as _;
use std::slice;
use std::sync::Mutex;
use std::time::Duration;

/// The promise, for a step of a millisecond under all conditions.
const MOST: f64 = 0.01;
const PROMISED_FROM: f64 = 0.9e6;

/// What the loop reads, and what goes on beside it.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    thrashing: bool,
    second_thread: bool,
    hertz: f64,
}

const CASES: [Case; 7] = [
    Case { name: "one thread, no scrapes", thrashing: false, second_thread: false, hertz: 0.0 },
    Case { name: "scraped once a second", thrashing: false, second_thread: false, hertz: 1.0 },
    Case { name: "scraped 20 times a second", thrashing: false, second_thread: false, hertz: 20.0 },
    Case { name: "scraped without a pause", thrashing: false, second_thread: false, hertz: f64::INFINITY },
    Case { name: "two threads", thrashing: false, second_thread: true, hertz: 0.0 },
    Case { name: "48 MiB read round and round", thrashing: true, second_thread: false, hertz: 0.0 },
    Case { name: "all of it at once", thrashing: true, second_thread: true, hertz: 20.0 },
];

/// The columns of the table.
const SHOWN: [(f64, &str); 4] = [(1e4, "10 us"), (1e5, "100 us"), (1e6, "1 ms"), (1e7, "10 ms")];

pub(super) fn cases() -> Vec<&'static str> {
    CASES.iter().map(|case| case.name).collect()
}

fn measure(case: Case, length: Length, weights: &Weights) -> Curve {
    let mut populated = Populated::<Ours>::new(Buckets::Both, &Distribution::ALL[1].nanos());
    let recorder = recorder_in::<Ours>(case.name, Buckets::Both, &mut populated);
    let scraper = Mutex::new((Ours::scraper(&populated.registry), Vec::new()));
    let scrape = || {
        let mut scraper = scraper.lock().expect("nobody panics");
        let (scraper, body) = &mut *scraper;
        body.clear();
        Ours::scrape(&populated.registry, scraper, body);
    };
    let words = if case.thrashing { weights.words() } else { hot(weights.words()) };
    let (steps, time) = match length {
        Length::Full => (&STEPS[..], Duration::from_millis(1_500)),
        Length::Short => (&FEW_STEPS[..], Duration::from_millis(150)),
    };
    let mut pace = Pace::of(words);
    let points = steps.iter().map(|&step| {
        let scrapes = (case.hertz > 0.0).then_some((&scrape as &(dyn Fn() + Sync), case.hertz));
        let beside = Beside { second_thread: case.second_thread, scrapes };
        let raced = race(&mut pace, Duration::from_nanos(step), slice::from_ref(&recorder), &beside, time);
        Point { step: raced.step, overhead: raced.more[0] }
    });
    Curve(points.collect())
}

/// The points for which less is promised than they show.
fn broken(curve: &Curve, length: Length) -> impl Iterator<Item = &Point> {
    let most = MOST * length.tolerance();
    curve.0.iter().filter(move |point| point.step >= PROMISED_FROM && point.overhead.estimate >= most)
}

pub(super) fn section(length: Length) -> Measured {
    let weights = Weights::new();
    let mut text = String::from("| beside the loop | break-even |");
    SHOWN.iter().for_each(|(_, name)| _ = write!(text, " of {name} |"));
    text.push_str("\n|---|---|---|---|---|---|\n");
    let mut failures = Vec::new();
    let mut curves = Vec::new();
    for case in CASES {
        let curve = until_good(|| measure(case, length, &weights), |curve| broken(curve, length).next().is_none());
        let _ = write!(text, "| {} | {} |", case.name, curve.break_even());
        for (step, _) in SHOWN {
            let point = curve.0.iter().find(|point| (point.step / step).ln().abs() < 0.5);
            let _ = write!(text, " {} |", point.map_or_else(String::new, share));
        }
        text.push('\n');
        failures.extend(broken(&curve, length).map(|point| format!("{}: {}", case.name, share(point))));
        curves.push(curve);
    }
    let lines = CASES.iter().zip(&curves).map(|(case, curve)| Line { name: case.name, curve });
    let plot = Plot::new("sweep", "Share of a decode step that inferometer's records take", lines);
    let _ = writeln!(text, "\n{}", plot.reference());
    Measured { section: Section { text, failures }, plots: vec![plot] }
}
