//! The second thread, which blocks until a GPU reports an error.

use super::state::Shared;
use crate::call::Call;
use crate::events::{EventSink, EventSource};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the thread may take to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A source that is being listened to. There is one at a time.
#[derive(Debug, Default)]
pub(super) struct EventThread(Option<Running>);

#[derive(Debug)]
struct Running {
    closed: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl EventThread {
    /// Whether there is a thread, maybe one that was told to end and has not yet.
    pub(super) fn is_running(&self) -> bool {
        self.0.as_ref().is_some_and(|running| !running.thread.is_finished())
    }

    pub(super) fn start(&mut self, mut source: Box<dyn EventSource>, shared: &Arc<Shared>) {
        let closed = Arc::new(AtomicBool::new(false));
        let (its_own, shared) = (Arc::clone(&closed), Arc::clone(shared));
        let listen = move || {
            let take = |uuid: &str, xid| {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
                shared.lock().xid(uuid, xid, now);
                log::warn!("GPU {uuid} reports Xid {xid}");
            };
            let listened = catch_unwind(AssertUnwindSafe(|| source.run(&EventSink::new(&its_own, &take))));
            let reason = match listened {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    log::info!("no more events of GPUs: {error}");
                    error.reason()
                }
                Err(_) => crate::Reason::Panicked, // the panic hook has said so
            };
            shared.lock().count_failure(Call::Events, reason);
        };
        match thread::Builder::new().name("gpu-events".to_owned()).spawn(listen) {
            Ok(thread) => self.0 = Some(Running { closed, thread }),
            Err(error) => log::warn!("no thread for events of GPUs: {error}"),
        }
    }

    /// Tells the thread to end, and waits for a while until it has.
    pub(super) fn close(&mut self) {
        let Some(running) = self.0.take() else { return };
        running.closed.store(true, Relaxed);
        let asked = Instant::now();
        while !running.thread.is_finished() {
            if asked.elapsed() > PATIENCE {
                self.0 = Some(running); // so that no second one is started beside it
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
        // It catches its panics.
        let _ = running.thread.join();
    }
}
