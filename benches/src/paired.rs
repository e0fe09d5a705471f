//! Ratios of times that were measured in pairs, and how sure they are.

use crate::inputs::SplitMix64;

/// How often the pairs are drawn anew.
const RESAMPLES: usize = 4_000;

/// The share of pairs that is cut off at each end: a pair that another process fell into says nothing.
const TRIM: f64 = 0.1;

/// A relative difference: 0.01 is one per cent slower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The trimmed mean.
    pub estimate: f64,
    /// The 95 % upper bound, one-sided.
    pub upper: f64,
    /// An interval of 99 %, two-sided.
    pub interval: (f64, f64),
}

impl Difference {
    /// From the logarithms of the ratios of pairs, by the percentile bootstrap.
    pub fn of(log_ratios: &[f64]) -> Self {
        let mut random = SplitMix64(0xB007);
        let mut resample = vec![0.0; log_ratios.len()];
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                for drawn in &mut resample {
                    *drawn = log_ratios[(random.draw() % log_ratios.len() as u64) as usize];
                }
                trimmed_mean(&mut resample)
            })
            .collect();
        means.sort_by(f64::total_cmp);
        let at = |share: f64| means[(share * (RESAMPLES - 1) as f64).round() as usize].exp_m1();
        Difference {
            estimate: trimmed_mean(&mut log_ratios.to_vec()).exp_m1(),
            upper: at(0.95),
            interval: (at(0.005), at(0.995)),
        }
    }

    /// The same of a whole of which what was timed is this share; the rest is not affected.
    pub fn of_whole(self, share: f64) -> Self {
        let interval = (self.interval.0 * share, self.interval.1 * share);
        Difference { estimate: self.estimate * share, upper: self.upper * share, interval }
    }

    /// In per cent with so many decimals, and its interval.
    pub fn percent(&self, decimals: usize) -> String {
        let [value, low, high] =
            [self.estimate, self.interval.0, self.interval.1].map(|share| format!("{:.decimals$}", 100.0 * share));
        format!("{value} % ({low} to {high})")
    }

    /// Whether no difference at all is possible too.
    pub fn may_be_none(&self) -> bool {
        self.interval.0 <= 0.0 && self.interval.1 >= 0.0
    }
}

fn trimmed_mean(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let cut = (TRIM * values.len() as f64) as usize;
    let kept = &values[cut..values.len() - cut];
    kept.iter().sum::<f64>() / kept.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy(difference: f64) -> Vec<f64> {
        let mut random = SplitMix64(7);
        (0..200).map(|_| difference.ln_1p() + 0.04 * (random.unit() - 0.5)).collect()
    }

    #[test]
    fn a_difference_is_found_and_bounded() {
        let found = Difference::of(&noisy(0.02));
        assert!((found.estimate - 0.02).abs() < 0.003, "{found:?}");
        assert!(found.interval.0 < found.estimate && found.estimate < found.upper && found.upper < found.interval.1);
        assert!(!found.may_be_none());
    }

    #[test]
    fn no_difference_may_be_none() {
        assert!(Difference::of(&noisy(0.0)).may_be_none());
    }

    #[test]
    fn a_few_disturbed_pairs_do_not_count() {
        let mut ratios = noisy(0.0);
        ratios.iter_mut().step_by(20).for_each(|ratio| *ratio += 1.0);
        assert!(Difference::of(&ratios).upper < 0.01);
    }
}
