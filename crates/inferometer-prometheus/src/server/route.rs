//! What is answered to a request. Nothing of the request is ever part of the answer.

use super::connection::Context;
use super::failure::Failure;
use super::stream::Watch;
use crate::ScrapeRequest;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a client has to read that its response was not ready in time.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A body that is there as a whole.
#[derive(Debug)]
pub(super) struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Answers a request. The HTTP implementation leaves out the body for HEAD.
pub(super) async fn respond(
    context: &Context,
    watch: &Watch,
    request: Request<Incoming>,
) -> Result<Response<Whole>, Infallible> {
    let deadline = Instant::now() + context.exporter.limits().response_timeout;
    let head = watch.begin_response(deadline);
    let has_body = !request.body().is_end_stream();
    let mut response = if head.malformed || !has_right_host(&request) {
        plain(StatusCode::BAD_REQUEST, "bad request\n")
    } else {
        route(context, watch, &request, deadline).await
    };
    // Bodies are not read, so it is not known where another request would begin.
    if has_body || head.followed || response.status() == StatusCode::BAD_REQUEST {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    // Labels can hold what users of the service sent, and browsers guess.
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// HTTP/1.1 requires one, and two could name different hosts to different readers.
fn has_right_host(request: &Request<Incoming>) -> bool {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11)
}

async fn route(context: &Context, watch: &Watch, request: &Request<Incoming>, deadline: Instant) -> Response<Whole> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/metrics" | "/health" if !reads => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        "/metrics" => scrape(context, watch, request, deadline).await,
        "/health" => plain(StatusCode::OK, "ok\n"),
        _ => plain(StatusCode::NOT_FOUND, "not found; the metrics are at /metrics\n"),
    }
}

async fn scrape(context: &Context, watch: &Watch, request: &Request<Incoming>, deadline: Instant) -> Response<Whole> {
    let accept = joined(request.headers().get_all(header::ACCEPT));
    let accept_encoding = joined(request.headers().get_all(header::ACCEPT_ENCODING));
    let query = request.uri().query();
    let asked = ScrapeRequest::new().accept(accept.as_deref()).accept_encoding(accept_encoding.as_deref()).query(query);
    let Ok(scrape) = context.exporter.scrape(&asked) else {
        return plain(StatusCode::BAD_REQUEST, "there is no such profile\n");
    };
    let render = async {
        let turn = Arc::clone(&context.renderer).acquire_owned().await;
        tokio::task::spawn_blocking(move || {
            // Held until the rendering has really ended, even when this request has timed out: else requests could
            // pile up behind one that hangs.
            let _turn = turn;
            scrape.render()
        })
        .await
    };
    let (failure, response) = match timeout_at(deadline, render).await {
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
        Err(_) => {
            watch.set_deadline(Instant::now() + LAST_WORDS);
            let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "the metrics were not rendered in time\n");
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            (Failure::TimedOut, response)
        }
    };
    context.failures.count(failure);
    response
}

/// Headers of one name, as one; those that are no text do not count.
fn joined<'a>(headers: impl IntoIterator<Item = &'a HeaderValue>) -> Option<Cow<'a, str>> {
    let mut headers = headers.into_iter().filter_map(|header| header.to_str().ok());
    let first = headers.next()?;
    Some(headers.fold(Cow::Borrowed(first), |all, header| Cow::Owned(format!("{all},{header}"))))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Whole> {
    answer(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Whole> {
    let mut response = Response::new(Whole(Some(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
