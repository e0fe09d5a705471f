//! How it is found out, now and then, what a record costs where it is made.
//!
//! A record has no time to look at a clock. But it tests whether its thread has the chunk, and goes to the cold path where
//! it has not; so whoever clears the threads' tables sends their next records there. Each of them counts down, those that
//! were drawn measure themselves, and after the last of these each thread that comes by puts its table right again. So for
//! the rest of the time nothing is added to a record.
//!
//! One countdown for all threads, with a start that is drawn at random: so a record is drawn with the same chance
//! whichever thread makes it, and wherever in a burst of records it stands. (The first one after a pause finds its
//! memory cold, and those that follow it do not.)

use super::{recorders, thread};
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How many records pass before the first one may be drawn. Where a thread did not record while a scrape read its cells,
/// the first record to each has to fetch the line back from another core; that is rare, but in these it would be frequent.
const FIRST: u32 = 64;

/// How many records are drawn after these ...
const DRAWN: u32 = 16;
/// ... and one in how many.
const SPACING: u32 = 16;

/// How many records there are until the last one that measures itself, this one included; 0 when none is to.
static COUNTDOWN: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// Whether this thread's records are not to be counted.
    static ASIDE: Cell<bool> = const { Cell::new(false) };
}

/// Lets some of the next records measure themselves; `random` says which. If some that were told so before are still to
/// come, these are given up instead: where so little is recorded, the tables are to be right again some time.
///
/// Does something `meanwhile`, in which this thread records as always.
pub(crate) fn begin(random: u64, meanwhile: impl FnOnce()) {
    let begins = COUNTDOWN.swap(0, Relaxed) == 0;
    if begins {
        COUNTDOWN.store(start(random), Relaxed);
        recorders::clear_tables();
    }
    ASIDE.set(true);
    meanwhile();
    ASIDE.set(false);
    if begins {
        thread::clear_table();
    }
}

/// Whether this thread's records are to go on taking the cold path.
pub(super) fn is_under_way() -> bool {
    COUNTDOWN.load(Relaxed) != 0 && !ASIDE.get()
}

/// Counts a record, and says whether it is to measure itself.
pub(crate) fn is_due() -> bool {
    if ASIDE.get() {
        return false;
    }
    COUNTDOWN.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok_and(is_drawn)
}

/// Where the countdown begins.
fn start(random: u64) -> u32 {
    FIRST + random as u32 % SPACING + (DRAWN - 1) * SPACING + 1
}

/// Whether the record that finds the countdown here, not at 0, is one of those that are drawn.
fn is_drawn(left: u32) -> bool {
    let after = left - 1;
    after.is_multiple_of(SPACING) && after < DRAWN * SPACING
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_record_after_the_first_ones_is_drawn_by_one_start_in_so_many() {
        let mut drawn = vec![0; start(u64::MAX) as usize];
        for random in 0..u64::from(SPACING) {
            let all: Vec<usize> =
                (1..=start(random)).rev().map(is_drawn).enumerate().filter(|at| at.1).map(|at| at.0).collect();
            assert_eq!(all.len() as u32, DRAWN);
            all.into_iter().for_each(|at| drawn[at] += 1);
        }
        let (first, rest) = drawn.split_at(FIRST as usize);
        assert!(first.iter().all(|&times| times == 0), "{first:?}");
        assert!(rest.iter().all(|&times| times == 1), "{rest:?}");
    }
}
