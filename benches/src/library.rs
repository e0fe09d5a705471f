//! One interface to all the libraries, so that each does the same work in the same loop.

mod exporter;
mod fastmetrics;
mod metriken;
pub mod nm;
mod opentelemetry;
mod ours;
mod prometheus;
mod prometheus_client;

pub use exporter::Exporter;
pub use fastmetrics::Fastmetrics;
pub use metriken::{Metriken, MetrikenSharded};
pub use opentelemetry::OpenTelemetry;
pub use ours::Ours;
pub use prometheus::Prometheus;
pub use prometheus_client::PrometheusClient;

/// The names of the three labels that every series here has.
pub const LABELS: [&str; 3] = ["model_name", "engine", "tenant"];

/// The values of the three labels.
pub type Labels<'a> = [&'a str; 3];

/// A metrics library. Its handles are what a program would keep to record with; a registry is what is scraped together.
pub trait Library: 'static {
    /// What it is called.
    const NAME: &'static str;

    /// What is scraped together.
    type Registry: Send + Sync + 'static;
    /// A family of counters.
    type Counters: Send + Sync;
    /// One counter.
    type Counter: Send + Sync + 'static;
    /// One gauge.
    type Gauge: Send + Sync;
    /// A family of histograms of durations.
    type Histograms: Send + Sync;
    /// One histogram of durations.
    type Histogram: Send + Sync + 'static;
    /// A duration as a histogram takes it. A program has it in this form, or pays for the conversion itself.
    type Time: Copy + Send + Sync;
    /// One histogram of integers.
    type Sizes: Send + Sync;

    /// An empty registry.
    fn registry() -> Self::Registry;

    /// A family of counters with the labels [`LABELS`].
    fn counters(registry: &mut Self::Registry, name: &'static str) -> Self::Counters;

    /// A series of such a family, made if need be.
    fn counter(counters: &Self::Counters, labels: Labels<'_>) -> Self::Counter;

    /// Counts.
    fn add(counter: &Self::Counter, n: u64);

    /// A gauge with these labels.
    fn gauge(registry: &mut Self::Registry, name: &'static str, labels: Labels<'_>) -> Self::Gauge;

    /// Sets a gauge.
    fn set(gauge: &Self::Gauge, value: f64);

    /// A family of histograms of durations.
    fn histograms(registry: &mut Self::Registry, name: &'static str, buckets: Buckets) -> Self::Histograms;

    /// A series of such a family, made if need be.
    fn histogram(histograms: &Self::Histograms, labels: Labels<'_>) -> Self::Histogram;

    /// A duration.
    fn time(nanos: u64) -> Self::Time;

    /// Records a duration.
    fn observe(histogram: &Self::Histogram, time: Self::Time);

    /// A histogram of integers with classic buckets.
    fn sizes(registry: &mut Self::Registry, name: &'static str, labels: Labels<'_>) -> Self::Sizes;

    /// Records an integer.
    fn observe_size(sizes: &Self::Sizes, size: u64);

    /// What the library wants done between scrapes. Not part of a record, and not timed.
    fn upkeep(_: &Self::Registry) {}
}

/// A library that Prometheus can scrape.
pub trait Exposition: Library {
    /// What a scrape needs beside the registry, kept from one to the next.
    type Scraper;

    /// A scraper that has not scraped yet.
    fn scraper(registry: &Self::Registry) -> Self::Scraper;

    /// Appends the text exposition.
    fn scrape(registry: &Self::Registry, scraper: &mut Self::Scraper, into: &mut Vec<u8>);
}

/// For what writes to a string, and a body is bytes: the string reuses the vector's memory.
fn as_text(into: &mut Vec<u8>, write: impl FnOnce(&mut String)) {
    let mut text = String::from_utf8(std::mem::take(into)).expect("only text was written");
    write(&mut text);
    *into = text.into_bytes();
}

/// Which buckets a histogram has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buckets {
    /// [`BOUNDS`].
    Classic,
    /// Native ones of schema 3, where the library has them.
    Native,
    /// Both, where the library can.
    Both,
}

/// Fifteen classic bounds, in seconds, from half a millisecond to half a minute.
pub const BOUNDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Fifteen classic bounds for numbers of sequences and tokens.
pub const SIZES: [f64; 15] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];

/// Bounds of native histograms grow by this factor or less: schema 3.
const NATIVE_SCHEMA: i8 = 3;
