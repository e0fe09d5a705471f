//! For the tests of programs that use this crate: what was recorded, and whether the names are good.
//!
//! Tests that run in one process share the global registry. Give the code under test a [`Registry`] of its own where
//! that can be done; else compare two snapshots, as [`Recorded`] does.

use crate::clock::{self, mock};
use crate::registry::{Kind, Registry};
use crate::snapshot::{FamilySnapshot, Snapshot, Value};
use crate::sync::{Mutex, MutexGuard, lock};
use crate::unit::Unit;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is recorded from a moment on.
///
/// ```
/// use inferometer::{Registry, testing::Recorded};
/// let registry = Registry::new();
/// let requests = registry.counter("requests_total", &[("status", "ok")])?;
/// requests.increment(5);
///
/// let recorded = Recorded::since_now(&registry);
/// requests.increment(2);
/// recorded.assert_counter("requests_total", &[("status", "ok")], 2);
/// recorded.assert_unchanged("requests_total", &[("status", "error")]);
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Debug)]
pub struct Recorded {
    registry: Registry,
    before: Snapshot,
}

impl Recorded {
    /// Begins to watch `registry`.
    pub fn since_now(registry: &Registry) -> Self {
        Recorded { registry: registry.clone(), before: registry.snapshot() }
    }

    /// What was recorded since.
    pub fn delta(&self) -> Snapshot {
        self.registry.snapshot().delta(&self.before)
    }

    /// Fails unless the counters with these labels grew by `want` in all.
    #[track_caller]
    pub fn assert_counter(&self, name: &str, labels: &[(&str, &str)], want: u64) {
        let delta = self.delta();
        match delta.counter(name, labels) {
            Some(grown) if grown == want => {}
            grown => panic!(
                "counter {name} {labels:?} grew by {}, not by {want}; there is:\n{}",
                grown.map_or("nothing (no such series)".to_owned(), |grown| grown.to_string()),
                Listing(&delta, name)
            ),
        }
    }

    /// Fails unless the histograms with these labels took `want` observations in all.
    #[track_caller]
    pub fn assert_observations(&self, name: &str, labels: &[(&str, &str)], want: u64) {
        let delta = self.delta();
        match delta.histogram(name, labels).map(|histogram| histogram.count()) {
            Some(count) if count == want => {}
            count => panic!(
                "histogram {name} {labels:?} took {} observations, not {want}; there is:\n{}",
                count.map_or("no (no such series)".to_owned(), |count| count.to_string()),
                Listing(&delta, name)
            ),
        }
    }

    /// Fails unless the gauges with these labels are `want` in all.
    #[track_caller]
    pub fn assert_gauge(&self, name: &str, labels: &[(&str, &str)], want: f64) {
        let now = self.registry.snapshot();
        match now.gauge(name, labels) {
            Some(value) if value == want => {}
            value => panic!(
                "gauge {name} {labels:?} is {}, not {want}; there is:\n{}",
                value.map_or("absent".to_owned(), |value| value.to_string()),
                Listing(&now, name)
            ),
        }
    }

    /// Fails when a counter or a histogram with these labels took anything. Series that do not exist took nothing.
    #[track_caller]
    pub fn assert_unchanged(&self, name: &str, labels: &[(&str, &str)]) {
        let delta = self.delta();
        let counted = delta.counter(name, labels).unwrap_or(0);
        let observed = delta.histogram(name, labels).map_or(0, |histogram| histogram.count());
        assert!(counted == 0 && observed == 0, "{name} {labels:?} was recorded to:\n{}", Listing(&delta, name));
    }
}

/// The series of a family, for a message.
struct Listing<'a>(&'a Snapshot, &'a str);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(family) = self.0.families.iter().find(|family| family.name == self.1) else {
            let names: Vec<&str> = self.0.families.iter().map(|family| family.name.as_str()).collect();
            return write!(f, "  no family {}; there are {names:?}", self.1);
        };
        for series in &family.series {
            let value = match &series.value {
                Value::Counter(count) => count.to_string(),
                Value::FloatCounter(value) | Value::Gauge(value) => value.to_string(),
                Value::Histogram(histogram) => format!("{} observations", histogram.count()),
            };
            writeln!(f, "  {:?} {value}", series.labels)?;
        }
        Ok(())
    }
}

