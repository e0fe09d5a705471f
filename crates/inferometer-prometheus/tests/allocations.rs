//! A scrape allocates nothing once it has been made. Alone in its binary, because it counts the allocations of the
//! thread.

use inferometer::{Buckets, Histogram, Registry};
use inferometer_prometheus::{Exporter, Format};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn a_scrape_into_a_reused_buffer_allocates_nothing_from_the_second_on() {
    let registry = Registry::new();
    registry.set_prefix("engine_").unwrap();
    registry.set_constant_labels(&[("host", "a")]).unwrap();
    let mut histograms: Vec<Histogram> = Vec::new();
    for i in 0..300 {
        let at = i.to_string();
        let labels = [("model_name", "llama"), ("engine", at.as_str()), ("status", "ok")];
        registry.counter("requests_total", &labels).unwrap().increment(i);
        registry.up_down_counter("requests_running", &labels).unwrap().increment(i);
        registry.gauge("usage_ratio", &labels).unwrap().set(i as f64 / 7.0);
        if i < 50 {
            let buckets = Buckets::classic(&[0.001, 0.01, 0.1, 1.0]);
            histograms.push(registry.histogram_with_buckets("step_seconds", &labels, &buckets).unwrap());
        }
    }
    // More series than a family may have, so that the family that says so is exposed as well.
    for i in 0..1_002 {
        registry.counter("models_total", &[("model_name", &i.to_string())]).unwrap();
    }
    registry.gauge_fn("uptime_seconds", &[], || 12.5).unwrap();
    let exporter = Exporter::builder().registry(registry.clone()).build().unwrap();
    let record = |n: u64| {
        for histogram in &histograms {
            histogram.record_n(Duration::from_micros(n * 700), n);
        }
    };
    record(1);
    let mut out = Vec::new();
    assert!(
        allocations(|| exporter.render_into(Format::Text, &mut out)) > 0,
        "the counter of allocations does not count"
    );
    // Later numbers have more digits.
    out.reserve(64 << 10);
    for round in 2..10 {
        record(round * 1_000);
        out.clear();
        assert_eq!(allocations(|| exporter.render_into(Format::Text, &mut out)), 0, "round {round}");
        assert!(out.len() > 100_000);
    }
}

#[test]
fn a_rendered_body_takes_no_new_buffer_when_the_last_one_is_done_with() {
    let registry = Registry::new();
    for i in 0..500 {
        registry.counter("requests_total", &[("at", &i.to_string())]).unwrap().increment(1);
    }
    let exporter = Exporter::builder().registry(registry).build().unwrap();
    drop(exporter.render(None));
    let first = exporter.render(None).body;
    let place = first.as_ptr();
    drop(first);
    let mut second = None;
    // Two small ones: the ticket's share of nothing, and the handle of the body.
    assert!(allocations(|| second = Some(exporter.render(None).body)) <= 2);
    let second = second.unwrap();
    assert_eq!(second.as_ptr(), place);
    // While a client still reads it, the next one goes elsewhere.
    let third = exporter.render(None).body;
    assert_ne!(third.as_ptr(), second.as_ptr());
    assert_eq!(third, second);
}
