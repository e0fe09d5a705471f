//! The metrics themselves: what they cost, and what they leave out.

use super::case::{Case, TARGET, failed, growing, not_yet, reset, steady, then};
use super::{Alert, Format, Rule, Severity};
use crate::monitoring::args::Context;
use crate::monitoring::naming::Own;
use crate::monitoring::promql::{Condition, Selector, increase, rate, sum_by};
use inferometer_serving::{Metric, Presence};

pub(super) fn cardinality(cx: &Context) -> Option<Alert> {
    let dropped = cx.naming.series(Own::SeriesDropped)?;
    let series = || cx.example(dropped.clone()).is("family", "inference_requests_total");
    let labels: Vec<_> = TARGET.into_iter().chain([("family", "inference_requests_total")]).collect();
    let condition = Condition::grown(&dropped, cx.clock.minutes(15));
    Some(Alert {
        summary: "A metric has more label values than it may.",
        description: "On {instance} {family} is past its limit: what is new is counted under `other`.".to_owned(),
        value: Format::Plain,
        rules: vec![Rule::new(condition, cx.clock.seconds(0), Severity::Warning)],
        cases: vec![
            Case::fires("more are refused at each scrape", cx.steps(80))
                .with(series(), growing(0.0, 3.0, 90))
                .expect(&labels, 180.0),
            Case::fires("some are refused for the first time, which makes the series", cx.steps(25))
                .with(series(), then(&[not_yet(20), steady(5.0, 60)]))
                .expect(&labels, 5.0),
            Case::quiet("some were refused long ago", cx.steps(90)).with(series(), steady(5.0, 120)),
            Case::restart("the server restarts, and none are refused", cx.steps(90))
                .with(series(), then(&[steady(5.0, 80), failed(2), steady(0.0, 40)])),
        ],
    })
}

pub(super) fn overhead(cx: &Context) -> Option<Alert> {
    /// With less work than this the share of it says nothing.
    const SOME_CORE: f64 = 0.01;
    let [spent, all] = [Own::OverheadSeconds, Own::RecordingCpuSeconds].map(|own| cx.naming.series(own));
    let (spent, all) = (spent?, all?);
    let window = cx.clock.minutes(5);
    let share = rate(&spent, window).over(&rate(&all, window));
    let condition = Condition::above(share, 0.01).and(Condition::above(rate(&all, window), SOME_CORE));
    let case = |case: Case, share: f64, values: &dyn Fn(f64) -> String| {
        case.with(cx.example(spent.clone()), values(15.0 * share)).with(cx.example(all.clone()), values(15.0))
    };
    let steadily = |by| growing(0.0, by, 90);
    Some(Alert {
        summary: "Recording metrics costs more than 1 %.",
        description: "On {instance} recording takes {value} of the processor time of the threads that record."
            .to_owned(),
        value: Format::Percentage,
        rules: vec![Rule::new(condition, cx.clock.minutes(10), Severity::Warning)],
        cases: vec![
            case(Case::fires("it costs 2 %", cx.steps(70)), 0.02, &steadily).expect(&TARGET, 0.02),
            case(Case::quiet("it costs half a per cent", cx.steps(70)), 0.005, &steadily),
            case(Case::restart("the counters begin again", cx.steps(70)), 0.005, &|by| reset(by, 90)),
        ],
    })
}

pub(super) fn sample_too_small(cx: &Context) -> Option<Alert> {
    /// With as many, a 95th percentile is one between the 93rd and the 97th, 19 times of 20.
    const ENOUGH: f64 = 400.0;
    /// With as few events there cannot be more.
    const MANY: f64 = 10.0 * ENOUGH;
    let sampled = Metric::ALL.iter().map(|metric| (metric.spec(), cx.naming.series(*metric)));
    let sampled = sampled.filter(|(spec, _)| spec.sampled && spec.presence == Presence::Always);
    let sampled: Vec<_> = sampled.filter_map(|(spec, series)| Some((spec, series?))).collect();
    let (first, series) = sampled.first()?;
    let by = |labels: &'static [&'static str]| -> Vec<&str> {
        ["instance"].into_iter().chain(labels.iter().copied().filter(|&label| label != "engine")).collect()
    };
    let hour = cx.clock.hours(1);
    let rule = |labels, series: &Selector| {
        let of = |counter: &Selector| sum_by(&by(labels), &increase(counter, hour));
        let condition =
            Condition::below(of(&series.samples()), ENOUGH).and(Condition::above(of(&series.events()), MANY));
        Rule::new(condition, cx.clock.minutes(15), Severity::Warning)
    };
    let example = |series: Selector| {
        let other = first.labels.iter().filter(|label| !["model_name", "engine"].contains(*label));
        other.fold(cx.example_of_model(series), |series, label| series.is(label, "sample"))
    };
    let labels: Vec<_> = by(first.labels)
        .into_iter()
        .map(|label| match label {
            "instance" => TARGET[1],
            "model_name" => (label, cx.example_model()),
            other => (other, "sample"),
        })
        .collect();
    let case = |case: Case, samples: f64, values: &dyn Fn(f64) -> String| {
        case.with(example(series.samples()), values(samples)).with(example(series.events()), values(1_000.0))
    };
    let steadily = |by| growing(0.0, by, 360);
    Some(Alert {
        summary: "So few sections are timed that their quantiles say little.",
        description:
            "On {instance} {value} sections of the stage {stage} were timed within an hour, of thousands; the budget \
                      for timing leaves no more."
                .to_owned(),
        value: Format::Plain,
        rules: sampled.iter().map(|(spec, series)| rule(spec.labels, series)).collect(),
        cases: vec![
            case(Case::fires("one of a thousand is timed", cx.steps(320)), 1.0, &steadily).expect(&labels, 240.0),
            case(Case::quiet("one of a hundred is timed", cx.steps(320)), 10.0, &steadily),
            case(Case::restart("the counters begin again", cx.steps(320)), 10.0, &|by| reset(by, 360)),
        ],
    })
}
