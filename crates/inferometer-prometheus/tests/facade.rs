//! What is recorded through the crate `metrics` is in a scrape, in every format.

mod support;

use inferometer::facade::Recorder;
use inferometer::{Buckets, Matcher, Registry};
use inferometer_prometheus::{Exporter, Format};
use metrics::{counter, describe_counter, gauge, histogram, with_local_recorder};
use support::protobuf;

/// Records a few things, and gives their exporter.
fn exporter() -> Exporter {
    let registry = Registry::new();
    let buckets = Buckets::classic(&[0.25]).without_native();
    registry.set_buckets(Matcher::Full("wait.seconds".to_owned()), buckets).unwrap();
    with_local_recorder(&Recorder::new(&registry), || {
        describe_counter!("http.requests", "Requests.");
        counter!("http.requests").increment(1);
        counter!("http.requests", "status" => "ok", "http.method" => "GET").increment(2);
        counter!("http.requests", "status" => "error").increment(3);
        gauge!("vllm:numRequests").set(1.5);
        histogram!("wait.seconds", "queue" => "0").record_many(0.5, 4);
    });
    Exporter::builder().registry(registry).build().unwrap()
}

fn body(format: Format) -> Vec<u8> {
    let mut body = Vec::new();
    exporter().render_into(format, &mut body);
    body
}

#[test]
fn the_text_has_the_names_that_were_given_and_the_labels_that_each_series_has() {
    let want = "\
# HELP http_requests Requests.
# TYPE http_requests counter
http_requests 1
http_requests{http_method=\"GET\",status=\"ok\"} 2
http_requests{status=\"error\"} 3
# TYPE vllm:numRequests gauge
vllm:numRequests 1.5
# TYPE wait_seconds histogram
wait_seconds_bucket{queue=\"0\",le=\"0.25\"} 0
wait_seconds_bucket{queue=\"0\",le=\"+Inf\"} 4
wait_seconds_sum{queue=\"0\"} 2
wait_seconds_count{queue=\"0\"} 4
";
    assert_eq!(String::from_utf8(body(Format::Text)).unwrap(), want);
}

#[test]
fn open_metrics_has_counters_end_in_total() {
    let body = String::from_utf8(body(Format::OpenMetrics)).unwrap();
    let lines: Vec<&str> = body.lines().filter(|line| line.contains("http_requests")).collect();
    assert_eq!(
        lines,
        [
            "# HELP http_requests Requests.",
            "# TYPE http_requests counter",
            "http_requests_total 1",
            "http_requests_total{http_method=\"GET\",status=\"ok\"} 2",
            "http_requests_total{status=\"error\"} 3",
        ]
    );
    assert!(body.contains("# UNIT wait_seconds seconds\n"));
}

#[test]
fn protobuf_has_the_same() {
    let families = protobuf::families(&body(Format::Protobuf));
    let names: Vec<&str> = families.iter().map(|family| &*family.name).collect();
    assert_eq!(names, ["http_requests", "vllm:numRequests", "wait_seconds"]);
    let labels = |at: usize| {
        let labels = families[0].metric[at].label.iter();
        labels.map(|label| (&*label.name, &*label.value)).collect::<Vec<_>>()
    };
    assert_eq!(labels(0), []);
    assert_eq!(labels(1), [("http_method", "GET"), ("status", "ok")]);
    assert_eq!(labels(2), [("status", "error")]);
    assert_eq!(families[2].metric[0].histogram.as_ref().unwrap().sample_count, 4);
}
