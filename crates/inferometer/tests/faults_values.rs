//! Odd values. The numbers are those of `docs/faults.md`.

use inferometer::{Buckets, Histogram, Registry, Value};
use std::time::Duration;

/// How many observations were invalid so far in this process.
fn invalid() -> u64 {
    Registry::global().snapshot().counter("inferometer_invalid_observations_total", &[]).unwrap()
}

// Fault 29: the type takes only whole numbers that are not negative, so there is nothing to ignore.
#[test]
fn a_counter_cannot_be_decremented_by_any_value_of_its_type() {
    let registry = Registry::new();
    let counter = registry.counter("x_total", &[]).unwrap();
    counter.increment(0);
    counter.increment(5);
    counter.absolute(3);
    assert_eq!(registry.snapshot().counter("x_total", &[]), Some(5), "absolute never lowers");
    counter.absolute(8);
    counter.increment(1);
    assert_eq!(registry.snapshot().counter("x_total", &[]), Some(9));
}

// Fault 30
#[test]
fn a_counter_past_its_range_wraps_to_a_small_value() {
    let registry = Registry::new();
    let counter = registry.counter("x_total", &[]).unwrap();
    counter.increment(u64::MAX - 5);
    assert_eq!(registry.snapshot().counter("x_total", &[]), Some(u64::MAX - 5), "not rounded above 2^53");
    counter.increment(10);
    assert_eq!(registry.snapshot().counter("x_total", &[]), Some(4));
}

// Fault 31
#[test]
fn an_up_down_counter_below_zero_is_negative() {
    let registry = Registry::new();
    let counter = registry.up_down_counter("x", &[]).unwrap();
    counter.increment(2);
    counter.decrement(5);
    assert_eq!(registry.snapshot().gauge("x", &[]), Some(-3.0));
}

// Fault 67: native buckets are told by signed differences, and cumulative counts must ascend.
#[test]
fn a_histogram_of_more_observations_than_can_be_told_is_absent_and_the_rest_is_not() {
    let registry = Registry::new();
    registry.counter("x_total", &[]).unwrap().increment(1);
    for (name, counts) in [
        ("one", &[u64::MAX][..]),
        ("half", &[1 << 63]),
        ("several", &[u64::MAX, u64::MAX, 3]),
        ("most", &[(1 << 62) - 1, 1 << 62]),
        ("few", &[1 << 47, 1 << 48]),
    ] {
        let histogram: Histogram<u64> = registry.histogram("tokens", &[("name", name)]).unwrap();
        counts.iter().enumerate().for_each(|(at, &n)| histogram.record_n(1 << at, n));
    }
    let seen = registry.snapshot();
    let count = |name| seen.histogram("tokens", &[("name", name)]).map(|histogram| histogram.count());
    assert_eq!(["one", "half", "several"].map(count), [None; 3]);
    assert_eq!((count("most"), count("few")), (Some(i64::MAX as u64), Some(3 << 47)));
    assert_eq!(seen.counter("x_total", &[]), Some(1));
}

// Fault 32: one test, since the count of invalid observations is the process's.
#[test]
fn invalid_observations_are_counted_and_touch_nothing_else() {
    let registry = Registry::new();
    let floats: Histogram<f64> = registry.histogram("floats", &[]).unwrap();
    let integers: Histogram<u64> = registry.histogram("integers", &[]).unwrap();
    let durations: Histogram = registry.histogram("durations_seconds", &[]).unwrap();
    floats.record(0.5);
    let before = (invalid(), registry.snapshot());
    for value in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -f64::MIN_POSITIVE] {
        floats.record(value);
    }
    floats.record_n(f64::NAN, 10);
    floats.record_slice(&[f64::NAN, -1.0]);
    for value in [1 << 48, (1 << 48) + 1, 1 << 63, u64::MAX] {
        integers.record(value);
    }
    durations.record(Duration::MAX);
    durations.record(Duration::from_secs(u64::MAX / 1_000_000_000 + 1)); // would wrap to a small number of nanoseconds
    durations.record_nanos(1 << 48);
    assert_eq!(registry.snapshot(), before.1);
    assert_eq!(invalid() - before.0, 6 + 10 + 2 + 4 + 3);
}

#[test]
fn zero_subnormal_and_huge_observations_are_kept() {
    let registry = Registry::new();
    let floats: Histogram<f64> = registry.histogram("floats", &[]).unwrap();
    for value in [0.0, -0.0, f64::from_bits(1), f64::MIN_POSITIVE, f64::MAX] {
        floats.record(value);
    }
    let seen = registry.snapshot().histogram("floats", &[]).unwrap();
    assert_eq!(seen.count(), 5);
    let buckets: Vec<(f64, u64)> = seen.classic().collect();
    assert_eq!(buckets[0].1, 4, "the tiny ones are in the lowest bucket");
    assert_eq!(buckets[buckets.len() - 2].1, 4);
    assert_eq!(buckets[buckets.len() - 1], (f64::INFINITY, 5), "the huge one is above the highest bound");

    let integers: Histogram<u64> = registry.histogram("integers", &[]).unwrap();
    integers.record(0);
    integers.record((1 << 48) - 1);
    let seen = registry.snapshot().histogram("integers", &[]).unwrap();
    assert_eq!((seen.count(), seen.sum()), (2, ((1_u64 << 48) - 1) as f64));
}

