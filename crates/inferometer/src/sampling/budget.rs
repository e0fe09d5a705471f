//! How far apart samples must be so that timing takes its share of the time and no more.
//!
//! For each next block of a series: N = c1 / (b S), where S is the time between two events as it was between the last two
//! samples, c1 what a sample costs, and b the series' share. Then the block takes N S, and the sample takes b of that. N is
//! rounded up or down at random so that its mean is right (always up would waste half the budget between one and two).
//!
//! What it costs to count the events that are not timed, c0 each, comes on top; but where that is more than half of what
//! the samples may take, these give way, until nothing is left for them: N = c1 / min(b S, 2 (b S - c0)). So all of timing
//! costs 1.5 times the budget at most, as long as there is an N.
//!
//! - N grows by a factor of four at most, from one block to the next: a single short gap in a slow loop would otherwise
//!   leave the series without samples for hours.
//! - c1 is measured in place, because it is up to a hundred times as much where the caches are cold: each sample times
//!   itself. It is the mean over all the thread's samples, so series that share a budget equally have equally many samples.
//! - b is an equal part of what is left of the budget by the series that need less than such a part, as they are timed
//!   each time (max-min fairness). What the others happen to take at a moment does not matter: a series that reckons with
//!   it gets more for as long as it likes, and the debt is all of theirs.
//! - An account of what samples have cost corrects what all of this gets wrong: its debts are paid back by longer blocks,
//!   its savings are spent by shorter ones. It saves up a few milliseconds' worth at most, so that over 100 ms the budget
//!   holds.

/// Of the budget this much is planned with, and earned by the account. What is kept back pays for what a window of 100 ms
/// may take over from the one before it.
const TARGET: f32 = 0.95;
/// How many times more is planned, besides, where the account is full: then samples cost less than is believed, and the
/// sooner they come the sooner that is known.
const MOST_EXTRA: f32 = 3.0;
/// How much of the budget is held back, at most, where the account is overdrawn.
const MOST_HELD_BACK: f32 = 0.9;
/// In how many milliseconds a debt is paid back.
const PAY_BACK: f32 = 20.0;
/// The account holds what a sample costs, but never less than it earns in so many milliseconds ...
const LEAST_SAVED: f32 = 2.0;
/// ... and never more than in so many.
const MOST_SAVED: f32 = 10.0;
/// How many milliseconds' worth of debt it remembers.
const MOST_OWED: f32 = 100.0;
/// After how many milliseconds without a sample a series does not count as one of the thread's any more: between one and
/// two of these.
const PERIOD: f32 = 100.0;
/// How many bits count periods: they wrap after 19 days.
const PERIOD_BITS: u32 = 24;
/// The periods for which a part was too small have the rest of the word that periods are in.
const LACKING_BITS: u32 = u32::BITS - PERIOD_BITS;
/// For how many periods a budget must be too small before that is said: until then series may count as sharers that are
/// none any more.
const LASTING: u8 = 3;
/// By which factor blocks grow at most.
const GROWTH: u32 = 4;
/// Over how many samples that measured themselves the mean of their cost goes. Of fewer it would be so uncertain that the
/// budget were exceeded: a block is as long as the cost is believed to be, and the mean of 1/x is more than 1 / the mean.
const MEMORY: u32 = 63;
/// With what weight the mean begins, at what samples cost with everything in the caches.
const PRIOR: u32 = 8;
/// One that took less than the mean goes into it as if it were of so few, while there are savings: what is saved shows
/// that the mean is too high, and as long as it is, samples are too rare to tell.
const DOUBTFUL: u32 = 16;
/// After how many it is known well enough to say that a budget cannot be kept.
const ENOUGH: u32 = 16;
/// One that took more times the mean than this counts as this for the mean, so that what comes once in a while changes
/// little of the plan. The account knows what it was.
const MOST_TIMES: f32 = 8.0;
/// One that took longer was interrupted, and says nothing; nanoseconds.
const LONGEST: f32 = 100_000.0;
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
    /// By how much one is cheaper that does not measure itself.
    pub(crate) measuring: f32,
}

