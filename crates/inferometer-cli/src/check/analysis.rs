//! From a race to its comparisons.

use super::race::{ARMS, Clock, OFF, Race, Rival};
use super::statistics::{Estimate, mean, quantile};
use super::verdict::Comparison;

/// The crews of a cycle: each program has had each place.
const CYCLE: usize = 4;

/// With so many cycles, they are the clusters. A shorter run makes do with crews, which scatter more.
const ENOUGH_CYCLES: usize = 8;

/// So many steps of a program make a 99th percentile, and so many a part of the run that has one of its own.
const STEPS_OF_ALL: usize = 20_000;
const STEPS_OF_A_PART: usize = 1_000;

/// The mean time of a step: none if there are too few crews, or there is no such clock.
pub(crate) fn of_mean(race: &Race, clock: Clock) -> Option<Comparison> {
    compared(|rival| {
        let ratios: Vec<f64> = race.crews.iter().map(|crew| crew.log_ratio(rival, clock)).collect::<Option<_>>()?;
        if ratios.len() / CYCLE < ENOUGH_CYCLES {
            return Some(ratios);
        }
        Some(ratios.chunks_exact(CYCLE).map(mean).collect())
    })
}

/// The 99th percentile of the time of a step: none if there are too few steps, or there is no such clock.
pub(crate) fn of_p99(race: &Race, clock: Clock) -> Option<Comparison> {
    compared(|rival| {
        let mut all = 0;
        let mut ratios = Vec::new();
        let mut part: [Vec<f64>; ARMS] = Default::default();
        for cycle in race.crews.chunks_exact(CYCLE) {
            for (arm, steps) in part.iter_mut().enumerate() {
                steps.extend(cycle.iter().flat_map(|crew| crew.steps(arm, clock)));
            }
            if part[OFF].len() >= STEPS_OF_A_PART {
                all += part[OFF].len();
                let tails = part.each_mut().map(|steps| quantile(steps, 0.99));
                ratios.push(rival.against_baseline(|arm, baseline| Some((tails[arm] / tails[baseline]).ln()))?);
                part = Default::default();
            }
        }
        (all >= STEPS_OF_ALL).then_some(ratios)
    })
}

fn compared(ratios: impl Fn(Rival) -> Option<Vec<f64>>) -> Option<Comparison> {
    let estimate = |rival| Estimate::of(&ratios(rival)?);
    Some(Comparison { on: estimate(Rival::On)?, again: estimate(Rival::Again)?, control: estimate(Rival::Control)? })
}
