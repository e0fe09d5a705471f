//! How far apart samples must be so that timing takes its share of the time and no more.
//!
//! For each next block of a series: N = c1 / (b S - c0), where S is the time between two events as it was between the
//! last two samples, c0 what an event costs that is not timed, c1 what a sample costs, and b the series' share. Then the
//! block takes N S and costs N c0 + c1 = b N S. N is rounded up or down at random so that its mean is right (always up
//! would waste half the budget between one and two).
//!
//! - N grows by a factor of four at most, from one block to the next: a single short gap in a slow loop would otherwise
//!   leave the series without samples for hours.
//! - c1 is measured in place, because it is ten times as much where the caches are cold: one sample in four times itself.
//! - b is what the thread's other series leave of the budget, and never less than an equal part. So those that need
//!   less than that pass the rest on, and those that need more share it (max-min fairness).
//! - An account of what samples have cost corrects what all of this gets wrong. It saves up a few milliseconds' worth
//!   at most, so that over 100 ms the budget holds.

/// Of the budget this much is planned with; the account gives the rest where it is left over. What is kept back pays for
/// what a window of 100 ms may take over from the one before it, and for errors of the measured costs.
const TARGET: f32 = 0.95;
/// How much more is planned where the account has savings.
const MOST_EXTRA: f32 = 0.04;
/// How much of the budget is held back, at most, where the account is overdrawn.
const MOST_HELD_BACK: f32 = 0.9;
/// In how many milliseconds a debt is paid back.
const PAY_BACK: f32 = 20.0;
/// For how many milliseconds the account saves.
const MOST_SAVED: f32 = 2.0;
/// How many milliseconds' worth of debt it remembers.
const MOST_OWED: f32 = 100.0;
/// After how many milliseconds without a sample a series does not count as one of the thread's any more: between one and
/// two of these.
const PERIOD: f32 = 100.0;
/// By which factor blocks grow at most.
const GROWTH: u32 = 4;
const NANOS_PER_MS: f32 = 1e6;
/// The longest block.
pub(crate) const MAX_N: u32 = 4_096;

/// What applies to all threads. Costs are in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The share of a thread's time for all its timed series.
    pub(crate) budget: f32,
    pub(crate) nanos_per_tick: f32,
    /// What an event costs that is not timed.
    pub(crate) event_cost: f32,
    /// What a sample costs where nothing is known yet.
    pub(crate) sample_cost: f32,
}

/// What a thread knows of all its timed series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadState {
    /// What is left of the budget up to `charged_at`, or overdrawn; nanoseconds.
    balance: f32,
    charged_at: u64,
    period: u32,
    period_began: u64,
    /// The shares of the time that series took which had a sample in this period; and of those that had one in the last
    /// period only.
    taken: [f32; 2],
    /// How many they are.
    series: [u32; 2],
}

/// What a thread knows of one series. In one word: see [`SeriesState::from_bits`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct SeriesState {
    /// What a sample costs, in nanoseconds; 0 when it was never measured.
    cost: f32,
    /// The share of the time that the series takes. Kept in half the bits: see [`SeriesState::to_bits`].
    taken: f32,
    /// The last period in which it had a sample, modulo 2^16. Periods are counted from 1.
    period: u16,
}

/// What was seen between the last two samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// When the last one was taken, and how long before that the one before it.
    pub(crate) at: u64,
    pub(crate) ticks: u64,
    /// How many events that was; 0 when there were no two samples yet.
    pub(crate) events: u32,
    /// The weight that is in force.
    pub(crate) weight: u32,
}

/// What the next block is to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) weight: u32,
    /// Whether the budget cannot be kept.
    pub(crate) infeasible: bool,
}

