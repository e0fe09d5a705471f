//! How sure a quantile of a histogram is.

use super::histogram::HistogramSnapshot;

/// The chance that the true quantile is beyond a bound, on either side: 95 % lie between the two.
const BEYOND: f64 = 0.025;

/// How many standard deviations of a normal distribution leave that chance.
const DEVIATIONS: f64 = 1.959_963_984_540_054;

/// Up to this many samples expected below the quantile the binomial distribution is summed. Its first term is then
/// above 1e-302, and beyond it the expansion is right to a few thousandths of a rank, or to the precision of a float.
const SUMMED: f64 = 500.0;

/// A quantile and the bounds between which it lies. See [`HistogramSnapshot::quantile_bounds`].
///
/// ```
/// use inferometer::{Histogram, Registry};
///
/// let registry = Registry::new();
/// let tokens: Histogram<u64> = registry.histogram("prompt_tokens", &[])?;
/// for length in 1..=1000 {
///     tokens.record(length);
/// }
/// let seen = registry.snapshot().histogram("prompt_tokens", &[]).unwrap();
/// let p99 = seen.quantile_bounds(0.99).unwrap();
/// // Every observation was recorded, so there is no more doubt than a bucket is wide.
/// assert!(p99.low < 990.0 && 990.0 <= p99.high && p99.high / p99.low < 1.1);
/// assert_eq!(p99.samples, 1000);
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Quantile {
    /// What [`HistogramSnapshot::quantile`] answers.
    pub estimate: f64,
    /// The lower bound; zero when there are too few samples for one.
    pub low: f64,
    /// The upper bound; infinite when there are too few samples for one, or when it is above the highest bucket bound.
    pub high: f64,
    /// How many samples this rests on: all observations, when the histogram is not sampled.
    pub samples: u64,
}

impl HistogramSnapshot {
    /// The quantile `q`, as [`HistogramSnapshot::quantile`] answers it, with bounds; `None` when that is.
    ///
    /// When every observation was recorded, the question is about these observations, and the bounds are the limits of
    /// the bucket that holds the quantile.
    ///
    /// When the histogram is [sampled](HistogramSnapshot::samples), the question is about what the samples were drawn
    /// from, and the bounds are a confidence interval: they hold the true quantile at least 95 times in 100. The number
    /// of samples that do not exceed the true quantile is binomial, whatever the distribution, which gives two ranks
    /// between which it lies (David and Nagaraja, *Order Statistics*, 3rd edition, section 7.1: distribution-free
    /// confidence intervals for quantiles). The bounds are the outer limits of the buckets that hold those ranks. Few
    /// samples may not bound a high quantile from above, nor a low one from below: then `high` is infinite, or `low`
    /// zero. The 99th percentile has an upper bound from 368 samples on.
    ///
    /// The samples are taken to be independent and to stand for equally many observations each. If histograms that were
    /// sampled at different rates have been added up, the bounds are too narrow.
    ///
    /// ```
    /// use inferometer::{Histogram, Registry};
    /// use std::time::Duration;
    ///
    /// let registry = Registry::new();
    /// let ttft: Histogram = registry.histogram("time_to_first_token_seconds", &[])?;
    /// ttft.record(Duration::from_millis(120));
    /// let seen = registry.snapshot().histogram("time_to_first_token_seconds", &[]).unwrap();
    /// let median = seen.quantile_bounds(0.5).unwrap();
    /// assert_eq!(Some(median.estimate), seen.quantile(0.5));
    /// assert!(median.low < 0.12 && 0.12 <= median.high);
    /// assert_eq!(seen.quantile_bounds(1.5), None);
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    pub fn quantile_bounds(&self, q: f64) -> Option<Quantile> {
        let (low, high, _) = self.place(q)?;
        let estimate = self.quantile(q)?;
        let Some(samples) = self.samples else {
            return Some(Quantile { estimate, low, high, samples: self.count() });
        };
        // Sample r of n stands for the shares from (r - 1) / n to r / n of the observations.
        let (first, last) = ranks(samples, q);
        let (n, count) = (u128::from(samples), u128::from(self.count()));
        let first = first.and_then(|rank| self.bucket(|seen| seen * n > u128::from(rank - 1) * count));
        let last = last.and_then(|rank| self.bucket(|seen| seen * n >= u128::from(rank) * count));
        let (low, high) = (first.map_or(0.0, |(low, _)| low), last.map_or(f64::INFINITY, |(_, high)| high));
        Some(Quantile { estimate, low, high, samples })
    }

