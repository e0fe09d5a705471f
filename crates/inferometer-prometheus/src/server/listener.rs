//! Accepting connections.

use super::GRACE;
use super::backoff::Backoff;
use super::connection;
use super::first::{First, first};
use super::site::Site;
use super::socket::Listener;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// Accepts connections until the server stops; then waits for those that are left, for a while.
pub(super) async fn accept(listener: Listener, site: Arc<Site>, mut stopped: watch::Receiver<()>) {
    // More than anybody has files for; `acquire_many` counts in 32 bits.
    let connections = site.service.exporter().limits().max_connections.min(1 << 24);
    let slots = Arc::new(Semaphore::new(connections));
    let mut backoff = Backoff::new();
    loop {
        match first(stopped.changed(), listener.accept()).await {
            First::A(_) => break,
            First::B(Ok(socket)) => {
                backoff.reset();
                match Arc::clone(&slots).try_acquire_owned() {
                    Ok(slot) => {
                        let serve = connection::serve(socket, Arc::clone(&site), stopped.clone());
                        drop(tokio::spawn(async move {
                            serve.await;
                            drop(slot);
                        }));
                    }
                    Err(_) => site.refuse(socket),
                }
            }
            First::B(Err(error)) => {
                if let Some(wait) = backoff.after(&error) {
                    if backoff.has_just_begun() {
                        log::warn!("no connection for metrics can be accepted: {error}");
                    }
                    if let First::A(_) = first(stopped.changed(), sleep(wait)).await {
                        break;
                    }
                }
            }
        }
    }
    drop(listener);
    // Those that take longer are cut off, with the runtime.
    let _ = timeout(GRACE, slots.acquire_many(connections as u32)).await;
}
