//! Where a collector puts its values.

use super::super::Kind;
use super::super::family::SliceLabels;
use super::CollectorFamily;
use crate::label::Packed;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

/// Takes the values of one poll of a [`Collector`](super::Collector).
///
/// Each method takes the name of a family that was declared, and the values of its labels in the order of the
/// declaration: any texts. Of two values for the same labels the first is kept, and the second counted as an error of the
/// collector, with the reason `duplicate`. NaN means that there is no value.
#[derive(Debug)]
pub struct CollectorSink<'a> {
    families: &'a [CollectorFamily],
    collected: Vec<Collected>,
    duplicates: u64,
}

/// What was collected of a family. Its order is that of the labels, so it is the same in each scrape.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) series: BTreeMap<Packed, Reading>,
    /// How many were past the family's limit.
    pub(crate) refused: u64,
}

/// A value that was collected.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reading {
    Counter(u64),
    FloatCounter(f64),
    Gauge(f64),
}

impl<'a> CollectorSink<'a> {
    pub(super) fn new(families: &'a [CollectorFamily]) -> Self {
        let collected = families.iter().map(|_| Collected::default()).collect();
        CollectorSink { families, collected, duplicates: 0 }
    }

    /// What was collected of each family, and how many values were there a second time.
    pub(super) fn into_collected(self) -> (Vec<Collected>, u64) {
        (self.collected, self.duplicates)
    }

    /// A gauge's value.
    ///
    /// # Errors
    /// When no such family was declared, or it has other labels. The value is not taken.
    pub fn gauge(&mut self, family: &str, labels: &[&str], value: f64) -> Result<(), CollectorError> {
        self.take(family, labels, Reading::Gauge(value))
    }

    /// A counter's value.
    ///
    /// # Errors
    /// As for [`CollectorSink::gauge`].
    pub fn counter(&mut self, family: &str, labels: &[&str], value: u64) -> Result<(), CollectorError> {
        self.take(family, labels, Reading::Counter(value))
    }

    /// The value of a counter that has fractions: seconds, say.
    ///
    /// # Errors
    /// As for [`CollectorSink::gauge`].
    pub fn float_counter(&mut self, family: &str, labels: &[&str], value: f64) -> Result<(), CollectorError> {
        self.take(family, labels, Reading::FloatCounter(value))
    }

    fn take(&mut self, name: &str, labels: &[&str], reading: Reading) -> Result<(), CollectorError> {
        let mut declared = self.families.iter().zip(&mut self.collected);
        let Some((family, collected)) = declared.find(|(family, _)| family.name == name) else {
            return Err(CollectorError::Undeclared { name: name.to_owned() });
        };
        let (kind, is_nan) = match reading {
            Reading::Counter(_) => (Kind::Counter, false),
            Reading::FloatCounter(value) => (Kind::Counter, value.is_nan()),
            Reading::Gauge(value) => (Kind::Gauge, value.is_nan()),
        };
        if family.kind != kind {
            return Err(CollectorError::OtherKind { name: name.to_owned(), declared: family.kind });
        }
        if family.labels.len() != labels.len() {
            let (declared, given) = (family.labels.len(), labels.len());
            return Err(CollectorError::OtherLabels { name: name.to_owned(), declared, given });
        }
        if is_nan {
            return Ok(());
        }
        let full = collected.series.len() >= family.max_series;
        match collected.series.entry(Packed::new(&SliceLabels(labels))) {
            Entry::Occupied(_) => self.duplicates += 1,
            Entry::Vacant(_) if full => collected.refused += 1,
            Entry::Vacant(place) => {
                place.insert(reading);
            }
        }
        Ok(())
    }
}

/// Why a [`CollectorSink`] does not take a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CollectorError {
    /// The collector declared no such family.
    Undeclared {
        /// The name that was given.
        name: String,
    },
    /// The family was declared as something else.
    OtherKind {
        /// The family's name.
        name: String,
        /// What it was declared as.
        declared: Kind,
    },
    /// The family was declared with more labels, or with fewer.
    OtherLabels {
        /// The family's name.
        name: String,
        /// How many labels it was declared with.
        declared: usize,
        /// How many values were given.
        given: usize,
    },
}

impl fmt::Display for CollectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undeclared { name } => write!(f, "the collector declared no family {name:?}"),
            Self::OtherKind { name, declared } => write!(f, "the family {name:?} was declared as a {declared}"),
            Self::OtherLabels { name, declared, given } => {
                write!(f, "the family {name:?} was declared with {declared} labels, and got {given} values")
            }
        }
    }
}

impl std::error::Error for CollectorError {}
