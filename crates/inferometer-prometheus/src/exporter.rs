//! The exporter: a registry, and the memory that its scrapes share.

use crate::accept::negotiate;
use crate::builder::{ExporterBuilder, Limits};
use crate::format::{Format, MediaType};
use crate::namings::Namings;
use crate::rendered::{RenderError, Rendered};
use crate::renderer::{Options, Renderer};
use crate::request::{Asked, ScrapeRequest};
use crate::single_flight::{SingleFlight, Ticket};
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
    namings: Namings,
    /// Those that a client can have.
    formats: &'static [Format],
    renderer: Mutex<Renderer>,
    flight: SingleFlight<Asked, Result<Rendered, RenderError>>,
}

/// A scrape that has been asked for.
#[derive(Debug)]
pub(crate) struct Scrape {
    exporter: Exporter,
    ticket: Ticket<Asked, Result<Rendered, RenderError>>,
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

    pub(crate) fn new(registry: Registry, limits: Limits, namings: Namings, options: Options) -> Self {
        let formats = options.formats();
        let renderer = Mutex::new(Renderer::new(namings.clone(), options));
        let flight = SingleFlight::new();
        Exporter { shared: Arc::new(Shared { registry, limits, namings, formats, renderer, flight }) }
    }

    /// What the registry holds, in the format that suits the header `Accept` of a request; any header will do.
    ///
    /// The size is not limited. For requests from outside use [`Exporter::answer`].
    ///
    /// ```
    /// # let exporter = inferometer_prometheus::Exporter::builder().registry(inferometer::Registry::new()).build()?;
    /// let rendered = exporter.render(Some("text/plain;version=0.0.4;q=0.5,*/*;q=0.1"));
    /// assert_eq!(rendered.content_type, "text/plain; version=0.0.4; charset=utf-8");
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    pub fn render(&self, accept: Option<&str>) -> Rendered {
        self.answer(&ScrapeRequest::new().accept(accept)).unwrap_or_else(|_| {
            let asked = Asked::all(negotiate(accept, self.shared.formats));
            let mut body = Vec::new();
            // Without a limit there is no error.
            let _ = self.renderer().encode(&self.shared.registry, &asked, &mut body, usize::MAX);
            Rendered { content_type: asked.media_type.content_type(), content_encoding: None, body: body.into() }
        })
    }

    /// The answer to a request, unless it takes more bytes than [`ExporterBuilder::max_response_bytes`] before it is
    /// packed.
    ///
    /// ```
    /// # use inferometer_prometheus::ScrapeRequest;
    /// # let exporter = inferometer_prometheus::Exporter::builder().registry(inferometer::Registry::new()).build()?;
    /// assert!(exporter.answer(&ScrapeRequest::new()).is_ok());
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// When the body would be too large, or the query names a profile that there is not.
    pub fn answer(&self, request: &ScrapeRequest<'_>) -> Result<Rendered, RenderError> {
        self.scrape(request)?.render()
    }

    /// Appends what the registry holds to `out` in a format, without a limit.
    ///
    /// From the second call on this allocates nothing, as long as `out` has room and no series are added.
    ///
    /// ```
    /// # use inferometer_prometheus::Format;
    /// # let exporter = inferometer_prometheus::Exporter::builder().registry(inferometer::Registry::new()).build()?;
    /// let mut text = Vec::new();
    /// exporter.render_into(Format::Text, &mut text);
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    pub fn render_into(&self, format: Format, out: &mut Vec<u8>) {
        // Without a limit there is no error.
        let _ = self.renderer().encode(
            &self.shared.registry,
            &Asked::all(MediaType { format, escaping: None }),
            out,
            usize::MAX,
        );
    }

    /// Asks for a scrape, which may share the result of any that begins from now on.
    pub(crate) fn scrape(&self, request: &ScrapeRequest<'_>) -> Result<Scrape, RenderError> {
        let asked = Asked::new(request, &self.shared.namings, self.shared.formats)?;
        Ok(Scrape { exporter: self.clone(), ticket: self.shared.flight.ticket(asked) })
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    fn renderer(&self) -> MutexGuard<'_, Renderer> {
        self.shared.renderer.lock().unwrap_or_else(|poisoned| {
            // A scrape panicked in the middle of a family. The texts are made anew.
            self.shared.renderer.clear_poison();
            let mut renderer: MutexGuard<'_, Renderer> = PoisonError::into_inner(poisoned);
            renderer.forget();
            renderer
        })
    }
}

impl Scrape {
    /// Renders, or waits for a result that can be shared.
    pub(crate) fn render(self) -> Result<Rendered, RenderError> {
        let Scrape { exporter, ticket } = self;
        let limit = exporter.limits().max_response_bytes;
        ticket.redeem(|asked| exporter.renderer().render(exporter.registry(), asked, limit))
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { registry, limits, .. } = &*self.shared;
        f.debug_struct("Exporter").field("registry", registry).field("limits", limits).finish_non_exhaustive()
    }
}