    /// The limits of the first bucket with which `enough` of the observations have been seen.
    fn bucket(&self, enough: impl Fn(u128) -> bool) -> Option<(f64, f64)> {
        let mut seen = 0;
        let mut buckets = self.buckets.iter();
        let held = buckets.find(|&&(_, _, count)| {
            seen += u128::from(count);
            enough(seen)
        });
        held.map(|&(low, high, _)| (low, high))
    }
}

/// Of `n` samples in ascending order, those between which the true quantile lies, counted from one; `None` on a side
/// where even the outermost sample is not far enough out.
fn ranks(n: u64, q: f64) -> (Option<u64>, Option<u64>) {
    if q <= 0.5 {
        return ranks_of_lower(n, q);
    }
    // The same counted from the other end, so that the side with fewer samples is the one that is summed.
    let (first, last) = ranks_of_lower(n, 1.0 - q);
    let mirror = |rank: u64| n - (rank - 1);
    (last.map(mirror), first.map(mirror))
}

/// With B, binomial, the samples that do not exceed the quantile: the largest rank r with P(B < r) <= 2.5 %, and the
/// smallest rank s with P(B >= s) <= 2.5 %.
fn ranks_of_lower(n: u64, q: f64) -> (Option<u64>, Option<u64>) {
    let (first, last) = if n as f64 * q <= SUMMED { summed_ranks(n, q) } else { expanded_ranks(n, q) };
    ((first > 0).then_some(first), (last <= n).then_some(last))
}

/// By summing: the terms are few, since the sum ends soon after the mean. The first rank is zero when there is none,
/// the last one above `n`.
fn summed_ranks(n: u64, q: f64) -> (u64, u64) {
    let odds = q / (1.0 - q);
    let mut term = (n as f64 * (-q).ln_1p()).exp();
    let mut below = 0.0;
    let mut first = 0;
    for k in 0..n {
        below += term;
        if below <= BEYOND {
            first = k + 1;
        }
        if below >= 1.0 - BEYOND {
            return (first, k + 1);
        }
        term *= (n - k) as f64 / (k + 1) as f64 * odds;
    }
    (first, n.saturating_add(1))
}

