//! Native buckets against an implementation of their own, in exact arithmetic, from the description in client_golang's
//! `prometheus/histogram.go`.

mod support;

use inferometer::{Buckets, Histogram, Registry};
use inferometer_prometheus::{Exporter, Format};
use num_bigint::BigUint;
use std::collections::BTreeMap;
use support::protobuf;

/// The nearest float to `2^(2^-level)`: a square root of a square root and so on, of whole numbers with 200 binary places.
fn root_of_two(level: u32) -> f64 {
    const PLACES: u64 = 200;
    let mut root = BigUint::from(2_u32) << PLACES;
    for _ in 0..level {
        root = (root << PLACES).sqrt();
    }
    // 53 binary digits, the first of which stands for 1, rounded to the nearest.
    let digits = ((root >> (PLACES - 53)) + 1_u32) >> 1;
    u64::try_from(digits).unwrap() as f64 / (1_u64 << 52) as f64
}

/// client_golang's bounds between 0.5 and 1. They are not the nearest floats to the powers of two: each schema has those
/// of the one below it, and each of these times `2^(2^-schema)` in floats. For schema 1 alone the factor is the float
/// below the nearest.
fn mantissas(schema: u32) -> Vec<f64> {
    let mut bounds = vec![0.5];
    for level in 1..=schema {
        let root = if level == 1 { root_of_two(1).next_down() } else { root_of_two(level) };
        bounds = bounds.iter().flat_map(|&bound| [bound, bound * root]).collect();
    }
    bounds
}

/// `value = fraction * 2^exponent` with a fraction from 0.5 to 1, taken from the bits of a normal float.
fn fraction_and_exponent(value: f64) -> (f64, i32) {
    let bits = value.to_bits();
    let exponent = (bits >> 52) as i32 - 1022;
    (f64::from_bits((bits & ((1 << 52) - 1)) | (1022 << 52)), exponent)
}

/// The index of a value's bucket, with the schema's mantissas.
fn index(schema: i8, bounds: &[f64], value: f64) -> i32 {
    let (fraction, exponent) = fraction_and_exponent(value);
    if schema > 0 {
        let place = bounds.partition_point(|&bound| bound < fraction) as i32;
        return place + (exponent - 1) * bounds.len() as i32;
    }
    let key = if fraction == 0.5 { exponent - 1 } else { exponent };
    let width = 1 << -schema;
    key.div_euclid(width) + i32::from(key.rem_euclid(width) > 0)
}

#[test]
fn the_indices_of_this_test_are_those_that_client_golang_computes() {
    for (schema, value, want) in [
        (3, 1.0, 0),
        (3, 1.5, 5),
        (3, 2.0, 8),
        (3, 0.001, -79),
        (3, 100.0, 54),
        (3, f64::MAX, 8192),
        (0, 2.0, 1),
        (0, f64::MAX, 1024),
        (8, f64::MAX, 262_144),
        (-4, f64::MAX, 64),
    ] {
        assert_eq!(index(schema, &mantissas(schema.max(0) as u32), value), want, "schema {schema}, value {value}");
    }
    // The digits that client_golang has; the nearest floats end in 6, 6 and 2.
    assert_eq!(mantissas(1)[1], 0.707_106_781_186_547_5);
    assert_eq!(mantissas(8)[128], 0.707_106_781_186_547_5);
    assert_eq!(mantissas(8)[255], 0.997_296_056_085_469_8);
}

/// Records values and reads the histogram that is exposed.
fn exposed(schema: i8, range: (f64, f64), values: &[f64]) -> protobuf::Histogram {
    let registry = Registry::new();
    let buckets = Buckets::DEFAULT.without_classic().native(schema).range(range.0, range.1);
    let histogram: Histogram<f64> = registry.histogram_with_buckets("value", &[], &buckets).unwrap();
    values.iter().for_each(|&value| histogram.record(value));
    let exporter = Exporter::builder().registry(registry).build().unwrap();
    let mut body = Vec::new();
    exporter.render_into(Format::Protobuf, &mut body);
    let histogram = protobuf::families(&body).remove(0).metric.remove(0).histogram.unwrap();
    assert_eq!(histogram.schema, i32::from(schema));
    histogram
}

/// Records values and reads the indices of their native buckets, and the zero bucket as `i32::MIN`.
fn recorded(schema: i8, range: (f64, f64), values: &[f64]) -> BTreeMap<i32, u64> {
    let histogram = exposed(schema, range, values);
    let zero = (histogram.zero_count > 0).then_some((i32::MIN, histogram.zero_count));
    let native = histogram.native().unwrap();
    native.into_iter().filter(|(_, count)| *count > 0).chain(zero).collect()
}

