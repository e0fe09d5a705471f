//! `prometheus`.

use super::{BOUNDS, Buckets, Exposition, LABELS, Labels, Library, SIZES};
use ::prometheus::{
    Encoder as _, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
};

/// `prometheus`, which has classic histograms only.
#[derive(Debug)]
pub struct Prometheus;

fn register<C: ::prometheus::core::Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect("not registered twice");
    collector
}

impl Library for Prometheus {
    const NAME: &'static str = "prometheus";
    type Registry = Registry;
    type Counters = IntCounterVec;
    type Counter = IntCounter;
    type Gauge = Gauge;
    type Histograms = HistogramVec;
    type Histogram = Histogram;
    type Time = f64;
    type Sizes = Histogram;

    fn registry() -> Registry {
        Registry::new()
    }

    fn counters(registry: &mut Registry, name: &'static str) -> IntCounterVec {
        register(registry, IntCounterVec::new(Opts::new(name, "Help."), &LABELS).expect("a valid family"))
    }

    fn counter(counters: &IntCounterVec, labels: Labels<'_>) -> IntCounter {
        counters.with_label_values(&labels)
    }

    #[inline(always)]
    fn add(counter: &IntCounter, n: u64) {
        counter.inc_by(n);
    }

    fn gauge(registry: &mut Registry, name: &'static str, labels: Labels<'_>) -> Gauge {
        let gauges = ::prometheus::GaugeVec::new(Opts::new(name, "Help."), &LABELS).expect("a valid family");
        register(registry, gauges).with_label_values(&labels)
    }

    #[inline(always)]
    fn set(gauge: &Gauge, value: f64) {
        gauge.set(value);
    }

    fn histograms(registry: &mut Registry, name: &'static str, _: Buckets) -> HistogramVec {
        let options = HistogramOpts::new(name, "Help.").buckets(BOUNDS.to_vec());
        register(registry, HistogramVec::new(options, &LABELS).expect("a valid family"))
    }

    fn histogram(histograms: &HistogramVec, labels: Labels<'_>) -> Histogram {
        histograms.with_label_values(&labels)
    }

    fn time(nanos: u64) -> f64 {
        nanos as f64 / 1e9
    }

    #[inline(always)]
    fn observe(histogram: &Histogram, seconds: f64) {
        histogram.observe(seconds);
    }

    fn sizes(registry: &mut Registry, name: &'static str, labels: Labels<'_>) -> Histogram {
        let options = HistogramOpts::new(name, "Help.").buckets(SIZES.to_vec());
        register(registry, HistogramVec::new(options, &LABELS).expect("a valid family")).with_label_values(&labels)
    }

    #[inline(always)]
    fn observe_size(sizes: &Histogram, size: u64) {
        sizes.observe(size as f64);
    }
}

impl Exposition for Prometheus {
    type Scraper = TextEncoder;

    fn scraper(_: &Registry) -> TextEncoder {
        TextEncoder::new()
    }

    fn scrape(registry: &Registry, encoder: &mut TextEncoder, into: &mut Vec<u8>) {
        encoder.encode(&registry.gather(), into).expect("a vector takes all");
    }
}
