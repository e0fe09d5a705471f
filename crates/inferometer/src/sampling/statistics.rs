//! Whether estimates are right: simulated loops with fixed seeds, and for each thing that is checked a sampler that fails
//! just there.
//!
//! Only the draws are random here; a loop does the same in each repetition. So it is known exactly how much estimates
//! scatter. A block of N events with the values v contributes N times the value at a place that is drawn evenly: Σv on
//! average, with the variance N Σv² − (Σv)². Blocks are drawn independently, and their variances add up.

use super::SplitMix64;
use super::block::{Block, EVENT, is_drawn};
use std::ops::RangeInclusive;

const N: u32 = 64;
const EVENTS: usize = 64_000;
const REPETITIONS: u64 = 400;

/// No divisor in common with N, so that scrapes come at all places of a block.
const SCRAPE_EVERY: usize = 37;

/// The standard deviation of 400 normal values, as a multiple of the true one, is within these limits in 99 cases of 100:
/// the square roots of the 0.005 and 0.995 quantiles of chi-square with 399 degrees of freedom, divided by 399.
const AROUND_THE_TRUTH: RangeInclusive<f64> = 0.9094..=1.0917;

/// The same for the quotient of two standard deviations of 400 values each: from the quantiles of F with 399 and 399
/// degrees of freedom. A deviation that others have found in 400 repetitions scatters as much as the one found here.
const AROUND_ANOTHER_RUN: RangeInclusive<f64> = 0.8788..=1.1379;

/// Events that last this long, in whatever unit, are the rare ones, with a bucket of their own.
const SLOW: u64 = 1_000;

/// What is estimated.
const ESTIMATES: [&str; 3] = ["the count of the slow bucket", "the sum", "the slow bucket's share of the count"];

/// What a loop's events last.
struct Loop {
    name: String,
    durations: Vec<u64>,
    /// The standard deviation of the slow bucket's count, relative to it, that an independent simulation has found for
    /// random-in-block, with another program and as many events and repetitions.
    found_elsewhere: Option<f64>,
    /// The truth about the slow bucket's count, the sum and the slow bucket's share.
    truth: [f64; 3],
    /// What the events before each add up to, relative to the truth; and their squares.
    sums: Vec<[[f64; 2]; 3]>,
}

impl Loop {
    fn new(name: impl Into<String>, mut is_slow: impl FnMut(u64) -> bool) -> Self {
        // Sums have more to estimate than the number of slow events.
        let duration = |at| if is_slow(at) { SLOW + at * 7 % 1_000 } else { 50 + at % 41 };
        let durations: Vec<u64> = (0..EVENTS as u64).map(duration).collect();
        let slow = durations.iter().filter(|&&duration| duration >= SLOW).count() as f64;
        let truth = [slow, durations.iter().sum::<u64>() as f64, slow / EVENTS as f64];
        let mut sums = vec![[[0.0; 2]; 3]];
        for &duration in &durations {
            let slow = f64::from(u8::from(duration >= SLOW));
            // The share is a quotient of two estimates. To first order its error is the one of this sum.
            let share = (slow - truth[2]) / EVENTS as f64;
            let mut next = sums[sums.len() - 1];
            for ((sum, value), truth) in next.iter_mut().zip([slow, duration as f64, share]).zip(truth) {
                let value = value / truth;
                *sum = [sum[0] + value, sum[1] + value * value];
            }
            sums.push(next);
        }
        Loop { name: name.into(), durations, found_elsewhere: None, truth, sums }
    }

    fn periodic(period: u64) -> Self {
        Loop::new(format!("one slow event in {period}"), move |at| at % period == 0)
    }

    /// One in 20, whatever the others are.
    fn independent() -> Self {
        let mut random = SplitMix64(20);
        Loop::new("independent events", move |_| random.draw().is_multiple_of(20))
    }

    /// 500 slow ones in a row, one in 20 altogether. Of the simulation elsewhere it is not known what its bursts were, but
    /// with these its other samplers scatter as they did there, too.
    fn bursts() -> Self {
        Loop::new("bursts", |at| at / 500 % 20 == 1)
    }

    fn found_elsewhere(self, deviation: f64) -> Self {
        Loop { found_elsewhere: Some(deviation), ..self }
    }

    /// By how much the estimates of random-in-block scatter around the truth, with these blocks: their variances,
    /// relative to the truth.
    fn variances(&self, block: impl Fn(usize) -> u32) -> [f64; 3] {
        let mut variances = [0.0; 3];
        let (mut begin, mut number) = (0, 0);
        while begin < EVENTS {
            let weight = block(number);
            let end = (begin + weight as usize).min(EVENTS);
            for ((variance, before), after) in variances.iter_mut().zip(self.sums[begin]).zip(self.sums[end]) {
                let [sum, squares] = [after[0] - before[0], after[1] - before[1]];
                *variance += f64::from(weight) * squares - sum * sum;
            }
            (begin, number) = (end, number + 1);
        }
        variances
    }
}

/// Sees all events, and records some.
trait Sampler {
    fn event(&mut self, duration: u64);

