//! Whether there is anything to see.

use super::case::{Case, TARGET, failed, steady, then};
use super::{Alert, Format, Rule, Severity};
use crate::monitoring::args::Context;
use crate::monitoring::naming::JOB;
use crate::monitoring::promql::{Condition, Selector, over_window};

/// Made by Prometheus for each target, at each scrape.
fn up() -> Selector {
    Selector::new("up").is("job", JOB)
}

pub(super) fn down(cx: &Context) -> Option<Alert> {
    let series = || cx.example(up());
    Some(Alert {
        summary: "An inference server cannot be scraped.",
        description: "{instance} does not answer, or not in time. Nothing else is known about it meanwhile.".to_owned(),
        value: Format::Plain,
        rules: vec![Rule::new(Condition::equal(up().into(), 0.0), cx.clock.minutes(1), Severity::Critical)],
        cases: vec![
            Case::fires("the server is gone", cx.steps(30))
                .with(series(), then(&[steady(1.0, 20), steady(0.0, 20)]))
                .expect(&TARGET, 0.0),
            Case::quiet("the server answers", cx.steps(30)).with(series(), steady(1.0, 40)),
            Case::restart("two scrapes fail while the server restarts", cx.steps(22))
                .with(series(), then(&[steady(1.0, 20), steady(0.0, 1), steady(1.0, 20)])),
        ],
    })
}

pub(super) fn absent(cx: &Context) -> Option<Alert> {
    let series = || cx.example(up());
    Some(Alert {
        summary: "No inference server is scraped at all.",
        description:
            "Prometheus has no target in the job {job}: its configuration lost them, or what lists them did. All \
                      other alerts are silent meanwhile."
                .to_owned(),
        value: Format::Plain,
        rules: vec![Rule::new(Condition::absent(up()), cx.clock.minutes(5), Severity::Critical)],
        cases: vec![
            Case::fires("no server is listed any more", cx.steps(45))
                .with(series(), then(&[steady(1.0, 4), failed(1)]))
                .expect(&[("job", JOB)], 1.0),
            Case::quiet("a server that is down is listed all the same", cx.steps(45)).with(series(), steady(0.0, 60)),
            Case::restart("the list is empty while it is replaced", cx.steps(29))
                .with(series(), then(&[steady(1.0, 20), failed(9), steady(1.0, 20)])),
        ],
    })
}

pub(super) fn slow(cx: &Context) -> Option<Alert> {
    let duration = || Selector::new("scrape_duration_seconds").is("job", JOB);
    let series = || cx.example(duration());
    let limit = cx.scrape_timeout().as_secs() / 2.0;
    let mean = over_window("avg_over_time", &duration(), cx.clock.minutes(5));
    let [slow, fast] = [1.5 * limit, 0.25 * limit];
    Some(Alert {
        summary: "Scrapes of an inference server take more than half of the time that they may.",
        description:
            "Scrapes of {instance} take long. Once they take as long as they may they fail, and the server looks as \
                      if it were down."
                .to_owned(),
        value: Format::Seconds,
        rules: vec![Rule::new(Condition::above(mean, limit), cx.clock.minutes(5), Severity::Warning)],
        cases: vec![
            Case::fires("scrapes take three quarters of the time", cx.steps(45))
                .with(series(), steady(slow, 60))
                .expect(&TARGET, slow),
            Case::quiet("scrapes take an eighth of the time", cx.steps(45)).with(series(), steady(fast, 60)),
            Case::restart("the first scrape of a server that restarts takes long", cx.steps(45))
                .with(series(), then(&[steady(fast, 30), steady(slow, 0), steady(fast, 30)])),
        ],
    })
}
