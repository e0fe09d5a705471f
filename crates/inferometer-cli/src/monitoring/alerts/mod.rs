//! The alerts: the one table that rules, unit tests and the check of the runbooks are made of.

mod case;
mod gpu;
mod latency;
mod own;
mod scheduler;
pub(crate) mod slo;
mod targets;

#[cfg(test)]
pub(crate) use case::Proof;
pub(crate) use case::{Case, Expected};

use super::args::Context;
use super::promql::Condition;
use super::time::Time;
use serde::Serialize;
use slo::Promise;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    /// `None` where the profile lacks a family that it needs.
    make: fn(&Context) -> Option<Alert>,
}

/// Which file an alert is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Targets,
    Latency,
    Slo,
    Scheduler,
    Gpu,
    Own,
}

impl Group {
    pub(crate) const ALL: [Group; 6] =
        [Group::Targets, Group::Latency, Group::Slo, Group::Scheduler, Group::Gpu, Group::Own];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Group::Targets => "targets",
            Group::Latency => "latency",
            Group::Slo => "slo",
            Group::Scheduler => "scheduler",
            Group::Gpu => "gpu",
            Group::Own => "self",
        }
    }
}

/// Whom an alert is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Somebody now.
    Critical,
    /// Somebody in working hours.
    Warning,
}

impl Severity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
        }
    }
}

/// What an alert is made of.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    /// What is wrong, in a line.
    pub(crate) summary: &'static str,
    /// The same with what is known: `{value}`, and the labels of the alert by their names.
    pub(crate) description: String,
    /// How the value is written.
    pub(crate) value: Format,
    /// Each fires by itself, under the same name.
    pub(crate) rules: Vec<Rule>,
    /// What shows that it works.
    pub(crate) cases: Vec<Case>,
}

/// One rule of an alert.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) condition: Condition,
    /// For how long the condition has to hold.
    pub(crate) hold: Time,
    pub(crate) severity: Severity,
    /// Labels of the rule besides the severity.
    pub(crate) labels: Vec<(&'static str, String)>,
}

impl Rule {
    pub(crate) fn new(condition: Condition, hold: Time, severity: Severity) -> Self {
        Rule { condition, hold, severity, labels: Vec::new() }
    }
}

/// How an alert's value is written in its description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Seconds,
    Percentage,
}

impl Format {
    /// As a template of Prometheus.
    pub(crate) fn template(self) -> &'static str {
        match self {
            Format::Plain => "{{ $value | humanize }}",
            Format::Seconds => "{{ $value | humanizeDuration }}",
            Format::Percentage => "{{ $value | humanizePercentage }}",
        }
    }

    /// As the template writes a value.
    pub(crate) fn text(self, value: f64) -> String {
        match self {
            Format::Plain => significant(value),
            Format::Percentage => format!("{}%", significant(100.0 * value)),
            Format::Seconds if value < 1.0 => format!("{}ms", significant(1000.0 * value)),
            Format::Seconds if value < 60.0 => format!("{}s", significant(value)),
            Format::Seconds => format!("{}m {}s", (value / 60.0).floor(), (value % 60.0).floor()),
        }
    }
}

/// With four digits, as Prometheus writes numbers for people.
fn significant(value: f64) -> String {
    let digits = 3 - value.abs().log10().floor().clamp(0.0, 3.0) as i32;
    let scale = 10_f64.powi(digits);
    ((value * scale).round() / scale).to_string()
}

const fn row(name: &'static str, group: Group, make: fn(&Context) -> Option<Alert>) -> Row {
    Row { name, group, make }
}

/// All of them. A name is never changed: it is what silences and runbooks refer to.
pub(crate) const ALL: &[Row] = &[
    row("TargetDown", Group::Targets, targets::down),
    row("TargetAbsent", Group::Targets, targets::absent),
    row("ScrapeSlow", Group::Targets, targets::slow),
    row("HighInferenceLatency", Group::Latency, latency::high),
    row("RequestQueueSlow", Group::Latency, latency::queue),
    row("TimeToFirstTokenBudgetBurn", Group::Slo, |cx| slo::burn(cx, Promise::FirstToken)),
    row("InterTokenLatencyBudgetBurn", Group::Slo, |cx| slo::burn(cx, Promise::BetweenTokens)),
    row("RequestDurationBudgetBurn", Group::Slo, |cx| slo::burn(cx, Promise::Duration)),
    row("ErrorBudgetBurn", Group::Slo, |cx| slo::burn(cx, Promise::NoError)),
    row("RequestQueueBacklog", Group::Scheduler, scheduler::backlog),
    row("RequestQueueGrowing", Group::Scheduler, scheduler::growing_queue),
    row("RequestQueueOverCapacity", Group::Scheduler, scheduler::over_capacity),
    row("KvCachePressure", Group::Scheduler, scheduler::cache_pressure),
    row("ThroughputZeroWithQueue", Group::Scheduler, scheduler::stuck),
    row("GPUMemoryExhausted", Group::Gpu, gpu::memory),
    row("GpuProbeDown", Group::Gpu, gpu::probe_down),
    row("GpuProbeStale", Group::Gpu, gpu::probe_stale),
    row("GpuMissing", Group::Gpu, gpu::missing_gpu),
    row("GpuXidCritical", Group::Gpu, gpu::xid_critical),
    row("GpuXidWarning", Group::Gpu, gpu::xid_warning),
    row("GpuEccUncorrectable", Group::Gpu, gpu::ecc),
    row("GpuRowRemapPending", Group::Gpu, gpu::row_remap_pending),
    row("GpuRowRemapFailure", Group::Gpu, gpu::row_remap_failure),
    row("GpuThermalSlowdown", Group::Gpu, gpu::thermal),
    row("GpuPowerBrake", Group::Gpu, gpu::power_brake),
    row("CardinalityDrops", Group::Own, own::cardinality),
    row("MetricsOverhead", Group::Own, own::overhead),
    row("TimingSampleTooSmall", Group::Own, own::sample_too_small),
];

impl Row {
    /// The alert; `None` where the profile lacks a family that it needs.
    pub(crate) fn alert(&self, cx: &Context) -> Option<Alert> {
        (self.make)(cx)
    }

    /// The section of the runbooks about it.
    pub(crate) fn anchor(&self) -> String {
        self.name.to_lowercase()
    }
}
