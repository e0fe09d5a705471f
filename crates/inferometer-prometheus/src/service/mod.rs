//! Scrapes as a `tower` service, which the crate's own server uses as well.

mod body;
mod failure;
mod one_at_a_time;
mod scrape_timeout;

pub use body::MetricsBody;
pub(crate) use body::{answer, plain};
#[cfg(feature = "http")]
pub(crate) use failure::Failure;
pub(crate) use one_at_a_time::OneAtATime;

use crate::exporter::Scrape;
use crate::rendered::RenderError;
use crate::{Exporter, ScrapeRequest};
#[cfg(not(feature = "http"))]
use failure::Failure;
use failure::Failures;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Answers scrapes in a server of the user's, at whatever path it is mounted.
///
/// GET and HEAD get the metrics, and other methods the status 405. Other parts of the request are read as
/// [`ScrapeRequest`] says, and its body is not read. A scrape is rendered on a thread of its own, never
/// on the runtime's, and one at a time; a request that is given up costs nothing more than the rendering that had
/// begun. More than [`ExporterBuilder::max_waiting_scrapes`] requests are refused with the status 503, and one that is
/// not rendered within [`ExporterBuilder::response_timeout`], or within the `X-Prometheus-Scrape-Timeout-Seconds` of
/// its headers, gets the status 503 as well. The time is kept by Tokio, with its timers enabled as `#[tokio::main]`
/// and servers have them; in another runtime there is no such limit. How long a client may take to read is left to
/// the server, and so is who may ask.
///
/// The registry gets a family `inferometer_scrapes_failed_total`, which counts by `reason` what went wrong.
///
/// ```
/// # use inferometer_prometheus::Exporter;
/// let exporter = Exporter::builder().registry(inferometer::Registry::new()).build()?;
/// let app: axum::Router = axum::Router::new().route_service("/metrics", exporter.service());
/// # Ok::<(), inferometer_prometheus::BuildError>(())
/// ```
///
/// [`ExporterBuilder::max_waiting_scrapes`]: crate::ExporterBuilder::max_waiting_scrapes
/// [`ExporterBuilder::response_timeout`]: crate::ExporterBuilder::response_timeout
#[derive(Clone)]
pub struct MetricsService {
    shared: Arc<Shared>,
}

struct Shared {
    exporter: Exporter,
    failures: Failures,
    /// Places for scrapes that wait or are rendered.
    places: Arc<Semaphore>,
    renderer: OneAtATime,
}

/// Why a request gets no scrape.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Method,
    NoSuchProfile,
    TooMany,
}

/// What [`MetricsService`] is going to answer.
pub type MetricsFuture = Pin<Box<dyn Future<Output = Result<Response<MetricsBody>, Infallible>> + Send>>;

impl Exporter {
    /// A service that answers scrapes, for a server of the user's: axum's, tonic's or any other that takes `tower`
    /// services.
    ///
    /// ```
    /// # use inferometer_prometheus::Exporter;
    /// let exporter = Exporter::builder().registry(inferometer::Registry::new()).build()?;
    /// let app: axum::Router = axum::Router::new().route_service("/metrics", exporter.service());
    /// # Ok::<(), inferometer_prometheus::BuildError>(())
    /// ```
    pub fn service(&self) -> MetricsService {
        // `Semaphore` cannot hold more.
        let places = self.limits().max_waiting_scrapes.min(Semaphore::MAX_PERMITS);
        MetricsService {
            shared: Arc::new(Shared {
                exporter: self.clone(),
                failures: Failures::register(self.registry()),
                places: Arc::new(Semaphore::new(places)),
                renderer: OneAtATime::new("inferometer-scrape"),
            }),
        }
    }
}

impl MetricsService {
    /// When the response to a request with these headers must be on its way.
    pub(crate) fn deadline(&self, headers: &HeaderMap) -> Instant {
        let own = self.shared.exporter.limits().response_timeout;
        from_now(scrape_timeout::of(headers).map_or(own, |theirs| theirs.min(own)))
    }

