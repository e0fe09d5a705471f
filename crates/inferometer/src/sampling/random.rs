//! Random numbers for draws: each thread has its own, and nobody needs to be unable to guess them.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The step of a Weyl sequence: the golden ratio's fraction.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// A random number of this thread, by SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) fn draw() -> u64 {
    let mut state = STATE.get();
    if state == 0 {
        state = seed();
    }
    state = state.wrapping_add(STEP);
    STATE.set(state);
    mixed(state)
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Another one for each thread, and another one in each run of the program.
#[cold]
fn seed() -> u64 {
    static THREADS: AtomicU64 = AtomicU64::new(1);
    let thread = THREADS.fetch_add(1, Relaxed).wrapping_mul(STEP);
    mixed(thread ^ crate::clock::now().rotate_left(32)) | 1
}
