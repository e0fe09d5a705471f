//! The protobuf format, read by an independent decoder.

mod support;

use inferometer::{Buckets, Histogram, Registry};
use inferometer_prometheus::{Exporter, Format};
use proptest::prelude::*;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::protobuf::{self, LabelPair, MetricFamily, Span};

fn scrape(registry: &Registry) -> Vec<MetricFamily> {
    let exporter = Exporter::builder().registry(registry.clone()).build().unwrap();
    let mut body = Vec::new();
    exporter.render_into(Format::Protobuf, &mut body);
    protobuf::families(&body)
}

fn pair(name: &str, value: &str) -> LabelPair {
    LabelPair { name: name.to_owned(), value: value.to_owned() }
}

#[test]
fn each_kind_of_metric_has_its_message() {
    let registry = Registry::new();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    registry.describe("requests_total", None, "Requests \"\\\n").unwrap();
    registry.counter("requests_total", &[("status", "ok")]).unwrap().increment(3);
    registry.up_down_counter("requests_running", &[]).unwrap().decrement(2);
    registry.gauge("kv_cache_usage_ratio", &[]).unwrap().set(0.25);
    registry.gauge("zero", &[]).unwrap().set(0.0);
    registry.gauge("minus_zero", &[]).unwrap().set(-0.0);
    registry.counter_fn("sent_bytes_total", &[], || 1.5).unwrap();
    let families = scrape(&registry);
    let [requests, running, usage, zero, minus_zero, sent] = &families[..6] else { panic!("{families:?}") };

    assert_eq!((&*requests.name, &*requests.help, requests.kind), ("requests_total", "Requests \"\\\n", 0));
    let metric = &requests.metric[0];
    assert_eq!(metric.label, [pair("status", "ok")]);
    let counter = metric.counter.as_ref().unwrap();
    assert_eq!(counter.value, 3.0);
    let created = counter.created.as_ref().unwrap();
    assert!((before - 1..=before + 60).contains(&created.seconds), "{created:?}");
    assert!((0..1_000_000_000).contains(&created.nanos));
    assert_eq!(metric.timestamp_ms, 0);

    assert_eq!((running.kind, running.metric[0].gauge.as_ref().unwrap().value), (1, -2.0));
    assert_eq!((usage.kind, &*usage.unit, usage.metric[0].gauge.as_ref().unwrap().value), (1, "ratio", 0.25));
    assert_eq!(zero.metric[0].gauge.as_ref().unwrap().value.to_bits(), 0);
    assert_eq!(minus_zero.metric[0].gauge.as_ref().unwrap().value.to_bits(), (-0.0_f64).to_bits());
    assert_eq!((sent.kind, &*sent.unit, sent.metric[0].counter.as_ref().unwrap().value), (0, "bytes", 1.5));
}

#[test]
fn a_histogram_has_its_classic_and_its_native_buckets_and_both_agree() {
    let registry = Registry::new();
    let buckets = Buckets::classic(&[0.001, 0.01]);
    let histogram: Histogram =
        registry.histogram_with_buckets("step_seconds", &[("phase", "decode")], &buckets).unwrap();
    histogram.record(Duration::from_micros(1));
    histogram.record_n(Duration::from_millis(1), 2);
    histogram.record(Duration::from_millis(5));
    histogram.record(Duration::from_secs(100));
    let families = scrape(&registry);
    assert_eq!((families[0].kind, &*families[0].unit), (4, "seconds"));
    let histogram = families[0].metric[0].histogram.as_ref().unwrap();
    assert_eq!(histogram.sample_count, 5);
    assert_eq!(histogram.sample_sum, 100.007_001);
    let classic: Vec<_> = histogram.bucket.iter().map(|b| (b.upper_bound, b.cumulative_count)).collect();
    assert_eq!(classic, [(0.001, 3), (0.01, 4), (f64::INFINITY, 5)]);
    assert_eq!(histogram.schema, 3);
    let native = histogram.native().unwrap();
    // 100 s is in (2^(53/8), 2^(54/8)].
    assert_eq!(native.last(), Some(&(54, 1)));
    assert_eq!(native.iter().map(|(_, count)| count).sum::<u64>() + histogram.zero_count, 5);
    assert!(histogram.created.is_some());
}

#[test]
fn an_empty_native_histogram_is_still_one() {
    let registry = Registry::new();
    let _: Histogram = registry.histogram("step_seconds", &[]).unwrap();
    let native_only = Buckets::DEFAULT.without_classic();
    let _: Histogram = registry.histogram_with_buckets("wait_seconds", &[], &native_only).unwrap();
    for family in &scrape(&registry)[..2] {
        let histogram = family.metric[0].histogram.as_ref().unwrap();
        assert!(histogram.is_native(), "{histogram:?}");
        assert_eq!(histogram.native().unwrap(), []);
        assert_eq!(histogram.bucket.is_empty(), family.name == "wait_seconds");
    }
}