/// What a thread knows of all its timed series.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))] // one line of the caches
pub(crate) struct ThreadState {
    /// What a sample costs on average, in nanoseconds, and how often that was measured, up to [`MEMORY`].
    cost: f32,
    measured: u32,
    /// What the last one has cost that was measured; 0 for none.
    latest: f32,
    /// What the samples have cost that ended since `settled_at`.
    spent: f32,
    /// What was left of the budget then, or overdrawn; nanoseconds.
    balance: f32,
    settled_at: u64,
    period: u32,
    period_began: u64,
    /// Of the series that had a sample in this period, and of those that had one in the last period only.
    series: [Sharers; 2],
}

/// Series that share a budget.
#[derive(Clone, Copy, Debug, Default)]
struct Sharers {
    count: u32,
    /// Of these, how many have less than they want.
    wanting: u32,
    /// The share of the time that the others take, all together.
    content: f32,
}

/// What a thread knows of one series. In one word: see [`SeriesState::from_bits`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct SeriesState {
    /// The share of the time that the series takes with all its events timed; infinite where it may not take so much.
    wants: f32,
    /// The last period in which it had a sample. Periods are counted from 1.
    period: u32,
    /// For how many periods its part of the budget has been too small, up to 255.
    lacking: u8,
}

/// What was seen of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) now: u64,
    /// How long before the last sample the one before it was taken.
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
            wants: f32::from_bits((bits >> 32) as u32),
            period: bits as u32 >> LACKING_BITS,
            lacking: bits as u8,
        }
    }

    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.wants.to_bits()) << 32 | u64::from(self.period << LACKING_BITS) | u64::from(self.lacking)
    }
}

impl ThreadState {
    pub(crate) const fn new() -> Self {
        const NONE: Sharers = Sharers { count: 0, wanting: 0, content: 0.0 };
        ThreadState {
            cost: 0.0,
            measured: 0,
            latest: 0.0,
            spent: 0.0,
            balance: 0.0,
            settled_at: 0,
            period: 0,
            period_began: 0,
            series: [NONE; 2],
        }
    }

    /// What a sample costs on this thread, in nanoseconds.
    pub(crate) fn cost(&self, terms: &Terms) -> f32 {
        if self.measured > 0 { self.cost } else { terms.sample_cost }
    }

    /// What the last sample has cost that was measured.
    pub(crate) fn latest(&self) -> Option<f32> {
        Some(self.latest).filter(|&latest| latest > 0.0)
    }

    pub(crate) fn forget_latest(&mut self) {
        self.latest = 0.0;
    }

    /// Books what a sample has cost, which it has seen if it measured itself, and returns that.
    #[inline(always)]
    pub(crate) fn charge(&mut self, seen: Option<f32>, terms: &Terms) -> f32 {
        let mean = self.cost(terms);
        let cost = match seen {
            Some(seen) if seen < LONGEST => {
                self.latest = seen;
                self.measured = (self.measured + 1).min(MEMORY);
                let steady = seen.min(MOST_TIMES * mean).max(1.0);
                let is_doubted = steady < mean && self.balance - self.spent >= self.most_saved(terms) / 2.0;
                let memory = self.measured + PRIOR;
                let memory = if is_doubted { memory.min(DOUBTFUL) } else { memory };
                self.cost = mean + (steady - mean) / memory as f32;
                seen
            }
            Some(_) => mean,
            None => mean - terms.measuring.min(mean / 2.0),
        };
        self.spent += cost;
        cost
    }

    /// Brings the balance up to now. What a sample costs is spent first and earned in the block that follows.
    fn settle(&mut self, now: u64, terms: &Terms) {
        let ms = terms.budget * NANOS_PER_MS;
        let passed = if self.settled_at == 0 { 0 } else { now.saturating_sub(self.settled_at) };
        let earned = passed as i64 as f32 * terms.nanos_per_tick * TARGET * terms.budget;
        self.balance = (self.balance - self.spent + earned).min(self.most_saved(terms)).max(-MOST_OWED * ms);
        (self.spent, self.settled_at) = (0.0, now);
    }

    /// How much the account holds, in nanoseconds.
    fn most_saved(&self, terms: &Terms) -> f32 {
        let ms = terms.budget * NANOS_PER_MS;
        self.cost(terms).min(MOST_SAVED * ms).max(LEAST_SAVED * ms)
    }

