//! A histogram at one moment, owned.

use super::exemplar::Exemplar;
use super::read::{HistogramSum, HistogramView};

/// What a histogram held at the moment of a snapshot, or between two.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSnapshot {
    /// The buckets that are not empty: lower limit (exclusive), upper limit (inclusive), count.
    pub(super) buckets: Vec<(f64, f64, u64)>,
    bounds: Vec<f64>,
    classic: Vec<u64>,
    exemplars: Vec<Exemplar>,
    sum: HistogramSum,
    /// How many samples the counts were scaled up from; `None` when every observation was recorded.
    pub(super) samples: Option<u64>,
}

impl HistogramSnapshot {
    pub(super) fn of(view: &HistogramView<'_>, bounds: &[f64]) -> Self {
        let filled = view.cells.iter().enumerate().filter(|&(_, &count)| count > 0);
        HistogramSnapshot {
            buckets: filled
                .map(|(bucket, &count)| {
                    let (low, high) = view.grid.limits(bucket);
                    (low, high, count)
                })
                .collect(),
            bounds: bounds.to_vec(),
            classic: view.classic_counts().to_vec(),
            exemplars: view.exemplars().map(Exemplar::from).collect(),
            sum: view.sum,
            samples: view
                .timed
                .filter(|timed| timed.events > 0 && timed.samples < view.count)
                .map(|timed| timed.samples),
        }
    }

