//! Which of the timed sections are timed, and why that gives right numbers.
//!
//! What costs in a timed section is the clock: two readings are ten times as much as finding the bucket. So frequent
//! sections are sampled, and the decision comes before the clock is read.
//!
//! *Random in block.* A thread's events of a series are cut into blocks of N. In each block one position is drawn, all
//! alike; the event at that position is timed, and recorded N times. So each event has the chance 1/N, whatever its
//! duration: counts, sums and buckets are right on average, for periodic loops too. The recorded counts add up to N for
//! each block, so totals are off by less than one block. They are integers that only grow. (Taking every Nth event is
//! wrong for periodic loops; independent draws are right on average, but totals scatter; ratios to the known number of
//! events can fall.) See Särndal, Swensson and Wretman, Model Assisted Survey Sampling, on stratified sampling with one
//! draw in each stratum.
//!
//! N may be another one in each block, as long as it is chosen before the block begins: then the chance of an event does
//! not depend on its own duration. What was recorded is never rescaled.
//!
//! - [`block`]: the state of a thread and series, and the draw
//! - [`budget`]: how N is chosen so that timing takes its share of the time and no more
//! - [`costs`]: what the parts of it cost on this machine

pub(crate) mod block;
pub(crate) mod budget;
#[cfg(not(loom))]
pub(crate) mod costs;
#[cfg(all(test, loom))]
mod models;
#[cfg(not(loom))]
mod random;
#[cfg(all(test, not(loom)))]
mod statistics;
#[cfg(not(loom))]
mod thread;

#[cfg(all(test, not(loom)))]
pub(crate) use random::SplitMix64;
#[cfg(not(loom))]
pub(crate) use random::draw;
#[cfg(not(loom))]
pub(crate) use thread::{aside, charge, own_account, plan};

use std::fmt;

/// Which of the sections that a histogram times are really timed. The others are only counted.
///
/// A sampled section is recorded with a weight, so that counts, sums and quantiles are estimates for all sections; how
/// many there were exactly is in `<name>_events_total`, and how many were timed in `<name>_samples_total`.
///
/// What is recorded without a clock, by [`Histogram::record`](crate::Histogram::record), is never sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Sampling {
    /// All of them.
    Always,
    /// One out of each `n`, at a random place among them. At most [`Sampling::MAX_N`].
    EveryN(u32),
    /// As many as can be timed in this share of each thread's time, as long as all timed histograms together stay within
    /// the process's budget: see [`set_budget`]. At least one in 4,096.
    Budget(f64),
}

impl Sampling {
    /// The longest distance between two samples of [`Sampling::EveryN`].
    pub const MAX_N: u32 = block::MAX_WEIGHT;

    /// What a histogram has that was given nothing else: no limit of its own inside the process's budget.
    pub const DEFAULT: Sampling = Sampling::Budget(1.0);

    /// In one word, for an atomic.
    pub(crate) fn to_bits(self) -> u64 {
        match self {
            Sampling::EveryN(n) => u64::from(n.clamp(1, Self::MAX_N)),
            Sampling::Always => 1,
            Sampling::Budget(share) => 1 << 63 | u64::from(valid_share(share).to_bits()),
        }
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        match (bits >> 63, bits as u32) {
            (0, 0 | 1) => Sampling::Always,
            (0, n) => Sampling::EveryN(n),
            (_, share) => Sampling::Budget(f64::from(f32::from_bits(share))),
        }
    }

    /// What the help text of a sampled histogram says about it.
    pub(crate) fn note(self) -> Option<String> {
        match self {
            Sampling::Always | Sampling::EveryN(0 | 1) => None,
            Sampling::EveryN(n) => Some(format!("Estimated from 1 in {n} events, drawn at random.")),
            Sampling::Budget(_) => Some(
                "Estimated from 1 in N events, drawn at random, where N keeps the timing within its budget.".to_owned(),
            ),
        }
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sampling::Always => f.write_str("always"),
            Sampling::EveryN(n) => write!(f, "1 in {n}"),
            Sampling::Budget(share) => write!(f, "within {} % of the time", 100.0 * share),
        }
    }
}

/// The share of each thread's time that timing may take, until [`set_budget`] says otherwise.
pub const DEFAULT_BUDGET: f64 = 0.001;

/// Sets the share of each recording thread's time that all its timed sections together may take: 0.001, a thousandth,
/// unless set otherwise. It holds from the next block of each series on.
///
/// What this promises: over 100 ms and more, on each thread, timing takes at most this share, and besides what it costs
/// to count the sections that are not timed, about a nanosecond each. Where sections follow each other so fast that
/// counting alone takes the budget (at 0.001, about one in a microsecond), one in 4,096 is timed all the same, and
/// `inferometer_budget_infeasible` names the series.
///
/// A share that is negative or not a number is taken for zero, one above 1 for 1.
#[cfg(not(loom))]
pub fn set_budget(share: f64) {
    costs::SAMPLED.set_budget(valid_share(share));
}

fn valid_share(share: f64) -> f32 {
    // NaN compares as false.
    if share > 0.0 { share.min(1.0) as f32 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_survives_its_word() {
        for mode in [
            Sampling::Always,
            Sampling::EveryN(2),
            Sampling::EveryN(64),
            Sampling::EveryN(Sampling::MAX_N),
            Sampling::Budget(0.0),
            Sampling::Budget(0.25),
            Sampling::Budget(1.0),
        ] {
            assert_eq!(Sampling::from_bits(mode.to_bits()), mode);
        }
    }

    #[test]
    fn what_makes_no_sense_becomes_what_is_nearest() {
        let after = |mode: Sampling| Sampling::from_bits(mode.to_bits());
        assert_eq!(after(Sampling::EveryN(0)), Sampling::Always);
        assert_eq!(after(Sampling::EveryN(u32::MAX)), Sampling::EveryN(Sampling::MAX_N));
        assert_eq!(after(Sampling::Budget(f64::NAN)), Sampling::Budget(0.0));
        assert_eq!(after(Sampling::Budget(-1.0)), Sampling::Budget(0.0));
        assert_eq!(after(Sampling::Budget(f64::INFINITY)), Sampling::Budget(1.0));
    }
}
