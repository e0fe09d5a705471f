//! The engine's thread and the queue in front of it.
//!
//! The decode loop runs on a thread of its own, not on tokio's: it computes for milliseconds at a time and would hold
//! up every connection of the worker it ran on.

use std::io;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, TrySendError, bounded};

use crate::model::SharedModel;
use crate::request::Request;
use crate::scheduler::{Progress, Queued, Scheduler, SchedulerConfig};
use crate::telemetry::{FrontEnd, RejectReason, Telemetry, Tracker};

/// Puts requests into the queue. Cheap to clone; one for each part of a front end.
#[derive(Debug, Clone)]
pub struct Submitter<F: FrontEnd> {
    queue: Sender<Queued<F::Tracker>>,
    /// Gone as soon as the scheduler is, even if its thread panicked.
    scheduler: Weak<()>,
    telemetry: F,
}

/// Why a request did not get into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// As many requests wait as are allowed to.
    #[error("the queue is full")]
    Full,
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
}

impl<F: FrontEnd> Submitter<F> {
    /// Queues a request, or refuses it at once.
    pub fn submit(&self, request: Request) -> Result<(), SubmitError> {
        // Counted before it is queued: the engine may take it before `try_send` returns.
        let tracker = self.telemetry.request_arrived(&request);
        self.queue.try_send(Queued { request, tracker }).map_err(|error| {
            let (queued, reason, error) = match error {
                TrySendError::Full(queued) => (queued, RejectReason::QueueFull, SubmitError::Full),
                TrySendError::Disconnected(queued) => (queued, RejectReason::ShuttingDown, SubmitError::Stopped),
            };
            queued.tracker.rejected(reason);
            error
        })
    }

    /// Whether the engine takes requests, as far as anybody can tell without submitting one.
    pub fn is_open(&self) -> bool {
        self.scheduler.strong_count() > 0
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// What records.
    pub fn telemetry(&self) -> &F {
        &self.telemetry
    }
}

/// A queue and the decode loop behind it, not yet on any thread. A bench drives the loop itself with
/// [`Scheduler::step`]; a server uses [`spawn`].
pub fn engine<T: Telemetry>(
    model: SharedModel,
    config: SchedulerConfig,
    telemetry: T,
) -> (Submitter<T::FrontEnd>, Scheduler<T>) {
    let (sender, receiver) = bounded(config.queue);
    let alive = Arc::new(());
    let submitter = Submitter { queue: sender, scheduler: Arc::downgrade(&alive), telemetry: telemetry.front_end() };
    (submitter, Scheduler::new(model, config, receiver, telemetry, alive))
}

/// The running thread.
#[derive(Debug)]
pub struct EngineThread {
    /// Dropping it is the signal to stop.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the decode loop on a thread of its own.
pub fn spawn<T: Telemetry>(
    model: SharedModel,
    config: SchedulerConfig,
    telemetry: T,
) -> io::Result<(Submitter<T::FrontEnd>, EngineThread)> {
    let (submitter, scheduler) = engine(model, config, telemetry);
    let (stop, stopped) = bounded(0);
    let thread = thread::Builder::new().name("engine".to_owned()).spawn(move || run(scheduler, &stopped))?;
    let thread = EngineThread { stop: Some(stop), thread: Some(thread) };
    Ok((submitter, thread))
}

fn run<T: Telemetry>(mut scheduler: Scheduler<T>, stopped: &Receiver<()>) {
    loop {
        if matches!(stopped.try_recv(), Err(TryRecvError::Disconnected)) {
            break;
        }
        match scheduler.step() {
            Progress::Stepped => {}
            Progress::Idle => {
                let mut select = Select::new();
                select.recv(stopped);
                select.recv(scheduler.queue());
                // Either one is looked at again at the top.
                select.ready();
            }
            Progress::Closed => return,
        }
    }
    scheduler.abort_all();
}

impl EngineThread {
    /// Whether the loop runs. If it does not although nobody has stopped it, it has panicked.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Aborts all requests after the step that is under way, and waits for the thread. An error means that it had
    /// panicked.
    pub fn shutdown(mut self) -> thread::Result<()> {
        self.stop()
    }

    fn stop(&mut self) -> thread::Result<()> {
        self.stop.take();
        match self.thread.take() {
            Some(thread) => thread.join(),
            None => Ok(()),
        }
    }
}

impl Drop for EngineThread {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