impl SeriesState {
    /// Zeros are the state before the first sample.
    pub(crate) fn from_bits(bits: u64) -> Self {
        SeriesState {
            cost: f32::from_bits((bits >> 32) as u32),
            // The upper half of a float is a float with fewer digits.
            taken: f32::from_bits((bits as u32) & 0xffff_0000),
            period: bits as u16,
        }
    }

    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.cost.to_bits()) << 32 | u64::from(self.taken.to_bits() & 0xffff_0000) | u64::from(self.period)
    }

    /// What a sample costs, in nanoseconds.
    pub(crate) fn cost(self, terms: &Terms) -> f32 {
        if self.cost > 0.0 { self.cost } else { terms.sample_cost }
    }

    /// Takes in what a sample was seen to cost: a running mean over about sixteen. One that was interrupted counts as
    /// eight times the mean at most.
    pub(crate) fn observe(&mut self, cost: f32, terms: &Terms) {
        let mean = self.cost(terms);
        self.cost = (mean + (cost.min(8.0 * mean) - mean) / 16.0).max(1.0);
    }
}

impl ThreadState {
    pub(crate) const fn new() -> Self {
        ThreadState { balance: 0.0, charged_at: 0, period: 0, period_began: 0, taken: [0.0; 2], series: [0; 2] }
    }

    /// Books what a sample has cost.
    pub(crate) fn charge(&mut self, now: u64, cost: f32, terms: &Terms) {
        let ms = terms.budget * NANOS_PER_MS;
        let earned = now.saturating_sub(self.charged_at) as f32 * terms.nanos_per_tick * terms.budget;
        let saved = if self.charged_at == 0 { 0.0 } else { (self.balance + earned).min(MOST_SAVED * ms) };
        self.balance = (saved - cost).max(-MOST_OWED * ms);
        self.charged_at = now;
    }

    /// Chooses the next block of a series whose share is at most `share`. `random` is a draw.
    pub(crate) fn plan(
        &mut self,
        series: &mut SeriesState,
        seen: Seen,
        share: f32,
        terms: &Terms,
        random: u64,
    ) -> Plan {
        if seen.events == 0 {
            return Plan { weight: 1, infeasible: false };
        }
        let spacing = (seen.ticks as f32 * terms.nanos_per_tick / seen.events as f32).max(f32::MIN_POSITIVE);
        let cost = series.cost(terms);
        let granted = self.granted(series, seen.at, share, terms);
        let for_samples = granted * spacing - terms.event_cost;
        let ideal = if for_samples > 0.0 { cost / for_samples } else { f32::INFINITY };
        let fraction = (random >> 40) as f32 / (1 << 24) as f32;
        // A float becomes the nearest integer there is, infinity too.
        let rounded = ((ideal + fraction) as u32).max(1);
        let weight = rounded.min(GROWTH.saturating_mul(seen.weight)).min(MAX_N);
        let sampling = cost / (weight as f32 * spacing);
        let taken = (sampling + terms.event_cost / spacing).min(granted.max(sampling));
        self.enter(series, taken);
        // Not after a single short gap.
        Plan { weight, infeasible: weight == MAX_N && ideal > MAX_N as f32 }
    }

    /// The share of the time that a series may take now.
    fn granted(&mut self, series: &SeriesState, now: u64, share: f32, terms: &Terms) -> f32 {
        self.turn_over(now, terms);
        self.leave(series);
        let others = self.taken[0] + self.taken[1];
        let equal = terms.budget / (self.series[0] + self.series[1] + 1) as f32;
        let granted = (terms.budget - others).max(equal).min(share);
        let ms = terms.budget * NANOS_PER_MS;
        let correction = (self.balance / (PAY_BACK * ms)).clamp(-MOST_HELD_BACK, 1.0);
        let correction = if correction > 0.0 { correction * (MOST_EXTRA * PAY_BACK / MOST_SAVED) } else { correction };
        // Without a budget the correction is not a number.
        if terms.budget > 0.0 { granted * (TARGET + correction) } else { 0.0 }
    }

