//! Histograms of durations.

use crate::library::{BOUNDS, Buckets, Exporter, Library, Ours, Prometheus, PrometheusClient};
use crate::timing::Contestant;
use crate::workload::{ONE, observe, over, times};
use inferometer::{Histogram, metric};
use std::hint::black_box;
use std::time::Duration;

/// Durations of the histogram benches.
#[metric(name = "bench_declared_seconds", buckets = &crate::library::BOUNDS)]
static DECLARED: Histogram = Histogram::new();

/// Our declared histogram.
#[inline(never)]
pub fn observe_declared(times: &[Duration], n: u64) {
    over(times, n, |time| DECLARED.record(time));
}

#[inline(never)]
fn observe_nanos(histogram: &Histogram, nanos: &[u64], n: u64) {
    over(nanos, n, |nanos| histogram.record_nanos(nanos));
}

/// A histogram of integers.
#[inline(never)]
pub fn observe_integers(histogram: &Histogram<u64>, values: &[u64], n: u64) {
    over(values, n, |value| histogram.record(value));
}

/// A histogram of floats.
#[inline(never)]
pub fn observe_floats(histogram: &Histogram<f64>, seconds: &[f64], n: u64) {
    over(seconds, n, |seconds| histogram.record(seconds));
}

/// Eight records at once.
#[inline(never)]
pub fn observe_many(histogram: &Histogram, times: &[Duration], n: u64) {
    over(times, n, |time| histogram.record_n(time, 8));
}

#[inline(never)]
fn observe_slice(histogram: &Histogram, times: &[Duration], n: u64) {
    let mut left = n as usize;
    while left > 0 {
        let times = &times[..left.min(times.len())];
        histogram.record_slice(times);
        left -= times.len();
    }
}

fn contestant<L: Library>(name: &str, buckets: Buckets, nanos: &[u64]) -> Contestant<'static> {
    let mut registry = L::registry();
    let histogram = L::histogram(&L::histograms(&mut registry, "bench_seconds", buckets), ONE);
    let times = times::<L>(nanos);
    let upkeep = move || L::upkeep(&registry);
    Contestant::with_upkeep(name, move |n| observe::<L>(black_box(&histogram), &times, n), upkeep)
}

/// The others.
pub fn peers(nanos: &[u64]) -> Vec<Contestant<'static>> {
    vec![
        contestant::<Exporter>("metrics-exporter-prometheus, classic", Buckets::Classic, nanos),
        contestant::<Exporter>("metrics-exporter-prometheus, native", Buckets::Native, nanos),
        contestant::<Prometheus>("prometheus, classic", Buckets::Classic, nanos),
        contestant::<PrometheusClient>("prometheus-client, classic", Buckets::Classic, nanos),
        contestant::<PrometheusClient>("prometheus-client, native", Buckets::Native, nanos),
        contestant::<PrometheusClient>("prometheus-client, classic + native", Buckets::Both, nanos),
    ]
}

/// Ours, with bounds that are declared.
pub fn declared(nanos: &[u64]) -> Vec<Contestant<'static>> {
    let times = times::<Ours>(nanos);
    vec![Contestant::new("inferometer", move |n| observe_declared(&times, n))]
}

/// Ours, with bounds that are given at run time, and our other ways to record.
pub fn run_time(nanos: &[u64]) -> Vec<Contestant<'static>> {
    let mut registry = Ours::registry();
    let histograms = Ours::histograms(&mut registry, "bench_ways_seconds", Buckets::Both);
    let histogram = || Ours::histogram(&histograms, ONE);
    let (plain, many, slice) = (histogram(), histogram(), histogram());
    let integers: Histogram<u64> = registry.histogram("bench_integers", &[]).expect("a valid histogram");
    let floats: Histogram<f64> = registry
        .histogram_with_buckets("bench_float_seconds", &[], &inferometer::Buckets::classic_from(BOUNDS))
        .expect("a valid histogram");
    let (nanos_table, values) = (nanos.to_vec(), nanos.to_vec());
    let (times, more_times) = (times::<Ours>(nanos), times::<Ours>(nanos));
    let seconds: Vec<f64> = nanos.iter().map(|&nanos| nanos as f64 / 1e9).collect();
    vec![
        contestant::<Ours>("inferometer", Buckets::Both, nanos),
        contestant::<Ours>("classic only", Buckets::Classic, nanos),
        Contestant::new("record_nanos", move |n| observe_nanos(black_box(&plain), &nanos_table, n)),
        Contestant::new("record_n", move |n| observe_many(black_box(&many), &times, n)),
        Contestant::new("record_slice, a value", move |n| observe_slice(black_box(&slice), &more_times, n)),
        Contestant::new("u64", move |n| observe_integers(black_box(&integers), &values, n)),
        Contestant::new("f64", move |n| observe_floats(black_box(&floats), &seconds, n)),
    ]
}
