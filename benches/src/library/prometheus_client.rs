//! `prometheus-client`.

use super::{BOUNDS, Buckets, Exposition, Labels, Library, NATIVE_SCHEMA, SIZES, as_text};
use ::prometheus_client::encoding::EncodeLabelSet;
use ::prometheus_client::metrics::counter::Counter;
use ::prometheus_client::metrics::family::{Family, MetricConstructor};
use ::prometheus_client::metrics::gauge::Gauge;
use ::prometheus_client::metrics::histogram::{Histogram, NativeHistogramConfig};
use ::prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

/// `prometheus-client`, which is alone among the peers in that a histogram can have classic and native buckets.
#[derive(Debug)]
pub struct PrometheusClient;

/// The three labels.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Three {
    model_name: String,
    engine: String,
    tenant: String,
}

fn three(labels: Labels<'_>) -> Three {
    let [model_name, engine, tenant] = labels.map(str::to_owned);
    Three { model_name, engine, tenant }
}

/// Makes histograms with these buckets.
#[derive(Clone, Copy, Debug)]
pub struct Maker {
    bounds: &'static [f64],
    buckets: Buckets,
}

impl MetricConstructor<Histogram> for Maker {
    fn new_metric(&self) -> Histogram {
        let native = || NativeHistogramConfig::with_schema(NATIVE_SCHEMA).zero_threshold(1e-6);
        let bounds = self.bounds.iter().copied();
        match self.buckets {
            Buckets::Classic => Histogram::new(bounds),
            Buckets::Native => Histogram::new_native(native()),
            Buckets::Both => Histogram::new_classic_and_native(bounds, native()),
        }
    }
}

impl Library for PrometheusClient {
    const NAME: &'static str = "prometheus-client";
    type Registry = Registry;
    type Counters = Family<Three, Counter>;
    type Counter = Counter;
    type Gauge = Gauge<f64, AtomicU64>;
    type Histograms = Family<Three, Histogram, Maker>;
    type Histogram = Histogram;
    type Time = f64;
    type Sizes = Histogram;

    fn registry() -> Registry {
        Registry::default()
    }

    fn counters(registry: &mut Registry, name: &'static str) -> Self::Counters {
        let family = Family::default();
        registry.register(name, "Help", Family::clone(&family));
        family
    }

    fn counter(counters: &Self::Counters, labels: Labels<'_>) -> Counter {
        counters.get_or_create_owned(&three(labels))
    }

    #[inline(always)]
    fn add(counter: &Counter, n: u64) {
        counter.inc_by(n);
    }

    fn gauge(registry: &mut Registry, name: &'static str, labels: Labels<'_>) -> Self::Gauge {
        let family = Family::<Three, Self::Gauge>::default();
        registry.register(name, "Help", family.clone());
        family.get_or_create_owned(&three(labels))
    }

    #[inline(always)]
    fn set(gauge: &Self::Gauge, value: f64) {
        gauge.set(value);
    }

    fn histograms(registry: &mut Registry, name: &'static str, buckets: Buckets) -> Self::Histograms {
        let family = Family::new_with_constructor(Maker { bounds: &BOUNDS, buckets });
        registry.register(name, "Help", Family::clone(&family));
        family
    }

    fn histogram(histograms: &Self::Histograms, labels: Labels<'_>) -> Histogram {
        histograms.get_or_create_owned(&three(labels))
    }

    fn time(nanos: u64) -> f64 {
        nanos as f64 / 1e9
    }

    #[inline(always)]
    fn observe(histogram: &Histogram, seconds: f64) {
        histogram.observe(seconds);
    }

    fn sizes(registry: &mut Registry, name: &'static str, labels: Labels<'_>) -> Histogram {
        let maker = Maker { bounds: &SIZES, buckets: Buckets::Classic };
        let family = Family::<Three, Histogram, Maker>::new_with_constructor(maker);
        registry.register(name, "Help", family.clone());
        family.get_or_create_owned(&three(labels))
    }

    #[inline(always)]
    fn observe_size(sizes: &Histogram, size: u64) {
        sizes.observe(size as f64);
    }
}

impl Exposition for PrometheusClient {
    type Scraper = ();

    fn scraper(_: &Registry) {}

    fn scrape(registry: &Registry, (): &mut (), into: &mut Vec<u8>) {
        as_text(into, |text| {
            ::prometheus_client::encoding::text::encode(text, registry).expect("a string takes all");
        });
    }
}
