//! One connection.

use super::first::{First, first};
use super::route::respond;
use super::site::Site;
use super::socket::Socket;
use super::stream::Stream;
use crate::service::from_now;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::watch;

/// How large the head of a request may be.
const HEAD_BYTES: usize = 8 << 10;
/// How many headers it may have.
const HEADERS: usize = 64;
/// How much of a connection's input is held: a head, and something after it.
const BUFFER_BYTES: usize = 16 << 10;

/// Answers the requests of a connection until it is closed, or, when the server stops, the one that is under way.
pub(super) async fn serve(socket: Socket, site: Arc<Site>, mut stopped: watch::Receiver<()>) {
    let Some(bytes) = site.receive(socket).await else { return };
    let limits = site.service.exporter().limits();
    let deadline = from_now(limits.header_timeout.saturating_add(limits.response_timeout));
    let stream = Stream::new(bytes, deadline);
    let watch = stream.watch();
    let answer = service_fn(|request| respond(&site, &watch, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(HEADERS)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(BUFFER_BYTES)
        .half_close(true) // of use to shell scripts
        .writev(true)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    let ended = match first(stopped.changed(), connection.as_mut()).await {
        First::B(ended) => ended,
        First::A(_) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        log::debug!("a connection for metrics was broken off: {error}");
    }
    if let Some(failure) = watch.failure() {
        site.service.count(failure);
    }
}