/// A clock for timed sections that stands still until it is moved. There is one in the process at a time: a second one
/// waits for the first to be dropped. The time of all threads' sections comes from it, and the wall clock's time for
/// start times and exemplars.
///
/// ```
/// use inferometer::{Histogram, Registry, Sampling, testing::MockClock};
/// use std::time::{Duration, SystemTime, UNIX_EPOCH};
/// let registry = Registry::new();
/// let step: Histogram = registry.histogram("step_seconds", &[])?;
/// step.set_sampling(Sampling::Always);
/// let clock = MockClock::install();
/// let timer = step.start();
/// clock.advance(Duration::from_millis(3));
/// assert_eq!(timer.stop(), Some(Duration::from_millis(3)));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Debug)]
pub struct MockClock {
    before: (u8, u64),
    _only: MutexGuard<'static, ()>,
}

impl MockClock {
    /// Puts the clock in the place of the real one, until it is dropped.
    pub fn install() -> Self {
        static ONLY: Mutex<()> = Mutex::new(());
        let only = lock(&ONLY);
        MockClock { before: mock::begin(), _only: only }
    }

    /// Moves it forward, and the wall clock with it.
    pub fn advance(&self, time: Duration) {
        mock::set(mock::get().wrapping_add(time.as_nanos() as u64));
        mock::set_wall(clock::since_1970().saturating_add(time));
    }

    /// Moves it back, as no clock of timed sections should.
    pub fn set_back(&self, time: Duration) {
        mock::set(mock::get().wrapping_sub(time.as_nanos() as u64));
    }

    /// Lets the wall clock jump, as it does when somebody sets it. What is before 1970 is taken for 1970.
    pub fn set_wall(&self, time: SystemTime) {
        mock::set_wall(time.duration_since(UNIX_EPOCH).unwrap_or_default());
    }
}

impl Drop for MockClock {
    fn drop(&mut self) {
        mock::end(self.before);
    }
}

/// Something about a family that Prometheus' own linter, or a reader, would object to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LintFinding {
    /// The family's name.
    pub family: String,
    /// What is wrong with it.
    pub finding: String,
}

impl fmt::Display for LintFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.family, self.finding)
    }
}

/// Checks the names of a registry against the rules of `promtool check metrics`, and says which are broken. (The rules
/// that registration enforces cannot be.)
///
/// ```
/// use inferometer::{Registry, testing};
/// let registry = Registry::new();
/// registry.counter("requests", &[])?;
/// let findings = testing::lint(&registry);
/// assert_eq!(findings[0].to_string(), "requests: no help text");
/// assert_eq!(findings[1].to_string(), "requests: a counter's name ends in _total");
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
pub fn lint(registry: &Registry) -> Vec<LintFinding> {
    let mut findings = Vec::new();
    for family in registry.snapshot().families {
        lint_family(&family, &mut |finding| {
            findings.push(LintFinding { family: family.name.clone(), finding });
        });
    }
    findings
}

// The source of the rules is `prometheus/testutil/promlint/validations` of client_golang.
fn lint_family(family: &FamilySnapshot, report: &mut dyn FnMut(String)) {
    /// Units that are not base units, with the base unit.
    const SCALED: [(&str, Unit); 14] = [
        ("milliseconds", Unit::Seconds),
        ("microseconds", Unit::Seconds),
        ("nanoseconds", Unit::Seconds),
        ("minutes", Unit::Seconds),
        ("hours", Unit::Seconds),
        ("days", Unit::Seconds),
        ("weeks", Unit::Seconds),
        ("kilobytes", Unit::Bytes),
        ("megabytes", Unit::Bytes),
        ("gigabytes", Unit::Bytes),
        ("kibibytes", Unit::Bytes),
        ("mebibytes", Unit::Bytes),
        ("gibibytes", Unit::Bytes),
        ("bits", Unit::Bytes),
    ];
    const ABBREVIATED: [&str; 14] = ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"];
    const TYPES: [&str; 4] = ["gauge", "counter", "histogram", "summary"];

    if family.help.is_empty() {
        report("no help text".to_owned());
    }
    match (family.kind, family.name.ends_with("_total")) {
        (Kind::Counter, false) => report("a counter's name ends in _total".to_owned()),
        (Kind::Counter, true) | (_, false) => {}
        (_, true) => report("only a counter's name ends in _total".to_owned()),
    }
    for word in family.name.split('_') {
        if let Some((_, base)) = SCALED.iter().find(|(scaled, _)| *scaled == word) {
            report(format!("use the base unit {base} instead of {word}"));
        }
        if ABBREVIATED.contains(&word) {
            report(format!("the unit {word} is abbreviated"));
        }
        if TYPES.contains(&word) {
            report(format!("the name contains the type {word}"));
        }
    }
    if let Some(series) = family.series.first() {
        for (label, _) in &series.labels {
            if label.contains(|letter: char| letter.is_ascii_uppercase()) {
                report(format!("the label {label} is not in snake_case"));
            }
        }
    }
}
