//! What each thread knows of its timed series.

use super::budget::{Plan, Seen, SeriesState, Terms, ThreadState};
use std::cell::Cell;

thread_local! {
    // Without a destructor, so that it works until the thread's very end.
    static STATE: Cell<ThreadState> = const { Cell::new(ThreadState::new()) };
}

/// See [`ThreadState::plan`].
pub(crate) fn plan(series: &mut SeriesState, seen: Seen, share: f32, terms: &Terms) -> Plan {
    let random = super::draw();
    change(|state| state.plan(series, seen, share, terms, random))
}

/// See [`ThreadState::charge`].
pub(crate) fn charge(now: u64, cost: f32, terms: &Terms) {
    change(|state| state.charge(now, cost, terms));
}

/// Looks for the state once, which may be a call, and writes only what changes.
fn change<R>(how: impl FnOnce(&mut ThreadState) -> R) -> R {
    STATE.with(|cell| {
        let mut state = cell.get();
        let result = how(&mut state);
        cell.set(state);
        result
    })
}

/// Runs `body`, whose timed sections do not count for this thread's budget.
pub(crate) fn aside(body: impl FnOnce()) {
    let state = STATE.get();
    body();
    STATE.set(state);
}
