//! What each thread knows of its timed series.

use super::budget::{Plan, Seen, SeriesState, Terms, ThreadState};
use std::cell::Cell;

thread_local! {
    // Without a destructor, so that it works until the thread's very end.
    static STATE: Cell<ThreadState> = const { Cell::new(ThreadState::new()) };
}

/// See [`ThreadState::plan`].
pub(crate) fn plan(series: &mut SeriesState, seen: Seen, share: f32, terms: &Terms) -> Plan {
    let mut state = STATE.get();
    let plan = state.plan(series, seen, share, terms, super::draw());
    STATE.set(state);
    plan
}

/// See [`ThreadState::charge`].
pub(crate) fn charge(now: u64, cost: f32, terms: &Terms) {
    let mut state = STATE.get();
    state.charge(now, cost, terms);
    STATE.set(state);
}

/// Runs `body`, whose timed sections do not count for this thread's budget.
pub(crate) fn aside(body: impl FnOnce()) {
    let state = STATE.get();
    body();
    STATE.set(state);
}
