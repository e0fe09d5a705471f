//! `metrics` with `metrics-exporter-prometheus`.

use super::{BOUNDS, Buckets, Exposition, LABELS, Labels, Library, SIZES};
use metrics::{Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{Matcher, NativeHistogramConfig, PrometheusBuilder, PrometheusRecorder};
use std::sync::Arc;

/// `metrics` with `metrics-exporter-prometheus`. It has classic or native histograms, not both in one.
#[derive(Debug)]
pub struct Exporter;

/// A family, by its name.
pub struct Named {
    recorder: Arc<PrometheusRecorder>,
    name: &'static str,
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Named").field("name", &self.name).finish_non_exhaustive()
    }
}

const METADATA: Metadata<'static> = Metadata::new("benches", Level::INFO, None);

/// The suffixes that choose a histogram's buckets.
const NATIVE: &str = "_native";
const SIZE: &str = "_size";

pub(crate) fn builder() -> PrometheusBuilder {
    PrometheusBuilder::new()
        .set_buckets(&BOUNDS)
        .expect("not empty")
        .set_buckets_for_metric(Matcher::Suffix(SIZE.to_owned()), &SIZES)
        .expect("not empty")
        .set_native_histogram_for_metric(
            Matcher::Suffix(NATIVE.to_owned()),
            NativeHistogramConfig::new(2_f64.powf(0.125), 512, 1e-6).expect("in range"),
        )
}

fn key(name: impl Into<metrics::KeyName>, labels: Labels<'_>) -> Key {
    let labels: Vec<Label> =
        LABELS.iter().zip(labels).map(|(&name, value)| Label::new(name, value.to_owned())).collect();
    Key::from_parts(name, labels)
}

impl Library for Exporter {
    const NAME: &'static str = "metrics-exporter-prometheus";
    type Registry = Arc<PrometheusRecorder>;
    type Counters = Named;
    type Counter = metrics::Counter;
    type Gauge = metrics::Gauge;
    type Histograms = (Named, Buckets);
    type Histogram = metrics::Histogram;
    type Time = f64;
    type Sizes = metrics::Histogram;

    fn registry() -> Self::Registry {
        Arc::new(builder().build_recorder())
    }

    fn counters(registry: &mut Self::Registry, name: &'static str) -> Named {
        Named { recorder: Arc::clone(registry), name }
    }

    fn counter(counters: &Named, labels: Labels<'_>) -> metrics::Counter {
        counters.recorder.register_counter(&key(counters.name, labels), &METADATA)
    }

    #[inline(always)]
    fn add(counter: &metrics::Counter, n: u64) {
        counter.increment(n);
    }

    fn gauge(registry: &mut Self::Registry, name: &'static str, labels: Labels<'_>) -> metrics::Gauge {
        registry.register_gauge(&key(name, labels), &METADATA)
    }

    #[inline(always)]
    fn set(gauge: &metrics::Gauge, value: f64) {
        gauge.set(value);
    }

    fn histograms(registry: &mut Self::Registry, name: &'static str, buckets: Buckets) -> (Named, Buckets) {
        (Named { recorder: Arc::clone(registry), name }, buckets)
    }

    fn histogram((named, buckets): &(Named, Buckets), labels: Labels<'_>) -> metrics::Histogram {
        let suffix = if *buckets == Buckets::Classic { "" } else { NATIVE };
        named.recorder.register_histogram(&key(format!("{}{suffix}", named.name), labels), &METADATA)
    }

    fn time(nanos: u64) -> f64 {
        nanos as f64 / 1e9
    }

    #[inline(always)]
    fn observe(histogram: &metrics::Histogram, seconds: f64) {
        histogram.record(seconds);
    }

    fn sizes(registry: &mut Self::Registry, name: &'static str, labels: Labels<'_>) -> metrics::Histogram {
        registry.register_histogram(&key(format!("{name}{SIZE}"), labels), &METADATA)
    }

    #[inline(always)]
    fn observe_size(sizes: &metrics::Histogram, size: u64) {
        sizes.record(size as f64);
    }

    /// Histograms keep every sample until somebody drains them.
    fn upkeep(registry: &Self::Registry) {
        registry.handle().run_upkeep();
    }
}

impl Exposition for Exporter {
    type Scraper = ();

    fn scraper(_: &Self::Registry) {}

    fn scrape(registry: &Self::Registry, (): &mut (), into: &mut Vec<u8>) {
        registry.handle().render_to_write(into).expect("a vector takes all");
    }
}
