//! Metrics that an inference engine can afford.
//!
//! A record is an add to memory that only the recording thread writes: about a nanosecond, and the same however many
//! threads record. Nothing on that path locks, allocates, panics or makes a system call. Histograms are exact, in their
//! classic and their native exposition at once, and their memory does not grow with what they observe.
//!
//! ```
//! use inferometer::{Counter, Family, Histogram, LabelSet, LabelValue, Moment, Registry, metric};
//! use std::time::Duration;
//!
//! /// Requests finished, by outcome.
//! #[metric(name = "inference_requests_total")]
//! static REQUESTS: Family<Outcome, Counter> = Family::new();
//!
//! #[derive(LabelSet)]
//! struct Outcome<'a> {
//!     model_name: &'a str,
//!     status: Status,
//! }
//!
//! #[derive(LabelValue)]
//! enum Status {
//!     Ok,
//!     Error,
//! }
//!
//! /// Time between output tokens.
//! #[metric(name = "inference_inter_token_latency_seconds", buckets = [0.005, 0.01, 0.02, 0.05, 0.1])]
//! static ITL: Histogram = Histogram::new();
//!
//! // The decode loop: one step gave eight sequences a token each.
//! let start = Moment::now();
//! ITL.record_n(start.elapsed(), 8);
//! REQUESTS.get(&Outcome { model_name: "llama", status: Status::Ok }).increment(1);
//!
//! // The macros have the syntax of the `metrics` crate.
//! inferometer::counter!("inference_steps_total", "engine" => "0").increment(1);
//!
//! let snapshot = Registry::global().snapshot();
//! assert_eq!(snapshot.counter("inference_requests_total", &[("status", "ok")]), Some(1));
//! assert_eq!(snapshot.histogram("inference_inter_token_latency_seconds", &[]).unwrap().count(), 8);
//! ```
//!
//! Prometheus reads them through the crate `inferometer-prometheus`.
//!
//! # Instruments
//!
//! | | for | a record is |
//! |---|---|---|
//! | [`Counter`] | what only goes up | an add to the thread's own cell |
//! | [`UpDownCounter`] | what goes up and down by steps | the same |
//! | [`Histogram`] | distributions of durations, integers or floats | a table look-up and two such adds |
//! | [`Gauge`] | what is set | a store to a shared atomic |
//! | [`gauge_fn`], [`counter_fn`] | what is computed when it is read | nothing |
//! | [`Collector`] | the same, where it takes time or there are several values | nothing |
//!
//! A [`Family`] has one of the first four for each combination of labels. They are declared as statics with
//! [`macro@metric`], made at a call site with [`counter!`] and its siblings, or asked of a [`Registry`]. The standard
//! `process_*` metrics are there once a [`ProcessCollector`] is registered.
//!
//! # Timing
//!
//! [`time!`], [`macro@timed`] and [`Histogram::start`] time a section; which of them really are timed says [`Sampling`]:
//! unless told otherwise, as many as fit into a thousandth of the thread's time. The rest is counted only.
//!
//! ```
//! use inferometer::{Histogram, metric, time};
//!
//! /// Time of a forward pass.
//! #[metric(name = "doc_forward_seconds")]
//! static FORWARD: Histogram = Histogram::new();
//!
//! let logits = time!(FORWARD, [0.1, 0.9].map(f32::exp));
//! # let _ = logits;
//! ```
//!
//! What a program times itself, step by step, it can time with [`Moment`]s, which are read in two fifths of the time of an
//! `Instant`.
//!
//! # Exemplars
//!
//! [`Histogram::record_with_exemplar`](Histogram#exemplars) keeps one observation of each bucket with labels of its own:
//! the trace of a request that was slow. With the feature `tracing`, `record_with_current_span` takes them from the
//! current OpenTelemetry or `tracing` span.
//!
//! # The `metrics` facade
//!
//! With the feature `metrics` the module `facade` has a recorder for the crate `metrics`: what other crates record
//! through that facade lands in a registry of this one.
//!
//! # What it says about itself
//!
//! The global registry has these of the crate's own, over all registries of the process:
//!
//! | metric | what it is |
//! |---|---|
//! | `inferometer_overhead_seconds_total` | what recording has cost: calls at what one costs where it is made, samples as measured; without gauges and look-ups of labels |
//! | `inferometer_recording_cpu_seconds_total` | processor time of the threads that record, each since its first record (Linux, Android, FreeBSD) |
//! | `inferometer_overhead_ratio` | the former over the latter, since the start; their rates give it for any time |
//! | `inferometer_budget_infeasible{series}` | 1 for a series whose sections come too fast for the budget |
//! | `inferometer_memory_bytes{kind}` | `cells`, `series` (with their labels), `exemplars` |
//! | `inferometer_series`, `inferometer_threads` | how many there are now |
//! | `inferometer_series_dropped_total{family}` | records whose labels were past a family's limit, and went to `other`; of a collector, values that were left out |
//! | `inferometer_collector_errors_total{collector, reason}` | how often a collector had no values; of the collectors of each registry |
//! | `inferometer_invalid_observations_total`, `inferometer_records_dropped_total`, `inferometer_exemplars_dropped_total`, `inferometer_clock_anomalies_total` | what was not recorded, and when the clock went wrong |
//! | `inferometer_build_info{version}` | 1 |
//!
//! # Limits
//!
//! * 64-bit atomics are required.
//! * A library that is unloaded (`dlclose`) while its metrics are registered is not supported, nor are stackful coroutines
//!   that move to another thread in the middle of a record.
//! * In a library that is loaded with `dlopen`, reaching a thread-local costs some nanoseconds more.
//! * Two versions of this crate in one program have a registry each.
//! * A signal handler that records to a counter which the interrupted thread may be recording to needs
//!   [`Counter::signal_safe`].
//! * A child of `fork` starts counting at zero.
//! * The `#[metric]` statics of a dependency that nothing refers to are dropped by the linker, with the dependency: write
//!   `use dependency as _;`.
//!
//! # Switching it off
//!
//! With `RUSTFLAGS="--cfg inferometer_off"` all recording compiles to nothing. (A cfg and not a feature, because
//! features add up over a build.) This is the baseline to measure the cost against. With the feature `overhead` there is
//! a module for benches of which `inferometer check`, from the crate `inferometer-cli`, builds both and says whether
//! recording costs a step less than 1 %.

