//! Work that would block a runtime, on a thread of its own.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use tokio::sync::{Semaphore, oneshot};

/// Runs one piece of work at a time, off the caller's thread. Those that wait can be given up.
///
/// A new thread for each costs some ten microseconds. The runtime's threads for blocking work cost as much when they
/// are idle for longer than a few seconds, as between scrapes, and an engine may have filled them with its own.
#[derive(Debug)]
pub(crate) struct OneAtATime {
    name: &'static str,
    turn: Arc<Semaphore>,
}

/// Why there is no result.
#[derive(Debug)]
pub(crate) enum Lost {
    /// There is no thread to be had.
    NoThread(io::Error),
    /// The work has panicked.
    Panicked,
}

impl OneAtATime {
    pub(crate) fn new(name: &'static str) -> Self {
        OneAtATime { name, turn: Arc::new(Semaphore::new(1)) }
    }

    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Lost> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let (send, receive) = oneshot::channel();
        let work = move || {
            // Held until the work has really ended, even when nobody waits for it any more: else work could pile up
            // behind a piece that hangs.
            let _turn = turn;
            let _ = send.send(work());
        };
        thread::Builder::new().name(self.name.to_owned()).spawn(work).map_err(Lost::NoThread)?;
        receive.await.map_err(|_| Lost::Panicked)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::NoThread(error) => write!(f, "there is no thread for it: {error}"),
            Lost::Panicked => f.write_str("it has panicked"),
        }
    }
}
