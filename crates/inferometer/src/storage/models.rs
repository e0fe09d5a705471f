//! Loom models of the storage: the real slabs, pool, leases and baselines, under every interleaving and every outcome
//! that the memory model allows. Run with `RUSTFLAGS="--cfg loom" cargo test -p inferometer --lib --release models`.
//!
//! Each model has a twin that is broken on purpose and must fail; else the model would prove nothing.
//!
//! Of each cell loom remembers the last access. So it does not see that a load races with a later store when the thread
//! that stores has loaded the cell itself before, as all records do, and does not try the other order. It does see that
//! a load races with the last store. So whoever only reads is spawned last: loom lets threads run in that order first.
//! Where it matters, [`Outcomes`] shows that all orders were tried.

use super::{OnceBox, Pool, SeqLock, Shape, Slab, Slot, cell};
use crate::sync::weaken::{self, Weakness};
use crate::sync::{AtomicUsize, Ordering, order};
use loom::sync::Arc;
use loom::thread;
use std::collections::BTreeSet;

const COUNTER: Shape = Shape { cells: 1, float_every: 0 };

/// With as many preemptions as need be, unless the environment says otherwise: most models are small.
pub(crate) fn check(model: impl Fn() + Sync + Send + 'static) {
    loom::model::Builder::new().check(model);
}

/// With so many preemptions at most.
pub(crate) fn check_within(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(model);
}

/// What was seen in the executions of a model.
#[derive(Clone)]
pub(crate) struct Outcomes<T>(std::sync::Arc<std::sync::Mutex<BTreeSet<T>>>);

impl<T: Ord + Clone> Outcomes<T> {
    pub(crate) fn new() -> Self {
        Outcomes(Default::default())
    }

    pub(crate) fn add(&self, outcome: T) {
        self.0.lock().unwrap().insert(outcome);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().iter().cloned().collect()
    }
}

/// All that two scrapes may see of a number that rises.
pub(crate) fn rising_pairs(from: u64, to: u64) -> Vec<(u64, u64)> {
    (from..=to).flat_map(|first| (first..=to).map(move |second| (first, second))).collect()
}

pub(crate) fn pool() -> &'static Pool {
    Box::leak(Box::new(Pool::new()))
}

/// What the hot path does, for a thread with this slab.
fn record(pool: &Pool, slab: &Slab, slot: Slot) {
    let chunk = slab.ensure_chunk(slot.chunk(), pool.chunk_cells(slot.chunk()));
    let cell = cell(chunk, slot.offset());
    cell.store(cell.load(order::CELL).wrapping_add(1), order::CELL);
}

/// What a thread without a slab does.
fn record_late(pool: &Pool, slot: Slot) {
    cell(pool.overflow().chunk(slot.chunk()), slot.offset()).fetch_add(1, order::CELL);
}

// ---- hand-over: a slab passes from a thread that ends to one that starts

#[derive(Clone, Copy, PartialEq)]
enum HandOver {
    ThroughThePool,
    ThroughARelaxedFlag,
    RecordAfterParking,
}

fn hand_over(how: HandOver) {
    let outcomes = Outcomes::new();
    let seen = outcomes.clone();
    // With a scrape between two owners there is no end to it otherwise.
    check_within(2, move || {
        let pool = pool();
        let (lease, _) = pool.lease(COUNTER).unwrap();
        let slot = lease.slot();
        let slab = pool.adopt();
        let flag = Arc::new(AtomicUsize::new(0));

        let ends = {
            let flag = flag.clone();
            thread::spawn(move || {
                record(pool, slab, slot);
                if how == HandOver::ThroughARelaxedFlag {
                    flag.store(1, Ordering::Relaxed);
                } else {
                    pool.park(slab);
                }
                if how == HandOver::RecordAfterParking {
                    record(pool, slab, slot); // the thread's table was not cleared first
                } else {
                    record_late(pool, slot); // in a destructor of another thread-local
                }
            })
        };
        let starts = thread::spawn(move || {
            if how == HandOver::ThroughARelaxedFlag {
                if flag.load(Ordering::Relaxed) == 1 {
                    record(pool, slab, slot);
                } else {
                    record_late(pool, slot);
                }
            } else {
                record(pool, pool.adopt(), slot);
            }
        });
        let scraper = thread::spawn(move || (pool.total(slot), pool.total(slot)));
        ends.join().unwrap();
        starts.join().unwrap();
        assert_eq!(lease.total(0), 3, "a record was lost or counted twice");
        let (first, second) = scraper.join().unwrap();
        assert!(first <= second, "a series went down");
        seen.add((first, second));
    });
    assert_eq!(outcomes.all(), rising_pairs(0, 3));
}