#[cfg(not(loom))]
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
#[cfg(not(loom))]
mod clock;
#[cfg(all(feature = "metrics", not(loom)))]
pub mod facade;
#[cfg(not(loom))]
mod grid;
#[cfg(not(loom))]
mod instrument;
#[cfg(not(loom))]
mod label;
#[cfg(not(loom))]
mod macros;
#[cfg(not(loom))]
mod moment;
#[cfg(all(feature = "overhead", not(loom)))]
pub mod overhead;
#[cfg(not(loom))]
mod process;
#[cfg(not(loom))]
mod registry;
// The models see a sampler's cells and the storage alone.
#[cfg_attr(loom, allow(dead_code, unused_imports, unreachable_pub))]
mod sampling;
#[cfg(not(loom))]
mod self_metrics;
#[cfg(not(loom))]
mod snapshot;
#[cfg_attr(loom, allow(dead_code, unused_imports))]
mod storage;
mod sync;
#[cfg(not(loom))]
pub mod testing;
#[cfg(not(loom))]
mod unit;

// So that the macros' paths hold in this crate's own tests.
extern crate self as inferometer;

#[cfg(not(loom))]
pub use {
    grid::{Buckets, BucketsError, Domain},
    inferometer_derive::{LabelSet, LabelValue, metric, timed},
    instrument::{
        Counter, Family, FamilyOptions, Gauge, Histogram, Instrument, IntoF64, Local, Observation, SignalSafe, Timed,
        Timer, UpDownCounter, counter_fn, gauge_fn,
    },
    label::{LabelSet, LabelValue},
    macros::Level,
    moment::Moment,
    process::ProcessCollector,
    registry::{
        Collector, CollectorError, CollectorFamily, CollectorSink, Kind, Matcher, NameError, RegisterError, Registry,
    },
    sampling::{DEFAULT_BUDGET, Sampling, set_budget},
    snapshot::{
        Exemplar, ExemplarView, FamilySnapshot, FamilyView, HistogramSnapshot, HistogramSum, HistogramView, NativeView,
        Quantile, Sample, SeriesId, SeriesSnapshot, SeriesView, Snapshot, Value, Visitor,
    },
    unit::Unit,
};
