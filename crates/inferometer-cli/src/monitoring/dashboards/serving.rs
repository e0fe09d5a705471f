//! What clients see.

use super::{Section, Sheet, Unit, WINDOW, line, section, slot};
use crate::monitoring::alerts::slo::{HOUR, Watched, promises};
use crate::monitoring::args::Context;
use crate::monitoring::naming::MODEL;
use crate::monitoring::promql::{Selector, mean, rate, share, sum_by};
use inferometer_serving::Metric;

pub(super) fn sheet(cx: &Context) -> Sheet {
    let sections = vec![traffic(cx), latency(cx), promised(cx), tokens(cx)];
    Sheet { name: "serving", title: "Inference: serving overview", sections }
}

fn traffic(cx: &Context) -> Section {
    section(
        "Requests",
        [
            slot("Requests by outcome", Unit::PerSecond, "Requests that ended, by how or why.", || {
                let outcome = ["status", "finish_reason"].into_iter();
                let outcome = outcome.filter_map(|label| cx.naming.label(Metric::Requests, label)).next()?;
                let requests = rate(&cx.chosen(Metric::Requests)?, WINDOW);
                Some(vec![line(sum_by(&[MODEL, outcome], &requests), format!("{{{{{MODEL}}}}} {{{{{outcome}}}}}"))])
            }),
            slot("Share of requests that fail", Unit::Share, "Of those that ended.", || {
                let chosen = |series: Selector| series.matches("instance", "$instance").matches(MODEL, "$model");
                let [failed, _] = cx.naming.requests_by_outcome()?;
                let whole = cx.chosen(Metric::Requests)?;
                Some(vec![line(share(&chosen(failed), &whole, &[MODEL], WINDOW), "{{model_name}}")])
            }),
            slot("Requests in flight", Unit::Count, "Requests that have arrived and not ended.", || {
                Some(vec![line(sum_by(&[MODEL], &cx.chosen(Metric::RequestsInFlight)?.into()), "{{model_name}}")])
            }),
            slot("Requests turned away", Unit::PerSecond, "Before they ran, by why.", || {
                let rejected = rate(&cx.chosen(Metric::RequestsRejected)?, WINDOW);
                Some(vec![line(sum_by(&[MODEL, "reason"], &rejected), "{{model_name}} {{reason}}")])
            }),
            slot("Errors by kind", Unit::PerSecond, "Requests that ended with an error.", || {
                let errors = rate(&cx.chosen(Metric::RequestErrors)?, WINDOW);
                Some(vec![line(sum_by(&[MODEL, "error_type"], &errors), "{{model_name}} {{error_type}}")])
            }),
        ],
    )
}

fn latency(cx: &Context) -> Section {
    let quantiles = |title, metric, description| slot(title, Unit::Seconds, description, || cx.quantiles(metric));
    section(
        "Latency",
        [
            quantiles("Time to the first token", Metric::TimeToFirstToken, "From a request's arrival."),
            quantiles("Time between tokens", Metric::InterTokenLatency, "Of all tokens but the first."),
            quantiles("Time per output token", Metric::TimePerOutputToken, "The mean of each request."),
            quantiles("Time of a request", Metric::RequestDuration, "From arrival to end."),
            slot("Where the time goes", Unit::Seconds, "The mean time of a request in each of its parts.", || {
                let parts = [
                    ("queue", Metric::RequestQueue),
                    ("prefill", Metric::RequestPrefill),
                    ("decode", Metric::RequestDecode),
                ];
                let part = |(name, metric)| {
                    Some(line(mean(&[MODEL], &cx.chosen(metric)?, WINDOW), format!("{name} {{{{{MODEL}}}}}")))
                };
                parts.into_iter().map(part).collect()
            }),
            quantiles("Time in the queue", Metric::RequestQueue, "From arrival until a request runs."),
        ],
    )
}

fn promised(cx: &Context) -> Section {
    section(
        "Promises",
        [slot(
            "Share of misses in an hour",
            Unit::Share,
            "Late first tokens, late tokens, late answers and failed requests, as recorded for the alerts.",
            || {
                let promises = promises(cx);
                let miss = |watched: &Watched| {
                    let record = Selector::new(watched.record(HOUR)).matches(MODEL, "$model");
                    line(record, format!("{} {{{{{MODEL}}}}}", watched.name()))
                };
                (!promises.is_empty()).then(|| promises.iter().map(miss).collect())
            },
        )],
    )
}

fn tokens(cx: &Context) -> Section {
    section(
        "Tokens",
        [
            slot("Prompt tokens", Unit::PerSecond, "Cached ones included.", || {
                Some(vec![line(sum_by(&[MODEL], &rate(&cx.chosen(Metric::PromptTokens)?, WINDOW)), "{{model_name}}")])
            }),
            slot("Output tokens", Unit::PerSecond, "As they come out.", || {
                let tokens = rate(&cx.chosen(Metric::GenerationTokens)?, WINDOW);
                Some(vec![line(sum_by(&[MODEL], &tokens), "{{model_name}}")])
            }),
            slot("Length of prompts", Unit::Count, "In tokens.", || cx.quantiles(Metric::RequestPromptTokens)),
            slot("Length of answers", Unit::Count, "In tokens.", || cx.quantiles(Metric::RequestGenerationTokens)),
        ],
    )
}