#[test]
fn an_observation_at_a_bound_is_in_its_bucket() {
    let registry = Registry::new();
    let bounds = [0.001, 0.005, 0.03, 0.07, 0.1, 2.5, 7680.0];
    let buckets = Buckets::classic_from(bounds);
    let durations: Histogram = registry.histogram_with_buckets("d_seconds", &[], &buckets).unwrap();
    let floats: Histogram<f64> = registry.histogram_with_buckets("f_seconds", &[], &buckets).unwrap();
    for bound in bounds {
        durations.record(Duration::from_secs_f64(bound));
        durations.record(Duration::from_secs_f64(bound) + Duration::from_nanos(1));
        floats.record(bound);
        floats.record(bound.next_up());
    }
    let snapshot = registry.snapshot();
    for name in ["d_seconds", "f_seconds"] {
        let counts: Vec<u64> = snapshot.histogram(name, &[]).unwrap().classic().map(|(_, count)| count).collect();
        // One at the first bound, then one past each and one at the next.
        assert_eq!(counts, [1, 3, 5, 7, 9, 11, 13, 14], "{name}");
    }
}

// Fault 34
#[test]
fn a_sum_of_nanoseconds_is_exact_past_64_bits() {
    let registry = Registry::new();
    let histogram: Histogram = registry.histogram("x_seconds", &[]).unwrap();
    let large = Duration::from_nanos((1 << 48) - 1);
    let mut want = 0_u128;
    for _ in 0..6 {
        // Each step is below 2^64, all of them together are not.
        histogram.record_n(large, 60_000);
        want += 60_000 * u128::from((1_u64 << 48) - 1);
        let seen = registry.snapshot().histogram("x_seconds", &[]).unwrap();
        assert_eq!(seen.sum(), want as f64 / 1e9);
    }
    assert!(want > u128::from(u64::MAX));
    histogram.record(Duration::from_nanos(1));
}

#[test]
fn a_sum_of_floats_never_falls() {
    let registry = Registry::new();
    let histogram: Histogram<f64> = registry.histogram("x", &[]).unwrap();
    let mut last = 0.0;
    for i in 0..1_000 {
        histogram.record(if i % 10 == 0 { 1e16 } else { 1.0 });
        let sum = registry.snapshot().histogram("x", &[]).unwrap().sum();
        assert!(sum >= last, "{sum} after {last}");
        last = sum;
    }
    assert!(last >= 1e18);
}

#[test]
fn record_n_is_n_records() {
    let registry = Registry::new();
    let (once, often): (Histogram, Histogram) =
        (registry.histogram("once_seconds", &[]).unwrap(), registry.histogram("often_seconds", &[]).unwrap());
    let values: Vec<Duration> = (1..50).map(|i| Duration::from_micros(i * i * 37)).collect();
    for value in &values {
        once.record_n(*value, 3);
    }
    for _ in 0..3 {
        often.record_slice(&values);
    }
    once.record_n(Duration::from_secs(1), 0);
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.histogram("once_seconds", &[]), snapshot.histogram("often_seconds", &[]));
}

#[test]
fn quantiles_are_within_the_resolution() {
    let registry = Registry::new();
    let histogram: Histogram = registry.histogram("x_seconds", &[]).unwrap();
    for micros in 1..=10_000 {
        histogram.record(Duration::from_micros(micros));
    }
    let seen = registry.snapshot().histogram("x_seconds", &[]).unwrap();
    for q in [0.01, 0.25, 0.5, 0.9, 0.99, 0.999] {
        let (got, want) = (seen.quantile(q).unwrap(), q * 0.01);
        assert!((got / want - 1.0).abs() < 0.045, "q {q}: {got} for {want}");
    }
    assert_eq!(seen.quantile(1.5), None);
    assert_eq!(seen.quantile(f64::NAN), None);
    assert!((seen.mean().unwrap() - 0.005_000_5).abs() < 1e-9);
    let empty: Histogram = registry.histogram("empty_seconds", &[]).unwrap();
    drop(empty);
    assert_eq!(registry.snapshot().histogram("empty_seconds", &[]).unwrap().quantile(0.5), None);
}

#[test]
fn a_delta_is_what_came_between() {
    let registry = Registry::new();
    let counter = registry.counter("x_total", &[]).unwrap();
    let histogram: Histogram<u64> = registry.histogram("x", &[]).unwrap();
    counter.increment(3);
    histogram.record(8);
    let before = registry.snapshot();
    counter.increment(4);
    histogram.record_n(100, 2);
    let delta = registry.snapshot().delta(&before);
    assert_eq!(delta.counter("x_total", &[]), Some(4));
    let seen = delta.histogram("x", &[]).unwrap();
    assert_eq!((seen.count(), seen.sum()), (2, 200.0));
    assert!((seen.quantile(0.5).unwrap() / 100.0 - 1.0).abs() < 0.1);
}

#[test]
fn a_computed_value_that_panics_or_is_nan_is_absent_and_the_rest_is_not() {
    let registry = Registry::new();
    registry.gauge_fn("broken", &[], || panic!("in a gauge_fn")).unwrap();
    registry.gauge_fn("nothing", &[], || f64::NAN).unwrap();
    registry.gauge_fn("fine", &[], || 1.5).unwrap();
    registry.counter_fn("cpu_seconds_total", &[], || 0.25).unwrap();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let snapshot = registry.snapshot();
    std::panic::set_hook(hook);
    assert_eq!(snapshot.gauge("broken", &[]), None);
    assert_eq!(snapshot.gauge("nothing", &[]), None);
    assert_eq!(snapshot.gauge("fine", &[]), Some(1.5));
    assert_eq!(snapshot.families[3].series[0].value, Value::FloatCounter(0.25));
}
