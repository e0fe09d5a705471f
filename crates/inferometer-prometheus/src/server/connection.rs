//! One connection.

use super::failure::{Failure, Failures};
use super::first::{First, first};
use super::route::respond;
use super::stream::Stream;
use crate::Exporter;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::pin::pin;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// How large the head of a request may be.
const HEAD_BYTES: usize = 8 << 10;
/// How many headers it may have.
const HEADERS: usize = 64;
/// How much of a connection's input is held: a head, and something after it.
const BUFFER_BYTES: usize = 16 << 10;

/// What the connections of a server have in common.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) exporter: Exporter,
    pub(super) failures: Failures,
    /// Lets one scrape at a time onto the thread that renders. The others wait here, where they can still time out.
    pub(super) renderer: Arc<Semaphore>,
}

impl Context {
    pub(super) fn new(exporter: Exporter, failures: Failures) -> Self {
        Context { exporter, failures, renderer: Arc::new(Semaphore::new(1)) }
    }
}

/// Answers the requests of a connection until it is closed, or, when the server stops, the one that is under way.
pub(super) async fn serve(socket: TcpStream, context: Arc<Context>, mut stopped: watch::Receiver<()>) {
    let limits = context.exporter.limits();
    // A response goes out in two pieces, and the second should not wait for the first to be acknowledged.
    let _ = socket.set_nodelay(true);
    let stream = Stream::new(socket, Instant::now() + limits.header_timeout + limits.response_timeout);
    let watch = stream.watch();
    let service = service_fn(|request| respond(&context, &watch, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(HEADERS)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(BUFFER_BYTES)
        .half_close(true) // of use to shell scripts
        .writev(true)
        .serve_connection(TokioIo::new(stream), service);
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
        context.failures.count(failure);
    }
}

/// Refuses a connection when there are too many. This does not wait for anything, so that it cannot be kept from
/// accepting others.
pub(super) fn refuse(socket: TcpStream, context: &Context) {
    use std::io::{Read, Write};
    const ANSWER: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    context.failures.count(Failure::Refused);
    if let Ok(mut socket) = socket.into_std() {
        // Closing a socket with unread input would take the answer back.
        let _ = socket.read(&mut [0; 4096]);
        let _ = socket.write(ANSWER);
        let _ = socket.shutdown(std::net::Shutdown::Write);
    }
}
