//! Requests that wait, and what they wait for.

use super::case::{Case, SERVER, failed, growing, reset, steady, then};
use super::{Alert, Format, Rule, Severity};
use crate::monitoring::args::Context;
use crate::monitoring::naming::MODEL;
use crate::monitoring::promql::{Condition, Expr, max_by, max_over_time, min_over_time, over_window, rate, sum_by};
use crate::monitoring::time::Time;
use inferometer_serving::Metric;

/// Each replica of each model by itself.
const REPLICA: [&str; 2] = ["instance", MODEL];

fn labels(cx: &Context) -> [(&str, &str); 2] {
    [("instance", SERVER), (MODEL, cx.example_model())]
}

/// The fewest that waited in a window.
fn waiting(cx: &Context, window: Time) -> Option<Expr> {
    Some(sum_by(&REPLICA, &min_over_time(&cx.naming.series(Metric::RequestsWaiting)?, window)))
}

pub(super) fn backlog(cx: &Context) -> Option<Alert> {
    let series = || cx.naming.series(Metric::RequestsWaiting).map(|series| cx.example_of_model(series));
    let limit = cx.queue_threshold;
    let [many, few] = [1.5 * limit, 0.9 * limit];
    let condition = Condition::above(waiting(cx, cx.clock.minutes(1))?, limit);
    Some(Alert {
        summary: "Many requests wait.",
        description: "On {instance} {value} requests to {model_name} wait.".to_owned(),
        value: Format::Plain,
        rules: vec![Rule::new(condition, cx.clock.minutes(3), Severity::Warning)],
        cases: vec![
            Case::fires("too many wait all the time", cx.steps(30))
                .with(series()?, steady(many, 40))
                .expect(&labels(cx), many),
            Case::quiet("a little fewer wait", cx.steps(30)).with(series()?, steady(few, 40)),
            Case::quiet("too many wait for two minutes", cx.steps(29))
                .with(series()?, then(&[steady(0.0, 20), steady(many, 8), steady(0.0, 20)])),
            Case::restart("two scrapes fail, and the queue is as long as before", cx.steps(25))
                .with(series()?, then(&[steady(many, 20), failed(2), steady(many, 20)]))
                .expect(&labels(cx), many),
            Case::restart("the server restarts with an empty queue", cx.steps(40))
                .with(series()?, then(&[steady(many, 20), failed(2), steady(0.0, 20)])),
        ],
    })
}

pub(super) fn growing_queue(cx: &Context) -> Option<Alert> {
    /// Fewer come and go with every burst.
    const SOME: f64 = 10.0;
    let series = || cx.naming.series(Metric::RequestsWaiting).map(|series| cx.example_of_model(series));
    let window = cx.clock.minutes(10);
    let growth = sum_by(&REPLICA, &over_window("deriv", &cx.naming.series(Metric::RequestsWaiting)?, window));
    let condition = Condition::above(waiting(cx, window)?, SOME).and(Condition::above(growth, 0.0));
    Some(Alert {
        summary: "A queue grows and does not empty.",
        description:
            "On {instance} requests to {model_name} come faster than they are served; at least {value} have waited \
                      all the time."
                .to_owned(),
        value: Format::Plain,
        rules: vec![Rule::new(condition, window, Severity::Warning)],
        cases: vec![
            Case::fires("a request more than is served comes every quarter of a minute", cx.steps(100))
                .with(series()?, growing(20.0, 1.0, 120))
                .expect(&labels(cx), 80.0),
            Case::quiet("the queue is long and becomes shorter", cx.steps(100))
                .with(series()?, growing(200.0, -1.0, 120)),
            Case::quiet("the queue empties now and then", cx.steps(100))
                .with(series()?, then(&[growing(0.0, 2.0, 30), growing(0.0, 2.0, 30), growing(0.0, 2.0, 60)])),
            Case::restart("the server restarts with an empty queue", cx.steps(100))
                .with(series()?, then(&[growing(20.0, 1.0, 60), failed(3), growing(0.0, 0.1, 60)])),
        ],
    })
}

