//! What allocates: nothing in the record path after a thread's first touch. Faults 43 and 48 of `docs/faults.md`.
//!
//! The allocator of this program counts what each thread allocates, records each allocation in a counter, and can be
//! told to fail.

use inferometer::{
    Counter, Family, FamilyView, Gauge, Histogram, LabelSet, LabelValue, RegisterError, Registry, Sample, Sampling,
    SeriesView, UpDownCounter, Visitor, counter, gauge, histogram, metric,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(usize::MAX) };
    static RECORDS: Cell<bool> = const { Cell::new(false) };
    static RECORDS_NEW: Cell<bool> = const { Cell::new(false) };
    static NEW_LABELS: Cell<u64> = const { Cell::new(0) };
    static RECORDS_EXEMPLARS: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: every call is passed on to the system's allocator unchanged, or answered with null, which says that memory is
// exhausted. Counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !admit(layout) {
            return std::ptr::null_mut();
        }
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !admit(layout) {
            return std::ptr::null_mut();
        }
        // SAFETY: as our caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        admit(layout);
        // SAFETY: as our caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn admit(layout: Layout) -> bool {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    if RECORDS_NEW.get() {
        // Each time under a label that was never seen, so that it has to be registered.
        RECORDS_NEW.set(false);
        NEW_LABELS.set(NEW_LABELS.get() + 1);
        let mut buffer = [0; 20];
        counter!("allocator_new_total", "i" => digits(NEW_LABELS.get(), &mut buffer)).increment(1);
        RECORDS_NEW.set(true);
    }
    if RECORDS.get() {
        ALLOCATED.increment(layout.size() as u64);
        let label = "allocator";
        counter!("allocator_labelled_total", "by" => label).increment(1);
    }
    if RECORDS_EXEMPLARS.get() {
        ALLOCATION.record_with_exemplar(layout.size() as u64, &[("by", "allocator")]);
    }
    layout.size() <= LARGEST.get()
}

/// A number as text, without allocating.
fn digits(mut number: u64, buffer: &mut [u8; 20]) -> &str {
    let mut start = buffer.len();
    while number > 0 || start == buffer.len() {
        start -= 1;
        buffer[start] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    std::str::from_utf8(&buffer[start..]).unwrap()
}

/// Bytes allocated while the test looked.
#[metric(name = "allocator_allocated_bytes_total")]
static ALLOCATED: Counter = Counter::new();

/// Sizes of allocations while the test looked.
#[metric(name = "allocator_allocation_bytes")]
static ALLOCATION: Histogram<u64> = Histogram::new();

/// A declared counter.
#[metric(name = "declared_total")]
static DECLARED: Counter = Counter::new();

/// A declared family.
#[metric(name = "family_total")]
static FAMILY: Family<Outcome, Counter> = Family::new();

/// A closed family.
#[metric(name = "closed_seconds")]
static CLOSED: Family<Closed, Histogram> = Family::new();

#[derive(LabelSet)]
struct Outcome<'a> {
    model_name: &'a str,
    status: Status,
}

#[derive(LabelSet)]
struct Closed {
    status: Status,
}

#[derive(LabelValue, Clone, Copy)]
enum Status {
    Ok,
    Error,
}

/// One test at a time: a registry that another test drops makes this thread's cache look its entries up again.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn allocations(body: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    body();
    ALLOCATIONS.get() - before
}

/// One record of every kind.
fn record_all(registry: &Handles, i: u64, models: &[String]) {
    let model_name = &models[i as usize % models.len()];
    let status = if i.is_multiple_of(3) { Status::Error } else { Status::Ok };
    DECLARED.increment(1);
    FAMILY.get(&Outcome { model_name, status }).increment(2);
    CLOSED.get(&Closed { status }).record(Duration::from_micros(i));
    registry.counter.increment(1);
    registry.up_down.increment(1);
    registry.up_down.decrement(1);
    registry.gauge.set(i as f64);
    registry.gauge.increment(1);
    registry.durations.record(Duration::from_nanos(i));
    registry.durations.record_n(Duration::from_nanos(i * 999), 8);
    registry.durations.record_slice(&[Duration::ZERO, Duration::from_secs(1)]);
    registry.integers.record(i);
    registry.floats.record(i as f64 * 0.37);
    registry.floats.record(f64::NAN);
    // Each second one for each bucket is kept; the others are not.
    registry.durations.record_with_exemplar(Duration::from_nanos(i * i), &[("model_name", model_name)]);
    registry.floats.record_with_exemplar(i as f64 * 0.37, &[("label", "caf\u{e9}"), ("model_name", model_name)]);
    registry.integers.record_with_exemplar(i, &[("le", "is not allowed")]);
    counter!("literal_total", "status" => "ok").increment(1);
    counter!("dynamic_total", "model_name" => model_name).increment(1);
    gauge!("dynamic_gauge", "model_name" => model_name, "other" => model_name).set(1);
    histogram!("literal_histogram").record(0.1);
    let name = ["named_a_total", "named_b_total"][i as usize % 2];
    counter!(name, "model_name" => model_name).increment(1);
    let labels = [("model_name", model_name.as_str())];
    counter!("pairs_total", &labels).increment(1);
}

