//! Loom models of the storage: the real slabs, pool, leases and baselines, under every interleaving and every outcome
//! that the memory model allows. Run with `RUSTFLAGS="--cfg loom" cargo test -p inferometer --lib --release models`.
//!
//! Each model has a twin that is broken on purpose and must fail; else the model would prove nothing.

use super::{Pool, Shape, Slab, Slot, cell};
use crate::sync::{AtomicUsize, Ordering, order, weaken};
use loom::sync::Arc;
use loom::thread;

const COUNTER: Shape = Shape { cells: 1, float_every: 0 };

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // As many as need be unless told otherwise: the models are small.
    builder.preemption_bound = std::env::var("LOOM_MAX_PREEMPTIONS").ok().and_then(|bound| bound.parse().ok());
    builder.check(model);
}

fn pool() -> &'static Pool {
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
    check(move || {
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
        let first = lease.total(0);
        let second = lease.total(0);
        assert!(first <= second, "a series went down");
        ends.join().unwrap();
        starts.join().unwrap();
        assert_eq!(lease.total(0), 3, "a record was lost or counted twice");
    });
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

/// Two threads get slabs and chunks and record, while the scraper adds up.
fn publication() {
    check(|| {
        let pool = pool();
        let (lease, _) = pool.lease(COUNTER).unwrap();
        let slot = lease.slot();
        let recorders: Vec<_> = (0..2).map(|_| thread::spawn(move || record(pool, pool.adopt(), slot))).collect();
        let first = lease.total(0);
        let second = lease.total(0);
        assert!(first <= second && second <= 2, "a scrape saw what nobody recorded");
        recorders.into_iter().for_each(|recorder| recorder.join().unwrap());
        assert_eq!(lease.total(0), 2);
    });
}

#[test]
fn slabs_and_chunks_are_published_whole() {
    publication();
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
    weaken::with_relaxed_publication(plain_publication);
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