/// Spans and deltas of buckets, as `makeBuckets` of client_golang writes them: one bucket after the other, where up to two
/// empty ones are written rather than skipped.
fn spans_and_deltas(buckets: &BTreeMap<i32, u64>) -> (Vec<protobuf::Span>, Vec<i64>) {
    let (mut spans, mut deltas) = (Vec::<protobuf::Span>::new(), Vec::new());
    let (mut next, mut before) = (0, 0);
    for (&index, &count) in buckets {
        let gap = index - next;
        match spans.last_mut() {
            Some(span) if gap <= 2 => {
                for _ in 0..gap {
                    span.length += 1;
                    deltas.push(-before);
                    before = 0;
                }
                span.length += 1;
            }
            _ => spans.push(protobuf::Span { offset: gap, length: 1 }),
        }
        deltas.push(count as i64 - before);
        (next, before) = (index + 1, count as i64);
    }
    (spans, deltas)
}

/// Ranges of powers of two, each as large as a histogram may have buckets for, in which all normal floats lie. The lower
/// end of one, which is that of the zero bucket, lies within the one before it.
fn ranges(schema: i8) -> impl Iterator<Item = (i32, i32)> {
    let doublings = (16_384_i32 >> schema.max(0)).min(2_042);
    (-1_021..1_023).step_by(doublings as usize - 1).map(move |low| (low, (low + doublings).min(1_023)))
}

/// The bounds in such a range, without its lower end.
fn bounds(schema: i8, mantissas: &[f64], range: (i32, i32)) -> Vec<f64> {
    let lowest = index(schema, mantissas, f64::from(range.0).exp2());
    let scales = (range.0..range.1).map(|exponent| f64::from(exponent + 1).exp2());
    let bounds = scales.flat_map(|scale| mantissas.iter().map(move |mantissa| mantissa * scale));
    bounds.filter(|&bound| index(schema, mantissas, bound) > lowest).collect()
}

fn counts(schema: i8, mantissas: &[f64], values: &[f64]) -> BTreeMap<i32, u64> {
    let mut counts = BTreeMap::new();
    values.iter().for_each(|&value| *counts.entry(index(schema, mantissas, value)).or_default() += 1);
    counts
}

#[test]
fn every_bound_of_every_schema_and_its_neighbours_are_in_the_right_bucket() {
    for schema in -4..=8_i8 {
        let mantissas = mantissas(schema.max(0) as u32);
        let mut seen = 0;
        for (low, high) in ranges(schema) {
            let bounds = bounds(schema, &mantissas, (low, high));
            if bounds.is_empty() {
                continue; // less than a bucket
            }
            let values: Vec<f64> =
                bounds.iter().flat_map(|bound| [bound.next_down(), *bound, bound.next_up()]).collect();
            let want = counts(schema, &mantissas, &values);
            let range = (f64::from(low).exp2(), f64::from(high).exp2());
            assert_eq!(recorded(schema, range, &values), want, "schema {schema}, from 2^{low}");
            seen += bounds.len();
        }
        assert!(seen > 2_020 << schema.max(0), "schema {schema}: {seen} bounds");
    }
}

#[test]
fn spans_and_deltas_are_those_of_client_golang_whatever_the_gaps() {
    for schema in -4..=8_i8 {
        let mantissas = mantissas(schema.max(0) as u32);
        let (low, high) = if schema < 0 { (-1_021, 1_021) } else { (-4, 4) };
        let mut bounds = bounds(schema, &mantissas, (low, high));
        bounds.dedup_by_key(|bound| index(schema, &mantissas, *bound));
        // Each bound, and every second to sixth, with other counts from one to the next.
        for step in 1..=6 {
            let chosen = bounds.iter().step_by(step).enumerate();
            let values: Vec<f64> = chosen.flat_map(|(at, &bound)| vec![bound; 1 + at * at % 7]).collect();
            let (spans, deltas) = spans_and_deltas(&counts(schema, &mantissas, &values));
            let histogram = exposed(schema, (f64::from(low).exp2(), f64::from(high).exp2()), &values);
            assert_eq!(histogram.positive_span, spans, "schema {schema}, each {step}th");
            assert_eq!(histogram.positive_delta, deltas, "schema {schema}, each {step}th");
            assert_eq!(spans.len() > 1, step > 3 && values.len() > 1, "schema {schema}, each {step}th");
        }
    }
}

#[test]
fn what_is_below_the_range_is_in_the_zero_bucket_and_what_is_above_in_one_at_the_top() {
    for schema in -4..=8_i8 {
        let (low, high) = ((-16.0_f64).exp2(), 16.0_f64.exp2());
        let mantissas = mantissas(schema.max(0) as u32);
        let (lowest, highest) = (index(schema, &mantissas, low), index(schema, &mantissas, high));
        let low_bound = recorded(schema, (low, high), &[0.0, f64::MIN_POSITIVE, low]);
        assert_eq!(low_bound, BTreeMap::from([(i32::MIN, 3)]), "schema {schema}, up to index {lowest}");
        let high_bound = recorded(schema, (low, high), &[1e300, f64::MAX]);
        assert_eq!(high_bound, BTreeMap::from([(highest + 1, 2)]), "schema {schema}");
    }
}