    /// What a scrape sees: the count of all events, that of the slow bucket, and the sum.
    fn exposed(&self) -> [f64; 3];

    /// How many events a block has. Where nothing is drawn in blocks, those that it is compared with.
    fn block(&self, _number: usize) -> u32 {
        N
    }
}

/// What was recorded.
#[derive(Default)]
struct Recorded {
    count: u64,
    slow: u64,
    sum: u64,
}

impl Recorded {
    fn add(&mut self, weight: u32, duration: u64) {
        let weight = u64::from(weight);
        self.count += weight;
        self.slow += weight * u64::from(duration >= SLOW);
        self.sum += weight * duration;
    }

    fn exposed(&self) -> [f64; 3] {
        [self.count, self.slow, self.sum].map(|value| value as f64)
    }
}

/// The real one. `choose` says how many events a block has, by its number and by whether the last sample was slow.
struct InBlocks<F> {
    recorded: Recorded,
    random: SplitMix64,
    word: u64,
    block: Block,
    weights: Vec<u32>,
    choose: F,
}

impl<F: Fn(usize, bool) -> u32> InBlocks<F> {
    fn new(seed: u64, choose: F) -> Self {
        InBlocks {
            recorded: Recorded::default(),
            random: SplitMix64(seed),
            word: 0,
            block: Block::default(),
            // The first event is a block by itself.
            weights: vec![1],
            choose,
        }
    }
}

impl<F: Fn(usize, bool) -> u32> Sampler for InBlocks<F> {
    fn event(&mut self, duration: u64) {
        self.word = EVENT.wrapping_add(self.word);
        if is_drawn(self.word) {
            self.recorded.add(self.block.weight(), duration);
            let weight = (self.choose)(self.weights.len(), duration >= SLOW);
            self.weights.push(weight);
            (self.block, self.word) = self.block.next(self.word, weight, self.random.draw());
        }
    }

    fn exposed(&self) -> [f64; 3] {
        self.recorded.exposed()
    }

    fn block(&self, number: usize) -> u32 {
        self.weights[number]
    }
}

fn in_blocks(seed: u64) -> impl Sampler {
    InBlocks::new(seed, |_, _| N)
}

/// Takes every Nth event.
struct EveryNth {
    recorded: Recorded,
    /// How many events come before the next one.
    ahead: u32,
}

impl EveryNth {
    fn starting_at(first: u32) -> Self {
        EveryNth { recorded: Recorded::default(), ahead: first }
    }
}

impl Sampler for EveryNth {
    fn event(&mut self, duration: u64) {
        if self.ahead == 0 {
            self.recorded.add(N, duration);
            self.ahead = N;
        }
        self.ahead -= 1;
    }

    fn exposed(&self) -> [f64; 3] {
        self.recorded.exposed()
    }
}

/// Takes each event with the chance 1/N.
struct Independent {
    recorded: Recorded,
    random: SplitMix64,
    events: u64,
}

impl Independent {
    fn new(seed: u64) -> Self {
        Independent { recorded: Recorded::default(), random: SplitMix64(seed), events: 0 }
    }
}

impl Sampler for Independent {
    fn event(&mut self, duration: u64) {
        self.events += 1;
        if self.random.draw() < u64::MAX / u64::from(N) {
            self.recorded.add(N, duration);
        }
    }

    fn exposed(&self) -> [f64; 3] {
        self.recorded.exposed()
    }
}

/// The same draws, with all that was recorded rescaled to how many events there were (Hájek's estimator).
struct Ratio(Independent);

impl Sampler for Ratio {
    fn event(&mut self, duration: u64) {
        self.0.event(duration);
    }

    fn exposed(&self) -> [f64; 3] {
        let [count, slow, sum] = self.0.exposed();
        let events = self.0.events as f64;
        // The first events, of which none may be taken, have nothing that could be rescaled.
        let factor = events / count.max(1.0);
        [events, factor * slow, factor * sum]
    }
}

/// What is wrong with a sampler.
#[derive(Debug)]
#[expect(dead_code, reason = "for the message of a test that fails")]
enum Fault {
    /// Something that a scrape has seen was larger at an earlier one.
    Falls(String),
    /// The count of all events is not within the present block.
    Total(String),
    /// An estimate is off by more than three standard errors.
    Biased(String),
    /// An estimate's standard deviation is not what it has to be.
    Scatters(String),
}

