//! Gauges, and up-down counters.

use crate::library::{Exporter, Fastmetrics, Library, Metriken, OpenTelemetry, Ours, Prometheus, PrometheusClient};
use crate::timing::Contestant;
use crate::workload::{ONE, set};
use ::prometheus_client::metrics::gauge::Gauge as ClientGauge;
use inferometer::UpDownCounter;
use std::hint::black_box;

/// A gauge of a fresh registry, for ever.
pub fn gauge<L: Library>() -> &'static L::Gauge {
    let registry = Box::leak(Box::new(L::registry()));
    black_box(Box::leak(Box::new(L::gauge(registry, "bench_gauge_ratio", ONE))))
}

fn setting<L: Library>() -> Contestant<'static> {
    let gauge = gauge::<L>();
    Contestant::new(L::NAME, move |n| set::<L>(gauge, n))
}

/// Setting a gauge through a handle.
pub fn set_contestants() -> Vec<Contestant<'static>> {
    vec![
        setting::<Ours>(),
        setting::<Exporter>(),
        setting::<Prometheus>(),
        setting::<PrometheusClient>(),
        setting::<Fastmetrics>(),
        setting::<OpenTelemetry>(),
        setting::<Metriken>(),
    ]
}

/// Our up-down counter, up and down again.
#[inline(never)]
pub fn up_down(counter: &UpDownCounter, n: u64) {
    for _ in 0..n {
        counter.increment(1);
        counter.decrement(1);
    }
}

#[inline(never)]
fn up_down_metrics(gauge: &metrics::Gauge, n: u64) {
    for _ in 0..n {
        gauge.increment(1.0);
        gauge.decrement(1.0);
    }
}

#[inline(never)]
fn up_down_prometheus(gauge: &prometheus::IntGauge, n: u64) {
    for _ in 0..n {
        gauge.inc();
        gauge.dec();
    }
}

#[inline(never)]
fn up_down_client(gauge: &ClientGauge, n: u64) {
    for _ in 0..n {
        gauge.inc();
        gauge.dec();
    }
}

/// Up and down again, which are two records: requests in flight.
pub fn up_down_contestants() -> Vec<Contestant<'static>> {
    let ours = inferometer::Registry::new().up_down_counter("bench_in_flight", &[]).expect("a valid counter");
    let exporter = gauge::<Exporter>();
    let prometheus = prometheus::IntGauge::new("bench_in_flight", "Help.").expect("a valid gauge");
    let client = ClientGauge::default();
    vec![
        Contestant::new(Ours::NAME, move |n| up_down(black_box(&ours), n)),
        Contestant::new(Exporter::NAME, move |n| up_down_metrics(exporter, n)),
        Contestant::new(Prometheus::NAME, move |n| up_down_prometheus(black_box(&prometheus), n)),
        Contestant::new(PrometheusClient::NAME, move |n| up_down_client(black_box(&client), n)),
    ]
}