    /// How many observations there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|&(_, _, count)| count).sum()
    }

    /// How many observations were looked at, when these are a sample whose counts were scaled up; `None` when every
    /// observation was recorded.
    ///
    /// ```
    /// use inferometer::{Histogram, Registry};
    ///
    /// let registry = Registry::new();
    /// let tokens: Histogram<u64> = registry.histogram("prompt_tokens", &[])?;
    /// tokens.record(512);
    /// let seen = registry.snapshot().histogram("prompt_tokens", &[]).unwrap();
    /// assert_eq!((seen.count(), seen.samples()), (1, None));
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    pub fn samples(&self) -> Option<u64> {
        self.samples
    }

    /// Their sum, in the unit of the exposition: seconds for durations.
    pub fn sum(&self) -> f64 {
        self.sum.as_f64()
    }

    /// Their mean; `None` when there are none.
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum() / count as f64)
    }

    /// The classic buckets: upper bound and cumulative count; the last bound is infinite.
    pub fn classic(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut below = 0;
        self.bounds.iter().copied().chain([f64::INFINITY]).zip(&self.classic).map(move |(bound, count)| {
            below += count;
            (bound, below)
        })
    }

    /// The value that a share `q` of the observations do not exceed, for `q` from 0 to 1; `None` when there are no
    /// observations. Inside a bucket the value is interpolated on a logarithmic scale, as Prometheus does for native
    /// histograms, so at schema 3 the error is at most 9 %, half of that on average. Above the highest bound the answer
    /// is that bound. [`HistogramSnapshot::quantile_bounds`] says how sure it is.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let (low, high, share) = self.place(q)?;
        Some(if high.is_infinite() {
            low
        } else if low <= 0.0 {
            high * share
        } else {
            // The power may round to a little more than the bucket holds.
            (low * (high / low).powf(share)).min(high)
        })
    }

    /// The limits of the bucket that holds the quantile, and the share of the bucket that is below it.
    pub(super) fn place(&self, q: f64) -> Option<(f64, f64, f64)> {
        let count = self.count();
        if count == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let rank = q * count as f64;
        let mut below = 0.0;
        for &(low, high, in_bucket) in &self.buckets {
            let in_bucket = in_bucket as f64;
            if below + in_bucket >= rank {
                return Some((low, high, ((rank - below) / in_bucket).clamp(0.0, 1.0)));
            }
            below += in_bucket;
        }
        self.buckets.last().map(|&(low, high, _)| (low, high, 1.0))
    }

    /// The exemplars, by ascending value: of one series, one at most for each classic bucket. In the difference of two
    /// snapshots there are those that are new, and in a sum of several series there are those of all.
    ///
    /// ```
    /// use inferometer::{Histogram, Registry};
    /// let registry = Registry::new();
    /// let tokens: Histogram<u64> = registry.histogram("prompt_tokens", &[])?;
    /// tokens.record_with_exemplar(3_000, &[("trace_id", "b2")]);
    /// let seen = registry.snapshot().histogram("prompt_tokens", &[]).unwrap();
    /// let exemplar = &seen.exemplars()[0];
    /// assert_eq!(exemplar.value, 3_000.0);
    /// assert_eq!(exemplar.labels, [("trace_id".to_owned(), "b2".to_owned())]);
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    pub fn exemplars(&self) -> &[Exemplar] {
        &self.exemplars
    }

    /// What came between `earlier` and this; buckets that fell count from zero, as after a restart.
    pub(super) fn delta(&self, earlier: &HistogramSnapshot) -> HistogramSnapshot {
        let before = |low: f64, high: f64| {
            let same = |bucket: &&(f64, f64, u64)| bucket.0 == low && bucket.1 == high;
            earlier.buckets.iter().find(same).map_or(0, |&(_, _, count)| count)
        };
        if self.count() < earlier.count() {
            return self.clone();
        }
        let since = |now: u64, then: u64| now.saturating_sub(then);
        HistogramSnapshot {
            buckets: self
                .buckets
                .iter()
                .map(|&(low, high, count)| (low, high, since(count, before(low, high))))
                .filter(|&(_, _, count)| count > 0)
                .collect(),
            bounds: self.bounds.clone(),
            classic: self.classic.iter().zip(&earlier.classic).map(|(&now, &then)| since(now, then)).collect(),
            exemplars: self.exemplars.iter().filter(|own| !earlier.exemplars.contains(own)).cloned().collect(),
            sum: match (self.sum, earlier.sum) {
                (HistogramSum::Nanoseconds(now), HistogramSum::Nanoseconds(then)) => {
                    HistogramSum::Nanoseconds(now.saturating_sub(then))
                }
                (HistogramSum::Integer(now), HistogramSum::Integer(then)) => {
                    HistogramSum::Integer(now.saturating_sub(then))
                }
                (now, then) => HistogramSum::Float(now.as_f64() - then.as_f64()),
            },
            samples: self.sampled_with(earlier).then(|| since(self.samples_or_count(), earlier.samples_or_count())),
        }
    }

    /// Both together: series of one family have the same buckets.
    pub(super) fn add(&mut self, other: &HistogramSnapshot) {
        self.samples = self.sampled_with(other).then(|| self.samples_together(other));
        for &(low, high, count) in &other.buckets {
            match self.buckets.iter_mut().find(|bucket| bucket.0 == low && bucket.1 == high) {
                Some(bucket) => bucket.2 += count,
                None => self.buckets.push((low, high, count)),
            }
        }
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for (own, count) in self.classic.iter_mut().zip(&other.classic) {
            *own += count;
        }
        self.exemplars.extend_from_slice(&other.exemplars);
        self.exemplars.sort_by(|a, b| a.value.total_cmp(&b.value));
        self.sum = match (self.sum, other.sum) {
            (HistogramSum::Nanoseconds(a), HistogramSum::Nanoseconds(b)) => HistogramSum::Nanoseconds(a + b),
            (HistogramSum::Integer(a), HistogramSum::Integer(b)) => HistogramSum::Integer(a + b),
            (a, b) => HistogramSum::Float(a.as_f64() + b.as_f64()),
        };
    }

    fn sampled_with(&self, other: &HistogramSnapshot) -> bool {
        self.samples.is_some() || other.samples.is_some()
    }

    fn samples_or_count(&self) -> u64 {
        self.samples.unwrap_or(self.count())
    }

    /// As many samples as say as much as those of both do, where each stands for its own number of observations: the
    /// effective sample size of Kish, Survey Sampling (1965).
    fn samples_together(&self, other: &HistogramSnapshot) -> u64 {
        let part = |histogram: &HistogramSnapshot| match (histogram.count() as f64, histogram.samples_or_count()) {
            (count, samples) if count > 0.0 => (count, count * count / samples as f64),
            _ => (0.0, 0.0),
        };
        let ((a, a_squares), (b, b_squares)) = (part(self), part(other));
        // A float becomes the nearest integer there is: of what is not a number, zero.
        ((a + b) * (a + b) / (a_squares + b_squares)).round() as u64
    }
}
