//! How much of what there is is used.

use super::{Sheet, Unit, WINDOW, line, section, slot};
use crate::monitoring::args::Context;
use crate::monitoring::naming::MODEL;
use crate::monitoring::promql::{Selector, max_by, rate, sum_by};
use crate::monitoring::recording::Capacity;
use inferometer_gpu::Metric as Gpu;
use inferometer_serving::Metric;

pub(super) fn sheet(cx: &Context) -> Sheet {
    let recorded = |title, unit, description, capacity: Capacity, legend: &'static str| {
        slot(title, unit, description, || {
            capacity.recording(cx)?;
            Some(vec![line(Selector::new(capacity.name()).matches(MODEL, "$model"), legend)])
        })
    };
    let requests = section(
        "Requests",
        [
            recorded(
                "Running, of those that could",
                Unit::Share,
                "Near 1 every further request waits.",
                Capacity::Running,
                "{{model_name}}",
            ),
            recorded(
                "Output tokens of a replica",
                Unit::PerSecond,
                "What one more replica would add, once it is as busy.",
                Capacity::Throughput,
                "{{instance}} {{model_name}}",
            ),
            recorded(
                "Growth of queues",
                Unit::PerSecond,
                "Above 0 for long, requests come faster than they are served.",
                Capacity::QueueGrowth,
                "{{model_name}}",
            ),
            slot("Requests of a replica", Unit::PerSecond, "Requests that ended.", || {
                let requests = rate(&cx.chosen(Metric::Requests)?, WINDOW);
                Some(vec![line(sum_by(&["instance", MODEL], &requests), "{{instance}} {{model_name}}")])
            }),
            slot("Waiting at a replica", Unit::Count, "Requests that wait to run.", || {
                let waiting = sum_by(&["instance", MODEL], &cx.chosen(Metric::RequestsWaiting)?.into());
                Some(vec![line(waiting, "{{instance}} {{model_name}}")])
            }),
            slot("KV cache of a replica", Unit::Share, "Full, it limits how many requests can run.", || {
                let usage = max_by(&["instance", MODEL], &cx.chosen(Metric::KvCacheUsage)?.into());
                Some(vec![line(usage, "{{instance}} {{model_name}}")])
            }),
        ],
    );
    let gpus = section(
        "GPUs",
        [
            slot("Memory", Unit::Share, "In use, of all that there is.", || {
                let sum = |metric: Gpu| Some(sum_by(&["instance"], &cx.chosen(metric)?.into()));
                Some(vec![line(sum(Gpu::MemoryUsed)?.over(&sum(Gpu::MemoryTotal)?), "{{instance}}")])
            }),
            slot("Power", Unit::Watts, "Of all GPUs of a server.", || {
                Some(vec![line(sum_by(&["instance"], &cx.chosen(Gpu::Power)?.into()), "{{instance}}")])
            }),
        ],
    );
    Sheet { name: "capacity", title: "Inference: capacity", sections: vec![requests, gpus] }
}
