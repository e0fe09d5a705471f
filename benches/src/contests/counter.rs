//! Counting to one.

use crate::library::{Exporter, Library, Ours, Prometheus, PrometheusClient};
use crate::timing::Contestant;
use crate::workload::{ONE, count};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The floor of all libraries whose threads share a cell.
pub const FETCH_ADD: &str = "a shared fetch_add";
/// The facade with a handle.
pub const METRICS_HANDLE: &str = "metrics-exporter-prometheus, handle";
/// The facade without.
pub const METRICS_MACRO: &str = "metrics::counter!, literal";

/// Our literal call site.
#[inline(never)]
pub fn call_site(n: u64) {
    for _ in 0..n {
        inferometer::counter!("bench_call_site_total", "model_name" => "llama", "status" => "ok").increment(1);
    }
}

#[inline(never)]
fn metrics_call_site(n: u64) {
    for _ in 0..n {
        metrics::counter!("bench_call_site_total", "model_name" => "llama", "status" => "ok").increment(1);
    }
}

#[inline(never)]
fn fetch_add(cell: &AtomicU64, n: u64) {
    for _ in 0..n {
        cell.fetch_add(1, Relaxed);
    }
}

/// A counter of a fresh registry, for ever.
pub fn counter<L: Library>() -> &'static L::Counter {
    let registry = Box::leak(Box::new(L::registry()));
    black_box(Box::leak(Box::new(L::counter(&L::counters(registry, "bench_handle_total"), ONE))))
}

/// Through a handle that the program keeps.
pub fn handle<L: Library>(name: &str) -> Contestant<'static> {
    let counter = counter::<L>();
    Contestant::new(name, move |n| count::<L>(counter, n))
}

/// All ways.
pub fn contestants() -> Vec<Contestant<'static>> {
    let recorder = Exporter::registry();
    let cell: &'static AtomicU64 = black_box(Box::leak(Box::default()));
    vec![
        Contestant::new("inferometer", call_site),
        Contestant::new(FETCH_ADD, move |n| fetch_add(cell, n)),
        handle::<Exporter>(METRICS_HANDLE),
        Contestant::new(METRICS_MACRO, move |n| metrics::with_local_recorder(&recorder, || metrics_call_site(n))),
        handle::<Prometheus>("prometheus, handle"),
        handle::<PrometheusClient>("prometheus-client, handle"),
        handle::<Ours>("inferometer, handle"),
    ]
}
