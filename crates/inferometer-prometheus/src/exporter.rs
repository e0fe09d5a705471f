//! The exporter: a registry, and the memory that its scrapes share.

use crate::builder::{ExporterBuilder, Limits};
use crate::rendered::{RenderError, Rendered};
use crate::single_flight::{SingleFlight, Ticket};
use crate::text::{self, TextEncoder};
use bytes::Bytes;
use inferometer::Registry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Exposes a [`Registry`] to Prometheus.
///
/// [`Exporter::serve`] answers scrapes over HTTP on a thread of its own; [`Exporter::render`] gives the same text to a
/// program that has an HTTP server already. Clones are the same exporter. Make one for a registry and keep it: it
/// remembers what does not change between scrapes.
///
/// Scrapes of an exporter are made one after the other. One that waits shares the result of one that began after it
/// came, so a crowd of scrapers costs no more than two of them.
///
/// ```
/// use inferometer::Registry;
/// use inferometer_prometheus::Exporter;
///
/// let registry = Registry::new();
/// registry.gauge("kv_cache_usage_ratio", &[])?.set(0.25);
/// let exporter = Exporter::builder().registry(registry).build()?;
/// let text = exporter.render(None).body;
/// assert_eq!(&text[..], b"# TYPE kv_cache_usage_ratio gauge\nkv_cache_usage_ratio 0.25\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Exporter {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    limits: Limits,
    text: Mutex<TextRenderer>,
    flight: SingleFlight<Result<Rendered, RenderError>>,
}

/// A scrape that has been asked for.
#[derive(Debug)]
pub(crate) struct Scrape {
    exporter: Exporter,
    ticket: Ticket<Result<Rendered, RenderError>>,
}

impl Exporter {
    /// Starts to make an exporter; of [`Registry::global`] unless told otherwise.
    ///
    /// ```
    /// let exporter = inferometer_prometheus::Exporter::builder().build()?;
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    pub fn builder() -> ExporterBuilder {
        ExporterBuilder::new()
    }

    pub(crate) fn new(registry: Registry, limits: Limits) -> Self {
        let text = Mutex::new(TextRenderer::default());
        Exporter { shared: Arc::new(Shared { registry, limits, text, flight: SingleFlight::new() }) }
    }

    /// What the registry holds, in the format that suits the header `Accept` of a request; any header will do.
    ///
    /// The size is not limited. For requests from outside use [`Exporter::try_render`].
    ///
    /// ```
    /// # let exporter = inferometer_prometheus::Exporter::builder().registry(inferometer::Registry::new()).build()?;
    /// let rendered = exporter.render(Some("text/plain;version=0.0.4;q=0.5,*/*;q=0.1"));
    /// assert_eq!(rendered.content_type, "text/plain; version=0.0.4; charset=utf-8");
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    pub fn render(&self, accept: Option<&str>) -> Rendered {
        self.try_render(accept).unwrap_or_else(|RenderError::TooLarge { .. }| {
            let mut body = Vec::new();
            self.render_into(&mut body);
            Rendered { content_type: text::CONTENT_TYPE, body: body.into() }
        })
    }

    /// The same, unless it takes more bytes than [`ExporterBuilder::max_response_bytes`].
    ///
    /// ```
    /// # let exporter = inferometer_prometheus::Exporter::builder().registry(inferometer::Registry::new()).build()?;
    /// assert!(exporter.try_render(None).is_ok());
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// When the body would be too large.
    pub fn try_render(&self, accept: Option<&str>) -> Result<Rendered, RenderError> {
        self.scrape(accept).render()
    }

    /// Appends what the registry holds to `out` as text 0.0.4, without a limit.
    ///
    /// From the second call on this allocates nothing, as long as `out` has room and no series are added.
    ///
    /// ```
    /// # let exporter = inferometer_prometheus::Exporter::builder().registry(inferometer::Registry::new()).build()?;
    /// let mut text = Vec::new();
    /// exporter.render_into(&mut text);
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    pub fn render_into(&self, out: &mut Vec<u8>) {
        // Without a limit there is no error.
        let _ = self.text().encoder.encode(&self.shared.registry, out, usize::MAX);
    }

    /// Asks for a scrape, which may share the result of any that begins from now on.
    ///
    /// There is one format so far, so it does not matter what the client accepts.
    pub(crate) fn scrape(&self, _accept: Option<&str>) -> Scrape {
        Scrape { exporter: self.clone(), ticket: self.shared.flight.ticket() }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    fn text(&self) -> MutexGuard<'_, TextRenderer> {
        self.shared.text.lock().unwrap_or_else(|poisoned| {
            // A scrape panicked in the middle of a family. The texts are made anew.
            self.shared.text.clear_poison();
            let mut text: MutexGuard<'_, TextRenderer> = PoisonError::into_inner(poisoned);
            *text = TextRenderer::default();
            text
        })
    }
}

impl Scrape {
    /// Renders, or waits for a result that can be shared.
    pub(crate) fn render(self) -> Result<Rendered, RenderError> {
        let Scrape { exporter, ticket } = self;
        ticket.redeem(|| exporter.text().render(exporter.registry(), exporter.limits().max_response_bytes))
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { registry, limits, .. } = &*self.shared;
        f.debug_struct("Exporter").field("registry", registry).field("limits", limits).finish_non_exhaustive()
    }
}

/// An encoder and its buffer.
#[derive(Debug, Default)]
struct TextRenderer {
    encoder: TextEncoder,
    /// The body of the last scrape. It is written over when nobody reads it any more.
    body: Arc<Vec<u8>>,
}

impl TextRenderer {
    fn render(&mut self, registry: &Registry, limit: usize) -> Result<Rendered, RenderError> {
        if Arc::get_mut(&mut self.body).is_none() {
            // Still on its way to a slow client.
            self.body = Arc::new(Vec::with_capacity(self.body.len() + self.body.len() / 8));
        }
        let Some(body) = Arc::get_mut(&mut self.body) else { unreachable!("it was made just now") };
        body.clear();
        if self.encoder.encode(registry, body, limit).is_err() {
            *body = Vec::new();
            return Err(RenderError::TooLarge { limit });
        }
        // After a removal of many series. The memory of a usual scrape is kept.
        let keep = 2 * body.len() + (64 << 10);
        body.shrink_to(keep);
        let body = Bytes::from_owner(SharedBody(Arc::clone(&self.body)));
        Ok(Rendered { content_type: text::CONTENT_TYPE, body })
    }
}

/// A body that goes out while the exporter keeps a claim on its memory.
struct SharedBody(Arc<Vec<u8>>);

impl AsRef<[u8]> for SharedBody {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
