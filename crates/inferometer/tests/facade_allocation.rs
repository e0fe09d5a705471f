//! What allocates when records come through the crate `metrics`: nothing, after a thread's first record of a series.

use inferometer::Registry;
use inferometer::facade::Recorder;
use metrics::{counter, gauge, histogram, with_local_recorder};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static RECORDS: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: every call is passed on to the system's allocator unchanged. Counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        if RECORDS.get() {
            counter!("allocations", "by" => "allocator").increment(1);
        }
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time: when a registry goes, all threads make their handles anew.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn record() {
    counter!("requests").increment(1);
    counter!("requests", "status" => "ok", "stream" => "true").increment(1);
    gauge!("depth", "queue" => "0").set(3);
    gauge!("depth", "queue" => "0").increment(1);
    histogram!("wait_seconds", "queue" => "0").record(0.5);
    histogram!("wait_seconds", "queue" => "0").record_many(0.5, 8);
    counter!("refused_count").increment(1);
}

#[test]
fn a_macro_with_literals_allocates_nothing_once_its_thread_knows_it() {
    let _alone = alone();
    let recorder = Recorder::new(&Registry::new());
    with_local_recorder(&recorder, || {
        assert!(allocations(record) > 0, "the check sees allocations");
        assert_eq!(allocations(|| (0..100_000).for_each(|_| record())), 0);
        // A text that is known at run time only has to be owned: by the facade, whose macro makes a vector of it.
        let status = black_box(String::from("ok"));
        let by_variable = || counter!("requests", "status" => status.clone()).increment(1);
        by_variable();
        let theirs = allocations(|| drop(black_box(vec![metrics::Label::new("status", status.clone())])));
        assert_eq!(allocations(by_variable), theirs);
    });
}

#[test]
fn a_handle_allocates_nothing() {
    let _alone = alone();
    let registry = Registry::new();
    let recorder = Recorder::new(&registry);
    let (counter, gauge, histogram) =
        with_local_recorder(&recorder, || (counter!("requests"), gauge!("depth"), histogram!("wait_seconds")));
    let record = || {
        counter.increment(2);
        gauge.set(0.5);
        gauge.decrement(0.25);
        histogram.record_many(0.5, 8);
    };
    record();
    assert_eq!(allocations(|| (0..100_000).for_each(|_| record())), 0);
    assert_eq!(registry.snapshot().counter("requests", &[]), Some(200_002));
}

#[test]
fn an_allocator_may_record_through_the_facade() {
    let _alone = alone();
    let registry = Registry::new();
    let recorder = Recorder::new(&registry);
    with_local_recorder(&recorder, || {
        RECORDS.set(true);
        // Registrations, whose allocations come inside the look-up of another handle; and allocations of the program.
        record();
        let made = black_box((0..100).map(|i| vec![i]).collect::<Vec<_>>());
        RECORDS.set(false);
        drop(made);
    });
    let counted = registry.snapshot().counter("allocations", &[]).unwrap_or(0);
    assert!(counted >= 100, "{counted}");
}
