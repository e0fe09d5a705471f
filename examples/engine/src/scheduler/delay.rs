//! An artificial delay, which can be changed while the engine runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// How long every step is held up. Clones are the same delay.
#[derive(Debug, Clone, Default)]
pub struct Delay {
    millis: Arc<AtomicU64>,
}

impl Delay {
    /// A delay to begin with.
    pub fn of_millis(millis: u64) -> Self {
        let delay = Self::default();
        delay.set_millis(millis);
        delay
    }

    /// From the next step on.
    pub fn set_millis(&self, millis: u64) {
        self.millis.store(millis, Relaxed);
    }

    pub(super) fn sleep(&self) {
        match self.millis.load(Relaxed) {
            0 => {}
            millis => thread::sleep(Duration::from_millis(millis)),
        }
    }
}
