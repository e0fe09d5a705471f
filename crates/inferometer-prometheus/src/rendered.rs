//! What a scrape is answered with.

use bytes::Bytes;
use std::fmt;

/// The answer to a scrape.
///
/// ```
/// use inferometer::Registry;
/// use inferometer_prometheus::Exporter;
///
/// let registry = Registry::new();
/// registry.counter("requests_total", &[("status", "ok")])?.increment(3);
/// let rendered = Exporter::builder().registry(registry).build()?.render(None);
/// assert_eq!(rendered.content_type, "text/plain; version=0.0.4; charset=utf-8");
/// assert_eq!(&rendered.body[..], b"# TYPE requests_total counter\nrequests_total{status=\"ok\"} 3\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rendered {
    /// For the header `Content-Type`.
    pub content_type: &'static str,
    /// For the header `Content-Encoding`, which is left out for `None`.
    pub content_encoding: Option<&'static str>,
    /// The body, shared with other scrapes that wanted the same one.
    pub body: Bytes,
}

/// Why there is no answer to a scrape.
///
/// ```
/// use inferometer_prometheus::{Exporter, RenderError, ScrapeRequest};
///
/// let registry = inferometer::Registry::new();
/// registry.counter("requests_total", &[])?;
/// let exporter = Exporter::builder().registry(registry).max_response_bytes(10).build()?;
/// assert_eq!(exporter.answer(&ScrapeRequest::new()), Err(RenderError::TooLarge { limit: 10 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenderError {
    /// The body would be larger than
    /// [`ExporterBuilder::max_response_bytes`](crate::ExporterBuilder::max_response_bytes) allows. A part of it would
    /// look like a whole one, so there is none.
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// There is no profile of the name that the query has.
    NoSuchProfile,
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RenderError::TooLarge { limit } => write!(f, "the metrics take more than the {limit} bytes that they may"),
            RenderError::NoSuchProfile => f.write_str("there is no profile of the name that was asked for"),
        }
    }
}

impl std::error::Error for RenderError {}
