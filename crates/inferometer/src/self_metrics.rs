//! What the crate says about itself.

use crate::instrument::calibration;
use crate::registry::{Kind, RegisterError, Registry, memory, overhead_seconds};
use crate::storage::recorders;
use crate::{clock, storage};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static INVALID: AtomicU64 = AtomicU64::new(0);
static EXEMPLARS_DROPPED: AtomicU64 = AtomicU64::new(0);

/// Counts observations that no histogram can take: negative, infinite, NaN, or too large.
#[cold]
pub(crate) fn count_invalid(n: u64) {
    INVALID.fetch_add(n, Relaxed);
}

/// Counts an exemplar that cannot be kept: with labels that are not allowed, or without memory to go to.
#[cold]
pub(crate) fn count_dropped_exemplar() {
    EXEMPLARS_DROPPED.fetch_add(1, Relaxed);
}

/// Registers these metrics in the global registry, and says what is wrong with them.
pub(crate) fn register(registry: &Registry) -> impl Iterator<Item = RegisterError> {
    let function = |kind, name: &str, help: &str, labels: &[(&str, &str)], value: fn() -> f64| {
        registry.function(kind, name, help, labels, Box::new(value))
    };
    let counter = |name: &str, help: &str, value| function(Kind::Counter, name, help, &[], value);
    let gauge = |name: &str, help: &str, value| function(Kind::Gauge, name, help, &[], value);
    let bytes = |kind: &str, value| {
        let help = "Memory that the metrics take, in bytes: the threads' cells, series with their labels, exemplars.";
        function(Kind::Gauge, "inferometer_memory_bytes", help, &[("kind", kind)], value)
    };
    let results = [
        counter(
            "inferometer_invalid_observations_total",
            "Observations that were negative, infinite, NaN or too large, and were not recorded.",
            || INVALID.load(Relaxed) as f64,
        ),
        counter(
            "inferometer_records_dropped_total",
            "Records without a cell: refused at registration, or made inside an allocator or a signal handler before it.",
            || storage::DROPPED.load(Relaxed) as f64,
        ),
        counter(
            "inferometer_clock_anomalies_total",
            "How often the clock of timed sections went back, or was found to have changed its speed.",
            || clock::anomalies() as f64,
        ),
        counter(
            "inferometer_overhead_seconds_total",
            "What recording has cost, as reckoned at the end of the last scrape: records times the cost of one, and samples as measured.",
            || {
                // These are the first of the global registry's families, so this is before the scrape takes the users'
                // cells out of the caches of the threads that write to them.
                calibration::refresh();
                overhead_seconds()
            },
        ),
        counter(
            "inferometer_recording_cpu_seconds_total",
            "Processor time of the threads that record, each since its first record.",
            || cpu_seconds().unwrap_or(f64::NAN),
        ),
        gauge(
            "inferometer_overhead_ratio",
            "The share of the recording threads' processor time that recording has cost since the start.",
            || cpu_seconds().map_or(f64::NAN, |seconds| overhead_seconds() / seconds),
        ),
        bytes("cells", || storage::POOL.bytes() as f64),
        bytes("series", || memory::SERIES_BYTES.get() as f64),
        bytes("exemplars", || memory::EXEMPLAR_BYTES.get() as f64),
        gauge("inferometer_series", "Series in all registries.", || memory::SERIES.get() as f64),
        gauge("inferometer_threads", "Threads that have recorded and have not ended.", || recorders::threads() as f64),
        counter(
            "inferometer_exemplars_dropped_total",
            "Exemplars that were not kept: their labels are too long or badly named, or there is no series or memory.",
            || EXEMPLARS_DROPPED.load(Relaxed) as f64,
        ),
        function(
            Kind::Gauge,
            "inferometer_build_info",
            "The version of inferometer; the value is 1.",
            &[("version", env!("CARGO_PKG_VERSION"))],
            || 1.0,
        ),
    ];
    results.into_iter().filter_map(Result::err)
}

/// The processor time of the threads that record; `None` where the system does not say.
fn cpu_seconds() -> Option<f64> {
    let time = recorders::cpu_time();
    (!time.is_zero()).then_some(time.as_secs_f64())
}

/// The family that names the series whose budget is too small.
pub(crate) const BUDGET_INFEASIBLE: &str = "inferometer_budget_infeasible";

/// The family that says how many label sets were refused a series of their own. Each family counts its own.
pub(crate) const SERIES_DROPPED: &str = "inferometer_series_dropped_total";

/// The family that says how often each collector of a registry had no values.
pub(crate) const COLLECTOR_ERRORS: &str = "inferometer_collector_errors_total";