struct Handles {
    counter: Counter,
    up_down: UpDownCounter,
    gauge: Gauge,
    durations: Histogram,
    integers: Histogram<u64>,
    floats: Histogram<f64>,
}

#[test]
fn a_million_records_of_every_kind_allocate_nothing() {
    let _alone = alone();
    let registry = Registry::new();
    let handles = Handles {
        counter: registry.counter("counter_total", &[]).unwrap(),
        up_down: registry.up_down_counter("up_down", &[]).unwrap(),
        gauge: registry.gauge("gauge", &[]).unwrap(),
        durations: registry.histogram("durations_seconds", &[]).unwrap(),
        integers: registry.histogram("integers", &[]).unwrap(),
        floats: registry.histogram("floats", &[]).unwrap(),
    };
    let models: Vec<String> = (0..20).map(|i| format!("meta-llama/Llama-3.1-{i}B-Instruct")).collect();
    for i in 0..200 {
        record_all(&handles, i, &models); // warm-up: every call site, series and chunk
    }
    assert_eq!(allocations(|| drop(black_box(vec![1]))), 1, "the allocator counts");
    let records = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let during = allocations(|| (0..records).for_each(|i| record_all(&handles, i, &models)));
    assert_eq!(during, 0);
}

#[test]
fn a_visit_in_the_steady_state_allocates_nothing() {
    let _alone = alone();
    struct Count(u64, usize);

    impl Visitor for Count {
        fn family(&mut self, _: &FamilyView<'_>) -> bool {
            true
        }

        fn series(&mut self, series: &SeriesView<'_>, sample: Sample<'_>) {
            self.0 += series.labels().count() as u64;
            if let Sample::Histogram(view) = sample {
                self.0 += view.count() + view.native().map_or(0, |native| native.buckets.len() as u64);
                for exemplar in view.exemplars() {
                    self.1 += exemplar.labels().count();
                }
            }
        }
    }

    let registry = Registry::new();
    for i in 0..100 {
        let label = i.to_string();
        registry.counter("counter_total", &[("i", &label)]).unwrap().increment(i);
        registry.gauge("gauge", &[("i", &label)]).unwrap().set(i as f64);
        registry.histogram::<Duration>("d_seconds", &[("i", &label)]).unwrap().record(Duration::from_millis(i));
        registry.histogram::<f64>("f", &[("i", &label)]).unwrap().record(0.5);
    }
    let exemplars: Histogram<u64> = registry.histogram("exemplars", &[]).unwrap();
    exemplars.record_with_exemplar(0, &[("trace_id", "0")]);
    let timed = |name, sampling| {
        let histogram: Histogram = registry.histogram(name, &[]).unwrap();
        histogram.set_sampling(sampling);
        histogram
    };
    let timed = [timed("every_4th_seconds", Sampling::EveryN(4)), timed("budgeted_seconds", Sampling::DEFAULT)];
    timed.iter().for_each(|histogram| _ = histogram.start().stop());
    let mut count = Count(0, 0);
    registry.visit(&mut count);
    let during = allocations(|| {
        for i in 0..100 {
            timed.iter().for_each(|histogram| _ = histogram.start().stop());
            exemplars.record_with_exemplar(i * i, &[("trace_id", "x"), ("label", "longer than the first")]);
            registry.visit(&mut count);
        }
    });
    assert_eq!(during, 0);
    assert!(count.0 > 0 && count.1 > 100);
}

#[cfg(feature = "tracing")]
#[test]
fn without_a_current_span_nothing_is_allocated_for_its_exemplar() {
    let _alone = alone();
    let registry = Registry::new();
    let (first, second) = (registry.histogram::<u64>("x", &[]).unwrap(), registry.histogram::<u64>("y", &[]).unwrap());
    first.record_with_current_span(1);
    second.record(1);
    assert_eq!(allocations(|| (0..1_000).for_each(|i| second.record_with_current_span(i))), 0);
}

