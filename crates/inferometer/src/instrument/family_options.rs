//! What a family that a registry makes is to have besides its name.

use crate::grid::Buckets;
use crate::sampling::Sampling;

/// What [`Registry::register_family_with`](crate::Registry::register_family_with) is told besides a name, as
/// [`macro@metric`](crate::metric) is for a declared family.
///
/// ```
/// use inferometer::{Buckets, FamilyOptions, Histogram, LabelSet, Registry};
///
/// #[derive(LabelSet)]
/// struct Model<'a> { model_name: &'a str }
///
/// let registry = Registry::new();
/// let options = FamilyOptions::new().buckets(Buckets::classic(&[0.01, 0.1, 1.0])).max_series(10);
/// let steps = registry.register_family_with::<Model, Histogram>("step_seconds", "Time of a step.", &options)?;
/// steps.get(&Model { model_name: "llama" }).record_nanos(5_000_000);
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct FamilyOptions {
    pub(super) buckets: Option<Buckets>,
    pub(super) max_series: Option<usize>,
    pub(super) sampling: Option<Sampling>,
}

impl FamilyOptions {
    /// Those of [`Registry::register_family`](crate::Registry::register_family).
    pub fn new() -> Self {
        FamilyOptions::default()
    }

    /// The buckets of a histogram. A family that exists has to have the same.
    pub fn buckets(mut self, buckets: Buckets) -> Self {
        self.buckets = Some(buckets);
        self
    }

    /// How many series there may be before further ones go to the one called `other`. A family that exists keeps its own
    /// limit.
    pub fn max_series(mut self, max_series: usize) -> Self {
        self.max_series = Some(max_series);
        self
    }

    /// Sections are timed with this histogram, these of them: its counts of events and samples are there from the
    /// start. A family that exists keeps its own sampling.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = Some(sampling);
        self
    }
}