    /// Answers a request whose response has to be there at `deadline`. The result may share a scrape that begins from
    /// now on, not from when it is first waited for.
    pub(crate) fn respond(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> impl Future<Output = Response<MetricsBody>> + Send + use<> {
        let begun = self.begin(method, uri, headers);
        let service = self.clone();
        async move {
            let mut response = match begun {
                Ok((_place, scrape)) => service.scrape(scrape, deadline).await,
                Err(refusal) => service.refuse(refusal),
            };
            // Labels can hold what users of the service sent, and browsers guess.
            response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
    }

    pub(crate) fn exporter(&self) -> &Exporter {
        &self.shared.exporter
    }

    #[cfg(feature = "http")]
    pub(crate) fn count(&self, failure: Failure) {
        self.shared.failures.count(failure);
    }

    /// Asks for a scrape. The place is for as long as it takes.
    fn begin(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(OwnedSemaphorePermit, Scrape), Refusal> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Refusal::Method);
        }
        let place = Arc::clone(&self.shared.places).try_acquire_owned().map_err(|_| Refusal::TooMany)?;
        let scrape = self.ask(uri, headers).map_err(|_| Refusal::NoSuchProfile)?;
        Ok((place, scrape))
    }

    fn refuse(&self, refusal: Refusal) -> Response<MetricsBody> {
        match refusal {
            Refusal::Method => not_allowed(),
            Refusal::NoSuchProfile => plain(StatusCode::BAD_REQUEST, "there is no such profile\n"),
            Refusal::TooMany => {
                self.shared.failures.count(Failure::Refused);
                unavailable("too many scrapes at a time\n")
            }
        }
    }

    fn ask(&self, uri: &Uri, headers: &HeaderMap) -> Result<Scrape, RenderError> {
        let accept = joined(headers.get_all(header::ACCEPT));
        let accept_encoding = joined(headers.get_all(header::ACCEPT_ENCODING));
        let request = ScrapeRequest::new()
            .accept(accept.as_deref())
            .accept_encoding(accept_encoding.as_deref())
            .query(uri.query());
        self.exporter().scrape(&request)
    }

    async fn scrape(&self, scrape: Scrape, deadline: Instant) -> Response<MetricsBody> {
        let Shared { failures, renderer, .. } = &*self.shared;
        let render = renderer.run(move || scrape.render());
        let rendered = match Handle::try_current() {
            Ok(_) => timeout_at(deadline, render).await,
            Err(_) => Ok(render.await),
        };
        let (failure, response) = match rendered {
            Ok(Ok(Ok(rendered))) => {
                let mut response = answer(StatusCode::OK, rendered.content_type, rendered.body);
                let headers = response.headers_mut();
                headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
                if let Some(encoding) = rendered.content_encoding {
                    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
                }
                return response;
            }
            Ok(Ok(Err(error))) => {
                log::error!("a scrape has failed: {error}");
                let response = plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics are larger than they may be\n");
                (Failure::TooLarge, response)
            }
            Ok(Err(error)) => {
                log::error!("a scrape has failed: {error}");
                (Failure::Panicked, plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be rendered\n"))
            }
            Err(_) => (Failure::TimedOut, unavailable("the metrics were not rendered in time\n")),
        };
        failures.count(failure);
        response
    }
}

/// The end of a timeout that begins now. One that is longer than a clock can tell never ends.
pub(crate) fn from_now(timeout: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);
    Instant::now() + timeout.min(NEVER)
}

/// Headers of one name, as one; those that are no text do not count.
fn joined<'a>(headers: impl IntoIterator<Item = &'a HeaderValue>) -> Option<Cow<'a, str>> {
    let mut headers = headers.into_iter().filter_map(|header| header.to_str().ok());
    let first = headers.next()?;
    Some(headers.fold(Cow::Borrowed(first), |all, header| Cow::Owned(format!("{all},{header}"))))
}

/// For a method that reads nothing.
pub(crate) fn not_allowed() -> Response<MetricsBody> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// For what may go well another time.
pub(crate) fn unavailable(why: &'static str) -> Response<MetricsBody> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, why);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

impl<B> tower_service::Service<Request<B>> for MetricsService {
    type Response = Response<MetricsBody>;
    type Error = Infallible;
    type Future = MetricsFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> MetricsFuture {
        let response =
            self.respond(request.method(), request.uri(), request.headers(), self.deadline(request.headers()));
        Box::pin(async { Ok(response.await) })
    }
}

impl fmt::Debug for MetricsService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsService").field("exporter", self.exporter()).finish_non_exhaustive()
    }
}
