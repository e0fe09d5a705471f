//! Counting to one.

use crate::library::{
    Exporter, Fastmetrics, Library, Metriken, MetrikenSharded, OpenTelemetry, Ours, Prometheus, PrometheusClient, nm,
};
use crate::timing::Contestant;
use crate::workload::{ONE, count};
use ::nm::{Event, MetricsPusher, Pull, Push};
use inferometer::Registry;
use inferometer::facade::Recorder;
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

/// A recorder of ours behind the macros of `metrics`.
pub fn facade() -> &'static Recorder {
    Box::leak(Box::new(Recorder::new(Box::leak(Box::new(Registry::new())))))
}

fn facade_handle() -> &'static metrics::Counter {
    let make = || metrics::counter!("bench_facade_total", "model_name" => "llama", "status" => "ok");
    black_box(Box::leak(Box::new(metrics::with_local_recorder(facade(), make))))
}

#[inline(never)]
fn by_facade_handle(counter: &metrics::Counter, n: u64) {
    (0..n).for_each(|_| counter.increment(1));
}

#[inline(never)]
fn fetch_add(cell: &AtomicU64, n: u64) {
    for _ in 0..n {
        cell.fetch_add(1, Relaxed);
    }
}

#[inline(never)]
fn pulled(event: &Event<Pull>, n: u64) {
    (0..n).for_each(|_| event.observe_once());
}

#[inline(never)]
fn pushed(event: &Event<Push>, n: u64) {
    (0..n).for_each(|_| event.observe_once());
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
    let (facade, behind) = (facade(), facade_handle());
    let (pull, pusher) = (nm::pull(nm::Of::Nothing), MetricsPusher::new());
    let push = nm::push(nm::Of::Nothing, &pusher);
    let cell: &'static AtomicU64 = black_box(Box::leak(Box::default()));
    vec![
        Contestant::new("inferometer", call_site),
        Contestant::new(FETCH_ADD, move |n| fetch_add(cell, n)),
        handle::<Exporter>(METRICS_HANDLE),
        Contestant::new(METRICS_MACRO, move |n| metrics::with_local_recorder(&recorder, || metrics_call_site(n))),
        handle::<Prometheus>("prometheus, handle"),
        handle::<PrometheusClient>("prometheus-client, handle"),
        handle::<Fastmetrics>("fastmetrics, handle"),
        handle::<OpenTelemetry>("opentelemetry, bound"),
        handle::<Metriken>(Metriken::NAME),
        handle::<MetrikenSharded>(MetrikenSharded::NAME),
        Contestant::new("nm, pull", move |n| pulled(black_box(&pull), n)),
        Contestant::with_upkeep("nm, push", move |n| pushed(black_box(&push), n), move || pusher.push()),
        handle::<Ours>("inferometer, handle"),
        Contestant::new("inferometer behind metrics, handle", move |n| by_facade_handle(behind, n)),
        Contestant::new("inferometer behind metrics::counter!, literal", move |n| {
            metrics::with_local_recorder(facade, || metrics_call_site(n));
        }),
    ]
}

/// How many of them, at the end, are other ways of ours.
pub const OTHER_WAYS: usize = 3;
