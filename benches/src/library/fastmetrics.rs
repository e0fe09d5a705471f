//! `fastmetrics`.

use super::{BOUNDS, Buckets, Exposition, LABELS, Labels, Library, SIZES, as_text};
use ::fastmetrics::encoder::{EncodeLabelSet, LabelSetEncoder};
use ::fastmetrics::error::Result;
use ::fastmetrics::format::text::{self, TextProfile};
use ::fastmetrics::metrics::counter::Counter;
use ::fastmetrics::metrics::family::Family;
use ::fastmetrics::metrics::gauge::Gauge;
use ::fastmetrics::metrics::histogram::Histogram;
use ::fastmetrics::raw::LabelSetSchema;
use ::fastmetrics::registry::Registry;

/// `fastmetrics`, which has classic histograms only.
#[derive(Debug)]
pub struct Fastmetrics;

/// The values of the three labels.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct Three([String; 3]);

impl LabelSetSchema for Three {
    fn names() -> Option<&'static [&'static str]> {
        Some(&LABELS)
    }
}

impl EncodeLabelSet for Three {
    fn encode(&self, encoder: &mut dyn LabelSetEncoder) -> Result<()> {
        LABELS.iter().zip(&self.0).try_for_each(|(name, value)| encoder.encode(&(*name, value.as_str())))
    }
}

fn three(labels: Labels<'_>) -> Three {
    Three(labels.map(str::to_owned))
}

/// It adds the suffix of counters itself.
fn base(name: &'static str) -> &'static str {
    name.trim_end_matches("_total")
}

impl Library for Fastmetrics {
    const NAME: &'static str = "fastmetrics";
    type Registry = Registry;
    type Counters = Family<Three, Counter>;
    type Counter = Counter;
    type Gauge = Gauge<f64>;
    type Histograms = Family<Three, Histogram>;
    type Histogram = Histogram;
    type Time = f64;
    type Sizes = Histogram;

    fn registry() -> Registry {
        Registry::default()
    }

    fn counters(registry: &mut Registry, name: &'static str) -> Self::Counters {
        let family = Family::default();
        registry.register(base(name), "Help.", Family::clone(&family)).expect("not registered twice");
        family
    }

    fn counter(counters: &Self::Counters, labels: Labels<'_>) -> Counter {
        counters.with_or_new(&three(labels), Counter::clone)
    }

    #[inline(always)]
    fn add(counter: &Counter, n: u64) {
        counter.inc_by(n);
    }

    fn gauge(registry: &mut Registry, name: &'static str, labels: Labels<'_>) -> Gauge<f64> {
        let family = Family::<Three, Gauge<f64>>::default();
        registry.register(name, "Help.", family.clone()).expect("not registered twice");
        family.with_or_new(&three(labels), Gauge::clone)
    }

    #[inline(always)]
    fn set(gauge: &Gauge<f64>, value: f64) {
        gauge.set(value);
    }

    fn histograms(registry: &mut Registry, name: &'static str, _: Buckets) -> Self::Histograms {
        let family = Family::new(|| Histogram::new(BOUNDS));
        registry.register(base(name), "Help.", Family::clone(&family)).expect("not registered twice");
        family
    }

    fn histogram(histograms: &Self::Histograms, labels: Labels<'_>) -> Histogram {
        histograms.with_or_new(&three(labels), Histogram::clone)
    }

    fn time(nanos: u64) -> f64 {
        nanos as f64 / 1e9
    }

    #[inline(always)]
    fn observe(histogram: &Histogram, seconds: f64) {
        histogram.observe(seconds);
    }

    fn sizes(registry: &mut Registry, name: &'static str, labels: Labels<'_>) -> Histogram {
        let family = Family::<Three, Histogram>::new(|| Histogram::new(SIZES));
        registry.register(name, "Help.", family.clone()).expect("not registered twice");
        family.with_or_new(&three(labels), Histogram::clone)
    }

    #[inline(always)]
    fn observe_size(sizes: &Histogram, size: u64) {
        sizes.observe(size as f64);
    }
}

impl Exposition for Fastmetrics {
    type Scraper = ();

    fn scraper(_: &Registry) {}

    fn scrape(registry: &Registry, (): &mut (), into: &mut Vec<u8>) {
        as_text(into, |body| {
            text::encode(body, registry, TextProfile::PrometheusV0_0_4).expect("a string takes all");
        });
    }
}
