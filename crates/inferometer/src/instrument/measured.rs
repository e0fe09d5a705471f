//! What a record costs where it is made: the few records that measure themselves.

use crate::clock;
use crate::sampling::costs::Cost;
use crate::storage::probe;
use std::hint::black_box;

/// What takes longer was interrupted, and says nothing; nanoseconds.
const LONGEST: f32 = 1_000.0;

/// Does the part of a record in the cold path that touches its cells. If this is a record that was drawn for that, it is
/// measured, and compared with what the same takes with `rehearsal`, which lies in the caches by then. (So does the code:
/// nobody else uses it, and to fetch it from memory is not the record's cost.)
#[inline(always)]
pub(super) fn measured<T: Copy>(cost: &Cost, cells: T, rehearsal: Option<T>, record: impl Fn(T)) {
    let due = probe::is_due();
    let Some(rehearsal) = rehearsal.filter(|_| due) else { return record(cells) };
    let all = [rehearsal, rehearsal, rehearsal, rehearsal, cells];
    let mut nanos = [0.0_f32; 5];
    // The length goes through black_box, so that there is one piece of code for all of them.
    for (nanos, cells) in nanos.iter_mut().zip(black_box(all.as_slice())) {
        *nanos = nanos_of(|| record(*cells));
    }
    // The first one brings everything into the caches.
    let [_, rehearsed @ .., nanos] = nanos;
    // Their mean, since a clock may count by ten nanoseconds: of what such a clock says only means are right.
    let mean = rehearsed.iter().sum::<f32>() / rehearsed.len() as f32;
    if nanos.max(mean) < LONGEST {
        cost.observe(nanos - mean);
    }
}

/// How long it takes until all that was read has arrived, with the reading of the clock.
#[inline(always)]
fn nanos_of(record: impl FnOnce()) -> f32 {
    let start = now();
    record();
    clock::nanos(clock::ticks_between(start, now())) as f32
}

/// The clock, read when all that comes before has been done. A processor may else read it while it still waits for memory.
#[inline(always)]
fn now() -> u64 {
    barrier();
    let now = clock::now();
    barrier();
    now
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn barrier() {
    // SAFETY: validity: every x86-64 processor has the instruction. Aliasing: it has no operands.
    unsafe { std::arch::x86_64::_mm_lfence() };
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn barrier() {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}
