//! One at a time, and those who wait share.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Runs pieces of work one at a time. Who asked before a run for the same thing began may have its result; who asked
/// later may not, since the result would be older than the question.
#[derive(Debug)]
pub(crate) struct SingleFlight<K, T> {
    shared: Arc<Shared<K, T>>,
}

#[derive(Debug)]
struct Shared<K, T> {
    state: Mutex<State<K, T>>,
    ended: Condvar,
}

#[derive(Debug)]
struct State<K, T> {
    running: bool,
    /// How many runs have begun.
    begun: u64,
    /// What is asked for now: a few things at most, of which each is there for as long as it has tickets.
    asked: Vec<Asked<K, T>>,
}

#[derive(Debug)]
struct Asked<K, T> {
    key: K,
    tickets: usize,
    /// The last result, and the number of its run.
    last: Option<(u64, T)>,
}

/// A question that was asked at a certain time.
#[derive(Debug)]
pub(crate) struct Ticket<K: PartialEq, T> {
    shared: Arc<Shared<K, T>>,
    key: K,
    /// The first run that began after the ticket was drawn.
    run: u64,
}

impl<K: Clone + PartialEq, T: Clone> SingleFlight<K, T> {
    pub(crate) fn new() -> Self {
        let state = State { running: false, begun: 0, asked: Vec::new() };
        SingleFlight { shared: Arc::new(Shared { state: Mutex::new(state), ended: Condvar::new() }) }
    }

    /// Asks now.
    pub(crate) fn ticket(&self, key: K) -> Ticket<K, T> {
        let mut state = self.shared.lock();
        match state.asked(&key) {
            Some(asked) => asked.tickets += 1,
            None => state.asked.push(Asked { key: key.clone(), tickets: 1, last: None }),
        }
        Ticket { shared: Arc::clone(&self.shared), key, run: state.begun + 1 }
    }
}

impl<K: PartialEq, T: Clone> Ticket<K, T> {
    /// The result of a run that began after the ticket was drawn: of somebody else's, or of one that is made now. Waits
    /// while another is going on.
    pub(crate) fn redeem(self, work: impl FnOnce(&K) -> T) -> T {
        let mut state = self.shared.lock();
        loop {
            if let Some((run, result)) = state.asked(&self.key).and_then(|asked| asked.last.as_ref())
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
        let result = work(&self.key);
        let mut state = self.shared.lock();
        if let Some(asked) = state.asked(&self.key) {
            // An older result may still be there for tickets that were not redeemed yet; the new one is as good for them.
            asked.last = (asked.tickets > 1).then(|| (run, result.clone()));
        }
        drop(state);
        drop(end);
        result
    }
}

impl<K: PartialEq, T> State<K, T> {
    fn asked(&mut self, key: &K) -> Option<&mut Asked<K, T>> {
        self.asked.iter_mut().find(|asked| asked.key == *key)
    }
}

/// Lets the next one run, even when the work has panicked.
struct EndOfRun<'a, K, T>(&'a Shared<K, T>);

impl<K, T> Drop for EndOfRun<'_, K, T> {
    fn drop(&mut self) {
        self.0.lock().running = false;
        self.0.ended.notify_all();
    }
}

impl<K: PartialEq, T> Drop for Ticket<K, T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let Some(place) = state.asked.iter().position(|asked| asked.key == self.key) else { return };
        let asked = &mut state.asked[place];
        asked.tickets -= 1;
        if asked.tickets == 0 {
            let gone = state.asked.swap_remove(place);
            drop(state);
            drop(gone);
        }
    }
}

impl<K, T> Shared<K, T> {
    fn lock(&self) -> MutexGuard<'_, State<K, T>> {
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
        let (first, second) = (flight.ticket("a"), flight.ticket("a"));
        assert_eq!(first.redeem(|_| 1), 1);
        assert_eq!(second.redeem(|_| 2), 1);
    }

    #[test]
    fn who_asked_after_a_run_began_gets_a_newer_result() {
        let flight = SingleFlight::new();
        let before = flight.ticket("a");
        let mut during = None;
        assert_eq!(
            before.redeem(|_| {
                during = Some(flight.ticket("a"));
                1
            }),
            1
        );
        assert_eq!(during.unwrap().redeem(|_| 2), 2);
        assert_eq!(flight.ticket("a").redeem(|_| 3), 3);
    }

    #[test]
    fn who_asked_for_something_else_gets_that() {
        let flight = SingleFlight::new();
        let (a, b) = (flight.ticket("a"), flight.ticket("b"));
        assert_eq!(a.redeem(|key| key.to_uppercase()), "A");
        assert_eq!(b.redeem(|key| key.to_uppercase()), "B");
        assert!(flight.shared.lock().asked.is_empty());
    }

    #[test]
    fn no_result_is_kept_that_nobody_waits_for() {
        let flight = SingleFlight::new();
        let kept = Arc::new(());
        let (first, second) = (flight.ticket("a"), flight.ticket("a"));
        drop(first.redeem(|_| Arc::clone(&kept)));
        assert_eq!(Arc::strong_count(&kept), 2);
        drop(second);
        assert_eq!(Arc::strong_count(&kept), 1);
        drop(flight.ticket("a").redeem(|_| Arc::clone(&kept)));
        assert_eq!(Arc::strong_count(&kept), 1);
    }

    #[test]
    fn runs_never_overlap_and_waiters_need_one_run_between_them() {
        const WAITERS: usize = 8;
        let flight = SingleFlight::new();
        let (running, runs) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |_: &&str| {
            assert_eq!(running.fetch_add(1, SeqCst), 0);
            let run = runs.fetch_add(1, SeqCst);
            running.fetch_sub(1, SeqCst);
            run
        };
        let begun = Barrier::new(2);
        let drawn = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                flight.ticket("a").redeem(|_| {
                    begun.wait();
                    drawn.wait();
                    work(&"a")
                })
            });
            begun.wait();
            let tickets: Vec<_> = (0..WAITERS).map(|_| flight.ticket("a")).collect();
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
        let (first, second) = (flight.ticket("a"), flight.ticket("a"));
        let panicked = thread::scope(|scope| scope.spawn(|| first.redeem(|_| panic!("for the test"))).join());
        assert!(panicked.is_err());
        assert_eq!(second.redeem(|_| 2), 2);
    }
}
