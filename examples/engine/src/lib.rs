//! A small inference server on a real model, measured by inferometer: what it looks like when an engine uses the crate.
//!
//! It runs [SmolLM2-135M-Instruct](model::ModelSpec::SmolLm2) on candle's CPU backend with the model's own tokenizer
//! and chat template, answers OpenAI's two completion endpoints, batches continuously, and exposes its metrics to
//! Prometheus.
//!
//! # Where things are
//!
//! ```text
//! app         the program: load, serve, send itself a load, sum up      args  naming  report  machine  gpu  load/  client
//! http/       the API: requests in, answers and streams out             -> engine::Submitter
//! engine      the queue, and the thread of the decode loop              -> scheduler
//! scheduler   the decode loop, generic over its telemetry               -> model/  sampling  telemetry/
//! model/      one trait; a GGUF file, or pseudo-random weights          fetch  sha256  threads
//! tokenizer/  from the model's file; chat: its template
//! telemetry/  the traits, nothing (NoTelemetry), everything (Instrumented), and the figures read back
//! ```
//!
//! Requests go from the front end to the engine through one bounded queue and tokens come back through one channel a
//! request ([`request`]); nothing else is shared. A client that goes away closes its channel, and that is the
//! cancellation.
//!
//! # What instrumentation costs
//!
//! [`scheduler::Scheduler`] is compiled once for each [`telemetry::Telemetry`]. With [`telemetry::NoTelemetry`] nothing is
//! left of it, not even the reading of the clock, so two loops side by side show the whole price. Both run without a
//! thread of their own:
//!
//! ```
//! use inferometer_example_engine::engine::engine;
//! use inferometer_example_engine::model::{ModelSpec, load};
//! use inferometer_example_engine::request::{GenerationParams, Request};
//! use inferometer_example_engine::scheduler::{Progress, SchedulerConfig};
//! use inferometer_example_engine::telemetry::{Instrumented, NoTelemetry, Telemetry};
//! use inferometer_serving::ServingMetrics;
//!
//! fn tokens<T: Telemetry>(telemetry: T) -> Result<usize, Box<dyn std::error::Error>> {
//!     let loaded = load(&ModelSpec::RandomTiny)?;
//!     let (submitter, mut scheduler) = engine(loaded.model, SchedulerConfig::default(), telemetry);
//!     let params = GenerationParams { max_tokens: 10, ..GenerationParams::default() };
//!     let (request, mut events) = Request::new(vec![1, 2, 3], params);
//!     submitter.submit(request)?;
//!     while scheduler.step() == Progress::Stepped {}
//!     Ok(std::iter::from_fn(|| events.try_recv().ok()).count() - 1) // without the last event, which says why it ended
//! }
//!
//! assert_eq!(tokens(NoTelemetry)?, 10);
//! assert_eq!(tokens(Instrumented::new(ServingMetrics::builder("doc").register()?))?, 10);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A bench calls [`threads::configure`] first, with one thread if it wants steps that are alike.

pub mod app;
pub mod args;
pub mod chat;
pub mod client;
pub mod engine;
pub mod fetch;
pub mod gpu;
pub mod http;
pub mod load;
pub mod machine;
pub mod model;
pub mod naming;
pub mod report;
pub mod request;
pub mod sampling;
pub mod scheduler;
pub mod sha256;
pub mod telemetry;
pub mod threads;
pub mod tokenizer;
