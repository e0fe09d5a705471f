//! A connection's socket, with what the HTTP implementation has no setting for.

use super::head::{HeadCheck, Verdict};
use super::socket::Bytes;
use crate::service::Failure;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A socket that gives up a client which does not read, and looks at the heads of its requests.
pub(super) struct Stream {
    socket: Bytes,
    watch: Watch,
    alarm: Pin<Box<Sleep>>,
}

/// What the socket and the requests on it tell each other.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Mutex<Watched>>);

#[derive(Debug)]
struct Watched {
    /// When the response that is under way must have been written.
    deadline: Instant,
    head: HeadCheck,
    /// Why a response could not be written.
    failure: Option<Failure>,
}

impl Watch {
    /// A request has been read; its response must be written until `deadline`.
    pub(super) fn begin_response(&self, deadline: Instant) -> Verdict {
        let mut watched = self.lock();
        watched.deadline = deadline;
        watched.head.finish()
    }

    pub(super) fn set_deadline(&self, deadline: Instant) {
        self.lock().deadline = deadline;
    }

    /// Why a response could not be written, if one could not.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.lock().failure
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    /// Wraps a socket; what is written before the first request is complete must be written until `deadline`.
    pub(super) fn new(socket: Bytes, deadline: Instant) -> Self {
        let watched = Watched { deadline, head: HeadCheck::default(), failure: None };
        Stream { socket, watch: Watch(Arc::new(Mutex::new(watched))), alarm: Box::pin(sleep_until(deadline)) }
    }

    pub(super) fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// A step of writing a response, which ends at the deadline.
    fn watched<T>(&mut self, cx: &mut Context<'_>, step: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match step {
            Poll::Ready(Ok(done)) => Poll::Ready(Ok(done)),
            Poll::Ready(Err(error)) => self.fail(Failure::Disconnected, error),
            Poll::Pending => {
                let deadline = self.watch.lock().deadline;
                if self.alarm.deadline() != deadline {
                    self.alarm.as_mut().reset(deadline);
                }
                match self.alarm.as_mut().poll(cx) {
                    Poll::Ready(()) => self.fail(Failure::TimedOut, io::ErrorKind::TimedOut.into()),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn fail<T>(&self, failure: Failure, error: io::Error) -> Poll<io::Result<T>> {
        self.watch.lock().failure.get_or_insert(failure);
        Poll::Ready(Err(error))
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, into);
        if let Some(bytes) = into.filled().get(before..) {
            self.watch.lock().head.look_at(bytes);
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.watched(cx, written)
    }

    /// So that a body is not copied behind its head. The two are still written apart, by `poll_write`: unlike `writev`,
    /// that cannot raise SIGPIPE, which ends a process whose `main` is not Rust's.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS writes here what it has taken before.
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.watched(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.socket).poll_shutdown(cx) {
            // TLS says goodbye, which a client that does not read could hold up.
            Poll::Pending => self.watched(cx, Poll::Pending),
            // The response is complete, and how it ends after that is no failure.
            closed => closed,
        }
    }
}
