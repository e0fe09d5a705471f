//! `metriken`.

use super::{Buckets, LABELS, Labels, Library, NATIVE_SCHEMA};
use ::metriken::{
    AtomicCounterHistogram, Counter, DynBoxedMetric, Gauge, Metric, MetricBuilder, ShardedCounterGroup,
    ShardedCounterHistogram,
};

/// `metriken`, with cells that all threads share. Its histograms have log-linear buckets only, and no sum; its gauges are
/// integers. It has no text exposition of its own.
#[derive(Debug)]
pub struct Metriken;

/// The same with cells for each thread, where it has such.
#[derive(Debug)]
pub struct MetrikenSharded;

/// Values have at most so many bits: durations of up to 19 hours, in nanoseconds.
const BITS: u8 = 46;

/// So many of a number that is a ratio make one.
const PARTS: f64 = 1e6;

fn registered<M: Metric>(name: &'static str, labels: Labels<'_>, metric: M) -> DynBoxedMetric<M> {
    let builder =
        LABELS.iter().zip(labels).fold(MetricBuilder::new(name), |builder, (&key, value)| builder.metadata(key, value));
    builder.build(metric)
}

macro_rules! library {
    ($library:ty, $name:literal, $counter:ty, $new_counter:expr, $add:expr, $histogram:ty) => {
        impl Library for $library {
            const NAME: &'static str = $name;
            type Registry = ();
            type Counters = &'static str;
            type Counter = DynBoxedMetric<$counter>;
            type Gauge = DynBoxedMetric<Gauge>;
            type Histograms = &'static str;
            type Histogram = DynBoxedMetric<$histogram>;
            type Time = u64;
            type Sizes = DynBoxedMetric<$histogram>;

            fn registry() {}

            fn counters((): &mut (), name: &'static str) -> &'static str {
                name
            }

            fn counter(name: &&'static str, labels: Labels<'_>) -> Self::Counter {
                registered(name, labels, $new_counter)
            }

            #[inline(always)]
            fn add(counter: &Self::Counter, n: u64) {
                $add(counter, n);
            }

            fn gauge((): &mut (), name: &'static str, labels: Labels<'_>) -> Self::Gauge {
                registered(name, labels, Gauge::new())
            }

            #[inline(always)]
            fn set(gauge: &Self::Gauge, value: f64) {
                gauge.set((value * PARTS) as i64);
            }

            fn histograms((): &mut (), name: &'static str, _: Buckets) -> &'static str {
                name
            }

            fn histogram(name: &&'static str, labels: Labels<'_>) -> Self::Histogram {
                registered(name, labels, <$histogram>::new(NATIVE_SCHEMA as u8, BITS))
            }

            fn time(nanos: u64) -> u64 {
                nanos
            }

            #[inline(always)]
            fn observe(histogram: &Self::Histogram, nanos: u64) {
                let _ = histogram.increment(nanos);
            }

            fn sizes((): &mut (), name: &'static str, labels: Labels<'_>) -> Self::Sizes {
                Self::histogram(&name, labels)
            }

            #[inline(always)]
            fn observe_size(sizes: &Self::Sizes, size: u64) {
                let _ = sizes.increment(size);
            }
        }
    };
}

library!(Metriken, "metriken", Counter, Counter::new(), |counter: &Counter, n| counter.add(n), AtomicCounterHistogram);
library!(
    MetrikenSharded,
    "metriken, sharded",
    ShardedCounterGroup,
    ShardedCounterGroup::new(1),
    |counter: &ShardedCounterGroup, n| counter.add(0, n),
    ShardedCounterHistogram
);
