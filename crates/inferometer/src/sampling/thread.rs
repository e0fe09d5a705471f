//! What each thread knows of its timed series.

use super::budget::{Plan, Seen, SeriesState, Terms, ThreadState};
use std::cell::Cell;

thread_local! {
    // Without a destructor, so that it works until the thread's very end.
    static STATE: Cell<ThreadState> = const { Cell::new(ThreadState::new()) };
    /// Whether each sample measures what it costs. By itself, since it is asked for before anything else is touched.
    static EACH_IS_MEASURED: Cell<bool> = const { Cell::new(false) };
}

/// Where samples cost more than this, each one measures itself: that takes a reading of the clock, a few per cent of it,
/// and they are few and differ much; nanoseconds.
const EXPENSIVE: f32 = 600.0;

/// Whether a sample measures itself even if it was not drawn for that.
pub(crate) fn is_each_measured() -> bool {
    EACH_IS_MEASURED.get()
}

/// See [`ThreadState::plan`].
pub(crate) fn plan(series: &mut SeriesState, seen: Seen, share: f32, terms: &Terms) -> Plan {
    let random = super::draw();
    change(|state| state.plan(series, seen, share, terms, random))
}

/// Does a section whose sample measures itself, if there is one; returns what that has cost then.
pub(crate) fn measured(section: impl FnOnce() -> bool) -> Option<f32> {
    EACH_IS_MEASURED.set(true);
    section().then(|| STATE.get().latest())
}

/// Books what a sample has cost, as it has `seen` or as they do on average, and returns that.
pub(crate) fn charge(now: u64, seen: Option<f32>, terms: &Terms) -> f32 {
    change(|state| {
        let cost = match seen {
            Some(seen) => state.observe(seen, terms),
            None => state.cost(terms),
        };
        EACH_IS_MEASURED.set(state.cost(terms) > EXPENSIVE);
        state.charge(now, cost, terms);
        cost
    })
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
