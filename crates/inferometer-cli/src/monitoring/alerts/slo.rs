//! What is promised, and how fast the misses that are allowed are used up.
//!
//! Each promise is watched over several windows. A long one says that it matters, and a short one beside it that it
//! goes on, so that an alert ends soon after its cause.

use super::case::{Case, Part, growing, histogram, reset, then};
use super::{Alert, Format, Rule, Severity};
use crate::monitoring::args::{Context, FASTEST_BURN};
use crate::monitoring::naming::{Family, MODEL};
use crate::monitoring::promql::{Condition, Expr, Selector, increase, share, share_above, sum_by};
use crate::monitoring::time::Time;
use inferometer_serving::Metric;
use std::time::Duration;

/// What is promised of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// That its first token comes in time.
    FirstToken,
    /// That each other token does.
    BetweenTokens,
    /// That the whole answer does.
    Duration,
    /// That there is one.
    NoError,
}

/// A window of a ratio: what its recording rule is called after, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    name: &'static str,
    minutes: u64,
}

const fn window(name: &'static str, minutes: u64) -> Window {
    Window { name, minutes }
}

const FIVE_MINUTES: Window = window("5m", 5);
const HALF_AN_HOUR: Window = window("30m", 30);
pub(crate) const HOUR: Window = window("1h", 60);
const TWO_HOURS: Window = window("2h", 120);
const SIX_HOURS: Window = window("6h", 360);
const DAY: Window = window("1d", 1_440);
const THREE_DAYS: Window = window("3d", 4_320);

/// All that ratios are recorded over.
pub(crate) const WINDOWS: [Window; 7] = [FIVE_MINUTES, HALF_AN_HOUR, HOUR, TWO_HOURS, SIX_HOURS, DAY, THREE_DAYS];

impl Window {
    pub(crate) fn time(self, cx: &Context) -> Time {
        cx.clock.minutes(self.minutes)
    }

    /// Whether it is so long that its ratio hardly moves from one scrape to the next.
    pub(crate) fn is_long(self) -> bool {
        self.minutes >= TWO_HOURS.minutes
    }
}

/// How many times as fast as allowed misses come; over which windows, for how long, and whom that concerns.
struct Burn {
    factor: f64,
    long: Window,
    short: Window,
    hold_minutes: u64,
    severity: Severity,
}

/// Of a budget for thirty days: 2 % of it in an hour, 5 % in six, 10 % in a day, and 10 % in three.
const BURNS: [Burn; 4] = [
    Burn { factor: FASTEST_BURN, long: HOUR, short: FIVE_MINUTES, hold_minutes: 2, severity: Severity::Critical },
    Burn { factor: 6.0, long: SIX_HOURS, short: HALF_AN_HOUR, hold_minutes: 15, severity: Severity::Critical },
    Burn { factor: 3.0, long: DAY, short: TWO_HOURS, hold_minutes: 60, severity: Severity::Warning },
    Burn { factor: 1.0, long: THREE_DAYS, short: SIX_HOURS, hold_minutes: 180, severity: Severity::Warning },
];

/// Below this many in the long window, a single miss would be a trend.
const FEWEST: f64 = 20.0;

/// A promise that the profile's metrics can tell about.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    promise: Promise,
    /// What counts them all.
    whole: Selector,
    misses: Misses,
}

#[derive(Clone, Debug)]
enum Misses {
    Above(Family, f64),
    Failed { failed: Selector, succeeded: Selector },
}

/// The promises that can be watched.
pub(crate) fn promises(cx: &Context) -> Vec<Watched> {
    let all = [Promise::FirstToken, Promise::BetweenTokens, Promise::Duration, Promise::NoError];
    all.into_iter().filter_map(|promise| Watched::new(cx, promise)).collect()
}

impl Watched {
    fn new(cx: &Context, promise: Promise) -> Option<Self> {
        let within = |metric: Metric, limit: Duration| {
            let family = cx.naming.family(metric)?;
            let bound = family.bound(limit)?;
            Some(Watched { promise, whole: family.selector.count(), misses: Misses::Above(family, bound) })
        };
        match promise {
            Promise::FirstToken => within(Metric::TimeToFirstToken, cx.slo.ttft),
            Promise::BetweenTokens => within(Metric::InterTokenLatency, cx.slo.itl),
            Promise::Duration => within(Metric::RequestDuration, cx.slo.e2e),
            Promise::NoError => {
                let [failed, succeeded] = cx.naming.requests_by_outcome()?;
                let whole = cx.naming.series(Metric::Requests)?;
                Some(Watched { promise, whole, misses: Misses::Failed { failed, succeeded } })
            }
        }
    }