pub(super) fn over_capacity(cx: &Context) -> Option<Alert> {
    let [queue, capacity] =
        [Metric::RequestsWaiting, Metric::MaxRunningRequests].map(|metric| cx.naming.series(metric));
    let (queue, capacity) = (queue?, capacity?);
    let window = cx.clock.minutes(1);
    let turns = waiting(cx, window)?.over(&sum_by(&REPLICA, &max_over_time(&capacity, window)));
    let case = |case: Case, waiting: String| {
        case.with(cx.example_of_model(queue.clone()), waiting)
            .with(cx.example_of_model(capacity.clone()), steady(64.0, 60))
    };
    Some(Alert {
        summary: "More requests wait than can run at a time.",
        description:
            "On {instance} there are {value} requests to {model_name} waiting for each that can run: who comes now \
                      waits for longer than an answer takes."
                .to_owned(),
        value: Format::Plain,
        rules: vec![Rule::new(Condition::above(turns, 1.0), cx.clock.minutes(5), Severity::Warning)],
        cases: vec![
            case(Case::fires("twice as many wait as can run", cx.steps(40)), steady(128.0, 60))
                .expect(&labels(cx), 2.0),
            case(Case::quiet("half as many wait as can run", cx.steps(40)), steady(32.0, 60)),
            case(
                Case::restart("two scrapes fail, and the queue is as long as before", cx.steps(40)),
                then(&[steady(128.0, 30), failed(2), steady(128.0, 30)]),
            )
            .expect(&labels(cx), 2.0),
        ],
    })
}

pub(super) fn cache_pressure(cx: &Context) -> Option<Alert> {
    let [usage, preemptions] = [Metric::KvCacheUsage, Metric::Preemptions].map(|metric| cx.naming.series(metric));
    let (usage, preemptions) = (usage?, preemptions?);
    let full = max_by(&REPLICA, &max_over_time(&usage, cx.clock.minutes(1)));
    let preempted = sum_by(&REPLICA, &rate(&preemptions, cx.clock.minutes(5)));
    let condition = Condition::above(full, 0.95).and(Condition::above(preempted, 0.0));
    let case = |case: Case, used: f64, preempted: String| {
        case.with(cx.example_of_model(usage.clone()), steady(used, 60))
            .with(cx.example_of_model(preemptions.clone()), preempted)
    };
    Some(Alert {
        summary: "The KV cache is full, and requests lose their place.",
        description:
            "On {instance} {value} of the KV cache of {model_name} is in use and requests are preempted, so the same \
                      tokens are computed again."
                .to_owned(),
        value: Format::Percentage,
        rules: vec![Rule::new(condition, cx.clock.minutes(5), Severity::Warning)],
        cases: vec![
            case(Case::fires("full, with a preemption at each scrape", cx.steps(40)), 0.98, growing(0.0, 1.0, 60))
                .expect(&labels(cx), 0.98),
            case(Case::quiet("full, and nobody is preempted", cx.steps(40)), 0.98, steady(7.0, 60)),
            case(Case::quiet("preemptions, and room", cx.steps(40)), 0.5, growing(0.0, 1.0, 60)),
            case(Case::restart("the counter begins again, and there is room", cx.steps(40)), 0.5, reset(1.0, 60)),
            case(Case::restart("full again after a restart", cx.steps(55)), 0.98, reset(1.0, 60))
                .expect(&labels(cx), 0.98),
        ],
    })
}

pub(super) fn stuck(cx: &Context) -> Option<Alert> {
    let [tokens, queue] = [Metric::GenerationTokens, Metric::RequestsWaiting].map(|metric| cx.naming.series(metric));
    let (tokens, queue) = (tokens?, queue?);
    let throughput = sum_by(&REPLICA, &rate(&tokens, cx.clock.minutes(2)));
    let some_wait = Condition::above(waiting(cx, cx.clock.minutes(1))?, 0.0);
    let condition = Condition::equal(throughput, 0.0).and(some_wait);
    let case = |case: Case, tokens_out: String, waiting: f64| {
        case.with(cx.example_of_model(tokens.clone()), tokens_out)
            .with(cx.example_of_model(queue.clone()), steady(waiting, 60))
    };
    Some(Alert {
        summary: "Requests wait, and no token comes out.",
        description:
            "{instance} has made no token of {model_name} for minutes, and requests wait for it: the engine hangs."
                .to_owned(),
        value: Format::Plain,
        rules: vec![Rule::new(condition, cx.clock.minutes(2), Severity::Critical)],
        cases: vec![
            case(
                Case::fires("tokens stop while requests wait", cx.steps(45)),
                then(&[growing(0.0, 50.0, 20), steady(1_000.0, 40)]),
                3.0,
            )
            .expect(&labels(cx), 0.0),
            case(Case::quiet("tokens come while requests wait", cx.steps(45)), growing(0.0, 50.0, 60), 3.0),
            case(Case::quiet("nobody wants any", cx.steps(45)), steady(1_000.0, 60), 0.0),
            case(
                Case::restart("the counter begins again, and the model loads for a minute", cx.steps(32)),
                then(&[growing(0.0, 50.0, 20), failed(2), steady(0.0, 4), growing(0.0, 50.0, 40)]),
                3.0,
            ),
        ],
    })
}
