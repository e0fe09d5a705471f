//! One at a time, and those who wait share.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Runs a piece of work at most once at a time. Who asked before a run began may have its result; who asked later may
/// not, since the result would be older than the question.
#[derive(Debug)]
pub(crate) struct SingleFlight<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    ended: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// How many tickets there are. The result is kept for them, and no longer.
    tickets: usize,
    running: bool,
    /// How many runs have begun.
    begun: u64,
    /// The last result, and the number of its run.
    last: Option<(u64, T)>,
}

/// A question that was asked at a certain time.
#[derive(Debug)]
pub(crate) struct Ticket<T> {
    shared: Arc<Shared<T>>,
    /// The first run that began after the ticket was drawn.
    run: u64,
}

impl<T: Clone> SingleFlight<T> {
    pub(crate) fn new() -> Self {
        let state = State { tickets: 0, running: false, begun: 0, last: None };
        SingleFlight { shared: Arc::new(Shared { state: Mutex::new(state), ended: Condvar::new() }) }
    }

    /// Asks now.
    pub(crate) fn ticket(&self) -> Ticket<T> {
        let mut state = self.shared.lock();
        state.tickets += 1;
        Ticket { shared: Arc::clone(&self.shared), run: state.begun + 1 }
    }
}

impl<T: Clone> Ticket<T> {
    /// The result of a run that began after the ticket was drawn: of somebody else's, or of one that is made now. Waits
    /// while another is going on.
    pub(crate) fn redeem(self, work: impl FnOnce() -> T) -> T {
        let mut state = self.shared.lock();
        loop {
            if let Some((run, result)) = &state.last
                && *run >= self.run
            {
                return result.clone();
            }
            if !state.running {
                break;
            }
            state = self.shared.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.running = true;
        state.begun += 1;
        let run = state.begun;
        drop(state);
        let end = EndOfRun(&self.shared);
        let result = work();
        let mut state = self.shared.lock();
        // An older result may still be there for tickets that were not redeemed yet; the new one is as good for them.
        state.last = (state.tickets > 1).then(|| (run, result.clone()));
        drop(state);
        drop(end);
        result
    }
}

/// Lets the next one run, even when the work has panicked.
struct EndOfRun<'a, T>(&'a Shared<T>);

impl<T> Drop for EndOfRun<'_, T> {
    fn drop(&mut self) {
        self.0.lock().running = false;
        self.0.ended.notify_all();
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.tickets -= 1;
        if state.tickets == 0 {
            let last = state.last.take();
            drop(state);
            drop(last);
        }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::thread;

    #[test]
    fn who_asked_before_a_run_began_shares_its_result() {
        let flight = SingleFlight::new();
        let (first, second) = (flight.ticket(), flight.ticket());
        assert_eq!(first.redeem(|| 1), 1);
        assert_eq!(second.redeem(|| 2), 1);
    }

    #[test]
    fn who_asked_after_a_run_began_gets_a_newer_result() {
        let flight = SingleFlight::new();
        let before = flight.ticket();
        let mut during = None;
        assert_eq!(
            before.redeem(|| {
                during = Some(flight.ticket());
                1
            }),
            1
        );
        assert_eq!(during.unwrap().redeem(|| 2), 2);
        assert_eq!(flight.ticket().redeem(|| 3), 3);
    }

    #[test]
    fn no_result_is_kept_that_nobody_waits_for() {
        let flight = SingleFlight::new();
        let kept = Arc::new(());
        let (first, second) = (flight.ticket(), flight.ticket());
        drop(first.redeem(|| Arc::clone(&kept)));
        assert_eq!(Arc::strong_count(&kept), 2);
        drop(second);
        assert_eq!(Arc::strong_count(&kept), 1);
        drop(flight.ticket().redeem(|| Arc::clone(&kept)));
        assert_eq!(Arc::strong_count(&kept), 1);
    }

    #[test]
    fn runs_never_overlap_and_waiters_need_one_run_between_them() {
        const WAITERS: usize = 8;
        let flight = SingleFlight::new();
        let (running, runs) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || {
            assert_eq!(running.fetch_add(1, SeqCst), 0);
            let run = runs.fetch_add(1, SeqCst);
            running.fetch_sub(1, SeqCst);
            run
        };
        let begun = Barrier::new(2);
        let drawn = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                flight.ticket().redeem(|| {
                    begun.wait();
                    drawn.wait();
                    work()
                })
            });
            begun.wait();
            let tickets: Vec<_> = (0..WAITERS).map(|_| flight.ticket()).collect();
            let waiters: Vec<_> = tickets.into_iter().map(|ticket| scope.spawn(|| ticket.redeem(work))).collect();
            drawn.wait();
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), 1);
            }
        });
        assert_eq!(runs.into_inner(), 2);
    }

    #[test]
    fn a_panic_lets_the_next_one_run() {
        let flight = SingleFlight::new();
        let (first, second) = (flight.ticket(), flight.ticket());
        let panicked = thread::scope(|scope| scope.spawn(|| first.redeem(|| panic!("for the test"))).join());
        assert!(panicked.is_err());
        assert_eq!(second.redeem(|| 2), 2);
    }
}
