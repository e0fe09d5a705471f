//! Polling a collector: one thread asks, another one runs the user's code.
//!
//! The collector lies on a desk, under a lock that nobody holds for longer than it takes to move a pointer. A scrape puts
//! a question there and wakes the collector's thread, which takes the collector from the desk, runs it, and puts it back
//! with an answer for whoever still waits. So a desk without a collector says that the user's code is running, or, in
//! the child of a fork, that it was running in the parent and will never come back.
//!
//! Both threads wait by parking, and not on a condition variable, because the child of a fork inherits the desk: a
//! thread of the parent that waits on a lock's companion would be in it for ever.

use super::{Collected, Collector, CollectorFamily, CollectorSink, Origin};
use crate::storage::POOL;
use crate::sync::{Mutex, lock};
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// A registered collector.
pub(crate) struct Poller {
    name: String,
    families: Vec<CollectorFamily>,
    timeout: Duration,
    /// By [`FailureReason`].
    errors: [AtomicU64; FailureReason::ALL.len()],
    desk: Mutex<Desk>,
}

/// Where the threads meet. See the [module](self).
pub(crate) struct Desk {
    collector: Option<Box<dyn Collector>>,
    /// The thread that waits for an answer.
    asking: Option<Thread>,
    answer: Option<Answer>,
    /// The collector's thread, with the fork epoch in which it was started: it does not exist in a child.
    worker: Option<(usize, Thread)>,
    /// Whether the collector was unregistered.
    closed: bool,
}

type Answer = Result<Vec<Collected>, FailureReason>;

/// Why a value, or all of a collector's, are not in a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureReason {
    Panicked,
    TimedOut,
    Failed,
    Duplicate,
}

impl FailureReason {
    pub(crate) const ALL: [Self; 4] = [Self::Panicked, Self::TimedOut, Self::Failed, Self::Duplicate];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::Duplicate => "duplicate",
        }
    }
}

thread_local! {
    /// Whether this is a collector's thread.
    static COLLECTS: Cell<bool> = const { Cell::new(false) };
}