#[test]
fn a_slab_passes_on_without_losing_a_record() {
    hand_over(HandOver::ThroughThePool);
}

#[test]
#[should_panic(expected = "a record was lost")]
fn a_slab_passed_on_without_a_lock_loses_records() {
    hand_over(HandOver::ThroughARelaxedFlag);
}

#[test]
#[should_panic(expected = "a record was lost")]
fn a_record_to_a_parked_slab_is_lost() {
    hand_over(HandOver::RecordAfterParking);
}

// ---- publication: a chunk's zeros and a list's nodes are seen before what is in them

/// Threads get slabs and chunks and record, while a scraper adds up.
fn publication(recorders: u64, scrapes: usize) -> Vec<Vec<u64>> {
    let outcomes = Outcomes::new();
    let seen = outcomes.clone();
    check(move || {
        let pool = pool();
        let (lease, _) = pool.lease(COUNTER).unwrap();
        let slot = lease.slot();
        let recorders: Vec<_> =
            (0..recorders).map(|_| thread::spawn(move || record(pool, pool.adopt(), slot))).collect();
        let scraper = thread::spawn(move || (0..scrapes).map(|_| pool.total(slot)).collect::<Vec<_>>());
        recorders.into_iter().for_each(|recorder| recorder.join().unwrap());
        let totals = scraper.join().unwrap();
        assert!(totals.is_sorted(), "a series went down");
        seen.add(totals);
    });
    outcomes.all()
}

#[test]
fn slabs_and_chunks_are_published_whole() {
    assert_eq!(publication(1, 2), [[0, 0], [0, 1], [1, 1]]);
    assert_eq!(publication(2, 1), [[0], [1], [2]]);
}

/// The same with plain memory inside, since a cell's own zero is an atomic store for loom. The pointer travels as that
/// of a chunk does, with the orderings that the storage uses.
fn plain_publication() {
    check(|| {
        struct Chunk(loom::cell::UnsafeCell<u64>);
        let table: Arc<loom::sync::atomic::AtomicPtr<Chunk>> =
            Arc::new(loom::sync::atomic::AtomicPtr::new(std::ptr::null_mut()));
        let owner = {
            let table = table.clone();
            thread::spawn(move || {
                let chunk = Box::into_raw(Box::new(Chunk(loom::cell::UnsafeCell::new(7))));
                // SAFETY: validity: just made. Aliasing: nobody else has the pointer yet.
                unsafe { &*chunk }.0.with_mut(|zeros| {
                    // SAFETY: validity: inside the cell. Aliasing: as above; loom checks it.
                    unsafe { *zeros = 0 }
                });
                table.store(chunk, order::publish());
            })
        };
        let chunk = table.load(order::OBSERVE);
        // SAFETY: validity: never freed before the end. Aliasing: shared from here on.
        if let Some(chunk) = unsafe { chunk.as_ref() } {
            // SAFETY: validity: inside the cell. Aliasing: loom checks that the write happened before.
            chunk.0.with(|zeros| assert_eq!(unsafe { *zeros }, 0));
        }
        owner.join().unwrap();
        let chunk = table.load(order::OBSERVE);
        // SAFETY: validity: made by `Box` above, and freed once. Aliasing: the other thread has ended.
        drop(unsafe { Box::from_raw(chunk) });
    });
}