#[test]
fn a_classic_histogram_has_no_native_part() {
    let registry = Registry::new();
    let buckets = Buckets::classic(&[0.5]).without_native();
    let histogram: Histogram = registry.histogram_with_buckets("step_seconds", &[], &buckets).unwrap();
    histogram.record(Duration::from_millis(1));
    let families = scrape(&registry);
    assert!(!families[0].is_native());
    assert_eq!(families[0].metric[0].histogram.as_ref().unwrap().bucket.len(), 2);
}

#[test]
fn gaps_of_two_buckets_are_bridged_and_longer_ones_begin_a_span() {
    let registry = Registry::new();
    let buckets = Buckets::DEFAULT.without_classic().native(0).range(1.0, 1_048_576.0);
    let histogram: Histogram<u64> = registry.histogram_with_buckets("tokens", &[], &buckets).unwrap();
    // Buckets 1, 2, then a gap of one, of two and of three.
    for (index, count) in [(1, 5), (2, 1), (4, 7), (7, 2), (11, 1)] {
        histogram.record_n(1 << index, count);
    }
    let families = scrape(&registry);
    let histogram = families[0].metric[0].histogram.as_ref().unwrap();
    assert_eq!(histogram.positive_span, [Span { offset: 1, length: 7 }, Span { offset: 3, length: 1 }]);
    let want = [(1, 5), (2, 1), (3, 0), (4, 7), (5, 0), (6, 0), (7, 2), (11, 1)];
    assert_eq!(histogram.native().unwrap(), want);
}

#[test]
fn exemplars_stand_in_their_buckets_and_in_the_native_list() {
    let registry = Registry::new();
    let buckets = Buckets::classic(&[0.001, 0.01]);
    let histogram: Histogram = registry.histogram_with_buckets("step_seconds", &[], &buckets).unwrap();
    histogram.record(Duration::from_micros(1));
    histogram.record_with_exemplar(Duration::from_millis(5), &[("trace_id", "a\"\n")]);
    histogram.record_with_exemplar(Duration::from_secs(2), &[("trace_id", "b")]);
    let families = scrape(&registry);
    let histogram = families[0].metric[0].histogram.as_ref().unwrap();
    assert_eq!(histogram.bucket[0].exemplar, None);
    let exemplars: Vec<_> = histogram.bucket[1..].iter().map(|bucket| bucket.exemplar.clone().unwrap()).collect();
    assert_eq!(exemplars, histogram.exemplars);
    assert_eq!((exemplars[0].value, &exemplars[0].label[..]), (0.005, &[pair("trace_id", "a\"\n")][..]));
    assert_eq!((exemplars[1].value, &exemplars[1].label[..]), (2.0, &[pair("trace_id", "b")][..]));
    assert!(exemplars.iter().all(|exemplar| exemplar.timestamp.as_ref().unwrap().seconds > 1_700_000_000));
}

#[test]
fn an_empty_registry_is_an_empty_body_of_the_right_type() {
    let exporter = Exporter::builder().registry(Registry::new()).build().unwrap();
    let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    assert!(exporter.render(Some(accept)).body.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(
        help in any::<String>(),
        values in prop::collection::vec((any::<String>(), any::<f64>(), any::<u64>()), 1..20),
        observations in prop::collection::vec((0_u64..1 << 47, 1_u64..1 << 40), 0..60),
        schema in -4_i8..=8,
    ) {
        let registry = Registry::new();
        registry.describe("level", None, &help).unwrap();
        let mut want = Vec::new();
        for (place, (label, level, count)) in values.iter().enumerate() {
            let labels = [("place", &*place.to_string()), ("text", label)].map(|(n, v)| (n, v.to_owned()));
            let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (*n, &**v)).collect();
            registry.gauge("level", &labels).unwrap().set(*level);
            registry.counter("requests_total", &labels).unwrap().increment(*count);
            want.push(labels.iter().map(|(n, v)| pair(n, v)).collect::<Vec<_>>());
        }
        let buckets = Buckets::DEFAULT.native(schema).range(1.0, 100.0);
        let histogram: Histogram<u64> = registry.histogram_with_buckets("tokens", &[], &buckets).unwrap();
        observations.iter().for_each(|&(value, n)| histogram.record_n(value, n));
        let families = scrape(&registry);
        prop_assert_eq!(&families[0].help, &help);
        for (place, (_, level, count)) in values.iter().enumerate() {
            let metric = &families[0].metric[place];
            prop_assert_eq!(&metric.label, &want[place]);
            let read = metric.gauge.as_ref().unwrap().value;
            prop_assert!(read.to_bits() == level.to_bits() || (read.is_nan() && level.is_nan()));
            prop_assert_eq!(families[1].metric[place].counter.as_ref().unwrap().value, *count as f64);
        }
        let histogram = families[2].metric[0].histogram.as_ref().unwrap();
        prop_assert_eq!(histogram.sample_count, observations.iter().map(|(_, n)| n).sum::<u64>());
        let native = histogram.native().map_err(TestCaseError::fail)?;
        prop_assert!(native.is_sorted_by(|a, b| a.0 < b.0));
        prop_assert_eq!(histogram.bucket.last().unwrap().cumulative_count, histogram.sample_count);
    }
}
