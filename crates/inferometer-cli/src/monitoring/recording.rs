//! Recording rules: what alerts and panels ask for again and again, and what capacity is planned with.

use super::alerts::slo::{WINDOWS, promises};
use super::args::Context;
use super::naming::MODEL;
use super::promql::{Expr, over_window, rate, sum_by};
use super::time::Time;
use inferometer_serving::Metric;

/// A recording rule.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    /// By whose labels it is, what it is of, and how it was computed, with colons between them.
    pub(crate) name: String,
    pub(crate) expression: Expr,
}

/// Rules that are evaluated together.
#[derive(Clone, Debug)]
pub(crate) struct RecordingGroup {
    pub(crate) name: &'static str,
    /// Where it is not Prometheus's own.
    pub(crate) interval: Option<Time>,
    pub(crate) rules: Vec<Recording>,
}

/// Shares of promises that were missed. Those of long windows are dear to compute and hardly move.
pub(crate) fn ratios(cx: &Context) -> [RecordingGroup; 2] {
    let rules = |long: bool| {
        let windows = WINDOWS.into_iter().filter(|window| window.is_long() == long);
        let of = |window| {
            promises(cx).into_iter().map(move |watched| Recording {
                name: watched.record(window),
                expression: watched.ratio(window.time(cx)),
            })
        };
        windows.flat_map(of).collect()
    };
    [
        RecordingGroup { name: "slo-ratios", interval: None, rules: rules(false) },
        RecordingGroup { name: "slo-ratios-long", interval: Some(cx.clock.minutes(1)), rules: rules(true) },
    ]
}

/// How much of what there is is used.
pub(crate) fn capacity(cx: &Context) -> RecordingGroup {
    let rules = Capacity::ALL.into_iter().filter_map(|capacity| capacity.recording(cx)).collect();
    RecordingGroup { name: "capacity", interval: None, rules }
}

/// What is recorded for planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capacity {
    /// Requests that run, of those that could.
    Running,
    /// Output tokens per second of each replica.
    Throughput,
    /// Requests by which queues grow in a second.
    QueueGrowth,
}

impl Capacity {
    pub(crate) const ALL: [Capacity; 3] = [Capacity::Running, Capacity::Throughput, Capacity::QueueGrowth];

    pub(crate) fn name(self) -> String {
        match self {
            Capacity::Running => format!("{MODEL}:inference_running_requests:ratio"),
            Capacity::Throughput => format!("instance_{MODEL}:inference_generation_tokens:rate5m"),
            Capacity::QueueGrowth => format!("{MODEL}:inference_waiting_requests:deriv5m"),
        }
    }

    /// The rule; `None` where the profile lacks what it needs.
    pub(crate) fn recording(self, cx: &Context) -> Option<Recording> {
        let window = cx.clock.minutes(5);
        let sum = |metric| Some(sum_by(&[MODEL], &cx.naming.series(metric)?.into()));
        let expression = match self {
            Capacity::Running => sum(Metric::RequestsRunning)?.over(&sum(Metric::MaxRunningRequests)?),
            Capacity::Throughput => {
                sum_by(&["instance", MODEL], &rate(&cx.naming.series(Metric::GenerationTokens)?, window))
            }
            Capacity::QueueGrowth => {
                sum_by(&[MODEL], &over_window("deriv", &cx.naming.series(Metric::RequestsWaiting)?, window))
            }
        };
        Some(Recording { name: self.name(), expression })
    }
}
