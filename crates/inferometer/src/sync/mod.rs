//! The synchronisation primitives of the lock-free part: std's, or loom's when the models run (`--cfg loom`).
//!
//! Under ThreadSanitizer (`--cfg inferometer_tsan`) a mutex also does what the sanitizer can see: std itself is not
//! instrumented.
//!
//! The memory orderings that the proof in [`crate::storage`] rests on have a name each, so that every use can be found.
//! Under loom a test can weaken one of them for itself: the model must then fail, which shows that it can.

#[cfg(not(loom))]
pub(crate) use std::sync::{
    OnceLock,
    atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering},
};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering},
};

#[cfg(all(not(loom), not(inferometer_tsan)))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(inferometer_tsan)]
mod traced;
#[cfg(inferometer_tsan)]
pub(crate) use traced::{Mutex, MutexGuard};

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
    use super::Ordering;

    /// A cell has one writer and is read on its own: the value carries no other memory with it.
    pub(crate) const CELL: Ordering = Ordering::Relaxed;

    /// Publishes a zeroed chunk or a finished list node to the scraper.
    #[inline]
    pub(crate) fn publish() -> Ordering {
        #[cfg(loom)]
        if super::weaken::publication() {
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
}

/// Switches for the negative controls of the loom models. Loom runs all the threads of a model on one system thread,
/// so a thread-local belongs to one test.
#[cfg(loom)]
pub(crate) mod weaken {
    use std::cell::Cell;

    std::thread_local! {
        static PUBLICATION: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn publication() -> bool {
        PUBLICATION.get()
    }

    pub(crate) fn with_relaxed_publication(body: impl FnOnce()) {
        PUBLICATION.set(true);
        body();
        PUBLICATION.set(false);
    }
}
