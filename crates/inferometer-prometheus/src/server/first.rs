//! Waiting for one of two things. `tokio::select!` would need a procedural macro.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// What came first.
#[derive(Debug)]
pub(super) enum First<A, B> {
    A(A),
    B(B),
}

/// Waits for the first of two futures; `a` when both are ready.
pub(super) async fn first<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> First<A, B> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|cx| {
        if let Poll::Ready(a) = a.as_mut().poll(cx) {
            return Poll::Ready(First::A(a));
        }
        b.as_mut().poll(cx).map(First::B)
    })
    .await
}
