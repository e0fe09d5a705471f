//! Measures what records cost on this machine while everything is in the caches.

use super::{Counter, Histogram};
use crate::clock;
use crate::registry::Registry;
use crate::sampling::{self, Sampling, costs};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const BATCHES: u32 = 8;

/// Measures the costs, once in the process; takes less than a millisecond. Whoever comes meanwhile goes on with what is
/// usual. Not to be called in a cold path: it records.
pub(crate) fn ensure() {
    static DONE: AtomicBool = AtomicBool::new(false);
    // A clock that stands still can measure nothing.
    if clock::is_mocked() || DONE.load(Relaxed) || DONE.swap(true, Relaxed) {
        return;
    }
    let registry = Registry::new();
    let counter: Result<Counter, _> = registry.counter("probe_total", &[]);
    let probe: Result<Histogram, _> = registry.histogram("probe_seconds", &[]);
    let always: Result<Histogram, _> = registry.histogram("probe_always_seconds", &[]);
    let (Ok(counter), Ok(probe), Ok(always)) = (counter, probe, always) else {
        return; // no room: then what is usual must do
    };
    // The budget of this thread has nothing to do with it.
    sampling::aside(|| {
        costs::ADD.set(cost_of(4_000, |_| black_box(&counter).increment(1)));
        costs::OBSERVE.set(cost_of(4_000, |i| black_box(&probe).record_nanos(black_box(u64::from(i) << 8))));
        probe.set_sampling(Sampling::EveryN(Sampling::MAX_N));
        let event = cost_of(4_000, |_| _ = black_box(&probe).start().stop());
        costs::EVENT.set(event);
        always.set_sampling(Sampling::Always);
        costs::SAMPLE.set(cost_of(200, |_| _ = black_box(&always).start().stop()) - event);
    });
}

/// Nanoseconds a call, in the best of some batches.
fn cost_of(calls: u32, mut call: impl FnMut(u32)) -> f32 {
    let mut batch = || {
        let start = clock::now();
        (0..calls).for_each(&mut call);
        clock::nanos(clock::ticks_between(start, clock::now())) as f32 / calls as f32
    };
    batch(); // into the caches
    (0..BATCHES).map(|_| batch()).fold(f32::INFINITY, f32::min)
}
