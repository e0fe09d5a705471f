//! What shows that an alert works: series that are made up, and what fires on them.

use crate::monitoring::args::Context;
use crate::monitoring::naming::{JOB, MODEL};
use crate::monitoring::promql::{Selector, le};
use crate::monitoring::time::Time;

/// What a case shows. Every alert has one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Proof {
    /// That it fires where it should.
    Fires,
    /// That it does not where it should not.
    Quiet,
    /// That a server which restarts, so that counters begin again and scrapes fail, makes no difference.
    Restart,
}

impl Proof {
    /// In the name of a unit test, behind the alert's.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Proof::Fires => "fires",
            Proof::Quiet => "stays quiet",
            Proof::Restart => "sees through a restart",
        }
    }
}

/// A unit test of an alert.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) proof: Proof,
    /// What goes on.
    pub(crate) story: &'static str,
    /// The series and their values at each step.
    pub(crate) series: Vec<(Selector, String)>,
    /// When it is looked at what fires.
    pub(crate) at: Time,
    pub(crate) expected: Vec<Expected>,
}

/// An alert that fires.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// Which of the alert's rules.
    pub(crate) rule: usize,
    /// The labels besides those of the rule.
    pub(crate) labels: Vec<(String, String)>,
    /// The value, for descriptions that have it.
    pub(crate) value: f64,
}

impl Case {
    pub(crate) fn fires(story: &'static str, at: Time) -> Self {
        Case { proof: Proof::Fires, story, series: Vec::new(), at, expected: Vec::new() }
    }

    pub(crate) fn quiet(story: &'static str, at: Time) -> Self {
        Case { proof: Proof::Quiet, ..Self::fires(story, at) }
    }

    pub(crate) fn restart(story: &'static str, at: Time) -> Self {
        Case { proof: Proof::Restart, ..Self::fires(story, at) }
    }

    pub(crate) fn with(mut self, series: Selector, values: impl Into<String>) -> Self {
        self.series.push((series, values.into()));
        self
    }

    pub(crate) fn with_all(mut self, series: impl IntoIterator<Item = (Selector, String)>) -> Self {
        self.series.extend(series);
        self
    }

    pub(crate) fn expect(self, labels: &[(&str, &str)], value: f64) -> Self {
        self.expect_of(0, labels, value)
    }

    /// That the rule in this place fires.
    pub(crate) fn expect_of(mut self, rule: usize, labels: &[(&str, &str)], value: f64) -> Self {
        let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.expected.push(Expected { rule, labels, value });
        self
    }
}

/// Values that stay as they are, for a number of steps.
pub(crate) fn steady(value: f64, steps: u32) -> String {
    growing(value, 0.0, steps)
}

/// Values that grow with each step.
pub(crate) fn growing(from: f64, by: f64, steps: u32) -> String {
    format!("{from}{by:+}x{steps}")
}

/// Values of a counter that grows, and begins again halfway.
pub(crate) fn reset(by: f64, steps: u32) -> String {
    then(&[growing(0.0, by, steps / 2), growing(0.0, by, steps / 2)])
}

/// Scrapes that fail. Prometheus ends the series with the first one, and does not look back as it would at a gap.
pub(crate) fn failed(scrapes: u32) -> String {
    match scrapes {
        1 => "stale".to_owned(),
        more => format!("stale _x{}", more - 1),
    }
}

/// Steps before the series is there.
pub(crate) fn not_yet(steps: u32) -> String {
    format!("_x{steps}")
}

/// One after the other.
pub(crate) fn then(parts: &[String]) -> String {
    parts.join(" ")
}

/// What a counter of the cases counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What was as it should be.
    Within,
    /// What was not.
    Missed,
    /// Both.
    All,
}

impl Part {
    /// How much of both is counted.
    pub(crate) fn of(self, within: f64, missed: f64) -> f64 {
        match self {
            Part::Within => within,
            Part::Missed => missed,
            Part::All => within + missed,
        }
    }

    /// The same where so many come with each step, of which a share misses.
    pub(crate) fn per_step(self, share: f64) -> f64 {
        const ALL: f64 = 60.0;
        (self.of((1.0 - share) * ALL, share * ALL) * 1e6).round() / 1e6
    }
}

/// A histogram of which what misses lies above both of two bounds that follow each other.
pub(crate) fn histogram(
    series: &Selector,
    bounds: [f64; 2],
    values: impl Fn(Part) -> String,
) -> Vec<(Selector, String)> {
    let bucket = |bound, part| (series.buckets().is("le", le(bound)), values(part));
    vec![
        bucket(bounds[0], Part::Within),
        bucket(bounds[1], Part::Within),
        bucket(f64::INFINITY, Part::All),
        (series.count(), values(Part::All)),
    ]
}

/// The server of the cases.
pub(crate) const SERVER: &str = "10.0.0.1:9464";
pub(crate) const HOST: &str = "10.0.0.1";

/// The labels that its targets have.
pub(crate) const TARGET: [(&str, &str); 3] = [("job", JOB), ("instance", SERVER), ("host", HOST)];

/// Seconds from one value to the next.
const STEP: u64 = 15;

impl Context {
    /// When so many values have come.
    pub(crate) fn steps(&self, n: u64) -> Time {
        self.clock.seconds(STEP * n)
    }

    /// The model of the cases.
    pub(crate) fn example_model(&self) -> &str {
        self.model.as_deref().unwrap_or("llama")
    }

    /// A series of the server that the cases are about.
    pub(crate) fn example(&self, series: Selector) -> Selector {
        series.is("instance", SERVER).is("host", HOST)
    }

    /// A series of its model.
    pub(crate) fn example_of_model(&self, series: Selector) -> Selector {
        self.example(series).is(MODEL, self.example_model())
    }
}
