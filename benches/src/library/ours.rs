//! inferometer.

use super::{BOUNDS, Buckets, Exposition, LABELS, Labels, Library, NATIVE_SCHEMA, SIZES};
use inferometer::{Counter, Gauge, Histogram, Registry};
use std::time::Duration;

/// inferometer, with handles from a registry.
#[derive(Debug)]
pub struct Ours;

/// A family, by its name.
#[derive(Debug)]
pub struct Named {
    registry: Registry,
    name: &'static str,
    buckets: inferometer::Buckets,
}

fn pairs<'a>(labels: Labels<'a>) -> [(&'static str, &'a str); 3] {
    [(LABELS[0], labels[0]), (LABELS[1], labels[1]), (LABELS[2], labels[2])]
}

/// These buckets for durations, as inferometer has them.
pub(crate) fn buckets_of(buckets: Buckets) -> inferometer::Buckets {
    match buckets {
        Buckets::Classic => inferometer::Buckets::classic_from(BOUNDS).without_native(),
        Buckets::Native => inferometer::Buckets::DEFAULT.native(NATIVE_SCHEMA).without_classic(),
        Buckets::Both => inferometer::Buckets::classic_from(BOUNDS).native(NATIVE_SCHEMA),
    }
}

impl Library for Ours {
    const NAME: &'static str = "inferometer";
    type Registry = Registry;
    type Counters = Named;
    type Counter = Counter;
    type Gauge = Gauge;
    type Histograms = Named;
    type Histogram = Histogram;
    type Time = Duration;
    type Sizes = Histogram<u64>;

    fn registry() -> Registry {
        Registry::new()
    }

    fn counters(registry: &mut Registry, name: &'static str) -> Named {
        Named { registry: registry.clone(), name, buckets: inferometer::Buckets::DEFAULT }
    }

    fn counter(counters: &Named, labels: Labels<'_>) -> Counter {
        counters.registry.counter(counters.name, &pairs(labels)).expect("a valid counter")
    }

    #[inline(always)]
    fn add(counter: &Counter, n: u64) {
        counter.increment(n);
    }

    fn gauge(registry: &mut Registry, name: &'static str, labels: Labels<'_>) -> Gauge {
        registry.gauge(name, &pairs(labels)).expect("a valid gauge")
    }

    #[inline(always)]
    fn set(gauge: &Gauge, value: f64) {
        gauge.set(value);
    }

    fn histograms(registry: &mut Registry, name: &'static str, buckets: Buckets) -> Named {
        Named { registry: registry.clone(), name, buckets: buckets_of(buckets) }
    }

    fn histogram(histograms: &Named, labels: Labels<'_>) -> Histogram {
        let Named { registry, name, buckets } = histograms;
        registry.histogram_with_buckets(name, &pairs(labels), buckets).expect("a valid histogram")
    }

    fn time(nanos: u64) -> Duration {
        Duration::from_nanos(nanos)
    }

    #[inline(always)]
    fn observe(histogram: &Histogram, time: Duration) {
        histogram.record(time);
    }

    fn sizes(registry: &mut Registry, name: &'static str, labels: Labels<'_>) -> Histogram<u64> {
        let buckets = inferometer::Buckets::classic_from(SIZES).native(NATIVE_SCHEMA);
        registry.histogram_with_buckets(name, &pairs(labels), &buckets).expect("a valid histogram")
    }

    #[inline(always)]
    fn observe_size(sizes: &Histogram<u64>, size: u64) {
        sizes.record(size);
    }
}

impl Exposition for Ours {
    type Scraper = inferometer_prometheus::Exporter;

    fn scraper(registry: &Registry) -> Self::Scraper {
        inferometer_prometheus::Exporter::builder().registry(registry.clone()).build().expect("a valid exporter")
    }

    fn scrape(_: &Registry, exporter: &mut Self::Scraper, into: &mut Vec<u8>) {
        exporter.render_into(inferometer_prometheus::Format::Text, into);
    }
}
