//! The thread of a server.

use super::GRACE;
use super::error::ServeError;
use super::listener::accept;
use super::site::Site;
use super::socket::Listener;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::watch;

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(super) struct Running(Option<Parts>);

#[derive(Debug)]
struct Parts {
    stop: watch::Sender<()>,
    /// Disconnected when the thread has ended.
    life: Mutex<mpsc::Receiver<io::Result<()>>>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Starts a thread that serves what `listen` makes on it.
    pub(super) fn start(
        site: Site,
        listen: impl FnOnce() -> io::Result<Listener> + Send + 'static,
    ) -> Result<Self, ServeError> {
        let (stop, stopped) = watch::channel(());
        let (sender, life) = mpsc::sync_channel(1);
        let run = move || run(listen, site, stopped, &sender);
        let thread =
            thread::Builder::new().name("inferometer-http".to_owned()).spawn(run).map_err(ServeError::Start)?;
        match life.recv() {
            Ok(Ok(())) => Ok(Running(Some(Parts { stop, life: Mutex::new(life), thread }))),
            Ok(Err(error)) => Err(ServeError::Start(error)),
            Err(_) => Err(ServeError::Start(io::Error::other("the server's thread has panicked"))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(Parts { stop, life, thread }) = self.0.take() else { return };
        drop(stop);
        let life = life.into_inner().unwrap_or_else(PoisonError::into_inner);
        // In a child of `fork` there is no thread, and joining it would take for ever.
        let ended = life.recv_timeout(GRACE + Duration::from_millis(500));
        if matches!(ended, Err(mpsc::RecvTimeoutError::Disconnected)) && thread.join().is_err() {
            log::error!("the thread of the metrics server has panicked");
        }
    }
}

/// The server's thread. It tells `life` whether it has begun, and lets go of it when it ends.
fn run(
    listen: impl FnOnce() -> io::Result<Listener>,
    site: Site,
    stopped: watch::Receiver<()>,
    life: &mpsc::SyncSender<io::Result<()>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(life.send(Err(error))),
    };
    runtime.block_on(async {
        match listen() {
            Ok(listener) => {
                let _ = life.send(Ok(())); // nobody waits if `serve` has panicked
                accept(listener, Arc::new(site), stopped).await;
            }
            Err(error) => drop(life.send(Err(error))),
        }
    });
}
