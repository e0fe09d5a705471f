//! Requests that go on while something is looked at.

use std::sync::atomic::{AtomicBool, Ordering};

/// Tells the threads of a load to stop, also when an assertion fails: a scope waits for its threads.
#[derive(Debug)]
pub struct StopOnDrop<'a>(pub &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
