//! How long requests take.

use super::case::{Case, failed, growing, histogram, reset, steady, then};
use super::{Alert, Format, Rule, Severity};
use crate::monitoring::args::Context;
use crate::monitoring::naming::{Family, MODEL};
use crate::monitoring::promql::{Condition, quantile};
use inferometer_serving::Metric;

pub(super) fn high(cx: &Context) -> Option<Alert> {
    let family = cx.naming.family(Metric::RequestDuration)?;
    let limit = family.bound(cx.latency_threshold)?;
    Some(Alert {
        summary: "Requests take too long.",
        description: "One request in twenty to {model_name} takes longer than {value}.".to_owned(),
        ..slow(cx, &family, limit)?
    })
}

pub(super) fn queue(cx: &Context) -> Option<Alert> {
    let family = cx.naming.family(Metric::RequestQueue)?;
    // Who waits for as long as the first token may take is past what was promised before anything is computed.
    let limit = family.limits().iter().copied().find(|&bound| bound >= cx.slo.ttft.as_secs_f64())?;
    Some(Alert {
        summary: "Requests wait too long before they run.",
        description:
            "One request in twenty to {model_name} waits longer than {value} to run; its first token is late whatever \
                      happens then."
                .to_owned(),
        ..slow(cx, &family, limit)?
    })
}

/// The 95th percentile is above a bound.
fn slow(cx: &Context, family: &Family, limit: f64) -> Option<Alert> {
    let next = family.next(limit)?;
    let p95 = quantile(0.95, &[MODEL], &family.selector, cx.clock.minutes(5));
    let series = cx.example_of_model(family.selector.clone());
    let with = |share: f64, values: &dyn Fn(f64) -> String| {
        histogram(&series, [limit, next], |part| values(part.per_step(share)))
    };
    let labels = [(MODEL, cx.example_model())];
    Some(Alert {
        summary: "",
        description: String::new(),
        value: Format::Seconds,
        rules: vec![Rule::new(Condition::above(p95, limit), cx.clock.minutes(5), Severity::Warning)],
        cases: vec![
            Case::fires("half of the requests are slow", cx.steps(45))
                .with_all(with(0.5, &|by| growing(0.0, by, 60)))
                .expect(&labels, next),
            Case::quiet("one request in twenty-five is slow", cx.steps(45))
                .with_all(with(0.04, &|by| growing(0.0, by, 60))),
            Case::quiet("slow requests were long ago, and there are none now", cx.steps(90))
                .with_all(with(0.5, &|by| then(&[growing(0.0, by, 20), steady(20.0 * by, 80)]))),
            Case::restart("counters begin again on a server that is fast enough", cx.steps(45))
                .with_all(with(0.04, &|by| reset(by, 60))),
            Case::restart("a slow server restarts and stays slow", cx.steps(65))
                .with_all(with(0.5, &|by| then(&[growing(0.0, by, 40), failed(2), growing(0.0, by, 40)])))
                .expect(&labels, next),
        ],
    })
}
