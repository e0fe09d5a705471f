//! How many series there are, and how much memory they take besides their cells.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A number of bytes, or of things.
#[derive(Debug)]
pub(crate) struct Amount(AtomicUsize);

impl Amount {
    pub(super) fn add(&self, n: usize) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(super) fn subtract(&self, n: usize) {
        self.0.fetch_sub(n, Relaxed);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// Series, one for each combination of the closed labels.
pub(crate) static SERIES: Amount = Amount(AtomicUsize::new(0));
/// What they take with their labels, in bytes.
pub(crate) static SERIES_BYTES: Amount = Amount(AtomicUsize::new(0));
/// What exemplars take, in bytes.
pub(crate) static EXEMPLAR_BYTES: Amount = Amount(AtomicUsize::new(0));
