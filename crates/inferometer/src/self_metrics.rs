//! What the crate says about itself.

use crate::registry::{Kind, RegisterError, Registry};
use crate::{account, clock, storage};
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
    let counter =
        |name: &str, help: &str, value: fn() -> f64| registry.function(Kind::Counter, name, help, &[], Box::new(value));
    let results: [Result<(), RegisterError>; 6] = [
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
            account::seconds,
        ),
        counter(
            "inferometer_exemplars_dropped_total",
            "Exemplars that were not kept: their labels are too long or badly named, or there is no series or memory.",
            || EXEMPLARS_DROPPED.load(Relaxed) as f64,
        ),
        registry.function(
            Kind::Gauge,
            "inferometer_build_info",
            "The version of inferometer; the value is 1.",
            &[("version", env!("CARGO_PKG_VERSION"))],
            Box::new(|| 1.0),
        ),
    ];
    results.into_iter().filter_map(Result::err)
}

/// The family that names the series whose budget is too small.
pub(crate) const BUDGET_INFEASIBLE: &str = "inferometer_budget_infeasible";

/// The family that says how many label sets were refused a series of their own. Each family counts its own.
pub(crate) const SERIES_DROPPED: &str = "inferometer_series_dropped_total";