    /// Chooses the next block of a series whose share is at most `share`. `random` is a draw.
    #[inline(always)]
    pub(crate) fn plan(
        &mut self,
        series: &mut SeriesState,
        seen: Seen,
        share: f32,
        terms: &Terms,
        random: u64,
    ) -> Plan {
        self.settle(seen.now, terms);
        if seen.events == 0 {
            return Plan { weight: 1, infeasible: false };
        }
        let spacing = (seen.ticks as i64 as f32 * terms.nanos_per_tick / seen.events as f32).max(f32::MIN_POSITIVE);
        let cost = self.cost(terms);
        let wants = (cost / spacing).min(share);
        let last = series.period;
        let part = self.part(series, seen.now, wants, terms).min(share);
        let events_for = |share: f32| {
            let all = share * spacing;
            let for_samples = all.min(2.0 * (all - terms.event_cost));
            if for_samples > 0.0 { cost / for_samples } else { f32::INFINITY }
        };
        let needed = events_for(part);
        let ideal = (needed / self.correction(terms)).max(events_for(share));
        // The upper bits choose the place in the block.
        let fraction = (random & 0xff_ffff) as i32 as f32 / (1 << 24) as f32;
        // A float becomes the nearest integer there is, infinity too.
        let rounded = ((ideal + fraction) as u32).max(1);
        let weight = rounded.min(GROWTH.saturating_mul(seen.weight)).min(MAX_N);
        // Not after a single short gap, not by a few costs that may be odd, and not while a debt is paid back.
        let is_sure = seen.weight == MAX_N && (self.measured >= ENOUGH || needed.is_infinite());
        series.lacking = if is_sure && needed > MAX_N as f32 {
            let passed = series.period.wrapping_sub(last);
            series.lacking.saturating_add(passed.min(u32::from(LASTING)) as u8)
        } else {
            0
        };
        Plan { weight, infeasible: series.lacking >= LASTING }
    }

    /// The share of the time that a series may take now, which wants so much; and notes whether that is enough.
    fn part(&mut self, series: &mut SeriesState, now: u64, wants: f32, terms: &Terms) -> f32 {
        self.turn_over(now, terms);
        self.leave(series);
        let [now, before] = self.series;
        let left = terms.budget - now.content - before.content;
        let equal = terms.budget / (now.count + before.count + 1) as f32;
        // Those that are content may be so with more than an equal part until they are planned anew.
        let part = (left / (now.wanting + before.wanting + 1) as f32).max(equal);
        self.enter(series, if wants <= part { wants } else { f32::INFINITY });
        part
    }

    /// How many times the samples that a series may have the account of the thread allows now. It is the samples that this
    /// multiplies, not the share of the time from which they are reckoned: counting may leave nothing of a smaller share,
    /// and a debt of a moment would become the longest block.
    fn correction(&self, terms: &Terms) -> f32 {
        let ms = terms.budget * NANOS_PER_MS;
        let correction = if self.balance > 0.0 {
            self.balance / self.most_saved(terms) * MOST_EXTRA
        } else {
            (self.balance / (PAY_BACK * ms)).max(-MOST_HELD_BACK)
        };
        // Without a budget the correction is not a number, and nobody may have samples anyway.
        if terms.budget > 0.0 { TARGET * (1.0 + correction) } else { TARGET }
    }

    /// Begins a new period when it is time: what was seen in the last period only is forgotten.
    fn turn_over(&mut self, now: u64, terms: &Terms) {
        let over = now.saturating_sub(self.period_began) as i64 as f32 * terms.nanos_per_tick;
        if over >= PERIOD * NANOS_PER_MS {
            let forget_all = over >= 2.0 * PERIOD * NANOS_PER_MS;
            self.series = [Sharers::default(), if forget_all { Sharers::default() } else { self.series[0] }];
            // Two on, so that a series of the last period is not taken for one of the period before this.
            self.period = (self.period + 1 + u32::from(forget_all)) % (1 << PERIOD_BITS);
            self.period_began = now;
        }
    }

    /// Takes a series out of the sums.
    fn leave(&mut self, series: &SeriesState) {
        let place = match series.period {
            0 => return,
            period if period == self.period => 0,
            period if period.wrapping_add(1) == self.period => 1,
            _ => return,
        };
        let sharers = &mut self.series[place];
        sharers.count = sharers.count.saturating_sub(1);
        if series.wants.is_finite() {
            sharers.content = (sharers.content - series.wants).max(0.0);
        } else {
            sharers.wanting = sharers.wanting.saturating_sub(1);
        }
    }