impl Poller {
    pub(super) fn new(name: &str, collector: Box<dyn Collector>) -> Self {
        Poller {
            name: name.to_owned(),
            families: collector.families(),
            timeout: collector.timeout(),
            errors: Default::default(),
            desk: Mutex::new(Desk {
                collector: Some(collector),
                asking: None,
                answer: None,
                worker: None,
                closed: false,
            }),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn families(&self) -> &[CollectorFamily] {
        &self.families
    }

    /// How often there were no values for this reason.
    pub(crate) fn errors(&self, reason: FailureReason) -> u64 {
        self.errors[reason as usize].load(Relaxed)
    }

    fn count(&self, reason: FailureReason, n: u64) {
        self.errors[reason as usize].fetch_add(n, Relaxed);
    }

    /// In the child of a fork, which counts its own errors.
    #[cfg(unix)]
    pub(crate) fn start_over(&self) {
        self.errors.iter().for_each(|errors| errors.store(0, Relaxed));
    }

    /// The lock that a fork holds.
    #[cfg(unix)]
    pub(crate) fn mutex(&self) -> &Mutex<Desk> {
        &self.desk
    }

    /// Ends the collector's thread: at once if it rests, else when the user's code returns.
    pub(crate) fn close(&self) {
        let mut desk = lock(&self.desk);
        desk.closed = true;
        let left = (desk.collector.take(), desk.answer.take(), desk.asking.take(), desk.worker.take());
        drop(desk);
        // The user's code and the allocator run without the lock.
        let (_collector, _answer, asking, worker) = left;
        asking.into_iter().chain(worker.map(|(_, thread)| thread)).for_each(|thread| thread.unpark());
    }

    /// Asks for values, and says whether there will be an answer. One scrape at a time may do so.
    fn ask(self: &Arc<Self>) -> bool {
        let (own, epoch) = (thread::current(), POOL.epoch());
        let mut desk = lock(&self.desk);
        if desk.closed {
            return false;
        }
        if desk.collector.is_none() {
            drop(desk);
            self.count(FailureReason::TimedOut, 1); // it still hangs
            return false;
        }
        // Something is left over in the child of a fork, whose parent was waiting.
        let before = (desk.asking.replace(own), desk.answer.take());
        if let Some((_, worker)) = desk.worker.as_ref().filter(|(of, _)| *of == epoch) {
            worker.unpark();
            drop(desk);
            return true;
        }
        drop(desk);
        drop(before);
        self.start_worker(epoch)
    }

    fn start_worker(self: &Arc<Self>, epoch: usize) -> bool {
        let poller = Arc::clone(self);
        // A null character would be a panic.
        let name = format!("collect-{}", self.name.replace('\0', ""));
        match thread::Builder::new().name(name).spawn(move || poller.work()) {
            Ok(handle) => {
                let before = lock(&self.desk).worker.replace((epoch, handle.thread().clone()));
                drop(before);
                // It may have been closed before the thread could be told.
                handle.thread().unpark();
                true
            }
            Err(error) => {
                log::warn!("collector {:?}: no thread for it: {error}", self.name);
                let asking = lock(&self.desk).asking.take();
                drop(asking);
                self.count(FailureReason::Failed, 1);
                false
            }
        }
    }

    /// Waits for the answer to a question that was asked then.
    fn answer(&self, asked: Instant) -> Option<Vec<Collected>> {
        loop {
            let mut desk = lock(&self.desk);
            if let Some(answer) = desk.answer.take() {
                drop(desk);
                return answer.map_err(|reason| self.count(reason, 1)).ok();
            }
            if desk.closed {
                return None;
            }
            let left = self.timeout.saturating_sub(asked.elapsed());
            if left.is_zero() {
                let asking = desk.asking.take();
                drop(desk);
                drop(asking);
                self.count(FailureReason::TimedOut, 1);
                log::warn!("collector {:?} has not answered within {:?}", self.name, self.timeout);
                return None;
            }
            drop(desk);
            thread::park_timeout(left);
        }
    }

    /// The collector's thread.
    fn work(&self) {
        COLLECTS.set(true);
        let mut failed = false;
        loop {
            let mut desk = lock(&self.desk);
            if desk.closed {
                return;
            }
            let collector = if desk.asking.is_some() { desk.collector.take() } else { None };
            drop(desk);
            let Some(mut collector) = collector else {
                thread::park();
                continue;
            };
            let answer = self.run(&mut *collector, &mut failed);
            let mut desk = lock(&self.desk);
            if desk.closed {
                drop(desk);
                return; // and the collector goes with the thread
            }
            desk.collector = Some(collector);
            if let Some(asking) = desk.asking.take() {
                desk.answer = Some(answer);
                drop(desk);
                asking.unpark();
            }
        }
    }

    /// Runs the user's code.
    fn run(&self, collector: &mut dyn Collector, failed: &mut bool) -> Answer {
        let mut sink = CollectorSink::new(&self.families);
        // What a panic leaves behind in the collector is its own affair. The sink's values are not used then.
        let result = catch_unwind(AssertUnwindSafe(|| collector.collect(&mut sink)));
        let (collected, duplicates) = sink.into_collected();
        self.count(FailureReason::Duplicate, duplicates);
        let failed_before = std::mem::replace(failed, !matches!(result, Ok(Ok(()))));
        match result {
            Ok(Ok(())) => Ok(collected),
            Ok(Err(error)) => {
                if !failed_before {
                    log::warn!("collector {:?} failed: {error}", self.name);
                }
                Err(FailureReason::Failed)
            }
            Err(_) => Err(FailureReason::Panicked), // the panic hook has said so
        }
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the collectors of a registry had for one scrape.
#[derive(Debug, Default)]
pub(crate) struct Polls(Vec<(Arc<Poller>, Vec<Collected>)>);

impl Polls {
    /// Polls them all side by side. It takes no longer than the longest of their timeouts.
    pub(crate) fn of(pollers: &[Arc<Poller>]) -> Self {
        let asked: Vec<_> =
            pollers.iter().filter(|poller| poller.ask()).map(|poller| (poller, Instant::now())).collect();
        let answers = asked.into_iter().map(|(poller, asked)| Some((Arc::clone(poller), poller.answer(asked)?)));
        Polls(answers.flatten().collect())
    }

    /// Whether this is a collector's thread, which must not wait for itself.
    pub(crate) fn are_under_way_here() -> bool {
        COLLECTS.get()
    }

    /// What there is of a family.
    pub(crate) fn get(&self, origin: &Origin) -> Option<&Collected> {
        let (_, collected) = self.0.iter().find(|(poller, _)| Arc::ptr_eq(poller, &origin.poller))?;
        collected.get(origin.place)
    }
}
