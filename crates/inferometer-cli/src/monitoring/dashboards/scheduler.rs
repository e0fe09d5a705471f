//! What the engine does, and what it needs for it.

use super::{Section, Sheet, Unit, WINDOW, line, section, slot};
use crate::monitoring::args::Context;
use crate::monitoring::naming::MODEL;
use crate::monitoring::promql::{max_by, mean, quantile, rate, share, sum_by};
use inferometer_serving::Metric;

pub(super) fn sheet(cx: &Context) -> Sheet {
    let sections = vec![queue(cx), steps(cx), cache(cx), speculation(cx), model(cx)];
    Sheet { name: "scheduler", title: "Inference: scheduler and cache", sections }
}

fn queue(cx: &Context) -> Section {
    section(
        "Queue",
        [
            slot("Running and waiting", Unit::Count, "Requests, and how many can run.", || {
                let metrics = [
                    ("waiting", cx.chosen(Metric::RequestsWaiting)),
                    ("running", cx.chosen(Metric::RequestsRunning)),
                    ("most", cx.chosen(Metric::MaxRunningRequests)),
                ];
                let there = metrics.into_iter().filter_map(|(name, series)| Some((name, series?)));
                let lines: Vec<_> = there
                    .map(|(name, series)| line(sum_by(&[MODEL], &series.into()), format!("{name} {{{{{MODEL}}}}}")))
                    .collect();
                (!lines.is_empty()).then_some(lines)
            }),
            slot("Time in the queue", Unit::Seconds, "From arrival until a request runs.", || {
                cx.quantiles(Metric::RequestQueue)
            }),
            slot("Preemptions", Unit::PerSecond, "Running requests that had to make room.", || {
                Some(vec![line(sum_by(&[MODEL], &rate(&cx.chosen(Metric::Preemptions)?, WINDOW)), "{{model_name}}")])
            }),
        ],
    )
}

fn steps(cx: &Context) -> Section {
    let by_phase = [MODEL, "phase"];
    section(
        "Steps",
        [
            slot("Time of a step", Unit::Seconds, "The 95th percentile of one pass over the batch, by phase.", || {
                let step = cx.chosen(Metric::Step)?;
                Some(vec![line(quantile(0.95, &by_phase, &step, WINDOW), "{{model_name}} {{phase}}")])
            }),
            slot("Steps", Unit::PerSecond, "By phase.", || {
                let steps = rate(&cx.chosen(Metric::Step)?.count(), WINDOW);
                Some(vec![line(sum_by(&by_phase, &steps), "{{model_name}} {{phase}}")])
            }),
            slot("Sequences of a step", Unit::Count, "The mean, by phase.", || {
                let batch = cx.chosen(Metric::BatchSize)?;
                Some(vec![line(mean(&by_phase, &batch, WINDOW), "{{model_name}} {{phase}}")])
            }),
            slot("Tokens of a step", Unit::Count, "Those of prompts and of output together.", || {
                cx.quantiles(Metric::StepTokens)
            }),
            slot("Time of the host", Unit::Share, "Seconds of work per second, by stage.", || {
                let work = rate(&cx.chosen(Metric::HostStage)?.sum(), WINDOW);
                Some(vec![line(sum_by(&["instance", "stage"], &work), "{{instance}} {{stage}}")])
            }),
        ],
    )
}

fn cache(cx: &Context) -> Section {
    section(
        "KV cache",
        [
            slot("Usage", Unit::Share, "Blocks that running requests need, at the fullest engine.", || {
                Some(vec![line(max_by(&[MODEL], &cx.chosen(Metric::KvCacheUsage)?.into()), "{{model_name}}")])
            }),
            slot("Blocks", Unit::Count, "By what they are used for.", || {
                let blocks = sum_by(&[MODEL, "state"], &cx.chosen(Metric::KvCacheBlocks)?.into());
                Some(vec![line(blocks, "{{model_name}} {{state}}")])
            }),
            slot(
                "Prefix cache hits",
                Unit::Share,
                "Prompt tokens that were found, of those that were looked up.",
                || {
                    let [hits, queries] =
                        [Metric::PrefixCacheHits, Metric::PrefixCacheQueries].map(|metric| cx.chosen(metric));
                    Some(vec![line(share(&hits?, &queries?, &[MODEL], WINDOW), "{{model_name}}")])
                },
            ),
            slot("Cached prompt tokens", Unit::PerSecond, "That did not have to be computed.", || {
                let cached = rate(&cx.chosen(Metric::PromptTokensCached)?, WINDOW);
                Some(vec![line(sum_by(&[MODEL], &cached), "{{model_name}}")])
            }),
            slot("Evicted tokens", Unit::PerSecond, "That made room for others.", || {
                let evicted = rate(&cx.chosen(Metric::KvCacheEvictedTokens)?, WINDOW);
                Some(vec![line(sum_by(&[MODEL], &evicted), "{{model_name}}")])
            }),
            slot("Transfers", Unit::BytesPerSecond, "Keys and values moved to and from the accelerator.", || {
                let moved = rate(&cx.chosen(Metric::KvTransferBytes)?, WINDOW);
                Some(vec![line(sum_by(&[MODEL, "direction"], &moved), "{{model_name}} {{direction}}")])
            }),
        ],
    )
}

fn speculation(cx: &Context) -> Section {
    section(
        "Speculative decoding",
        [
            slot("Accepted", Unit::Share, "Drafted tokens that the model agreed with.", || {
                let [accepted, drafted] =
                    [Metric::SpecDecodeAcceptedTokens, Metric::SpecDecodeDraftTokens].map(|metric| cx.chosen(metric));
                Some(vec![line(share(&accepted?, &drafted?, &[MODEL], WINDOW), "{{model_name}}")])
            }),
            slot("Drafted tokens", Unit::PerSecond, "Before the model has judged them.", || {
                let drafted = rate(&cx.chosen(Metric::SpecDecodeDraftTokens)?, WINDOW);
                Some(vec![line(sum_by(&[MODEL], &drafted), "{{model_name}}")])
            }),
        ],
    )
}

fn model(cx: &Context) -> Section {
    section(
        "Model",
        [
            slot("State", Unit::Count, "Engines in each state.", || {
                let states = sum_by(&[MODEL, "state"], &cx.chosen(Metric::EngineState)?.into());
                cx.naming.label(Metric::EngineState, "state").filter(|&label| label == "state")?;
                Some(vec![line(states, "{{model_name}} {{state}}")])
            }),
            slot("Time to load", Unit::Seconds, "By what was done.", || {
                let load = max_by(&[MODEL, "phase"], &cx.chosen(Metric::ModelLoad)?.into());
                Some(vec![line(load, "{{model_name}} {{phase}}")])
            }),
            slot("Weights", Unit::Bytes, "In the accelerator's memory, of each replica.", || {
                let weights = sum_by(&["instance", MODEL], &cx.chosen(Metric::ModelWeightBytes)?.into());
                Some(vec![line(weights, "{{instance}} {{model_name}}")])
            }),
            slot("Adapters", Unit::Count, "By state.", || {
                let adapters = sum_by(&[MODEL, "state"], &cx.chosen(Metric::LoraAdapters)?.into());
                Some(vec![line(adapters, "{{model_name}} {{state}}")])
            }),
        ],
    )
}
