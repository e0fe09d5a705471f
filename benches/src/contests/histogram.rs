//! Histograms of durations.

use crate::library::{
    BOUNDS, Buckets, Exporter, Fastmetrics, Library, Metriken, MetrikenSharded, OpenTelemetry, Ours, Prometheus,
    PrometheusClient, nm,
};
use crate::timing::Contestant;
use crate::workload::{ONE, observe, over, times};
use ::hdrhistogram::sync::Recorder;
use ::nm::{Event, MetricsPusher, Pull, Push};
use inferometer::{Histogram, metric};
use std::hint::black_box;
use std::sync::Arc;
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

#[inline(never)]
fn pulled(event: &Event<Pull>, nanos: &[u64], n: u64) {
    over(nanos, n, |nanos| event.observe(nanos as i64));
}

#[inline(never)]
fn pushed(event: &Event<Push>, nanos: &[u64], n: u64) {
    over(nanos, n, |nanos| event.observe(nanos as i64));
}

#[inline(never)]
fn hdr(histogram: &mut ::hdrhistogram::Histogram<u64>, nanos: &[u64], n: u64) {
    over(nanos, n, |nanos| histogram.saturating_record(nanos));
}

#[inline(never)]
fn hdr_recorder(recorder: &mut Recorder<u64>, nanos: &[u64], n: u64) {
    over(nanos, n, |nanos| recorder.saturating_record(nanos));
}

/// The others.
pub fn peers(nanos: &[u64]) -> Vec<Contestant<'static>> {
    let (pull, pusher) = (nm::pull(nm::Of::Durations), MetricsPusher::new());
    let push = nm::push(nm::Of::Durations, &pusher);
    let (for_pull, for_push) = (nanos.to_vec(), nanos.to_vec());
    vec![
        contestant::<Exporter>("metrics-exporter-prometheus, classic", Buckets::Classic, nanos),
        contestant::<Exporter>("metrics-exporter-prometheus, native", Buckets::Native, nanos),
        contestant::<Prometheus>("prometheus, classic", Buckets::Classic, nanos),
        contestant::<PrometheusClient>("prometheus-client, classic", Buckets::Classic, nanos),
        contestant::<PrometheusClient>("prometheus-client, native", Buckets::Native, nanos),
        contestant::<PrometheusClient>("prometheus-client, classic + native", Buckets::Both, nanos),
        contestant::<Fastmetrics>("fastmetrics, classic", Buckets::Classic, nanos),
        contestant::<OpenTelemetry>("opentelemetry, classic, bound", Buckets::Classic, nanos),
        Contestant::new("nm, pull", move |n| pulled(black_box(&pull), &for_pull, n)),
        Contestant::with_upkeep("nm, push", move |n| pushed(black_box(&push), &for_push, n), move || pusher.push()),
    ]
}

/// Others whose histograms have no sum and no bounds of one's own: `metriken`, and `hdrhistogram` with its owner's
/// histogram and with a recorder of a shared one (two digits, which is within 1 %).
pub fn lesser_peers(nanos: &[u64]) -> Vec<Contestant<'static>> {
    let mut owned = ::hdrhistogram::Histogram::new_with_bounds(1_000, 1 << 46, 2).expect("valid bounds");
    let mut recorder = owned.clone().into_sync().recorder();
    let (for_owned, for_recorder) = (nanos.to_vec(), nanos.to_vec());
    vec![
        contestant::<Metriken>(Metriken::NAME, Buckets::Native, nanos),
        contestant::<MetrikenSharded>(MetrikenSharded::NAME, Buckets::Native, nanos),
        Contestant::new("hdrhistogram, owned", move |n| hdr(black_box(&mut owned), &for_owned, n)),
        Contestant::new("hdrhistogram, recorder", move |n| hdr_recorder(black_box(&mut recorder), &for_recorder, n)),
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
    let behind = metrics::Histogram::from_arc(Arc::new(floats.handle()));
    let for_behind = times::<Exporter>(nanos);
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
        Contestant::new("f64 behind metrics", move |n| observe::<Exporter>(black_box(&behind), &for_behind, n)),
    ]
}
