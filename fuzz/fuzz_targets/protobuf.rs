//! Any registry is decoded by another implementation as what was recorded, and its native histograms are valid.
#![no_main]

use arbitrary::Arbitrary;
use inferometer::{Buckets, Histogram, Registry};
use inferometer_prometheus::{Exporter, Format};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/inferometer-prometheus/tests/support/protobuf.rs"]
mod protobuf;

#[derive(Arbitrary, Debug)]
struct Filling<'a> {
    help: &'a str,
    label: &'a str,
    level: f64,
    count: u64,
    schema: i8,
    /// The range of the native buckets, as powers of two.
    range: (i8, u8),
    bounds: Vec<u16>,
    observations: Vec<(u32, u8)>,
}

fuzz_target!(|filling: Filling<'_>| {
    let Filling { help, label, level, count, schema, range, mut bounds, observations } = filling;
    let registry = Registry::new();
    registry.describe("level", None, help).unwrap();
    registry.gauge("level", &[("label", label)]).unwrap().set(level);
    registry.counter("requests_total", &[]).unwrap().increment(count);
    bounds.sort_unstable();
    bounds.dedup();
    let low = f64::from(range.0).exp2();
    let buckets = Buckets::classic_from(bounds.iter().map(|&bound| f64::from(bound) / 16.0).collect::<Vec<_>>())
        .native(schema)
        .range(low, low * f64::from(range.1 % 40).exp2());
    let Ok(histogram) = registry.histogram_with_buckets("value", &[], &buckets) else { return };
    let histogram: Histogram<f64> = histogram;
    for &(value, n) in &observations {
        histogram.record_n(f64::from(value) / 4096.0, n.into());
    }
    let exporter = Exporter::builder().registry(registry).build().unwrap();
    let mut body = Vec::new();
    exporter.render_into(Format::Protobuf, &mut body);
    let families = protobuf::families(&body);
    assert_eq!(families[0].help, help);
    assert_eq!(families[0].metric[0].label[0].value, label);
    let read = families[0].metric[0].gauge.as_ref().unwrap().value;
    assert!(read.to_bits() == level.to_bits() || (read.is_nan() && level.is_nan()));
    assert_eq!(families[1].metric[0].counter.as_ref().unwrap().value, count as f64);
    let read = families[2].metric[0].histogram.as_ref().unwrap();
    let total: u64 = observations.iter().map(|&(_, n)| u64::from(n)).sum();
    assert_eq!(read.sample_count, total);
    assert!(read.is_native());
    read.native().unwrap();
    for bucket in &read.bucket {
        let below = observations.iter().filter(|&&(value, _)| f64::from(value) / 4096.0 <= bucket.upper_bound);
        assert_eq!(bucket.cumulative_count, below.map(|&(_, n)| u64::from(n)).sum::<u64>());
    }
});
