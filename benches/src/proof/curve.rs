//! What a share of a step records take, over the length of the step; and where that share becomes small enough.

use crate::paired::Difference;
use std::fmt;

/// The share that instrumentation may take.
pub(super) const MOST: f64 = 0.01;

/// One length of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// Without records, in nanoseconds.
    pub(super) step: f64,
    pub(super) overhead: Difference,
}

/// Several lengths, from the shortest to the longest.
#[derive(Clone, Debug, Default)]
pub(super) struct Curve(pub(super) Vec<Point>);

/// The shortest step that stays below [`MOST`], in nanoseconds: zero where all that were tried do, infinite where the
/// longest does not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BreakEven {
    pub(super) estimate: f64,
    /// Of 99 %.
    pub(super) interval: (f64, f64),
    /// The shortest and the longest step that were tried.
    tried: (f64, f64),
}

impl Curve {
    /// The last point from which on the estimates stay below; the bounds are crossed near it.
    pub(super) fn break_even(&self) -> BreakEven {
        let points = &self.0;
        let tried = (points.first().map_or(0.0, |point| point.step), points.last().map_or(0.0, |point| point.step));
        let estimate = |point: &Point| point.overhead.estimate;
        // So many points are before the crossing.
        let before = points.iter().rposition(|point| estimate(point) >= MOST).map_or(0, |at| at + 1);
        let lower = |point: &Point| point.overhead.interval.0;
        let upper = |point: &Point| point.overhead.interval.1;
        let before_lower = points[..before].iter().rposition(|point| lower(point) >= MOST).map_or(0, |at| at + 1);
        let above = points[before..].iter().take_while(|point| upper(point) >= MOST).count();
        BreakEven {
            estimate: self.crossing(before, estimate),
            interval: (self.crossing(before_lower, lower), self.crossing(before + above, upper)),
            tried,
        }
    }

    /// Where `share` falls to [`MOST`], between the last of the first `before` points and the next one. Records that cost
    /// the same at all steps take a share that is linear in one over the step's length, so that is how it is drawn.
    fn crossing(&self, before: usize, share: impl Fn(&Point) -> f64) -> f64 {
        let Some(after) = self.0.get(before) else { return f64::INFINITY };
        let Some(last) = before.checked_sub(1).map(|at| &self.0[at]) else { return 0.0 };
        let (rate, rate_after) = (1.0 / last.step, 1.0 / after.step);
        let part = (MOST - share(after)) / (share(last) - share(after));
        1.0 / (rate_after + part * (rate - rate_after))
    }
}

impl fmt::Display for BreakEven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shortest, longest) = self.tried;
        let side = |step: f64| match step {
            0.0 => format!("below {}", duration(shortest)),
            step if step.is_infinite() => format!("above {}", duration(longest)),
            step => duration(step),
        };
        write!(f, "{}", side(self.estimate))?;
        if self.interval.0 == self.interval.1 {
            return Ok(());
        }
        write!(f, " ({} to {})", side(self.interval.0), side(self.interval.1))
    }
}

/// A length of time in a unit that suits it.
pub(super) fn duration(nanos: f64) -> String {
    let (value, unit) = match nanos {
        n if n >= 1e6 => (n / 1e6, "ms"),
        n if n >= 1e3 => (n / 1e3, "us"),
        n => (n, "ns"),
    };
    format!("{} {unit}", crate::rows::digits(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of so many nanoseconds, known to within some.
    fn curve(cost: f64, within: f64) -> Curve {
        let point = |step: f64| {
            let interval = ((cost - within) / step, (cost + within) / step);
            Point { step, overhead: Difference { estimate: cost / step, upper: interval.1, interval } }
        };
        Curve([1e3, 2e3, 5e3, 1e4, 2e4, 5e4].map(point).to_vec())
    }

    fn is_about(value: f64, expected: f64) {
        assert!((value / expected - 1.0).abs() < 1e-9, "{value} is not {expected}");
    }

    #[test]
    fn the_step_is_a_hundred_times_what_its_records_cost() {
        let found = curve(35.0, 10.0).break_even();
        is_about(found.estimate, 3_500.0);
        is_about(found.interval.0, 2_500.0);
        is_about(found.interval.1, 4_500.0);
        assert_eq!(found.to_string(), "3.50 us (2.50 us to 4.50 us)");
    }

    #[test]
    fn bounds_may_be_crossed_between_other_points_than_the_estimate() {
        let found = curve(60.0, 45.0).break_even();
        is_about(found.estimate, 6_000.0);
        is_about(found.interval.0, 1_500.0);
        is_about(found.interval.1, 10_500.0);
    }

    #[test]
    fn a_step_that_was_not_tried_is_not_made_up() {
        assert_eq!(curve(2.0, 1.0).break_even().to_string(), "below 1.00 us");
        assert_eq!(curve(1_000.0, 10.0).break_even().to_string(), "above 50.0 us");
        assert_eq!(curve(12.0, 4.0).break_even().to_string(), "1.20 us (below 1.00 us to 1.60 us)");
    }

    #[test]
    fn a_longer_step_that_is_above_again_counts() {
        let mut curve = curve(35.0, 1.0);
        curve.0[4].overhead = Difference { estimate: 0.02, upper: 0.03, interval: (0.015, 0.03) };
        assert!(curve.break_even().estimate > 2e4);
    }
}