    /// Begins a new period when it is time: what was seen in the last period only is forgotten.
    fn turn_over(&mut self, now: u64, terms: &Terms) {
        let over = now.saturating_sub(self.period_began) as f32 * terms.nanos_per_tick;
        if over >= PERIOD * NANOS_PER_MS {
            let forget_all = over >= 2.0 * PERIOD * NANOS_PER_MS;
            self.taken = [0.0, if forget_all { 0.0 } else { self.taken[0] }];
            self.series = [0, if forget_all { 0 } else { self.series[0] }];
            // Two on, so that a series of the last period is not taken for one of the period before this.
            self.period += 1 + u32::from(forget_all);
            self.period_began = now;
        }
    }

    /// Takes a series out of the sums.
    fn leave(&mut self, series: &SeriesState) {
        let (now, before) = (self.period as u16, self.period.wrapping_sub(1) as u16);
        let place = match series.period {
            0 => return,
            period if period == now => 0,
            period if period == before => 1,
            _ => return,
        };
        self.taken[place] = (self.taken[place] - series.taken).max(0.0);
        self.series[place] = self.series[place].saturating_sub(1);
    }

    fn enter(&mut self, series: &mut SeriesState, taken: f32) {
        // As it is kept, so that what is subtracted later is what was added.
        series.taken = f32::from_bits(taken.to_bits() & 0xffff_0000);
        series.period = self.period as u16;
        self.taken[0] += series.taken;
        self.series[0] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::{Block, EVENT, is_drawn};
    use super::*;

    const TERMS: Terms = Terms { budget: 0.001, nanos_per_tick: 1.0, event_cost: 1.5, sample_cost: 60.0 };

    /// One timed series of a simulated thread, whose samples cost what they do.
    struct Series {
        word: u64,
        block: Block,
        state: SeriesState,
        infeasible: bool,
        seen: Seen,
        share: f32,
        samples_taken: u64,
    }

    impl Series {
        fn new() -> Self {
            let seen = Seen { at: 0, ticks: 0, events: 0, weight: 1 };
            Series {
                word: 0,
                block: Block::default(),
                state: SeriesState::default(),
                infeasible: false,
                seen,
                share: 1.0,
                samples_taken: 0,
            }
        }
    }

    /// A thread whose samples cost `cost` nanoseconds.
    struct Thread {
        now: u64,
        state: ThreadState,
        terms: Terms,
        cost: f32,
        random: u64,
        /// When each sample was, in order.
        spent: Vec<u64>,
    }

    impl Thread {
        fn new(budget: f32, cost: f32) -> Self {
            Thread {
                now: 1_000_000_000,
                state: ThreadState::new(),
                terms: Terms { budget, ..TERMS },
                cost,
                random: 1,
                spent: Vec::new(),
            }
        }

        fn event(&mut self, series: &mut Series) {
            series.word = EVENT.wrapping_add(series.word);
            if !is_drawn(series.word) {
                return;
            }
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            series.seen.weight = series.block.weight();
            let plan = self.state.plan(&mut series.state, series.seen, series.share, &self.terms, self.random);
            series.infeasible = plan.infeasible;
            let (next, word) = series.block.next(series.word, plan.weight, self.random.rotate_left(17));
            series.seen.ticks = if series.seen.at == 0 { 0 } else { self.now - series.seen.at };
            series.seen.at = self.now;
            series.seen.events = series.block.gap;
            (series.block, series.word) = (next, word);
            series.samples_taken += 1;
            series.state.observe(self.cost, &self.terms);
            self.now += self.cost as u64;
            self.spent.push(self.now);
            let cost = series.state.cost(&self.terms);
            self.state.charge(self.now, cost, &self.terms);
        }

        /// The largest share of a window of 100 ms that samples took, after the first.
        fn worst_window(&self) -> f64 {
            let mut worst = 0_usize;
            let mut from = 0;
            let begin = self.spent.first().copied().unwrap_or(0) + 100_000_000;
            for (to, &at) in self.spent.iter().enumerate() {
                while self.spent[from] + 100_000_000 < at {
                    from += 1;
                }
                if at >= begin {
                    worst = worst.max(to + 1 - from);
                }
            }
            worst as f64 * f64::from(self.cost) / 1e8
        }
    }

    fn steady(budget: f32, cost: f32, spacing: u64, millis: u64) -> (Thread, Series) {
        let (mut thread, mut series) = (Thread::new(budget, cost), Series::new());
        let end = thread.now + millis * 1_000_000;
        while thread.now < end {
            thread.now += spacing;
            thread.event(&mut series);
        }
        (thread, series)
    }

    #[test]
    fn each_window_stays_within_the_budget_and_uses_it() {
        for (budget, spacing, cost) in
            [(0.001, 100_000, 60.0), (0.001, 10_000, 60.0), (0.005, 1_000, 60.0), (0.001, 10_000, 800.0)]
        {
            let (thread, series) = steady(budget, cost, spacing, 2_000);
            let worst = thread.worst_window();
            assert!(worst <= f64::from(budget), "{spacing} ns: {worst}");
            // As many as the budget allows, less what counting costs, or all of them.
            let per_event = (f64::from(budget) - 1.5 / spacing as f64).min(f64::from(cost) / spacing as f64);
            let allowed = 2e9 * per_event / f64::from(cost);
            let taken = series.samples_taken as f64;
            assert!(taken >= 0.9 * allowed, "{spacing} ns: {taken} of {allowed}");
            assert!(!series.infeasible);
        }
    }

    #[test]
    fn twenty_series_share_the_budget_and_none_starves() {
        let mut thread = Thread::new(0.001, 60.0);
        let mut series: Vec<Series> = (0..20).map(|_| Series::new()).collect();
        let end = thread.now + 2_000_000_000;
        while thread.now < end {
            thread.now += 100_000;
            series.iter_mut().for_each(|series| thread.event(series));
        }
        assert!(thread.worst_window() <= 0.001, "{}", thread.worst_window());
        let each = 2e9 * (0.001 / 20.0 - 1.5 / 100_000.0) / 60.0;
        for series in &series {
            assert!(series.samples_taken as f64 >= 0.9 * each, "{} of {each}", series.samples_taken);
        }
    }

    #[test]
    fn a_jump_is_followed_within_100_ms() {
        let (mut thread, mut series) = (Thread::new(0.005, 60.0), Series::new());
        let mut weights = Vec::new();
        for (spacing, events) in [(100_000, 10_000), (1_000, 1_000_000), (100_000, 10_000)] {
            let begin = thread.now;
            let want = f64::max(60.0 / (0.005 * spacing as f64 - 1.5), 1.0);
            let mut settled = None;
            for _ in 0..events {
                thread.now += spacing;
                thread.event(&mut series);
                let weight = f64::from(series.block.weight());
                if settled.is_none() && weight < 2.0 * want && weight > want / 2.0 {
                    settled = Some(thread.now - begin);
                }
            }
            weights.push(settled);
        }
        assert!(weights.iter().all(|settled| settled.is_some_and(|time| time <= 100_000_000)), "{weights:?}");
        assert!(thread.worst_window() <= 0.005, "{}", thread.worst_window());
    }

    #[test]
    fn a_rare_short_gap_does_not_starve_a_slow_series() {
        let (mut thread, mut series) = (Thread::new(0.001, 60.0), Series::new());
        for at in 0..5_000 {
            thread.now += if at % 50 == 0 { 100 } else { 100_000_000 };
            thread.event(&mut series);
        }
        assert!(series.samples_taken >= 4_500, "{}", series.samples_taken);
    }

    #[test]
    fn a_budget_that_cannot_be_kept_is_reported_and_sampling_is_as_rare_as_it_gets() {
        let (_, series) = steady(0.001, 60.0, 1_000, 1_000);
        assert!(series.infeasible);
        assert_eq!(series.block.weight(), MAX_N);
        let (_, series) = steady(0.0, 60.0, 100_000, 1_000);
        assert!(series.infeasible);
    }

    #[test]
    fn a_state_survives_its_word() {
        let mut state = SeriesState::default();
        assert_eq!(SeriesState::from_bits(0), state);
        state.observe(120.0, &TERMS);
        (state.taken, state.period) = (0.5, 7);
        assert_eq!(SeriesState::from_bits(state.to_bits()), state);
    }
}
