//! The bridge to the crate [`metrics`]: what other crates record through that facade lands in a [`Registry`] of
//! ours, and in its scrapes.
//!
//! ```
//! use inferometer::Registry;
//! use inferometer::facade::Recorder;
//!
//! Recorder::global().install()?;
//!
//! // Anywhere in the program, or in a crate that it uses:
//! metrics::counter!("http.requests", "code" => "200").increment(1);
//! metrics::histogram!("http_request_seconds").record(0.012);
//!
//! let seen = Registry::global().snapshot();
//! assert_eq!(seen.counter("http_requests", &[("code", "200")]), Some(1));
//! assert_eq!(seen.histogram("http_request_seconds", &[]).unwrap().count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a record costs
//!
//! A handle that is kept costs a call through a vtable and one of our records. A macro of `metrics` asks for its handle
//! at each call: that is a look-up in a cache of the thread, without a lock and without an allocation, and the handle's
//! reference count. Threads share neither.
//!
//! [`Counter`](crate::Counter), [`Gauge`](crate::Gauge) and [`Histogram<f64>`](crate::Histogram) are handles of the facade
//! themselves, for a library that takes one:
//!
//! ```
//! use inferometer::{Counter, Registry};
//! use std::sync::Arc;
//!
//! let registry = Registry::new();
//! let sent: Counter = registry.counter("sent_bytes_total", &[])?;
//! metrics::Counter::from_arc(Arc::new(sent)).increment(1_500);
//! assert_eq!(registry.snapshot().counter("sent_bytes_total", &[]), Some(1_500));
//! # Ok::<(), inferometer::RegisterError>(())
//! ```
//!
//! # Names
//!
//! What Prometheus does not allow in a name becomes an underscore, as in `metrics-exporter-prometheus`: `http.requests`
//! is exposed as `http_requests`. Nothing is appended, neither `_total` nor a unit, so names are those that
//! `metrics-exporter-prometheus` exposes without `with_recommended_naming`. In OpenMetrics the names of counters end in
//! `_total` whatever they are.
//!
//! The series of one family may differ in their label names. A label with an empty value is one that is missing; of a
//! label that occurs twice in a key the last one counts.
//!
//! A family that is registered with [`metric`](macro@crate::metric) or at a [`Registry`] is the same family, when the kinds
//! agree and the key has no label that the family lacks. Histograms of the facade are those of floats,
//! [`Histogram<f64>`](crate::Histogram).
//!
//! # What is refused
//!
//! The facade has no way to tell a caller of an error. What cannot be registered gets a handle all the same, whose records
//! are counted in `inferometer_records_dropped_total`. The error is logged once, and [`Recorder::errors`] has it:
//!
//! - two names that are exposed as the same one, as `a.b` and `a_b` would be, be they of metrics or of one metric's
//!   labels;
//! - a name that is registered as something of another kind;
//! - a name that ends in `_bucket`, `_count`, `_sum` or `_created`, the labels `le` and `quantile`, and labels that
//!   begin with two underscores;
//! - a label that a family lacks which was not made by the facade.
//!
//! Label values past a family's limit go to its series called `other`, as always.
//!
//! # Buckets
//!
//! Histograms have the default buckets, classic and native ones; [`Registry::set_buckets`] chooses others, by name.
//!
//! ```
//! use inferometer::facade::Recorder;
//! use inferometer::{Buckets, Matcher, Registry};
//!
//! let registry = Registry::new();
//! registry.set_buckets(Matcher::Suffix("_tokens".to_owned()), Buckets::classic(&[128.0, 1024.0, 8192.0]))?;
//! metrics::with_local_recorder(&Recorder::new(&registry), || {
//!     metrics::histogram!("prompt_tokens").record_many(300.0, 1_000_000); // at the cost of one
//! });
//! let seen = registry.snapshot().histogram("prompt_tokens", &[]).unwrap();
//! assert_eq!(seen.count(), 1_000_000);
//! # Ok::<(), inferometer::RegisterError>(())
//! ```
//!
//! [`Registry`]: crate::Registry
//! [`Registry::set_buckets`]: crate::Registry::set_buckets

mod cache;
mod handles;
mod recorder;
mod series;

pub use recorder::Recorder;
