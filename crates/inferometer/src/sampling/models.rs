//! Loom models of a sampler's cells: one thread counts and draws in them while a scrape reads them, another one inherits
//! them, and a later series has them again. What is real here are the word, the blocks and the storage; the step for a
//! sample is that of the timer without the clock and the budget.
//!
//! Each model has a twin that is broken on purpose and must fail; else the model would prove nothing.

use super::block::{Block, EVENT, count, events, is_drawn};
use crate::storage::models::{Outcomes, check, check_within, pool, rising_pairs};
use crate::storage::{Lease, Pool, Shape, Slab, Slot, cell};
use crate::sync::{AtomicU64, AtomicUsize, Ordering, order};
use loom::sync::{Arc, Mutex};
use loom::thread;
use std::sync::atomic::AtomicU64 as Untracked;

/// Events and countdown, in one word.
const WORD: usize = 0;
const BLOCK: usize = 1;
/// The weights of all samples: what the histogram counts.
const RECORDED: usize = 2;
const SAMPLER: Shape = Shape { cells: 3, float_every: 0 };

/// Of all blocks but the first. So three events are a block, the drawn event of the next, and another one on either
/// side of it.
const WEIGHT: u32 = 2;
/// The draws of the first and of the last event of each block.
const DRAWS: [u64; 2] = [0, u64::MAX];

/// A thread's own cells of a sampler.
struct Sampler {
    chunk: *const AtomicU64,
    slot: Slot,
    random: u64,
}

impl Sampler {
    fn new(pool: &Pool, slab: &Slab, slot: Slot, random: u64) -> Self {
        Sampler { chunk: slab.ensure_chunk(slot.chunk(), pool.chunk_cells(slot.chunk())), slot, random }
    }

    fn cell(&self, at: usize) -> &AtomicU64 {
        cell(self.chunk, self.slot.offset() + at)
    }

    fn add(&self, at: usize, n: u64) {
        self.cell(at).store(self.cell(at).load(order::CELL) + n, order::CELL);
    }

