//! A mutex and a once-lock whose order ThreadSanitizer can see.
//!
//! The standard library is not instrumented, so the sanitizer knows nothing of the order that its mutex makes, and
//! takes all that a lock protects for a race. This one stores to an atomic before it unlocks and loads from it after it
//! has locked: the same order, in instrumented code. So does the once-lock when it is set and when it is read.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

#[derive(Debug, Default)]
pub(crate) struct Mutex<T> {
    edge: AtomicUsize,
    inner: std::sync::Mutex<T>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Mutex { edge: AtomicUsize::new(0), inner: std::sync::Mutex::new(value) }
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.edge.load(Ordering::Acquire);
        Ok(MutexGuard { edge: &self.edge, inner })
    }

    pub(crate) fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let inner = match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(TryLockError::WouldBlock),
        };
        self.edge.load(Ordering::Acquire);
        Ok(MutexGuard { edge: &self.edge, inner })
    }

    pub(crate) fn get_mut(&mut self) -> LockResult<&mut T> {
        self.inner.get_mut()
    }
}

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    edge: &'a AtomicUsize,
    inner: std::sync::MutexGuard<'a, T>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.edge.store(1, Ordering::Release);
    }
}

#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    /// One thread sets the value at a time, so that no other one finds it there before the edge.
    setting: Mutex<()>,
    edge: AtomicBool,
    inner: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    pub(crate) const fn new() -> Self {
        OnceLock { setting: Mutex::new(()), edge: AtomicBool::new(false), inner: std::sync::OnceLock::new() }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.edge.load(Ordering::Acquire) { self.inner.get() } else { None }
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let _setting = super::lock(&self.setting);
        let set = self.inner.set(value);
        self.edge.store(true, Ordering::Release);
        set
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _setting = super::lock(&self.setting);
        let value = self.inner.get_or_init(make);
        self.edge.store(true, Ordering::Release);
        value
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        let lock = OnceLock::new();
        let _ = lock.set(value); // it was empty
        lock
    }
}
