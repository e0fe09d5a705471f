//! What each thread knows of its timed series.

use super::budget::{Plan, Seen, SeriesState, Terms, ThreadState};
use std::cell::Cell;
use std::hint::black_box;
use std::ptr;

thread_local! {
    // Without a destructor, so that it works until the thread's very end.
    static STATE: Cell<ThreadState> = const { Cell::new(ThreadState::new()) };
}

/// See [`ThreadState::plan`].
#[inline(always)]
pub(crate) fn plan(series: &mut SeriesState, seen: Seen, share: f32, terms: &Terms, random: u64) -> Plan {
    change(|state| state.plan(series, seen, share, terms, random))
}

/// Runs the end of a sample, which says what the sample has seen of its cost, and books that: see
/// [`ThreadState::charge`]. The state is fetched before, so that the sample sees that too.
#[inline(always)]
pub(crate) fn charge(end: impl FnOnce() -> Option<f32>, terms: &Terms) -> f32 {
    STATE.with(|state| _ = black_box(state.get().cost(terms)));
    let seen = end();
    change(|state| state.charge(seen, terms))
}

/// Does a section, and returns what its sample cost by its own account, if there was one that measured itself.
pub(crate) fn own_account(section: impl FnOnce()) -> Option<f32> {
    change(ThreadState::forget_latest);
    section();
    STATE.get().latest()
}

/// Writes only what changes. Not by way of `with`: what is passed to that is not inlined where it is long, and has its
/// arguments in memory then, which takes 15 ns of 100.
#[inline(always)]
fn change<R>(how: impl FnOnce(&mut ThreadState) -> R) -> R {
    let cell: *const Cell<ThreadState> = STATE.with(ptr::from_ref);
    // SAFETY: validity: it has no destructor, so it lives as long as this thread, which is in this call. Aliasing: a cell
    // is shared.
    let cell = unsafe { &*cell };
    let mut state = cell.get();
    let result = how(&mut state);
    cell.set(state);
    result
}

/// Runs `body`, whose timed sections do not count for this thread's budget.
pub(crate) fn aside(body: impl FnOnce()) {
    let state = STATE.get();
    body();
    STATE.set(state);
}
