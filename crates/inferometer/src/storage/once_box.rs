//! Memory that is made when it is first needed, by whoever needs it.

use crate::sync::{AtomicPtr, order};
use std::fmt;
use std::marker::PhantomData;
use std::ptr;

/// A box that is empty until it is set, once.
///
/// Std's `OnceLock` lets all but one thread wait. Nobody may wait in a record; and in the child of a fork, whoever waits
/// for a thread of the parent does so for ever. Here the threads that come too late throw away what they made.
pub(crate) struct OnceBox<T> {
    value: AtomicPtr<T>,
    /// It owns a `T`, and may be shared and sent as a box may.
    owns: PhantomData<Box<T>>,
}

impl<T: Send + Sync> OnceBox<T> {
    pub(crate) fn new() -> Self {
        OnceBox { value: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        let value = self.value.load(order::OBSERVE);
        // SAFETY: validity: null, or from `Box::into_raw` and freed only when `self` is dropped. Aliasing: shared from
        // the moment it was published.
        unsafe { value.as_ref() }
    }

    /// Sets the value, unless somebody was faster.
    pub(crate) fn get_or_set(&self, value: Box<T>) -> &T {
        let own = Box::into_raw(value);
        let set = self.value.compare_exchange(ptr::null_mut(), own, order::publish(), order::OBSERVE);
        let value = set.map_or_else(
            |present| {
                // SAFETY: validity: made by `Box::into_raw` above. Aliasing: it was not published.
                drop(unsafe { Box::from_raw(own) });
                present
            },
            |_| own,
        );
        // SAFETY: as in `get`; it is not null.
        unsafe { &*value }
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        let value = self.value.load(order::OBSERVE);
        if !value.is_null() {
            // SAFETY: validity: from `Box::into_raw`, and freed once. Aliasing: `self` is exclusive.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

impl<T: Send + Sync + fmt::Debug> fmt::Debug for OnceBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceBox").field(&self.get()).finish()
    }
}
