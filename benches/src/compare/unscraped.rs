//! What a library keeps when it records and nobody scrapes.

use crate::allocations::Allocations;
use crate::inputs::Distribution;
use crate::library::{
    Buckets, Exporter, Fastmetrics, Library, Metriken, MetrikenSharded, OpenTelemetry, Ours, Prometheus,
    PrometheusClient, nm,
};
use crate::proof::{Length, Measured, Section};
use crate::workload::{ONE, observe, over, times};
use nm::Of;
use std::fmt::Write as _;

/// How many observations there are.
const OBSERVATIONS: [u64; 3] = [10_000, 100_000, 1_000_000];
/// Who keeps more than this for the last of the observations does not bound its memory.
const BOUNDED: i64 = 1_000_000;

/// The bytes that are kept after each number of observations in one histogram, without any scrape.
type Kept = [i64; OBSERVATIONS.len()];

fn after_each(mut observe: impl FnMut(u64)) -> Kept {
    let before = Allocations::now();
    let mut done = 0;
    OBSERVATIONS.map(|observations| {
        observe(observations - done);
        done = observations;
        Allocations::since(before).bytes
    })
}

pub(super) fn kept<L: Library>(buckets: Buckets) -> Kept {
    let mut registry = L::registry();
    let times = times::<L>(&Distribution::ALL[0].nanos());
    let histogram = L::histogram(&L::histograms(&mut registry, "unscraped_seconds", buckets), ONE);
    after_each(|n| observe::<L>(&histogram, &times, n))
}

/// Whether memory is bounded.
pub(super) fn is_bounded(kept: &Kept) -> bool {
    kept.iter().all(|&bytes| bytes < BOUNDED)
}

fn kept_by_nm() -> Kept {
    let event = nm::pull(Of::Durations);
    let nanos = Distribution::ALL[0].nanos();
    after_each(|n| over(&nanos, n, |nanos| event.observe(nanos as i64)))
}

fn kept_by_hdrhistogram() -> Kept {
    let mut histogram = hdrhistogram::Histogram::<u64>::new_with_bounds(1_000, 1 << 46, 2).expect("valid bounds");
    let nanos = Distribution::ALL[0].nanos();
    after_each(|n| over(&nanos, n, |nanos| histogram.saturating_record(nanos)))
}

/// A library's name, and what it keeps.
type Keeper = (&'static str, fn() -> Kept);

/// Ours is the first.
const LIBRARIES: [Keeper; 10] = [
    (Ours::NAME, || kept::<Ours>(Buckets::Both)),
    (Exporter::NAME, || kept::<Exporter>(Buckets::Classic)),
    (Prometheus::NAME, || kept::<Prometheus>(Buckets::Classic)),
    (PrometheusClient::NAME, || kept::<PrometheusClient>(Buckets::Classic)),
    (Fastmetrics::NAME, || kept::<Fastmetrics>(Buckets::Classic)),
    (OpenTelemetry::NAME, || kept::<OpenTelemetry>(Buckets::Classic)),
    (Metriken::NAME, || kept::<Metriken>(Buckets::Native)),
    (MetrikenSharded::NAME, || kept::<MetrikenSharded>(Buckets::Native)),
    (nm::NAME, kept_by_nm),
    ("hdrhistogram", kept_by_hdrhistogram),
];

pub(super) fn cases() -> Vec<&'static str> {
    LIBRARIES.iter().map(|&(name, _)| name).collect()
}

pub(super) fn section(_: Length) -> Measured {
    let mut text = String::from("| library | 10,000 observations | 100,000 | 1,000,000 |\n|---|---|---|---|\n");
    let mut failures = Vec::new();
    for (name, kept) in LIBRARIES {
        let kept = kept();
        let [few, more, most] = kept;
        let _ = writeln!(text, "| {name} | {few} bytes | {more} bytes | {most} bytes |");
        if name == Ours::NAME && !is_bounded(&kept) {
            failures.push(format!("{most} bytes are kept"));
        }
    }
    Section { text, failures }.into()
}