#[test]
fn a_chunk_is_seen_zeroed() {
    plain_publication();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_chunk_published_relaxed_is_seen_unzeroed() {
    weaken::with(Weakness::RelaxedPublication, plain_publication);
}

// ---- removal and reuse: a slot gets a new series while a stale cache still knew the old one

#[derive(Clone, Copy, PartialEq)]
enum Reuse {
    /// Cache entries own a count of the series.
    Counted,
    /// They do not: the slot is given back while a cache can still write to it.
    Uncounted,
}

fn reuse(how: Reuse) {
    check(move || {
        let pool = pool();
        let old = Arc::new(pool.lease(COUNTER).unwrap().0);
        let slot = old.slot();
        let generation = Arc::new(AtomicUsize::new(0));
        // What the directory has, and what a thread's cache has.
        let cached = (how == Reuse::Counted).then(|| old.clone());

        let recorder = {
            let generation = generation.clone();
            thread::spawn(move || {
                let slab = pool.adopt();
                let mut cached = cached;
                for _ in 0..2 {
                    // A stale generation only delays the flush.
                    let known = how == Reuse::Uncounted || cached.is_some();
                    if generation.load(Ordering::Relaxed) == 0 && known {
                        record(pool, slab, slot);
                    } else {
                        cached = None;
                    }
                }
            })
        };
        let remover = thread::spawn(move || {
            generation.store(1, Ordering::Release);
            drop(old);
            // A new series of the same shape: perhaps in the same slot.
            pool.lease(COUNTER).unwrap()
        });
        let (new, baseline) = remover.join().unwrap();
        let value = || new.total(0).wrapping_sub(baseline.value(&new, 0));
        assert_eq!(value(), 0, "a record of the old series counts in the new one");
        recorder.join().unwrap();
        assert_eq!(value(), 0, "a record of the old series counts in the new one");
    });
}

#[test]
fn a_reused_slot_starts_at_zero_and_stays_there() {
    reuse(Reuse::Counted);
}

#[test]
#[should_panic(expected = "a record of the old series counts in the new one")]
fn a_slot_reused_under_a_stale_cache_counts_foreign_records() {
    reuse(Reuse::Uncounted);
}

// ---- registration against a scrape: a new series is read by a scraper that has just learned of it

#[derive(Clone, Copy, PartialEq)]
enum Registration {
    ThroughTheDirectory,
    Relaxed,
}

/// Where the directory is a mutex, as in the registry, a series that a scraper finds has its baseline. Where it were a
/// relaxed flag, the scraper could read the cell before the baseline's values: the difference would be negative.
fn registration(how: Registration) {
    check(move || {
        let pool = pool();
        let old = Arc::new(pool.lease(COUNTER).unwrap().0);
        let slot = old.slot();
        let directory = Arc::new(loom::sync::Mutex::new(None::<u64>));
        let flag = Arc::new(AtomicUsize::new(0));

        let recorder = thread::spawn(move || {
            record(pool, pool.adopt(), slot);
            drop(old); // the last count: the slot is free
        });
        let registrar = {
            let (directory, flag) = (directory.clone(), flag.clone());
            thread::spawn(move || {
                let (lease, baseline) = pool.lease(COUNTER).unwrap();
                let base = baseline.value(&lease, 0);
                let reused = lease.slot() == slot;
                std::mem::forget(lease); // it lives on in the directory
                if reused && how == Registration::Relaxed {
                    flag.store(base as usize + 1, Ordering::Relaxed);
                } else if reused {
                    *directory.lock().unwrap() = Some(base);
                }
            })
        };
        let found = match how {
            Registration::ThroughTheDirectory => *directory.lock().unwrap(),
            Registration::Relaxed => match flag.load(Ordering::Relaxed) {
                0 => None,
                base => Some(base as u64 - 1),
            },
        };
        if let Some(base) = found {
            assert_eq!(pool.total(slot).wrapping_sub(base), 0, "a scrape read less than the baseline");
        }
        recorder.join().unwrap();
        registrar.join().unwrap();
    });
}

#[test]
fn a_new_series_is_found_with_its_baseline() {
    registration(Registration::ThroughTheDirectory);
}

#[test]
#[should_panic(expected = "a scrape read less than the baseline")]
fn a_series_found_without_synchronisation_is_read_below_its_baseline() {
    registration(Registration::Relaxed);
}

// ---- hiding: a removed series that an old handle goes on recording into is listed again

#[derive(Clone, Copy, PartialEq)]
enum Hiding {
    AtAValue,
    ForEver,
}

fn hiding(how: Hiding) {
    check(move || {
        let pool = pool();
        let lease = Arc::new(pool.lease(COUNTER).unwrap().0);
        let slot = lease.slot();
        let hidden_at = Arc::new(loom::sync::Mutex::new(None::<u64>));
        let recorder = thread::spawn(move || {
            let slab = pool.adopt();
            record(pool, slab, slot);
            record(pool, slab, slot);
        });
        let remover = {
            let (lease, hidden_at) = (lease.clone(), hidden_at.clone());
            thread::spawn(move || *hidden_at.lock().unwrap() = Some(lease.total(0)))
        };
        let scrape = || {
            let mut hidden_at = hidden_at.lock().unwrap();
            let value = lease.total(0);
            if hidden_at.is_some_and(|at| at == value || how == Hiding::ForEver) {
                return None;
            }
            *hidden_at = None;
            Some(value)
        };
        let first = scrape();
        recorder.join().unwrap();
        remover.join().unwrap();
        let last = scrape();
        // Shown in full, or hidden with nothing recorded since.
        let at = *hidden_at.lock().unwrap();
        assert!(last == Some(2) || at == Some(2), "records after the removal are not shown");
        assert!(first <= last || last.is_none(), "a series went down");
    });
}

#[test]
fn a_removed_series_that_is_recorded_into_is_listed_again() {
    hiding(Hiding::AtAValue);
}

#[test]
#[should_panic(expected = "records after the removal are not shown")]
fn a_series_hidden_for_ever_loses_records() {
    hiding(Hiding::ForEver);
}

// ---- sequence locks: an exemplar is read whole, or not at all

/// What a writer of these models writes: two words that belong together.
fn write_pair(lock: &SeqLock<2>, number: u64) -> bool {
    let turn = lock.turn(0, |_| true);
    turn.is_some_and(|turn| lock.write(turn, |words| words.iter().for_each(|word| word.store(number, order::CELL))))
}

fn read_pair(lock: &SeqLock<2>) -> Option<u64> {
    let [first, second] = lock.read(0, |words| [words[0].load(order::CELL), words[1].load(order::CELL)])?;
    assert_eq!(first, second, "a reader saw half of one exemplar and half of another");
    Some(first)
}

/// A reader while one exemplar takes the place of another.
fn one_writer() {
    check(|| {
        let lock = Arc::new(SeqLock::<2>::new());
        assert_eq!(read_pair(&lock), None);
        assert!(write_pair(&lock, 1));
        let writer = {
            let lock = lock.clone();
            thread::spawn(move || assert!(write_pair(&lock, 2), "nobody else was writing"))
        };
        let first = read_pair(&lock);
        let second = read_pair(&lock);
        assert!(first <= second || second.is_none(), "an older exemplar came back");
        writer.join().unwrap();
        assert_eq!(read_pair(&lock), Some(2));
    });
}

/// Two writers at once, and a reader.
fn two_writers() {
    check(|| {
        let lock = Arc::new(SeqLock::<2>::new());
        let writers = [1, 2].map(|number| {
            let lock = lock.clone();
            thread::spawn(move || write_pair(&lock, number).then_some(number))
        });
        let during = read_pair(&lock);
        let written = writers.map(|writer| writer.join().unwrap());
        let last = read_pair(&lock);
        assert!(last.is_some() && written.contains(&last), "what is there was not written by who says so");
        assert!(during.is_none() || written.contains(&during), "what was seen was not written");
    });
}

#[test]
fn an_exemplar_is_never_seen_torn() {
    one_writer();
}

#[test]
fn of_two_writers_one_writes_at_a_time() {
    two_writers();
}

#[test]
#[should_panic(expected = "half of one exemplar")]
fn an_exemplar_published_relaxed_is_seen_torn() {
    weaken::with(Weakness::RelaxedPublication, one_writer);
}

#[test]
#[should_panic(expected = "half of one exemplar")]
fn an_exemplar_written_without_a_fence_is_seen_torn() {
    weaken::with(Weakness::NoFenceAfterTaking, one_writer);
}

#[test]
#[should_panic(expected = "half of one exemplar")]
fn an_exemplar_read_without_a_fence_is_seen_torn() {
    weaken::with(Weakness::NoFenceBeforeSecondLook, one_writer);
}

#[test]
#[should_panic(expected = "half of one exemplar")]
fn two_writers_that_do_not_exclude_each_other_tear_an_exemplar() {
    weaken::with(Weakness::TakingByStore, two_writers);
}

#[derive(Clone, Copy, PartialEq)]
enum Scrape {
    ExemplarsFirst,
    CellsFirst,
}

/// A record and its exemplar, while a scrape reads both.
fn exemplar_of_a_record(scrape: Scrape) {
    check(move || {
        let (lock, cell) = (Arc::new(SeqLock::<2>::new()), Arc::new(AtomicUsize::new(0)));
        let recorder = {
            let (lock, cell) = (lock.clone(), cell.clone());
            thread::spawn(move || {
                cell.store(1, order::CELL);
                write_pair(&lock, 1);
            })
        };
        let count = || cell.load(order::CELL);
        let (count, exemplar) = match scrape {
            Scrape::CellsFirst => (count(), read_pair(&lock)),
            Scrape::ExemplarsFirst => {
                let exemplar = read_pair(&lock);
                (count(), exemplar)
            }
        };
        assert!(exemplar.is_none() || count == 1, "an exemplar of an observation that is not counted");
        recorder.join().unwrap();
    });
}

#[test]
fn an_exemplar_is_seen_with_its_observation() {
    exemplar_of_a_record(Scrape::ExemplarsFirst);
}

#[test]
#[should_panic(expected = "an exemplar of an observation that is not counted")]
fn an_exemplar_read_after_the_cells_is_seen_without_its_observation() {
    exemplar_of_a_record(Scrape::CellsFirst);
}

// ---- boxes: the memory of exemplars is made once, and seen whole

fn made_by_two() {
    check(|| {
        let shared = Arc::new(OnceBox::<Plain>::new());
        let makers = [1, 2].map(|number| {
            let shared = shared.clone();
            thread::spawn(move || {
                let own = Box::new(Plain(loom::cell::UnsafeCell::new(0)));
                own.set(number);
                shared.get_or_set(own).get()
            })
        });
        let seen = shared.get().map(Plain::get);
        let made = makers.map(|maker| maker.join().unwrap());
        assert_eq!(made[0], made[1], "two boxes are in use");
        assert!(seen.is_none_or(|seen| seen == made[0]));
    });
}

/// Plain memory, of which loom checks that the write happened before the reads.
struct Plain(loom::cell::UnsafeCell<u64>);

// SAFETY: it is written before it is shared; the model checks it.
unsafe impl Sync for Plain {}

impl Plain {
    fn set(&self, number: u64) {
        self.0.with_mut(|value| {
            // SAFETY: validity: inside the cell. Aliasing: it is not shared yet; loom checks it.
            unsafe { *value = number }
        });
    }

    fn get(&self) -> u64 {
        self.0.with(|value| {
            // SAFETY: validity: inside the cell. Aliasing: loom checks that the write happened before.
            unsafe { *value }
        })
    }
}

#[test]
fn a_box_is_made_once_and_seen_whole() {
    made_by_two();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_box_published_relaxed_is_seen_unfinished() {
    weaken::with(Weakness::RelaxedPublication, made_by_two);
}
