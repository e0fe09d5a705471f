//! All values of a registry at one moment, owned.

use super::histogram::HistogramSnapshot;
use super::read::{FamilyView, Sample, SeriesView, Visitor};
use crate::registry::{Kind, Registry};
use crate::unit::Unit;

/// All values of a registry at one moment. See [`Registry::snapshot`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The families in the order of their registration.
    pub families: Vec<FamilySnapshot>,
}

/// A family in a [`Snapshot`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FamilySnapshot {
    /// The name as exposed, with the registry's prefix.
    pub name: String,
    /// The help text; empty when there is none.
    pub help: String,
    /// The unit, from the description or from the name.
    pub unit: Option<Unit>,
    /// What the series are.
    pub kind: Kind,
    /// The series in the order of their creation.
    pub series: Vec<SeriesSnapshot>,
}

/// A series in a [`Snapshot`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SeriesSnapshot {
    /// The labels, constant ones first.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: Value,
}

/// The value of a series in a [`Snapshot`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A counter.
    Counter(u64),
    /// A counter whose value is computed.
    FloatCounter(f64),
    /// A gauge or an up-down counter.
    Gauge(f64),
    /// A histogram.
    Histogram(HistogramSnapshot),
}

impl Registry {
    /// All values of this moment, or nearly: the snapshot is not a cut through all threads, but no record that
    /// happened before it is missing, each histogram is whole, and nothing ever falls from one snapshot to the next.
    pub fn snapshot(&self) -> Snapshot {
        #[derive(Default)]
        struct Collect {
            families: Vec<FamilySnapshot>,
            bounds: Vec<f64>,
        }

        impl Visitor for Collect {
            fn family(&mut self, family: &FamilyView<'_>) -> bool {
                self.families.push(FamilySnapshot {
                    name: format!("{}{}", family.prefix(), family.name()),
                    help: family.help().to_owned(),
                    unit: family.unit(),
                    kind: family.kind(),
                    series: Vec::new(),
                });
                self.bounds = family.classic_bounds().to_vec();
                true
            }

            fn series(&mut self, series: &SeriesView<'_>, sample: Sample<'_>) {
                let value = match sample {
                    Sample::Counter(value) => Value::Counter(value),
                    Sample::FloatCounter(value) => Value::FloatCounter(value),
                    Sample::UpDownCounter(value) => Value::Gauge(value as f64),
                    Sample::Gauge(value) => Value::Gauge(value),
                    Sample::Histogram(view) => Value::Histogram(HistogramSnapshot::of(&view, &self.bounds)),
                };
                let labels = series.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                if let Some(family) = self.families.last_mut() {
                    family.series.push(SeriesSnapshot { labels, value });
                }
            }
        }

        let mut collect = Collect::default();
        self.visit(&mut collect);
        Snapshot { families: collect.families }
    }
}

impl Snapshot {
    /// The sum of the counters of a family that have all these labels; `None` when there is none. With no labels: of
    /// all its series.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        let counts = self.matching(name, labels).filter_map(|value| match value {
            Value::Counter(count) => Some(*count),
            Value::FloatCounter(count) => Some(*count as u64),
            _ => None,
        });
        counts.fold(None, |sum, count| Some(sum.unwrap_or(0).wrapping_add(count)))
    }

    /// The sum of the gauges and up-down counters of a family that have all these labels; `None` when there is none.
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let values = self.matching(name, labels).filter_map(|value| match value {
            Value::Gauge(value) => Some(*value),
            _ => None,
        });
        values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
    }

    /// The histograms of a family that have all these labels, added up; `None` when there is none.
    pub fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> Option<HistogramSnapshot> {
        let mut sum: Option<HistogramSnapshot> = None;
        for value in self.matching(name, labels) {
            if let Value::Histogram(histogram) = value {
                match &mut sum {
                    Some(sum) => sum.add(histogram),
                    None => sum = Some(histogram.clone()),
                }
            }
        }
        sum
    }

    /// What happened between `earlier` and this: the growth of counters and histograms, and the gauges as they are now.
    /// A counter that fell was restarted, and counts from zero.
    #[must_use]
    pub fn delta(&self, earlier: &Snapshot) -> Snapshot {
        let mut delta = self.clone();
        for family in &mut delta.families {
            let Some(before) = earlier.families.iter().find(|other| other.name == family.name) else { continue };
            for series in &mut family.series {
                let Some(before) = before.series.iter().find(|other| other.labels == series.labels) else { continue };
                match (&mut series.value, &before.value) {
                    (Value::Counter(now), Value::Counter(then)) => *now = now.checked_sub(*then).unwrap_or(*now),
                    (Value::FloatCounter(now), Value::FloatCounter(then)) if *now >= *then => *now -= then,
                    (Value::Histogram(now), Value::Histogram(then)) => *now = now.delta(then),
                    _ => {}
                }
            }
        }
        delta
    }

    fn matching<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Value> {
        let families = self.families.iter().filter(move |family| family.name == name);
        let series = families.flat_map(|family| &family.series);
        let matching = series.filter(move |series| {
            labels.iter().all(|&(name, value)| series.labels.iter().any(|(n, v)| n == name && v == value))
        });
        matching.map(|series| &series.value)
    }
}