// Fault 43
#[test]
fn an_allocator_may_record_into_the_storage_that_allocates() {
    let _alone = alone();
    Registry::global();
    let before = Registry::global().snapshot();
    RECORDS.set(true);
    // Allocates inside registration, inside the first touch of chunks, and inside the growth of the label cache.
    let registry = Registry::new();
    for i in 0..3_000 {
        counter!("allocator_driven_total", "i" => (i % 500).to_string()).increment(1);
        registry.counter("x_total", &[("i", &(i % 700).to_string())]).unwrap().increment(1);
    }
    RECORDS.set(false);
    let delta = Registry::global().snapshot().delta(&before);
    assert!(delta.counter("allocator_allocated_bytes_total", &[]).unwrap() > 100_000);
    assert_eq!(delta.counter("allocator_driven_total", &[]), Some(3_000));
    assert_eq!(registry.snapshot().counter("x_total", &[]), Some(3_000));
    // What was made inside a cold path, by label, had nowhere to go, and is counted.
    let kept = delta.counter("allocator_labelled_total", &[]).unwrap_or(0);
    let dropped = delta.counter("inferometer_records_dropped_total", &[]).unwrap();
    assert!(kept > 0 && dropped > 0, "{kept} kept, {dropped} dropped");
}

// Fault 43
#[test]
fn an_allocator_may_record_what_is_not_registered_yet_while_a_registration_allocates() {
    let _alone = alone();
    Registry::global();
    let before = Registry::global().snapshot();
    RECORDS_NEW.set(true);
    for i in 0..300 {
        // Asked of the registry itself, through a handle, and by a call site: all take the same locks.
        let label = i.to_string();
        Registry::global().counter("allocator_direct_total", &[("i", &label)]).unwrap().handle().increment(1);
        counter!("allocator_site_total", "i" => label).increment(1);
    }
    RECORDS_NEW.set(false);
    let delta = Registry::global().snapshot().delta(&before);
    assert_eq!(delta.counter("allocator_direct_total", &[]), Some(300));
    assert_eq!(delta.counter("allocator_site_total", &[]), Some(300));
    // Each allocation was recorded or, inside a cold path, dropped and counted.
    let kept = delta.counter("allocator_new_total", &[]).unwrap();
    let dropped = delta.counter("inferometer_records_dropped_total", &[]).unwrap();
    assert!(kept > 0 && dropped > 0 && kept + dropped >= NEW_LABELS.get(), "{kept} kept, {dropped} dropped");
}

// Fault 48
#[test]
fn without_memory_a_registration_fails_and_a_record_goes_to_the_overflow_cells() {
    let _alone = alone();
    let registry = Registry::new();
    // Histograms so large, 100 KiB, that before long one needs a new chunk.
    let buckets = inferometer::Buckets::DEFAULT.native(8).range(1e-9, 1e6);
    let large = |name: &str| registry.histogram_with_buckets::<f64>(name, &[], &buckets);
    LARGEST.set(60_000);
    let refused = (0..1_000).find_map(|i| large(&format!("large_{i}")).err());
    LARGEST.set(usize::MAX);
    assert_eq!(refused, Some(RegisterError::StorageFull));

    // Registered while there was memory; then the thread's own chunk cannot be had.
    let large: Histogram<f64> = large("registered").unwrap();
    LARGEST.set(60_000);
    large.record(0.5);
    large.record_n(0.25, 2);
    LARGEST.set(usize::MAX);
    large.record(1.0);
    let seen = registry.snapshot().histogram("registered", &[]).unwrap();
    assert_eq!((seen.count(), seen.sum()), (4, 2.0));
}

// Fault 43
#[test]
fn an_allocator_may_record_with_exemplars_while_their_memory_is_allocated() {
    let _alone = alone();
    Registry::global();
    let before = Registry::global().snapshot();
    RECORDS_EXEMPLARS.set(true);
    drop(black_box(vec![1_u8; 100]));
    RECORDS_EXEMPLARS.set(false);
    let delta = Registry::global().snapshot().delta(&before);
    let seen = delta.histogram("allocator_allocation_bytes", &[]).unwrap();
    assert!(seen.count() > 1, "the vector, and the memory for its exemplar");
    let exemplars: Vec<f64> = seen.exemplars().iter().map(|exemplar| exemplar.value).collect();
    assert_eq!(exemplars, [100.0]);
    // Those that were to stand in the memory that was being made.
    assert_eq!(delta.counter("inferometer_exemplars_dropped_total", &[]), Some(seen.count() - 1));
}

// Fault 48
#[test]
fn without_memory_an_exemplar_is_dropped_and_counted_and_its_observation_is_not() {
    let _alone = alone();
    let dropped = || Registry::global().snapshot().counter("inferometer_exemplars_dropped_total", &[]).unwrap();
    let registry = Registry::new();
    let histogram: Histogram<u64> = registry.histogram("x", &[]).unwrap();
    histogram.record(1);
    let before = dropped();
    LARGEST.set(1_000);
    histogram.record_with_exemplar(2, &[("i", "1")]);
    LARGEST.set(usize::MAX);
    assert_eq!(dropped() - before, 1);
    histogram.record_with_exemplar(3, &[("i", "2")]);
    let seen = registry.snapshot().histogram("x", &[]).unwrap();
    assert_eq!((seen.count(), seen.exemplars().len()), (3, 1));
}
