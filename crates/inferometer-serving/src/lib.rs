//! The metrics of an inference server, under the names that dashboards, alerts and autoscalers know.
//!
//! An engine says what happens to its requests and in its steps; what is told of it, with which labels and bounds, is in
//! one table, [`Metric`]. Everything is there from the start, at zero.
//!
//! ```
//! use inferometer::{Moment, Registry};
//! use inferometer_serving::{FinishReason, ServingMetrics};
//!
//! let registry = Registry::new();
//! let metrics = ServingMetrics::builder("llama").registry(&registry).register()?;
//!
//! // The front end.
//! let mut request = metrics.request(Moment::now());
//! request.prompt_tokens(12);
//!
//! // The engine.
//! let mut recorder = metrics.step_recorder();
//! request.scheduled(Moment::now());
//! // ... the forward pass ...
//! recorder.step(Moment::now(), |step| {
//!     step.prefill(12);
//!     step.tokens(&mut request, 1);
//! });
//! request.finished(FinishReason::Stop, Moment::now());
//!
//! let snapshot = registry.snapshot();
//! assert_eq!(snapshot.counter("inference_requests_total", &[("finish_reason", "stop")]), Some(1));
//! assert_eq!(snapshot.counter("inference_generation_tokens_total", &[]), Some(1));
//! assert_eq!(snapshot.histogram("inference_time_to_first_token_seconds", &[]).unwrap().count(), 1);
//! # Ok::<(), inferometer::RegisterError>(())
//! ```
//!
//! A server that tells less needs less: [`ServingMetrics::record_request`] takes the time and the outcome of a request
//! that has ended.
//!
//! # Costs
//!
//! A token of a request that goes on is two adds to the request's own memory; a step is recorded once for all its tokens,
//! with one reading of the clock, which the engine makes: a [`Moment`](inferometer::Moment), or an `Instant` at the
//! price of a conversion. Nothing that is recorded of requests and steps allocates, locks or looks a label up.
//!
//! # Labels
//!
//! All labels but the names of models, engines and adapters are closed sets. A family has at most
//! [a hundred series](ServingMetricsBuilder::DEFAULT_MAX_SERIES) of these, unless told otherwise; what comes after is
//! counted in one that is called `other`.
//!
//! The table as a page is `docs/metrics.md` of the repository.

mod bounds;
mod builder;
mod host;
mod label;
mod label_set;
mod metric;
mod metrics;
#[cfg(feature = "profiles")]
pub mod profiles;
mod request_tracker;
mod series;
mod step_recorder;

pub use builder::ServingMetricsBuilder;
pub use host::HostCollector;
pub use label::{
    BlockState, CacheTier, EngineState, ErrorType, FinishReason, LoadPhase, LoraState, MemoryAccess, Phase,
    RejectReason, Stage, Status, TokenizerOperation, TransferDirection,
};
pub use metric::{Group, Metric, Presence, Spec};
pub use metrics::{LoraAdapters, ServingMetrics};
pub use request_tracker::RequestTracker;
pub use step_recorder::{KvBlocks, Step, StepRecorder};
