//! Where values lie.

/// The share of values that a trimmed mean leaves out at each end. Where a step takes some milliseconds, other programs
/// fall into every tenth block of a machine that is far from busy.
const TRIM: f64 = 0.25;

/// The mean of no values is 0.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The mean of what is left without the largest quarter and the smallest. Sorts the values.
pub(crate) fn trimmed_mean(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let cut = (TRIM * values.len() as f64) as usize;
    mean(&values[cut..values.len() - cut])
}

/// The smallest value that at least this share of the values does not exceed; 0 of none. Sorts the values.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_at_each_end_does_not_count() {
        let mut values: Vec<f64> = (0..20).map(f64::from).collect();
        values[7] = 1e9;
        values[8] = -1e9;
        assert!((trimmed_mean(&mut values) - 10.0).abs() < 1.0);
        // Too few to cut anything off.
        assert_eq!(trimmed_mean(&mut [1.0, 2.0, 6.0]), 3.0);
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut values, 0.99), 99.0);
        assert_eq!(quantile(&mut values, 0.0), 1.0);
        assert_eq!(quantile(&mut values, 1.0), 100.0);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }
}
