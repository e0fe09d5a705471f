//! How it is found out, now and then, what a record costs where it is made.
//!
//! A record has no time to look at a clock. But it tests whether its thread has the chunk, and goes to the cold path where
//! it has not; so whoever clears the threads' tables sends their next records there. Each of them counts down, the one
//! that was drawn measures itself, and from then on each thread that comes by puts its table right again. So for the rest
//! of the time nothing is added to a record.
//!
//! One countdown for all threads, with a start that is drawn at random: so a record is drawn with the same chance
//! whichever thread makes it, and wherever in a burst of records it stands. (The first one after a pause finds its
//! memory cold, and those that follow it do not.)

use super::recorders;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How many records pass before one may be drawn. Where a thread did not record while a scrape read its cells, the first
/// record to each has to fetch the line back from another core; that is rare, but in these it would be frequent.
const FIRST: u32 = 64;

/// Among how many records after these the one is drawn.
const REACH: u32 = 192;

/// How many records there are until the one that measures, this one included; 0 when none is to.
static COUNTDOWN: AtomicU32 = AtomicU32::new(0);

/// Lets one of the next records measure itself; `random` says which. If one that was told so before is still to come, that
/// is given up instead: where so little is recorded, the tables are to be right again some time.
pub(crate) fn begin(random: u64) {
    if COUNTDOWN.swap(0, Relaxed) == 0 {
        COUNTDOWN.store(FIRST + 1 + random as u32 % REACH, Relaxed);
        recorders::clear_tables();
    }
}

/// Whether a record is still to measure itself.
pub(super) fn is_under_way() -> bool {
    COUNTDOWN.load(Relaxed) != 0
}

/// Counts a record, and says whether it is to measure itself.
pub(crate) fn is_due() -> bool {
    COUNTDOWN.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) == Ok(1)
}
