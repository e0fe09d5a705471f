//! The locks of the registry, as those take them who may be interrupted by an allocator that records.

use crate::storage::{self, Entry};
use crate::sync::{Mutex, MutexGuard, lock, lock_aside};
use std::ops::{Deref, DerefMut};

/// A lock that is held, and the mark that this thread is in a cold path: what an allocator records meanwhile must not ask
/// for the same lock. It is dropped and counted if it has no slot yet.
pub(crate) struct Held<'a, T> {
    // Unlocked first.
    guard: MutexGuard<'a, T>,
    _mark: Entry,
}

impl<'a, T> Held<'a, T> {
    pub(super) fn by(mutex: &'a Mutex<T>) -> Self {
        let mark = storage::enter();
        Held { guard: lock(mutex), _mark: mark }
    }

    /// For a scrape: see [`lock_aside`].
    pub(super) fn aside(mutex: &'a Mutex<T>) -> Self {
        let mark = storage::enter();
        Held { guard: lock_aside(mutex), _mark: mark }
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}