    fn event(&self) {
        if is_drawn(count(self.cell(WORD))) {
            let block = Block::from_bits(self.cell(BLOCK).load(order::CELL));
            let (next, word) = block.next(self.cell(WORD).load(order::CELL), WEIGHT, self.random);
            self.cell(BLOCK).store(next.to_bits(), order::CELL);
            self.cell(WORD).store(word, order::CELL);
            self.add(RECORDED, block.weight().into());
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Totals {
    events: u64,
    recorded: u64,
}

impl Totals {
    /// What a scrape reads.
    fn read(lease: &Lease) -> Self {
        Totals { events: events(lease.total(WORD)), recorded: lease.total(RECORDED) }
    }

    /// What they are after so many events of one thread.
    fn after(events: u64, random: u64) -> Self {
        let mut totals = Totals { events, ..Totals::default() };
        let (mut word, mut block) = (0_u64, Block::default());
        for _ in 0..events {
            word = word.wrapping_add(EVENT);
            if is_drawn(word) {
                totals.recorded += u64::from(block.weight());
                (block, word) = block.next(word, WEIGHT, random);
            }
        }
        totals
    }

    fn plus(self, other: Self) -> Self {
        Totals { events: self.events + other.events, recorded: self.recorded + other.recorded }
    }
}

// ---- a scrape: it reads what the thread is counting and drawing in

#[derive(Clone, Copy, PartialEq)]
enum Keeping {
    InOneWord,
    /// How many events there will have been when the next one is drawn, and how many of these are still to come: together
    /// they say how many there were.
    InTwoCells,
}

#[derive(Clone, Copy, PartialEq)]
enum Reading {
    TheEvents,
    /// The countdown is taken for a part of the count.
    TheWholeWord,
    /// The scrape takes out what it has read, as for an exposition of differences.
    AndResetting,
}

fn scraped(keeping: Keeping, reading: Reading) {
    const EVENTS: u64 = 3;
    const UNTIL_DRAWN: usize = WORD;
    const WHEN_DRAWN: usize = RECORDED;
    for random in DRAWS {
        let outcomes = Outcomes::new();
        let seen = outcomes.clone();
        check(move || {
            let pool = pool();
            let (lease, _) = pool.lease(SAMPLER).unwrap();
            let slot = lease.slot();
            let slab = pool.adopt();
            // Loom knows nothing of it: how many events have begun, whoever sees them.
            let begun = std::sync::Arc::new(Untracked::new(0));

            let recorder = {
                let begun = begun.clone();
                thread::spawn(move || {
                    let sampler = Sampler::new(pool, slab, slot, random);
                    let event_in_two_cells = || {
                        let left = sampler.cell(UNTIL_DRAWN).load(order::CELL);
                        if left > 0 {
                            sampler.cell(UNTIL_DRAWN).store(left - 1, order::CELL);
                            return;
                        }
                        let block = Block::from_bits(sampler.cell(BLOCK).load(order::CELL));
                        let (next, _) = block.next(0, WEIGHT, random);
                        let until_drawn = u64::from(next.gap - 1);
                        sampler.cell(BLOCK).store(next.to_bits(), order::CELL);
                        sampler.add(WHEN_DRAWN, 1 + until_drawn);
                        sampler.cell(UNTIL_DRAWN).store(until_drawn, order::CELL);
                    };
                    for _ in 0..EVENTS {
                        begun.fetch_add(1, Ordering::Relaxed);
                        match keeping {
                            Keeping::InOneWord => sampler.event(),
                            Keeping::InTwoCells => event_in_two_cells(),
                        }
                    }
                })
            };
            let scraper = thread::spawn(move || {
                let mut taken_out = 0;
                let mut scrape = || match (keeping, reading) {
                    (Keeping::InTwoCells, _) => {
                        pool.total(slot.add(WHEN_DRAWN)).wrapping_sub(pool.total(slot.add(UNTIL_DRAWN)))
                    }
                    (_, Reading::TheEvents) => events(pool.total(slot.add(WORD))),
                    (_, Reading::TheWholeWord) => pool.total(slot.add(WORD)),
                    (_, Reading::AndResetting) => {
                        taken_out += take_out(slab, slot);
                        taken_out
                    }
                };
                let first = scrape();
                let second = scrape();
                assert!(first <= second, "the events fell");
                assert!(second <= begun.load(Ordering::Relaxed), "a scrape saw events that there were not");
                (first, second)
            });
            recorder.join().unwrap();
            let pair = scraper.join().unwrap();
            if keeping == Keeping::InOneWord {
                let mut totals = Totals::read(&lease);
                if reading == Reading::AndResetting {
                    totals.events += pair.1;
                }
                assert_eq!(totals, Totals::after(EVENTS, random), "an event was lost or counted twice");
            }
            seen.add(pair);
        });
        assert_eq!(outcomes.all(), rising_pairs(0, EVENTS));
    }
}

/// What a scrape must not do.
fn take_out(slab: &Slab, slot: Slot) -> u64 {
    let chunk = slab.chunk(slot.chunk());
    if chunk.is_null() {
        return 0;
    }
    let only_events = events(u64::MAX);
    events(cell(chunk, slot.offset() + WORD).fetch_and(!only_events, order::CELL))
}

#[test]
fn events_are_seen_whole_while_samples_are_drawn() {
    scraped(Keeping::InOneWord, Reading::TheEvents);
}

#[test]
#[should_panic(expected = "that there were not")]
fn a_count_kept_in_two_cells_is_seen_torn() {
    scraped(Keeping::InTwoCells, Reading::TheEvents);
}

#[test]
#[should_panic(expected = "that there were not")]
fn a_word_read_with_its_countdown_is_no_count() {
    scraped(Keeping::InOneWord, Reading::TheWholeWord);
}

#[test]
#[should_panic(expected = "an event was lost or counted twice")]
fn a_scrape_that_resets_the_word_loses_events() {
    scraped(Keeping::InOneWord, Reading::AndResetting);
}

// ---- hand-over: a thread goes on in the middle of another one's block

#[derive(Clone, Copy, PartialEq)]
enum HandOver {
    ThroughThePool,
    ThroughARelaxedFlag,
}

fn hand_over(how: HandOver) {
    for random in DRAWS {
        let outcomes = [Outcomes::new(), Outcomes::new()];
        let seen = outcomes.clone();
        // With a scrape between two owners there is no end to it otherwise.
        check_within(2, move || {
            let pool = pool();
            let (lease, _) = pool.lease(SAMPLER).unwrap();
            let slot = lease.slot();
            let slab = pool.adopt();
            Sampler::new(pool, slab, slot, random).event();
            let flag = Arc::new(AtomicUsize::new(0));

            let ends = {
                let flag = flag.clone();
                thread::spawn(move || {
                    let sampler = Sampler::new(pool, slab, slot, random);
                    sampler.event();
                    match how {
                        HandOver::ThroughThePool => pool.park(slab),
                        HandOver::ThroughARelaxedFlag => flag.store(1, Ordering::Relaxed),
                    }
                })
            };
            // Returns whether it goes on where the other one has stopped.
            let starts = thread::spawn(move || {
                let inherited = match how {
                    HandOver::ThroughThePool => pool.adopt(),
                    HandOver::ThroughARelaxedFlag if flag.load(Ordering::Relaxed) == 1 => slab,
                    HandOver::ThroughARelaxedFlag => pool.adopt(),
                };
                let sampler = Sampler::new(pool, inherited, slot, random);
                sampler.event();
                std::ptr::eq(inherited, slab)
            });
            let scrape = move || events(pool.total(slot.add(WORD)));
            let scraper = thread::spawn(move || (scrape(), scrape()));
            ends.join().unwrap();
            let inherited = starts.join().unwrap();
            let (first, second) = scraper.join().unwrap();
            assert!(first <= second && second <= 3, "the events fell");
            seen[usize::from(inherited)].add((first, second));
            let own = if inherited {
                Totals::after(3, random)
            } else {
                Totals::after(2, random).plus(Totals::after(1, random))
            };
            assert_eq!(Totals::read(&lease), own, "a thread did not go on where the other one has stopped");
        });
        for outcomes in outcomes {
            assert_eq!(outcomes.all(), rising_pairs(1, 3));
        }
    }
}

#[test]
fn a_block_is_gone_on_with_by_the_thread_that_inherits_it() {
    hand_over(HandOver::ThroughThePool);
}

#[test]
#[should_panic(expected = "did not go on where")]
fn a_block_passed_on_without_a_lock_is_torn() {
    hand_over(HandOver::ThroughARelaxedFlag);
}

// ---- reuse: a later series has the cells of a former one

#[derive(Clone, Copy, PartialEq)]
enum Reuse {
    /// The cells are zeroed when the last handle of the former series is gone.
    Zeroed,
    /// What is in them is subtracted, as from a sum.
    FromABaseline,
    /// They are zeroed while somebody can still count in them.
    ZeroedTooEarly,
}

fn reuse(how: Reuse) {
    for random in DRAWS {
        let outcomes = Outcomes::new();
        let seen = outcomes.clone();
        check(move || {
            let pool = pool();
            let old = Arc::new(pool.lease(SAMPLER).unwrap().0);
            let slot = old.slot();
            let handle = (how != Reuse::ZeroedTooEarly).then(|| old.clone());
            // What the directory has.
            let listed = Arc::new(Mutex::new(None::<Slot>));

            let recorder = {
                let listed = listed.clone();
                thread::spawn(move || {
                    let slab = pool.adopt();
                    let sampler = Sampler::new(pool, slab, slot, random);
                    (0..2).for_each(|_| sampler.event());
                    drop(handle);
                    let found = *listed.lock().unwrap();
                    if let Some(slot) = found {
                        Sampler::new(pool, slab, slot, random).event();
                    }
                    found.map(Slot::bits)
                })
            };
            let registrar = thread::spawn(move || {
                drop(old);
                let (new, baseline) = match how {
                    Reuse::FromABaseline => pool.lease(SAMPLER).unwrap(),
                    Reuse::Zeroed | Reuse::ZeroedTooEarly => (pool.lease_zeroed(SAMPLER).unwrap(), Default::default()),
                };
                *listed.lock().unwrap() = Some(new.slot());
                (new, baseline)
            });
            let found = recorder.join().unwrap();
            let (new, baseline) = registrar.join().unwrap();
            let since = |at| new.total(at).wrapping_sub(baseline.value(&new, at));
            let totals = Totals { events: events(since(WORD)), recorded: since(RECORDED) };
            let expected = Totals::after(found.is_some().into(), random);
            assert_eq!(totals, expected, "a series did not begin with a first event");
            seen.add(found == Some(slot.bits()));
        });
        // The new series has the old one's cells and is counted in, or not.
        assert_eq!(outcomes.all(), [false, true]);
    }
}

#[test]
fn a_series_with_used_cells_begins_with_a_first_event() {
    reuse(Reuse::Zeroed);
}

#[test]
#[should_panic(expected = "did not begin with a first event")]
fn a_series_with_a_baseline_goes_on_in_a_foreign_block() {
    reuse(Reuse::FromABaseline);
}

#[test]
#[should_panic(expected = "did not begin with a first event")]
fn cells_zeroed_while_somebody_counts_in_them_count_foreign_events() {
    reuse(Reuse::ZeroedTooEarly);
}