    fn enter(&mut self, series: &mut SeriesState, wants: f32) {
        (series.wants, series.period) = (wants, self.period);
        let sharers = &mut self.series[0];
        sharers.count += 1;
        if series.wants.is_finite() {
            sharers.content += series.wants;
        } else {
            sharers.wanting += 1;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::SplitMix64;
    use super::super::block::{Block, EVENT, is_drawn};
    use super::*;

    const TERMS: Terms =
        Terms { budget: 0.001, nanos_per_tick: 1.0, event_cost: 1.5, sample_cost: 60.0, measuring: 20.0 };

    /// One timed series of a simulated thread, whose samples cost what they do.
    struct Series {
        word: u64,
        block: Block,
        state: SeriesState,
        infeasible: bool,
        seen: Seen,
        last: u64,
        share: f32,
        samples_taken: u64,
    }

    impl Series {
        fn new() -> Self {
            let seen = Seen { now: 0, ticks: 0, events: 0, weight: 1 };
            Series {
                last: 0,
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

    /// A thread whose samples cost `cost` nanoseconds, each or on average.
    struct Thread {
        now: u64,
        state: ThreadState,
        terms: Terms,
        cost: f32,
        /// Whether one in five costs three times that, and the others half of it.
        differing: bool,
        random: SplitMix64,
        /// When each sample was, in order, and what it cost.
        spent: Vec<(u64, f64)>,
    }

    impl Thread {
        fn new(budget: f32, cost: f32) -> Self {
            Thread {
                now: 1_000_000_000,
                state: ThreadState::new(),
                terms: Terms { budget, ..TERMS },
                cost,
                differing: false,
                random: SplitMix64(1),
                spent: Vec::new(),
            }
        }

        fn event(&mut self, series: &mut Series) {
            series.word = EVENT.wrapping_add(series.word);
            if !is_drawn(series.word) {
                return;
            }
            let random = self.random.draw();
            (series.seen.weight, series.seen.now) = (series.block.weight(), self.now);
            let plan = self.state.plan(&mut series.state, series.seen, series.share, &self.terms, random);
            series.infeasible = plan.infeasible;
            let (next, word) = series.block.next(series.word, plan.weight, random.rotate_left(17));
            series.seen.ticks = if series.last == 0 { 0 } else { self.now - series.last };
            series.last = self.now;
            series.seen.events = series.block.gap;
            (series.block, series.word) = (next, word);
            series.samples_taken += 1;
            let factor = match (self.differing, self.random.draw() % 5) {
                (false, _) => 1.0,
                (true, 0) => 3.0,
                (true, _) => 0.5,
            };
            self.state.charge(Some(factor * self.cost), &self.terms);
            self.now += (factor * self.cost) as u64;
            self.spent.push((self.now, f64::from(factor * self.cost)));
        }

        /// The largest share of a window of 100 ms that samples took, after the first.
        fn worst_window(&self) -> f64 {
            let (mut worst, mut sum, mut from) = (0.0_f64, 0.0, 0);
            let begin = self.spent.first().map_or(0, |first| first.0) + 100_000_000;
            for &(at, cost) in &self.spent {
                sum += cost;
                while self.spent[from].0 + 100_000_000 < at {
                    sum -= self.spent[from].1;
                    from += 1;
                }
                if at >= begin {
                    worst = worst.max(sum / 1e8);
                }
            }
            worst
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
        share_among_twenty(false);
    }

    #[test]
    fn twenty_series_whose_samples_cost_now_less_now_more_share_the_budget_too() {
        share_among_twenty(true);
    }

    fn share_among_twenty(differing: bool) {
        let mut thread = Thread { differing, ..Thread::new(0.001, 60.0) };
        let mut series: Vec<Series> = (0..20).map(|_| Series::new()).collect();
        let end = thread.now + 2_000_000_000;
        while thread.now < end {
            thread.now += 100_000;
            series.iter_mut().for_each(|series| thread.event(series));
        }
        assert!(differing || thread.worst_window() <= 0.001, "{}", thread.worst_window());
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
        let (_, series) = steady(0.0, 60.0, 100_000, 3_000);
        assert!(series.infeasible);
    }

    #[test]
    fn a_series_that_has_just_ended_does_not_make_the_budget_infeasible_for_the_next_one() {
        // Half of the budget would be less than what counting costs.
        let mut thread = Thread::new(0.005, 60.0);
        thread.terms.event_cost = 2.6;
        for mut series in [Series::new(), Series::new(), Series::new()] {
            for _ in 0..1_000_000 {
                thread.now += 1_000;
                thread.event(&mut series);
                assert!(!series.infeasible);
            }
        }
    }

    #[test]
    fn what_samples_cost_once_is_soon_forgotten() {
        let mut thread = Thread::new(0.001, 5_000.0);
        let mut series: Vec<Series> = (0..20).map(|_| Series::new()).collect();
        let mut share_used = |thread: &mut Thread, millis: u64| {
            let (begin, before) = (thread.now, thread.spent.len());
            while thread.now < begin + millis * 1_000_000 {
                thread.now += 100_000;
                series.iter_mut().for_each(|series| thread.event(series));
            }
            thread.spent[before..].iter().map(|sample| sample.1).sum::<f64>() / (thread.now - begin) as f64
        };
        share_used(&mut thread, 1_000);
        thread.cost = 150.0;
        share_used(&mut thread, 200);
        let used = share_used(&mut thread, 100);
        assert!((0.000_85..0.001).contains(&used), "{used}");
    }

    #[test]
    fn what_the_first_samples_cost_is_soon_forgotten_though_few_follow() {
        let mut thread = Thread::new(0.001, 10_000.0);
        let mut series: Vec<Series> = (0..20).map(|_| Series::new()).collect();
        let (begin, mut before) = (thread.now, 0);
        while thread.now < begin + 3_000_000_000 {
            thread.now += 100_000;
            series.iter_mut().for_each(|series| thread.event(series));
            if thread.cost > 240.0 && thread.now > begin + 300_000_000 {
                (thread.cost, before) = (240.0, thread.spent.len());
            }
        }
        let used = thread.spent[before..].iter().map(|sample| sample.1).sum::<f64>() / 2.7e9;
        assert!((0.000_84..0.001).contains(&used), "{used}");
    }

    #[test]
    fn a_debt_of_a_moment_does_not_become_the_longest_block() {
        let (mut thread, mut series) = steady(0.001, 60.0, 5_000, 1_000);
        let before = series.block.weight();
        thread.cost = 50_000.0;
        let taken = series.samples_taken;
        while series.samples_taken == taken {
            thread.now += 5_000;
            thread.event(&mut series);
        }
        thread.cost = 60.0;
        for _ in 0..10_000 {
            thread.now += 5_000;
            thread.event(&mut series);
            let weight = series.block.weight();
            assert!(weight <= 20 * before, "{weight}, and {before} before");
        }
    }

    #[test]
    fn a_sample_that_does_not_measure_itself_costs_what_the_others_do_less_the_measuring() {
        let mut state = ThreadState::new();
        assert_eq!(state.charge(None, &TERMS), 40.0);
        (0..1_000).for_each(|_| _ = state.charge(Some(100.0), &TERMS));
        assert!((79.0..80.5).contains(&state.charge(None, &TERMS)));
        // It is no free one, however little the others cost.
        (0..1_000).for_each(|_| _ = state.charge(Some(10.0), &TERMS));
        assert!((4.9..5.5).contains(&state.charge(None, &TERMS)));
    }

    #[test]
    fn samples_believed_to_cost_nothing_and_a_budget_of_nothing_do_no_harm() {
        let mut state = ThreadState::new();
        let terms = Terms { budget: 0.0, sample_cost: 0.05, ..TERMS };
        state.charge(Some(50.0), &terms);
        let seen = Seen { now: 1_000, ticks: 10, events: 1, weight: 1 };
        let plan = state.plan(&mut SeriesState::default(), seen, 1.0, &terms, 0);
        assert_eq!(plan.weight, GROWTH);
        assert!(state.cost(&terms) > 0.1, "{}", state.cost(&terms));
    }

    #[test]
    fn a_state_survives_its_word() {
        assert_eq!(SeriesState::from_bits(0), SeriesState::default());
        for wants in [0.5, f32::INFINITY] {
            let state = SeriesState { wants, period: (1 << PERIOD_BITS) - 1, lacking: 200 };
            assert_eq!(SeriesState::from_bits(state.to_bits()), state);
        }
    }
}