/// Lets the sampler sample the loop again and again.
fn check<S: Sampler>(of: &Loop, sampler: impl Fn(u64) -> S) -> Result<(), Fault> {
    let mut estimates = Vec::new();
    let mut variances = [0.0; 3];
    for seed in 0..REPETITIONS {
        let mut sampler = sampler(seed);
        run(of, &mut sampler)?;
        let [count, slow, sum] = sampler.exposed();
        let [true_slow, true_sum, true_share] = of.truth;
        estimates.push([slow / true_slow, sum / true_sum, slow / count / true_share]);
        for (variance, own) in variances.iter_mut().zip(of.variances(|number| sampler.block(number))) {
            *variance += own / REPETITIONS as f64;
        }
    }
    for (at, what) in ESTIMATES.iter().enumerate() {
        let n = estimates.len() as f64;
        let mean = estimates.iter().map(|values| values[at]).sum::<f64>() / n;
        let deviation = (estimates.iter().map(|values| (values[at] - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        let error = deviation / n.sqrt();
        // The last term is for rounding.
        if (mean - 1.0).abs() > 3.0 * error + 1e-9 {
            return Err(Fault::Biased(format!("{}: {what} is {mean} ± {error} of the truth", of.name)));
        }
        let expected = variances[at].sqrt();
        let elsewhere = of.found_elsewhere.filter(|_| at == 0).map(|found| (found, AROUND_ANOTHER_RUN));
        for (expected, limits) in [(expected, AROUND_THE_TRUTH)].into_iter().chain(elsewhere) {
            if !limits.contains(&(deviation / expected)) {
                return Err(Fault::Scatters(format!("{}: {what} by {deviation}, not by {expected}", of.name)));
            }
        }
    }
    Ok(())
}

/// One repetition, with scrapes.
fn run(of: &Loop, sampler: &mut impl Sampler) -> Result<(), Fault> {
    let mut before = [0.0; 3];
    let (mut begin, mut end, mut number) = (0, u64::from(sampler.block(0)), 0);
    let mut at = 0;
    for events in of.durations.chunks(SCRAPE_EVERY) {
        events.iter().for_each(|&duration| sampler.event(duration));
        at += events.len() as u64;
        let now = sampler.exposed();
        if now.iter().zip(before).any(|(now, before)| *now < before) {
            return Err(Fault::Falls(format!("{}: {now:?} after {before:?}", of.name)));
        }
        before = now;
        while end < at {
            number += 1;
            (begin, end) = (end, end + u64::from(sampler.block(number)));
        }
        if !(begin as f64..=end as f64).contains(&now[0]) {
            return Err(Fault::Total(format!("{}: {} of {at} in block {begin}..{end}", of.name, now[0])));
        }
    }
    Ok(())
}

#[test]
fn independent_events_scatter_the_estimates_as_they_should() {
    check(&Loop::independent().found_elsewhere(0.136), in_blocks).unwrap();
}

#[test]
fn periodic_loops_do_not_bias_what_is_sampled() {
    // What was found elsewhere is a low one of its kind: here 0.251 is the truth, for each block has one slow event.
    check(&Loop::periodic(u64::from(N)).found_elsewhere(0.225), in_blocks).unwrap();
    check(&Loop::periodic(20).found_elsewhere(0.135), in_blocks).unwrap();
    for period in [2 * N, N / 2, 61, 67, 127] {
        check(&Loop::periodic(u64::from(period)), in_blocks).unwrap();
    }
}

#[test]
fn bursts_are_estimated_better_than_independent_events() {
    let (bursts, independent) = (Loop::bursts().found_elsewhere(0.026), Loop::independent());
    check(&bursts, in_blocks).unwrap();
    assert!(bursts.variances(|_| N)[0] < independent.variances(|_| N)[0] / 10.0);
}

#[test]
fn nothing_falls_and_nothing_is_biased_when_n_changes_from_block_to_block() {
    const WEIGHTS: [u32; 7] = [64, 1, 300, 7, 128, 20, 2];
    for of in [Loop::independent(), Loop::periodic(u64::from(N)), Loop::bursts()] {
        check(&of, |seed| InBlocks::new(seed, |number, _| WEIGHTS[number % WEIGHTS.len()])).unwrap();
        // As the budget does it: N follows what was seen, but not what the block itself will hold.
        check(&of, |seed| InBlocks::new(seed, |_, slow| if slow { 16 } else { 128 })).unwrap();
    }
}

// The negative controls: each is wrong in one way, and the same checks say in which.

#[test]
fn every_nth_event_is_found_to_be_biased() {
    for period in [N, 2 * N, N / 2, 20] {
        let fault = check(&Loop::periodic(u64::from(period)), |_| EveryNth::starting_at(0)).unwrap_err();
        assert!(matches!(fault, Fault::Biased(_)), "{fault:?}");
    }
}

#[test]
fn every_nth_event_from_a_random_one_on_is_found_to_scatter() {
    for period in [u64::from(N), 20] {
        let from_any = |seed| EveryNth::starting_at((SplitMix64(seed).draw() % u64::from(N)) as u32);
        let fault = check(&Loop::periodic(period), from_any).unwrap_err();
        assert!(matches!(fault, Fault::Scatters(_)), "{fault:?}");
    }
}

#[test]
fn independent_draws_are_found_to_lose_the_total() {
    let fault = check(&Loop::independent(), Independent::new).unwrap_err();
    assert!(matches!(fault, Fault::Total(_)), "{fault:?}");
}

#[test]
fn a_ratio_to_the_number_of_events_is_found_to_fall() {
    for of in [Loop::independent(), Loop::periodic(u64::from(N))] {
        let fault = check(&of, |seed| Ratio(Independent::new(seed))).unwrap_err();
        assert!(matches!(fault, Fault::Falls(_)), "{fault:?}");
    }
}
