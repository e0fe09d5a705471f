//! Prometheus exposition for [`inferometer`].
//!
//! ```no_run
//! use inferometer_prometheus::Exporter;
//!
//! let server = Exporter::builder().build()?.serve(Exporter::DEFAULT_ADDRESS)?;
//! println!("metrics at http://{}/metrics", server.local_addr());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The server runs on a thread of its own, with a runtime of its own: a scrape takes nothing from the engine's runtime,
//! and a busy engine does not hold up a scrape. A program that has an HTTP server already can mount
//! `Exporter::service` in it, a `tower` service, or answer with [`Exporter::answer`]. It can leave out the feature
//! `http` then, which is on by default; the service needs the feature `tower`, which `http` implies.
//!
//! An engine that has metrics in `metrics-exporter-prometheus` can serve these from the same address, with the feature
//! `metrics-exporter` and `ExporterBuilder::alongside`.
//!
//! # The live page
//!
//! At `/` the server has a page for a browser: rates, quantiles with the limits between which they lie, the serving and
//! GPU families where there are some, what measuring costs, and a search of everything else. It scrapes `/metrics` every
//! two seconds while somebody looks at it, works out the rest in the browser, and costs nothing otherwise. It needs
//! nothing but this server: it brings its style and its script along, and its Content-Security-Policy lets the browser
//! run and load nothing else. So `ssh -L 9464:localhost:9464 host` is enough to look at an engine. Behind a proxy with a
//! prefix its address has to end in a slash.
//!
//! # What requests can do
//!
//! A malicious request that reaches the server cannot cause more than additional load and failed scrapes, and the load
//! is bounded: the connections, the size of a request's head, the time that a client may take and the size of a
//! response are limited ([`ExporterBuilder`]), request bodies are not read, nothing of a request is put into a response
//! or a metric, and however many scrape at once, one scrape is rendered at a time.
//!
//! # Who may ask
//!
//! Metrics say much about a service, so the address should be one that only its operators reach. The default is
//! loopback. `Exporter::serve_unix` serves on a socket that its owner alone can connect to. In a container the address
//! has to be `0.0.0.0`, which is everybody's: `Exporter::serve_with`, with the feature `tls`, asks for certificates and
//! passwords as a `web.yml` says that Prometheus's own exporters read as well. Without it let a network policy or a
//! reverse proxy say who comes; nobody is asked for anything then.

mod accept;
#[cfg(feature = "metrics-exporter")]
mod alongside;
mod builder;
mod encode;
mod exporter;
mod format;
mod namings;
#[cfg(feature = "http")]
mod page;
mod profile;
mod rendered;
mod renderer;
mod request;
#[cfg(feature = "http")]
mod server;
#[cfg(feature = "tower")]
mod service;
mod single_flight;
#[cfg(feature = "tls")]
mod web_config;

pub use builder::{BuildError, ExporterBuilder};
pub use exporter::Exporter;
pub use format::Format;
pub use profile::{Mapping, Profile, ProfileError};
pub use rendered::{RenderError, Rendered};
pub use request::ScrapeRequest;
#[cfg(feature = "http")]
pub use server::{ServeError, Server};
#[cfg(all(feature = "http", unix))]
pub use server::{UnixServer, UnixSocket};
#[cfg(feature = "tower")]
pub use service::{MetricsBody, MetricsFuture, MetricsService};
#[cfg(feature = "tls")]
pub use web_config::{WebConfig, WebConfigError};