/// By the expansion of Cornish and Fisher: the normal distribution, corrected for skewness, and its spread for kurtosis
/// and for the steps of whole numbers (Sheppard). Half a rank is from the middle of a step to its edge.
fn expanded_ranks(n: u64, q: f64) -> (u64, u64) {
    let (n, z2) = (n as f64, DEVIATIONS * DEVIATIONS);
    // The variance of one sample, and the standard deviation of their number.
    let variance = q * (1.0 - q);
    let deviation = (n * variance).sqrt();
    let centre = n * q + (1.0 - 2.0 * q) * (z2 - 1.0) / 6.0;
    let excess = ((1.0 - 6.0 * variance) * (z2 - 3.0) - 1.0) / 24.0 - (1.0 - 4.0 * variance) * (2.0 * z2 - 5.0) / 36.0;
    let spread = DEVIATIONS * (deviation + excess / deviation);
    ((centre - spread + 0.5).floor() as u64, (centre + spread + 0.5).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::SplitMix64;
    use crate::{Histogram, Registry};
    use proptest::prelude::*;

    /// What a registry saw when these were recorded, each so many times.
    fn seen(values: &[(f64, u64)]) -> HistogramSnapshot {
        let registry = Registry::new();
        let histogram: Histogram<f64> = registry.histogram("seen", &[]).unwrap();
        for &(value, n) in values {
            histogram.record_n(value, n);
        }
        registry.snapshot().histogram("seen", &[]).unwrap()
    }

    /// The same counts as if so many samples had given them.
    fn marked(mut histogram: HistogramSnapshot, samples: Option<u64>) -> HistogramSnapshot {
        histogram.samples = samples;
        histogram
    }

    fn sampled(values: &[(f64, u64)], samples: u64) -> HistogramSnapshot {
        marked(seen(values), Some(samples))
    }

    fn bounds(histogram: &HistogramSnapshot, q: f64) -> (f64, f64) {
        let quantile = histogram.quantile_bounds(q).unwrap();
        assert_eq!(Some(quantile.estimate), histogram.quantile(q));
        (quantile.low, quantile.high)
    }

    /// The limits of a value's bucket.
    fn limits(value: f64) -> (f64, f64) {
        let histogram = seen(&[(value, 1)]);
        (histogram.buckets[0].0, histogram.buckets[0].1)
    }

    /// The chances of a binomial variable where they are not negligible, from the first such value on, by another way:
    /// relative to the most likely value, and divided by their sum.
    fn chances(n: u64, q: f64) -> (u64, Vec<f64>) {
        let mode = ((n as f64 + 1.0) * q).min(n as f64) as u64;
        let odds = q / (1.0 - q);
        let (mut below, mut above) = (Vec::new(), vec![1.0]);
        let (mut k, mut chance) = (mode, 1.0);
        while k > 0 && chance > 1e-18 {
            chance *= k as f64 / ((n - k + 1) as f64 * odds);
            k -= 1;
            below.push(chance);
        }
        (k, chance) = (mode, 1.0);
        while k < n && chance > 1e-18 {
            chance *= (n - k) as f64 * odds / (k + 1) as f64;
            k += 1;
            above.push(chance);
        }
        let first = mode - below.len() as u64;
        below.reverse();
        below.append(&mut above);
        let sum: f64 = below.iter().sum();
        (first, below.iter().map(|chance| chance / sum).collect())
    }

    /// The ranks from their definition, and the chance that the true quantile is between the ranks that `ranks` gives.
    fn naive(n: u64, q: f64) -> ((Option<u64>, Option<u64>), f64) {
        let (start, chances) = chances(n, q);
        let (mut first, mut last) = (start, None);
        let mut below = 0.0;
        for (k, chance) in (start..).zip(&chances) {
            below += chance;
            if below <= BEYOND {
                first = k + 1;
            }
            if below >= 1.0 - BEYOND && last.is_none() {
                last = Some(k + 1);
            }
        }
        let given = ranks(n, q);
        let between = |k: u64| k >= given.0.unwrap_or(0) && given.1.is_none_or(|last| k < last);
        let covered = (start..).zip(&chances).filter(|&(k, _)| between(k)).map(|(_, chance)| chance).sum();
        (((first > 0).then_some(first), last.filter(|&last| last <= n)), covered)
    }

    #[test]
    fn the_ranks_are_those_of_the_tables() {
        for (n, q, first, last) in [
            (1_000, 0.95, 936, 964),
            (1_000, 0.99, 983, 997),
            (10_000, 0.99, 9_880, 9_920),
            (10_000, 0.999, 9_983, 9_997),
        ] {
            assert_eq!(ranks(n, q), (Some(first), Some(last)), "{q} of {n}");
        }
        assert_eq!(ranks(100, 0.99).1, None);
        assert_eq!(ranks(100, 0.01).0, None);
        // 0.99^367 is above 2.5 %, 0.99^368 is not.
        assert_eq!((ranks(367, 0.99).1, ranks(368, 0.99).1), (None, Some(368)));
    }

    #[test]
    fn the_ranks_follow_from_the_definition() {
        for q in [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.6, 0.9, 0.95, 0.99, 0.999, 0.9999] {
            for n in (1..100).chain([200, 333, 999, 1_000, 1_001, 2_000, 5_000, 10_000, 50_000]) {
                let (want, covered) = naive(n, q);
                assert_eq!(ranks(n, q), want, "{q} of {n}");
                assert!(covered >= 0.95, "{q} of {n}: {covered}");
            }
        }
    }

    #[test]
    fn the_ranks_of_many_samples_follow_from_it_too() {
        for q in [0.000_1, 0.3, 0.5, 0.9, 0.99, 0.999] {
            for n in [1_000_000, 30_000_001, 1_000_000_000, 10_000_000_000] {
                let (want, covered) = naive(n, q);
                assert_eq!(ranks(n, q), want, "{q} of {n}");
                assert!((0.95..0.96).contains(&covered), "{q} of {n}: {covered}");
            }
        }
    }

    #[test]
    fn the_number_of_samples_does_not_matter_for_the_time() {
        for n in [1 << 62, 1 << 63, u64::MAX] {
            for q in [0.0, 1e-300, 1e-18, 1e-9, 0.5, 0.99, 1.0 - 1e-9, 1.0 - f64::EPSILON, 1.0] {
                let (first, last) = ranks(n, q);
                let share = |rank: u64| rank as f64 / n as f64;
                let spread = DEVIATIONS * (q * (1.0 - q) / n as f64).sqrt() + 4.0 / n as f64 + f64::EPSILON;
                assert!(first.is_none_or(|first| (q - share(first)).abs() <= spread), "{q} of {n}: {first:?}");
                assert!(last.is_none_or(|last| (share(last) - q).abs() <= spread), "{q} of {n}: {last:?}");
                assert!(first.unwrap_or(0) <= last.unwrap_or(u64::MAX));
            }
        }
        let (first, last) = ranks(1 << 62, 0.5);
        let spread = (last.unwrap() - first.unwrap()) as f64 / (1_u64 << 31) as f64;
        assert!((spread / (2.0 * DEVIATIONS * 0.5) - 1.0).abs() < 1e-6, "{spread}");
    }

    #[test]
    fn without_samples_only_the_bucket_counts() {
        let histogram = seen(&[(0.02, 90), (3.0, 10)]);
        assert_eq!(histogram.samples(), None);
        assert_eq!(bounds(&histogram, 0.0), limits(0.02));
        assert_eq!(bounds(&histogram, 0.9), limits(0.02));
        assert_eq!(bounds(&histogram, 0.91), limits(3.0));
        assert_eq!(bounds(&histogram, 1.0), limits(3.0));
        assert_eq!(histogram.quantile_bounds(0.5).unwrap().samples, 100);
        assert_eq!(bounds(&seen(&[(0.02, 1)]), 0.5), limits(0.02));
    }

    #[test]
    fn samples_widen_the_bounds() {
        // 100 samples for 1,600 observations: the median is between the samples 40 and 61.
        assert_eq!(ranks(100, 0.5), (Some(40), Some(61)));
        let histogram = sampled(&[(0.1, 39 * 16), (0.2, 16), (0.4, 20 * 16), (0.8, 16), (1.6, 39 * 16)], 100);
        assert_eq!(bounds(&histogram, 0.5), (limits(0.2).0, limits(0.8).1));
        assert_eq!(histogram.quantile_bounds(0.5).unwrap().samples, 100);
        // The same observations, all recorded.
        assert_eq!(bounds(&marked(histogram, None), 0.5), limits(0.4));
    }

    #[test]
    fn a_bound_that_does_not_exist_is_not_made_up() {
        let histogram = sampled(&[(0.1, 50 * 16), (0.2, 50 * 16)], 100);
        assert_eq!(bounds(&histogram, 0.99), (limits(0.2).0, f64::INFINITY));
        assert_eq!(bounds(&histogram, 0.01), (0.0, limits(0.1).1));
        // The lowest value of what was sampled is not above the lowest sample, and nothing says how far below.
        assert_eq!(bounds(&histogram, 0.0), (0.0, limits(0.1).1));
        assert_eq!(bounds(&histogram, 1.0), (limits(0.2).0, f64::INFINITY));
        let one = sampled(&[(0.1, 16)], 1);
        assert_eq!(bounds(&one, 0.5), (0.0, f64::INFINITY));
        assert_eq!((bounds(&one, 0.0).1, bounds(&one, 1.0).0), (limits(0.1).1, limits(0.1).0));
        // More was counted than there are samples to show for it.
        assert_eq!(bounds(&sampled(&[(0.1, 16)], 0), 0.5), (0.0, f64::INFINITY));
    }

    #[test]
    fn the_outermost_buckets_have_the_limits_that_they_have() {
        let (zero, overflow) = (limits(0.0), limits(1e9));
        assert_eq!((zero.0, overflow.1), (0.0, f64::INFINITY));
        assert!(zero.1 > 0.0 && overflow.0.is_finite());
        for q in [0.0, 0.5, 1.0] {
            assert_eq!(bounds(&seen(&[(0.0, 9)]), q), zero);
            assert_eq!(bounds(&seen(&[(1e9, 9)]), q), overflow);
        }
        assert_eq!(bounds(&sampled(&[(0.0, 900)], 90), 0.5), zero);
        assert_eq!(bounds(&sampled(&[(1e9, 900)], 90), 0.5), overflow);
    }

    #[test]
    fn nothing_and_nonsense_have_no_bounds() {
        for histogram in [seen(&[]), sampled(&[], 0), sampled(&[], 5)] {
            assert_eq!(histogram.quantile_bounds(0.5), None);
        }
        for q in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(seen(&[(0.1, 5)]).quantile_bounds(q), None);
            assert_eq!(sampled(&[(0.1, 5)], 5).quantile_bounds(q), None);
        }
    }

    #[test]
    fn samples_are_subtracted_and_added_with_the_counts() {
        let (early, late) = (sampled(&[(0.1, 160)], 10), sampled(&[(0.1, 160), (0.2, 480)], 40));
        let between = late.delta(&early);
        assert_eq!((between.count(), between.samples()), (480, Some(30)));
        assert_eq!(bounds(&between, 0.5), limits(0.2));
        let nothing = late.delta(&late);
        assert_eq!((nothing.samples(), nothing.quantile_bounds(0.5)), (Some(0), None));
        // After a restart everything is new.
        assert_eq!(early.delta(&late).samples(), Some(10));

        let whole = seen(&[(0.1, 7)]);
        let sum = |a: &HistogramSnapshot, b: &HistogramSnapshot| {
            let mut sum = a.clone();
            sum.add(b);
            sum.samples()
        };
        assert_eq!(sum(&early, &late), Some(50)); // 16 observations each
        // 167^2 / (160^2 / 10 + 7^2 / 7): what each sample stands for differs.
        assert_eq!(sum(&early, &whole), Some(11));
        assert_eq!(sum(&whole, &early), Some(11));
        assert_eq!(sum(&whole, &whole), None);
        assert_eq!(late.delta(&whole).samples(), Some(33));
        assert_eq!(seen(&[(0.1, 200)]).delta(&early).samples(), Some(190));
        assert_eq!(whole.delta(&whole).samples(), None);
    }

    proptest! {
        #[test]
        fn the_estimate_is_within_the_bounds(
            values in prop::collection::vec((-22.0_f64..22.0, 1_u64..100), 1..50),
            q in prop_oneof![0.0_f64..=1.0, Just(0.0), Just(0.5), Just(0.9), Just(0.99), Just(1.0)],
            samples in prop::option::of(1_u64..10_000),
        ) {
            let values: Vec<_> = values.iter().map(|&(exponent, n)| (exponent.exp2(), n)).collect();
            let histogram = marked(seen(&values), samples);
            let quantile = histogram.quantile_bounds(q).unwrap();
            prop_assert!(quantile.low <= quantile.estimate && quantile.estimate <= quantile.high, "{quantile:?}");
            // Sampling never makes it surer.
            let whole = marked(histogram, None).quantile_bounds(q).unwrap();
            prop_assert!(quantile.low <= whole.low && whole.high <= quantile.high, "{quantile:?} {whole:?}");
        }
    }

    /// Uniform above 0 and up to 1, the same each time.
    struct Random(SplitMix64);

    impl Random {
        fn uniform(&mut self) -> f64 {
            (self.0.draw() >> 11) as f64 / (1_u64 << 53) as f64 + f64::EPSILON / 2.0
        }
    }

    /// A distribution: how to draw from it, and its true quantiles.
    type Distribution = (&'static str, fn(&mut Random) -> f64, [f64; 3]);

    const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

    fn distributions() -> [Distribution; 2] {
        let normal = [0.0, 1.281_551_565_544_600_4, 2.326_347_874_040_841];
        [
            (
                "log-normal",
                |random| {
                    // Box and Muller.
                    let radius = (-2.0 * random.uniform().ln()).sqrt();
                    0.05 * (radius * (std::f64::consts::TAU * random.uniform()).cos()).exp()
                },
                normal.map(|deviations: f64| 0.05 * deviations.exp()),
            ),
            // Pareto's, with a tail so heavy that it has no variance.
            (
                "heavy-tailed",
                |random| 0.01 * random.uniform().powf(-1.0 / 1.1),
                QUANTILES.map(|q| 0.01 * (1.0 - q).powf(-1.0 / 1.1)),
            ),
        ]
    }

    #[test]
    fn the_bounds_hold_the_true_quantile() {
        // So many that three standard deviations of the share that is found are below 2 %.
        const REPETITIONS: u32 = 1_200;
        const LEAST: f64 = 0.93;
        /// What a sample stands for.
        const WEIGHT: u64 = 16;

        for (name, draw, truth) in distributions() {
            for n in [200_u64, 2_000] {
                let mut random = Random(SplitMix64(42));
                let registry = Registry::new();
                let histogram: Histogram<f64> = registry.histogram("drawn", &[]).unwrap();
                let look = |samples| marked(registry.snapshot().histogram("drawn", &[]).unwrap(), Some(samples));
                let mut before = look(0);
                let (mut held, mut held_by_ranks, mut held_by_control) = ([0; 3], [0; 3], [0; 3]);
                for repetition in 1..=REPETITIONS {
                    let mut drawn: Vec<f64> = (0..n).map(|_| draw(&mut random)).collect();
                    for &value in &drawn {
                        histogram.record_n(value, WEIGHT);
                    }
                    let now = look(n * u64::from(repetition));
                    let window = now.delta(&before);
                    before = now;
                    assert_eq!((window.count(), window.samples()), (n * WEIGHT, Some(n)));
                    drawn.sort_by(f64::total_cmp);
                    // The interval without buckets, as if there were so many times the samples.
                    let between = |times: u64, q: f64| {
                        let at = |rank: u64| drawn[(rank.div_ceil(times) - 1) as usize];
                        let (first, last) = ranks(n * times, q);
                        (first.map_or(0.0, at), last.map_or(f64::INFINITY, at))
                    };
                    for (i, (q, truth)) in QUANTILES.into_iter().zip(truth).enumerate() {
                        let holds = |(low, high): (f64, f64)| u32::from(low <= truth && truth <= high);
                        held[i] += holds(bounds(&window, q));
                        held_by_ranks[i] += holds(between(1, q));
                        held_by_control[i] += holds(between(WEIGHT, q));
                    }
                }
                for (i, q) in QUANTILES.into_iter().enumerate() {
                    let share = |held: [u32; 3]| f64::from(held[i]) / f64::from(REPETITIONS);
                    let what = format!("{name}, {q} of {n}");
                    assert!(share(held) >= LEAST, "{what}: {}", share(held));
                    assert!(share(held_by_ranks) >= LEAST, "{what}: {} by ranks", share(held_by_ranks));
                    // Whoever takes events for samples is wrong, and this test would tell.
                    assert!(share(held_by_control) < LEAST, "{what}: {} in the control", share(held_by_control));
                }
            }
        }
    }
}
