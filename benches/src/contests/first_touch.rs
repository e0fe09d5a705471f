//! A thread's first record.

use super::counter::counter;
use crate::library::{Exporter, Library, Ours, Prometheus, PrometheusClient};
use crate::timing::Contestant;
use std::time::{Duration, Instant};

/// A thread that has recorded nothing yet counts to one.
fn contestant<L: Library>() -> Contestant<'static> {
    let counter = counter::<L>();
    let first = move || {
        let start = Instant::now();
        L::add(counter, 1);
        start.elapsed()
    };
    let in_thread = move || std::thread::spawn(first).join().unwrap_or(Duration::ZERO);
    Contestant::timing_itself(L::NAME, move |n| (0..n).map(|_| in_thread()).sum())
}

/// For us this is the only record that does more than an add: it inherits a slab that another thread has left, or
/// makes one.
pub fn contestants() -> Vec<Contestant<'static>> {
    vec![contestant::<Ours>(), contestant::<Exporter>(), contestant::<Prometheus>(), contestant::<PrometheusClient>()]
}