    /// What the promise is called, in the names of rules.
    pub(crate) fn name(&self) -> &'static str {
        match self.promise {
            Promise::FirstToken => "ttft",
            Promise::BetweenTokens => "itl",
            Promise::Duration => "e2e",
            Promise::NoError => "answer",
        }
    }

    /// The name that the share of misses is recorded under.
    pub(crate) fn record(&self, window: Window) -> String {
        format!("{MODEL}:inference_{}_misses:ratio_rate{}", self.name(), window.name)
    }

    /// The share of misses.
    pub(crate) fn ratio(&self, window: Time) -> Expr {
        match &self.misses {
            Misses::Above(family, bound) => share_above(*bound, &[MODEL], &family.selector, window),
            Misses::Failed { failed, .. } => share(failed, &self.whole, &[MODEL], window),
        }
    }

    fn rule(&self, cx: &Context, burn: &Burn) -> Rule {
        let limit = burn.factor * cx.allowed;
        let above = |window: Window| Condition::above(Selector::new(self.record(window)).into(), limit);
        let enough = sum_by(&[MODEL], &increase(&self.whole, burn.long.time(cx)));
        let condition = above(burn.long).and(above(burn.short)).and(Condition::above(enough, FEWEST));
        let labels = vec![("long", burn.long.time(cx).to_string()), ("short", burn.short.time(cx).to_string())];
        Rule { labels, ..Rule::new(condition, cx.clock.minutes(burn.hold_minutes), burn.severity) }
    }

    /// The series of the cases.
    fn series(&self, cx: &Context, values: impl Fn(Part) -> String) -> Vec<(Selector, String)> {
        match &self.misses {
            Misses::Above(family, bound) => {
                let next = family.next(*bound).unwrap_or(f64::INFINITY);
                histogram(&cx.example_of_model(family.selector.clone()), [*bound, next], values)
            }
            Misses::Failed { failed, succeeded } => {
                let series = |series: &Selector, part| (cx.example_of_model(series.clone()), values(part));
                vec![series(failed, Part::Missed), series(succeeded, Part::Within)]
            }
        }
    }
}

/// From one value of the cases to the next: windows are long, and promtool takes every step.
pub(crate) const STEP_MINUTES: u64 = 2;

pub(super) fn burn(cx: &Context, promise: Promise) -> Option<Alert> {
    let watched = Watched::new(cx, promise)?;
    let (summary, what) = match promise {
        Promise::FirstToken => ("First tokens are late too often.", "of first tokens are late"),
        Promise::BetweenTokens => ("Tokens are late too often.", "of tokens are late"),
        Promise::Duration => ("Answers are late too often.", "of answers are late"),
        Promise::NoError => ("Requests fail too often.", "of requests fail"),
    };
    let labels = [(MODEL, cx.example_model())];
    let minutes = |n| cx.clock.minutes(n);
    let fast = f64::midpoint(FASTEST_BURN * cx.allowed, 1.0);
    let [slow, fine] = [2.0 * cx.allowed, 0.5 * cx.allowed];
    let steadily = |share: f64| watched.series(cx, |part| growing(0.0, part.per_step(share), 120));
    let few = |part: Part| growing(0.0, part.of(0.0, 0.05), 30);
    let old_misses = |part: Part| {
        then(&[growing(part.of(0.0, 10_000.0), part.per_step(0.0), 60), growing(0.0, part.per_step(0.0), 60)])
    };
    Some(Alert {
        summary,
        description: format!(
            "Of {{model_name}} {{value}} {what} over {{long}}, and it goes on. What is allowed in thirty days is used up \
             sooner."
        ),
        value: Format::Percentage,
        rules: BURNS.iter().map(|burn| watched.rule(cx, burn)).collect(),
        cases: vec![
            Case::fires("so many miss that it is urgent", minutes(46))
                .with_all(steadily(fast))
                .expect_of(0, &labels, fast)
                .expect_of(1, &labels, fast),
            Case::fires("twice as many miss as may, for hours", minutes(220))
                .with_all(steadily(slow))
                .expect_of(3, &labels, slow),
            Case::quiet("half as many miss as may", minutes(230)).with_all(steadily(fine)),
            Case::quiet("all miss, and they are too few to say anything", minutes(46))
                .with_all(watched.series(cx, few)),
            Case::restart("counters begin again, and half as many miss as may", minutes(230))
                .with_all(watched.series(cx, |part| reset(part.per_step(fine), 120))),
            Case::restart("counters begin again, and many missed before they were watched", minutes(140))
                .with_all(watched.series(cx, old_misses)),
        ],
    })
}
