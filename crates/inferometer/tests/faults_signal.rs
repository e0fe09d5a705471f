//! Fault 43 of `docs/faults.md`: records in a signal handler.
#![cfg(unix)]

use inferometer::{Counter, Registry, metric};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Signals and ordinary records together.
#[metric(name = "signals_total")]
static BOTH: Counter = Counter::new();

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn on_signal(_: libc::c_int) {
    SIGNALS.fetch_add(1, Relaxed);
    BOTH.signal_safe().increment(1);
}

#[test]
fn a_signal_handler_that_interrupts_a_record_to_the_same_counter_loses_nothing() {
    BOTH.increment(1);
    let timer = |micros| libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: micros },
        it_value: libc::timeval { tv_sec: 0, tv_usec: micros },
    };
    let handler: extern "C" fn(libc::c_int) = on_signal;
    // SAFETY: validity: the handler lives as long as the program and does nothing that is not async-signal-safe.
    // Aliasing: no memory is passed.
    unsafe { libc::signal(libc::SIGALRM, handler as libc::sighandler_t) };
    // SAFETY: validity: the timer is read during the call. Aliasing: nothing is written to it.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer(50), std::ptr::null_mut()) };
    let mut recorded = 1;
    while SIGNALS.load(Relaxed) < 2_000 {
        BOTH.increment(1);
        recorded += 1;
    }
    // SAFETY: as above.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer(0), std::ptr::null_mut()) };
    // A last signal may still be on its way, or its handler at work on another thread.
    let counted = || Registry::global().snapshot().counter("signals_total", &[]);
    let want = || Some(recorded + SIGNALS.load(Relaxed));
    let deadline = Instant::now() + Duration::from_secs(10);
    while counted() != want() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(counted(), want());
}
