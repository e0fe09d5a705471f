//! OpenMetrics: what differs from text 0.0.4. Whether readers accept it, their own tests tell.

use inferometer::{Buckets, Histogram, Registry};
use inferometer_prometheus::{Exporter, ExporterBuilder, Format};
use std::time::Duration;

fn page(registry: &Registry, options: impl FnOnce(ExporterBuilder) -> ExporterBuilder) -> String {
    let exporter = options(Exporter::builder().registry(registry.clone())).build().unwrap();
    let mut body = Vec::new();
    exporter.render_into(Format::OpenMetrics, &mut body);
    String::from_utf8(body).unwrap()
}

/// The lines without the times, which are in seconds with at most nine decimals.
fn without_times(page: &str) -> String {
    let is_time = |word: &str| {
        let (seconds, fraction) = word.split_once('.').unwrap_or((word, ""));
        seconds.len() == 10 && fraction.len() <= 9 && [seconds, fraction].concat().bytes().all(|b| b.is_ascii_digit())
    };
    let line = |line: &str| {
        line.split(' ').map(|word| if is_time(word) { "TIME" } else { word }).collect::<Vec<_>>().join(" ")
    };
    page.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn each_kind_of_metric_has_its_type_unit_and_suffixes() {
    let registry = Registry::new();
    registry.describe("sent_bytes_total", None, "Bytes \"sent\".").unwrap();
    registry.counter("sent_bytes_total", &[("to", "a\"b")]).unwrap().increment(3);
    registry.up_down_counter("requests_running", &[]).unwrap().decrement(1);
    registry.gauge("kv_cache_usage_ratio", &[]).unwrap().set(0.5);
    let buckets = Buckets::classic(&[0.001, 1.0]);
    let histogram: Histogram =
        registry.histogram_with_buckets("step_seconds", &[("phase", "decode")], &buckets).unwrap();
    histogram.record(Duration::from_millis(1));
    histogram.record_with_exemplar(Duration::from_millis(20), &[("trace_id", "a\"1"), ("span_id", "b")]);
    let want = r##"# HELP sent_bytes Bytes \"sent\".
# TYPE sent_bytes counter
# UNIT sent_bytes bytes
sent_bytes_total{to="a\"b"} 3
# TYPE requests_running gauge
requests_running -1
# TYPE kv_cache_usage_ratio gauge
# UNIT kv_cache_usage_ratio ratio
kv_cache_usage_ratio 0.5
# TYPE step_seconds histogram
# UNIT step_seconds seconds
step_seconds_bucket{phase="decode",le="0.001"} 1
step_seconds_bucket{phase="decode",le="1.0"} 2 # {trace_id="a\"1",span_id="b"} 0.02 TIME
step_seconds_bucket{phase="decode",le="+Inf"} 2
step_seconds_sum{phase="decode"} 0.021
step_seconds_count{phase="decode"} 2
# EOF
"##;
    assert_eq!(without_times(&page(&registry, |builder| builder)), want);
}

#[test]
fn created_samples_are_there_for_who_asks_for_them() {
    let registry = Registry::new();
    registry.counter("requests_total", &[("status", "ok")]).unwrap();
    registry.counter("errors", &[]).unwrap();
    registry.gauge("level", &[]).unwrap().set(1.0);
    let buckets = Buckets::classic(&[]).without_native();
    let _: Histogram = registry.histogram_with_buckets("step_seconds", &[("a", "b")], &buckets).unwrap();
    let want = r#"# TYPE requests counter
requests_total{status="ok"} 0
requests_created{status="ok"} TIME
# TYPE errors counter
errors_total 0
errors_created TIME
# TYPE level gauge
level 1
# TYPE step_seconds histogram
# UNIT step_seconds seconds
step_seconds_bucket{a="b",le="+Inf"} 0
step_seconds_sum{a="b"} 0
step_seconds_count{a="b"} 0
step_seconds_created{a="b"} TIME
# EOF
"#;
    assert_eq!(without_times(&page(&registry, |builder| builder.created_samples(true))), want);
    assert!(!page(&registry, |builder| builder).contains("_created"));
}

#[test]
fn of_several_exemplars_in_a_bucket_the_slowest_is_shown() {
    let registry = Registry::new();
    let buckets = Buckets::DEFAULT.without_classic();
    let histogram: Histogram = registry.histogram_with_buckets("step_seconds", &[], &buckets).unwrap();
    for millis in [900, 1, 30] {
        histogram.record_with_exemplar(Duration::from_millis(millis), &[("trace_id", &millis.to_string())]);
    }
    let page = without_times(&page(&registry, |builder| builder));
    assert!(page.contains("step_seconds_bucket{le=\"+Inf\"} 3 # {trace_id=\"900\"} 0.9 TIME\n"), "{page}");
    assert_eq!(page.matches("trace_id").count(), 1);
}

#[test]
fn an_exemplar_that_would_cost_the_page_is_left_out() {
    let registry = Registry::new();
    let histogram: Histogram = registry.histogram("step_seconds", &[]).unwrap();
    histogram.record_with_exemplar(Duration::from_millis(1), &[("trace_id", "nul\0")]);
    let page = page(&registry, |builder| builder);
    assert!(!page.contains(" # {") && page.contains("step_seconds_count 1\n"), "{page}");
}

#[test]
fn a_counter_that_is_no_counter_is_absent() {
    let registry = Registry::new();
    for (name, value) in [("a_total", -1.0), ("b_total", f64::NAN), ("c_total", 2.5)] {
        registry.counter_fn(name, &[], move || value).unwrap();
    }
    assert_eq!(page(&registry, |builder| builder), "# TYPE c counter\nc_total 2.5\n# EOF\n");
}

#[test]
fn an_empty_registry_is_its_end() {
    assert_eq!(page(&Registry::new(), |builder| builder), "# EOF\n");
}

#[test]
fn a_family_whose_name_is_taken_is_a_plain_value_or_not_there() {
    let registry = Registry::new();
    registry.gauge("requests", &[]).unwrap().set(2.0);
    registry.counter("requests_total", &[]).unwrap().increment(3);
    registry.counter("errors_total", &[]).unwrap().increment(4);
    registry.gauge("errors", &[]).unwrap().set(5.0);
    let want = "# TYPE requests gauge\nrequests 2\n# TYPE requests_total unknown\nrequests_total 3\n\
                # TYPE errors counter\nerrors_total 4\n# EOF\n";
    assert_eq!(page(&registry, |builder| builder), want);
}
