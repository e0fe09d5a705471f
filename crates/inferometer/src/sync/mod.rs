//! The synchronisation primitives of the lock-free part: std's, or loom's when the models run (`--cfg loom`).
//!
//! Under ThreadSanitizer (`--cfg inferometer_tsan`) a mutex and a once-lock also do what the sanitizer can see: std itself
//! is not instrumented.
//!
//! The memory orderings that the proof in [`crate::storage`] rests on have a name each, so that every use can be found.
//! Under loom a test can weaken one of them for itself: the model must then fail, which shows that it can.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence},
};

#[cfg(all(not(loom), not(inferometer_tsan)))]
pub(crate) use std::sync::{Mutex, MutexGuard, OnceLock};

#[cfg(inferometer_tsan)]
mod traced;
#[cfg(inferometer_tsan)]
pub(crate) use traced::{Mutex, MutexGuard, OnceLock};

/// Locks, and goes on with the data when another thread panicked while it held the lock: a panic in one recording
/// thread must not end the scrape. Every critical section leaves its data whole at each point where it can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The same for a scrape, which does not sleep on the lock: whoever unlocks a mutex that somebody sleeps on makes a
/// system call to wake them, and that would be the thread that records. The locks that this is for are held for
/// microseconds.
#[cfg(not(loom))]
pub(crate) fn lock_aside<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    use std::sync::TryLockError;

    let backoff = crossbeam_utils::Backoff::new();
    loop {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            // The owner is not running: make room for it.
            Err(TryLockError::WouldBlock) if backoff.is_completed() => {
                std::thread::sleep(std::time::Duration::from_micros(50));
            }
            Err(TryLockError::WouldBlock) => backoff.snooze(),
        }
    }
}

/// The orderings, by what they do.
pub(crate) mod order {
    use super::{Ordering, fence};

    /// A cell has one writer and is read on its own: the value carries no other memory with it.
    pub(crate) const CELL: Ordering = Ordering::Relaxed;

    /// Publishes a zeroed chunk, a finished list node or box, or the words of a sequence lock, to the scraper.
    #[inline]
    pub(crate) fn publish() -> Ordering {
        #[cfg(loom)]
        if super::weaken::has(super::weaken::Weakness::RelaxedPublication) {
            return Ordering::Relaxed;
        }
        // The negative control of the run under ThreadSanitizer.
        #[cfg(inferometer_weak_publication)]
        return Ordering::Relaxed;
        #[allow(unreachable_code, reason = "unreachable in the negative control only")]
        Ordering::Release
    }

    /// Pairs with [`publish`].
    pub(crate) const OBSERVE: Ordering = Ordering::Acquire;

    /// Stands between the taking of a sequence lock and the writing of its words: whoever reads one of the words sees
    /// that the lock was taken.
    #[inline]
    pub(crate) fn fence_after_taking() {
        #[cfg(loom)]
        if super::weaken::has(super::weaken::Weakness::NoFenceAfterTaking) {
            return;
        }
        fence(Ordering::Release);
    }

    /// Stands between the reading of a sequence lock's words and the second look at its sequence; pairs with
    /// [`fence_after_taking`].
    #[inline]
    pub(crate) fn fence_before_second_look() {
        #[cfg(loom)]
        if super::weaken::has(super::weaken::Weakness::NoFenceBeforeSecondLook) {
            return;
        }
        fence(Ordering::Acquire);
    }
}

/// Switches for the negative controls of the loom models. Loom runs all the threads of a model on one system thread,
/// so a thread-local belongs to one test.
#[cfg(loom)]
pub(crate) mod weaken {
    use std::cell::Cell;

    /// What is broken on purpose.
    #[derive(Clone, Copy, PartialEq)]
    pub(crate) enum Weakness {
        RelaxedPublication,
        NoFenceAfterTaking,
        NoFenceBeforeSecondLook,
        /// A sequence lock is taken by a store, whether or not somebody else has taken it meanwhile.
        TakingByStore,
    }

    std::thread_local! {
        static WEAKNESS: Cell<Option<Weakness>> = const { Cell::new(None) };
    }

    pub(crate) fn has(weakness: Weakness) -> bool {
        WEAKNESS.get() == Some(weakness)
    }

    pub(crate) fn with(weakness: Weakness, body: impl FnOnce()) {
        WEAKNESS.set(Some(weakness));
        body();
        WEAKNESS.set(None);
    }
}
