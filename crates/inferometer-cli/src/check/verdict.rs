//! What is said in the end.

use super::statistics::{Estimate, growth};
use crate::percent::Percent;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::process::ExitCode;

/// From the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Verdict {
    /// The overhead is below the budget, with 95 %.
    Pass,
    /// Neither can be said yet.
    Inconclusive,
    /// The measurement contradicts itself or does not notice what it has to.
    Invalid,
    /// The overhead is above the budget, with 95 %.
    Fail,
}

impl Verdict {
    /// How the command ends.
    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Verdict::Pass => 0,
            Verdict::Fail => 1,
            // 2 is for what could not be done at all.
            Verdict::Invalid => 3,
            Verdict::Inconclusive => 4,
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Invalid => "INVALID",
            Verdict::Inconclusive => "INCONCLUSIVE",
        })
    }
}

/// One quantity in all comparisons with the baseline.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) on: Estimate,
    pub(crate) again: Estimate,
    pub(crate) control: Estimate,
}

impl Comparison {
    /// What can be said of this quantity.
    pub(crate) fn verdict(&self, budget: Percent) -> Verdict {
        if !self.again.may_be_none() || self.control.lower <= budget.0 {
            Verdict::Invalid
        } else if self.on.upper < budget.0 {
            Verdict::Pass
        } else if self.on.lower > budget.0 {
            Verdict::Fail
        } else {
            Verdict::Inconclusive
        }
    }

    /// How many times as long a run would have been likely to decide.
    pub(crate) fn growth_to_decide(&self, budget: Percent) -> f64 {
        let to_judge = growth(self.on.error, (budget.0 - self.on.difference).abs());
        // The control is off by twice the budget, and has to be told from the budget.
        to_judge.max(growth(self.control.error, budget.0))
    }

    /// How many times as long a run would have been likely to show that the overhead is below `target`, if it is what it
    /// seems to be and not more than half of the target.
    pub(crate) fn growth_to_show(&self, target: Percent) -> f64 {
        growth(self.on.error, target.0 - self.assumed(target).0)
    }

    /// What the overhead is taken to be for that.
    pub(crate) fn assumed(&self, target: Percent) -> Percent {
        Percent(self.on.difference.clamp(0.0, target.0 / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Percent = Percent(0.01);

    fn estimate(difference: f64, width: f64) -> Estimate {
        Estimate {
            difference,
            upper: difference + width,
            lower: difference - width,
            interval: (difference - 1.6 * width, difference + 1.6 * width),
            error: width / 1.645,
            clusters: 20,
        }
    }

    fn comparison(on: f64, again: f64, control: f64, width: f64) -> Comparison {
        Comparison { on: estimate(on, width), again: estimate(again, width), control: estimate(control, width) }
    }

    #[test]
    fn what_is_judged_is_the_bound() {
        assert_eq!(comparison(0.004, 0.0, 0.02, 0.005).verdict(BUDGET), Verdict::Pass);
        assert_eq!(comparison(0.006, 0.0, 0.02, 0.005).verdict(BUDGET), Verdict::Inconclusive);
        assert_eq!(comparison(0.014, 0.0, 0.02, 0.005).verdict(BUDGET), Verdict::Inconclusive);
        assert_eq!(comparison(0.016, 0.0, 0.02, 0.005).verdict(BUDGET), Verdict::Fail);
    }

    #[test]
    fn a_run_that_finds_a_difference_where_none_is_says_nothing() {
        assert_eq!(comparison(0.001, 0.009, 0.02, 0.005).verdict(BUDGET), Verdict::Invalid);
        assert_eq!(comparison(0.05, -0.009, 0.02, 0.005).verdict(BUDGET), Verdict::Invalid);
    }

    #[test]
    fn a_run_that_misses_the_control_says_nothing() {
        assert_eq!(comparison(0.001, 0.0, 0.014, 0.005).verdict(BUDGET), Verdict::Invalid);
        assert_eq!(comparison(0.001, 0.0, 0.02, 0.011).verdict(BUDGET), Verdict::Invalid);
    }

    #[test]
    fn of_several_the_worst_counts() {
        use Verdict::{Fail, Inconclusive, Invalid, Pass};
        assert_eq!([Pass, Invalid, Inconclusive].into_iter().max(), Some(Invalid));
        assert_eq!([Invalid, Fail].into_iter().max(), Some(Fail));
    }

    #[test]
    fn a_longer_run_is_asked_for_in_proportion_to_what_is_missing() {
        let near = comparison(0.008, 0.0, 0.02, 0.005).growth_to_decide(BUDGET);
        let far = comparison(0.004, 0.0, 0.02, 0.005).growth_to_decide(BUDGET);
        assert!((near / far - 9.0).abs() < 1e-9, "{near} {far}");
        // What already decided would have decided in less time.
        assert!(comparison(0.001, 0.0, 0.02, 0.001).growth_to_decide(BUDGET) < 1.0);
        let shown = comparison(-0.001, 0.0, 0.02, 0.005);
        assert_eq!(shown.assumed(BUDGET), Percent(0.0));
        assert!((shown.growth_to_show(BUDGET) / shown.growth_to_show(Percent(0.001)) - 0.01).abs() < 1e-9);
    }
}
