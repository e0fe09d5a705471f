//! What a user asks of a histogram's buckets.

use super::native;
use std::borrow::Cow;
use std::fmt;

/// The buckets of a histogram: the classic `le` bounds, and the resolution and range of the native ones.
///
/// Both are exact, because the histogram counts in the union of the two sets.
///
/// ```
/// use inferometer::Buckets;
/// let buckets = Buckets::classic(&[0.001, 0.01, 0.1, 1.0]).native(4).range(1e-6, 100.0);
/// assert!(buckets.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    pub(crate) classic: Option<Cow<'static, [f64]>>,
    pub(crate) schema: Option<i8>,
    pub(crate) range: Option<(f64, f64)>,
}

impl Buckets {
    /// The default bounds of the histogram's kind, classic and native at schema 3 (within 4.4 % of the value).
    pub const DEFAULT: Buckets = Buckets { classic: None, schema: Some(3), range: None };

    /// These classic bounds, in the unit of the exposition (seconds for durations), ascending and finite, and native
    /// bounds at schema 3. `+Inf` is implied.
    pub const fn classic(bounds: &'static [f64]) -> Self {
        Buckets { classic: Some(Cow::Borrowed(bounds)), ..Buckets::DEFAULT }
    }

    /// The same with bounds that are known at run time only.
    pub fn classic_from(bounds: impl Into<Vec<f64>>) -> Self {
        Buckets { classic: Some(Cow::Owned(bounds.into())), ..Buckets::DEFAULT }
    }

    /// Native buckets at this schema, -4 to 8: `2^schema` for each doubling of the value.
    #[must_use]
    pub const fn native(mut self, schema: i8) -> Self {
        self.schema = Some(schema);
        self
    }

    /// No native buckets: fewer cells, where only the classic ones are wanted.
    #[must_use]
    pub const fn without_native(mut self) -> Self {
        self.schema = None;
        self
    }

    /// No classic bounds but `+Inf`.
    #[must_use]
    pub fn without_classic(self) -> Self {
        Buckets { classic: Some(Cow::Borrowed(&[])), ..self }
    }

    /// The range that the native buckets cover, in the unit of the exposition. What lies below goes to the zero
    /// bucket, what lies above to one bucket at the top. The default is 1 us to 2^13 s for durations, 1 to 2^40 for
    /// integers and 2^-20 to 2^20 for floats.
    #[must_use]
    pub const fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// Whether the bounds make a histogram.
    ///
    /// # Errors
    /// When bounds are not finite, negative, or not ascending, when the schema or the range is out of bounds, or when
    /// there would be more than 16,384 buckets.
    pub fn check(&self) -> Result<(), BucketsError> {
        let bounds = self.classic.as_deref().unwrap_or_default();
        check_bounds(bounds)?;
        if self.schema.is_some_and(|schema| !native::SCHEMAS.contains(&schema)) {
            return Err(BucketsError::Schema);
        }
        if let Some((low, high)) = self.range {
            if !(low > 0.0 && low < high && high.is_finite()) {
                return Err(BucketsError::Range);
            }
            let doublings = high.log2() - low.log2(); // the quotient need not be finite
            let per_doubling = f64::from(self.schema.unwrap_or(0)).exp2();
            if doublings * per_doubling > MOST_BUCKETS as f64 {
                return Err(BucketsError::TooMany);
            }
        }
        if bounds.len() > MOST_BUCKETS { Err(BucketsError::TooMany) } else { Ok(()) }
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Buckets::DEFAULT
    }
}

const MOST_BUCKETS: usize = 16_384;

/// Finite, not negative, strictly ascending. A `const fn`, so that `#[metric]` can check its literals.
pub(crate) const fn check_bounds(bounds: &[f64]) -> Result<(), BucketsError> {
    let mut i = 0;
    while i < bounds.len() {
        if !(bounds[i] >= 0.0 && bounds[i] < f64::INFINITY) {
            return Err(BucketsError::NotFinite);
        }
        if i > 0 && bounds[i - 1] >= bounds[i] {
            return Err(BucketsError::NotAscending);
        }
        i += 1;
    }
    Ok(())
}

/// Why [`Buckets`] cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BucketsError {
    /// A classic bound is negative, NaN or infinite; `+Inf` is implied and must not be listed.
    NotFinite,
    /// A classic bound is not above the one before it.
    NotAscending,
    /// The native schema is not in -4..=8.
    Schema,
    /// The range is empty, not positive or not finite.
    Range,
    /// There would be more than 16,384 buckets.
    TooMany,
}

impl BucketsError {
    pub(crate) const fn message(self) -> &'static str {
        match self {
            BucketsError::NotFinite => "bucket bounds must be finite and not negative (+Inf is implied)",
            BucketsError::NotAscending => "bucket bounds must be strictly ascending",
            BucketsError::Schema => "the native schema must be in -4..=8",
            BucketsError::Range => "the native range must be positive, finite and not empty",
            BucketsError::TooMany => "more than 16,384 buckets",
        }
    }
}

impl fmt::Display for BucketsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for BucketsError {}
