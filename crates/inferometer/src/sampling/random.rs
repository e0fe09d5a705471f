//! Random numbers for draws: each thread has its own, and nobody needs to be unable to guess them.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The step of a Weyl sequence: the golden ratio's fraction.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug)]
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }
}

/// A random number of this thread.
pub(crate) fn draw() -> u64 {
    // Looked for once, which may be a call.
    STATE.with(|state| {
        let mut random = SplitMix64(state.get());
        if random.0 == 0 {
            random.0 = seed();
        }
        let drawn = random.draw();
        state.set(random.0);
        drawn
    })
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
