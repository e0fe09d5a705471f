//! Exemplars, as they are read.

use crate::grid::Grid;
use crate::registry::Kept;
use std::fmt;
use std::time::SystemTime;

/// An exemplar of a histogram, as a scrape sees it. See [`HistogramView::exemplars`](crate::HistogramView::exemplars).
#[derive(Clone, Copy)]
pub struct ExemplarView<'a> {
    kept: &'a Kept,
    grid: &'a Grid,
}

impl<'a> ExemplarView<'a> {
    pub(super) fn new(kept: &'a Kept, grid: &'a Grid) -> Self {
        ExemplarView { kept, grid }
    }

    /// The observation, in the unit of the exposition: seconds for durations.
    pub fn value(&self) -> f64 {
        self.grid.value(self.kept.key)
    }

    /// The labels, in the order in which they were given.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.kept.labels()
    }

    /// When it was recorded, by the wall clock.
    pub fn time(&self) -> SystemTime {
        self.kept.time()
    }

    /// The classic bucket that it is in: the place in
    /// [`HistogramView::classic_counts`](crate::HistogramView::classic_counts).
    pub fn classic_bucket(&self) -> usize {
        self.grid.classic_bucket(self.kept.bucket)
    }
}

impl fmt::Debug for ExemplarView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExemplarView")
            .field("value", &self.value())
            .field("labels", &self.labels().collect::<Vec<_>>())
            .field("time", &self.time())
            .finish()
    }
}

/// An exemplar of a histogram, owned. See [`HistogramSnapshot::exemplars`](crate::HistogramSnapshot::exemplars).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Exemplar {
    /// The observation, in the unit of the exposition: seconds for durations.
    pub value: f64,
    /// The labels, in the order in which they were given.
    pub labels: Vec<(String, String)>,
    /// When it was recorded, by the wall clock.
    pub time: SystemTime,
}

impl From<ExemplarView<'_>> for Exemplar {
    fn from(view: ExemplarView<'_>) -> Self {
        let labels = view.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Exemplar { value: view.value(), labels, time: view.time() }
    }
}
