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
        let place = bounds.iter().filter(|&&bound| bound < fraction).count() as i32;
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

/// Records values and reads the indices of their native buckets, and the zero bucket as `i32::MIN`.
fn recorded(schema: i8, range: (f64, f64), values: &[f64]) -> BTreeMap<i32, u64> {
    let registry = Registry::new();
    let buckets = Buckets::DEFAULT.without_classic().native(schema).range(range.0, range.1);
    let histogram: Histogram<f64> = registry.histogram_with_buckets("value", &[], &buckets).unwrap();
    values.iter().for_each(|&value| histogram.record(value));
    let exporter = Exporter::builder().registry(registry).build().unwrap();
    let mut body = Vec::new();
    exporter.render_into(Format::Protobuf, &mut body);
    let families = protobuf::families(&body);
    let histogram = families[0].metric[0].histogram.as_ref().unwrap();
    assert_eq!(histogram.schema, i32::from(schema));
    let zero = (histogram.zero_count > 0).then_some((i32::MIN, histogram.zero_count));
    let native = histogram.native().unwrap();
    native.into_iter().filter(|(_, count)| *count > 0).chain(zero).collect()
}

#[test]
fn every_bound_of_every_schema_and_its_neighbours_are_in_the_right_bucket() {
    for schema in -4..=8_i8 {
        // All normal floats, or as many doublings around 1 as a histogram may have buckets for.
        let doublings = (8_192 >> schema.max(0)).min(1_021);
        let (low, high) = (f64::from(-doublings).exp2(), f64::from(doublings).exp2());
        let mantissas = mantissas(schema.max(0) as u32);
        let exponents = (-doublings..doublings).map(|exponent| f64::from(exponent + 1).exp2());
        let bounds = exponents.flat_map(|scale| mantissas.iter().map(move |mantissa| mantissa * scale));
        let bounds =
            bounds.filter(|&bound| bound > low && index(schema, &mantissas, bound) > index(schema, &mantissas, low));
        let values: Vec<f64> = bounds.flat_map(|bound| [bound.next_down(), bound, bound.next_up()]).collect();
        let mut want = BTreeMap::new();
        for &value in &values {
            *want.entry(index(schema, &mantissas, value)).or_insert(0) += 1;
        }
        assert_eq!(recorded(schema, (low, high), &values), want, "schema {schema}");
        assert!(want.len() > 100, "schema {schema}: {} buckets", want.len());
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
