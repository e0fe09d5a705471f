//! What is answered to a request. Nothing of the request is ever part of the answer.

use super::site::Site;
use super::stream::Watch;
use crate::page;
use crate::service::{MetricsBody, MetricsService, answer, not_allowed, plain};
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::Instant;

/// How long a client has to read that its response was not ready in time.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Answers a request. The HTTP implementation leaves out the body for HEAD.
pub(super) async fn respond(
    site: &Site,
    watch: &Watch,
    request: Request<Incoming>,
) -> Result<Response<MetricsBody>, Infallible> {
    let deadline = site.service.deadline(request.headers());
    let head = watch.begin_response(deadline);
    let has_body = !request.body().is_end_stream();
    let mut response = if head.malformed || !has_right_host(&request) {
        plain(StatusCode::BAD_REQUEST, "bad request\n")
    } else {
        admitted(site, &request, deadline).await
    };
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        watch.set_deadline(Instant::now() + LAST_WORDS);
    }
    // Bodies are not read, so it is not known where another request would begin.
    if has_body || head.followed || response.status() == StatusCode::BAD_REQUEST {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// HTTP/1.1 requires one, and two could name different hosts to different readers.
fn has_right_host(request: &Request<Incoming>) -> bool {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11)
}

/// The answer to who may have one.
async fn admitted(site: &Site, request: &Request<Incoming>, deadline: Instant) -> Response<MetricsBody> {
    #[cfg(feature = "tls")]
    if let Some(guard) = &site.guard {
        let mut admission = guard.admit(request.headers(), deadline).await;
        let mut response = match admission.refusal.take() {
            Some(refusal) => refusal,
            None => route(&site.service, request, deadline).await,
        };
        admission.finish(&mut response);
        return response;
    }
    route(&site.service, request, deadline).await
}

async fn route(service: &MetricsService, request: &Request<Incoming>, deadline: Instant) -> Response<MetricsBody> {
    match request.uri().path() {
        "/metrics" => service.respond(request.method(), request.uri(), request.headers(), deadline).await,
        "/" | "/health" if !matches!(*request.method(), Method::GET | Method::HEAD) => not_allowed(),
        "/" => live_page(),
        "/health" => plain(StatusCode::OK, "ok\n"),
        _ => plain(StatusCode::NOT_FOUND, "not found; the metrics are at /metrics\n"),
    }
}

fn live_page() -> Response<MetricsBody> {
    let mut response =
        answer(StatusCode::OK, "text/html; charset=utf-8", Bytes::from_static(page::DOCUMENT.as_bytes()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::CONTENT_SECURITY_POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
