//! A difference, and how sure it is.

use super::location::{mean, quantile};
use serde::Serialize;

/// How often the clusters are drawn anew.
const RESAMPLES: usize = 2_000;

/// With fewer clusters than this, nobody knows how much they scatter.
const FEWEST: usize = 5;

/// Quantiles of the normal distribution: of the one-sided 95 % bound, of the two-sided 99 % interval, and of the 90 % chance
/// that a run shows what is so.
const SURE: f64 = 1.645;
const SURER: f64 = 2.576;
const LIKELY: f64 = 1.282;

/// A relative difference: 0.01 is one per cent slower.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Estimate {
    /// The best guess.
    pub(crate) difference: f64,
    /// What the difference is below, with 95 %.
    pub(crate) upper: f64,
    /// What the difference is above, with 95 %.
    pub(crate) lower: f64,
    /// An interval that holds it with 99 %.
    pub(crate) interval: (f64, f64),
    /// The standard error.
    pub(crate) error: f64,
    /// How many clusters it comes from.
    pub(crate) clusters: usize,
}

impl Estimate {
    /// From one logarithm of a ratio for each cluster, of which there are at least [`FEWEST`].
    ///
    /// Each bound is the wider of two. The studentised bootstrap draws the clusters anew, and sees how far the mean of
    /// what is drawn is from the true one, in units of its own standard error; it is right for skewed clusters. Student's
    /// bound is right for few clusters, which the bootstrap takes for all that there could be.
    pub(crate) fn of(log_ratios: &[f64]) -> Option<Self> {
        if log_ratios.len() < FEWEST {
            return None;
        }
        let (difference, error) = mean_and_error(log_ratios);
        let mut distances = distances(log_ratios, difference);
        let freedom = (log_ratios.len() - 1) as f64;
        let mut bounds = |share, normal| {
            let students = student(normal, freedom);
            let offset = |errors: f64| if error == 0.0 { 0.0 } else { errors.max(students) * error };
            let lower = difference - offset(quantile(&mut distances, share));
            let upper = difference + offset(-quantile(&mut distances, 1.0 - share));
            (lower.exp_m1(), upper.exp_m1())
        };
        let (lower, upper) = bounds(0.95, SURE);
        let interval = bounds(0.995, SURER);
        let difference = difference.exp_m1();
        Some(Estimate { difference, upper, lower, interval, error, clusters: log_ratios.len() })
    }

    /// Whether there may be no difference at all.
    pub(crate) fn may_be_none(&self) -> bool {
        self.interval.0 <= 0.0 && self.interval.1 >= 0.0
    }
}

/// How many times as long a run has to be for the bound to come below what is this far from the true difference, in nine
/// of ten runs.
pub(crate) fn growth(error: f64, distance: f64) -> f64 {
    ((SURE + LIKELY) * error / distance).powi(2)
}

/// How far the means of resamples are above the mean of all, in their own standard errors.
fn distances(values: &[f64], mean: f64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(0xB007);
    let mut resample = vec![0.0; values.len()];
    let mut draw = || {
        resample.fill_with(|| values[random.usize(..values.len())]);
        let (resampled, its_error) = mean_and_error(&resample);
        let distance = resampled - mean;
        // A resample of one cluster over and over has no error, and is infinitely far away unless it is the mean.
        if distance == 0.0 { 0.0 } else { distance / its_error }
    };
    (0..RESAMPLES).map(|_| draw()).collect()
}

/// A quantile of Student's distribution, from that of the normal one, by the first terms of its expansion (Abramowitz and
/// Stegun, 26.7.5): within 2 % from 4 degrees of freedom on.
fn student(normal: f64, freedom: f64) -> f64 {
    let z = normal;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let freedom = values.len().saturating_sub(1).max(1) as f64;
    (mean, (squares / freedom / values.len() as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_found_and_bounded() {
        let mut random = fastrand::Rng::with_seed(7);
        let values: Vec<f64> = (0..40).map(|_| 0.02_f64.ln_1p() + 0.04 * (random.f64() - 0.5)).collect();
        let found = Estimate::of(&values).expect("enough clusters");
        assert!((found.difference - 0.02).abs() < 0.006, "{found:?}");
        assert!(found.interval.0 < found.lower && found.lower < found.difference, "{found:?}");
        assert!(found.difference < found.upper && found.upper < found.interval.1, "{found:?}");
        assert!(!found.may_be_none());
    }

    #[test]
    fn values_that_agree_have_no_doubt() {
        let found = Estimate::of(&[0.0; 5]).expect("enough clusters");
        assert_eq!((found.lower, found.difference, found.upper), (0.0, 0.0, 0.0));
        assert!(found.may_be_none());
    }

    #[test]
    fn students_quantiles_are_those_of_the_tables() {
        for (normal, freedom, table) in
            [(SURE, 4.0, 2.132), (SURE, 7.0, 1.895), (SURE, 30.0, 1.697), (SURER, 4.0, 4.604), (SURER, 20.0, 2.845)]
        {
            let found = student(normal, freedom);
            assert!((found / table - 1.0).abs() < 0.02, "{freedom} degrees of freedom: {found}, not {table}");
        }
    }

    #[test]
    fn a_few_clusters_are_no_estimate() {
        assert!(Estimate::of(&[0.01; FEWEST - 1]).is_none());
    }

    /// The figures that planners of such comparisons use: with a scatter of 1 % a pair, and 0.2 % true of 1 % allowed,
    /// 14 pairs do.
    #[test]
    fn the_length_of_a_run_is_that_of_the_textbook() {
        let one_pair = 0.01;
        let pairs = growth(one_pair, 0.01 - 0.002);
        assert_eq!(pairs.ceil(), 14.0);
        assert_eq!(growth(0.05, 0.01 - 0.005).ceil(), 857.0);
    }
}
