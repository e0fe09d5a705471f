//! The metrics of `metrics-exporter-prometheus` beside ours, from one exporter.

mod support;

use inferometer::{Buckets, Registry};
use inferometer_prometheus::{Exporter, Format, RenderError, ScrapeRequest};
use metrics::{counter, describe_counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};
use std::io::Read;
use std::sync::Mutex;
use support::{family, parse, read, text, value};

/// The other side, with metrics of every kind in it.
fn other() -> PrometheusRecorder {
    let buckets = Matcher::Suffix("_seconds".to_owned());
    let recorder = PrometheusBuilder::new().set_buckets_for_metric(buckets, &[0.25, 1.0]).unwrap().build_recorder();
    with_local_recorder(&recorder, || {
        describe_counter!("old_requests", "Requests, \"counted\" elsewhere.\nIn two lines.");
        counter!("old_requests", "status" => "ok").increment(3);
        counter!("old_requests", "status" => "error").increment(1);
        gauge!("old_depth").set(2.5);
        histogram!("old_wait_seconds", "queue" => "0").record(0.5);
        histogram!("old_tokens").record(128.0);
    });
    recorder
}

fn ours() -> Registry {
    let registry = Registry::new();
    registry.counter("requests_total", &[("status", "ok")]).unwrap().increment(7);
    let buckets = Buckets::classic(&[0.5]).without_native();
    registry.histogram_with_buckets::<f64>("step_seconds", &[], &buckets).unwrap().record(0.25);
    registry
}

fn exporter(registry: &Registry, recorder: &PrometheusRecorder) -> Exporter {
    Exporter::builder().registry(registry.clone()).alongside(recorder.handle()).build().unwrap()
}

#[test]
fn both_sides_stand_in_one_text_with_their_exact_values() {
    let (registry, recorder) = (ours(), other());
    let exporter = exporter(&registry, &recorder);
    for round in 1..=3 {
        with_local_recorder(&recorder, || counter!("old_requests", "status" => "ok").increment(1));
        registry.counter("requests_total", &[("status", "ok")]).unwrap().increment(1);
        let families = read(&exporter);
        let names: Vec<&str> = families.iter().map(|family| &*family.name).collect();
        let own = ["requests_total", "step_seconds", "inferometer_families_left_out"];
        assert_eq!(names[..3], own, "ours come first, as without the others");
        let mut others = names[3..].to_vec();
        others.sort_unstable();
        assert_eq!(others, ["old_depth", "old_requests", "old_tokens", "old_wait_seconds"]);
        assert_eq!(value(&families, "requests_total", None), (7 + round).to_string());
        assert_eq!(value(&families, "old_requests", Some(("status", "ok"))), (3 + round).to_string());
        assert_eq!(value(&families, "old_requests", Some(("status", "error"))), "1");
        let help = family(&families, "old_requests").help.as_deref();
        assert_eq!(help, Some("Requests, \"counted\" elsewhere.\nIn two lines."));
        assert_eq!(value(&families, "old_depth", None), "2.5");
        let wait = &support::histograms(family(&families, "old_wait_seconds")).unwrap()[0];
        assert_eq!((wait.count, &*wait.sum, wait.buckets.len()), (1, "0.5", 3));
        let tokens = family(&families, "old_tokens");
        let count = tokens.samples.iter().find(|sample| sample.name == "old_tokens_count").unwrap();
        assert_eq!((&*tokens.kind, &*count.text), ("summary", "1"));
        assert_eq!(value(&families, "inferometer_families_left_out", None), "0");
    }
}

/// Takes what is logged.
struct Logs;

static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl log::Log for Logs {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LOGGED.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[test]
fn families_that_collide_are_left_out_and_counted_and_logged_once() {
    log::set_logger(&Logs).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let (registry, recorder) = (ours(), other());
    registry.gauge("old_tokens", &[]).unwrap();
    with_local_recorder(&recorder, || {
        counter!("requests_total", "status" => "theirs").increment(100);
        // The name of one of our histogram's samples.
        gauge!("step_seconds_count").set(100);
        gauge!("step_seconds_counted").set(101);
    });
    let exporter = exporter(&registry, &recorder);
    for _ in 0..3 {
        let families = read(&exporter);
        assert_eq!(value(&families, "requests_total", None), "7");
        assert_eq!(value(&families, "step_seconds_counted", None), "101");
        assert!(!families.iter().any(|family| family.name == "step_seconds_count"));
        assert_eq!(value(&families, "old_tokens", None), "0");
        assert_eq!(value(&families, "old_depth", None), "2.5");
    }
    assert_eq!(value(&read(&exporter), "inferometer_families_left_out", None), "3");
    for name in ["requests_total", "step_seconds_count", "old_tokens"] {
        let about = |line: &&String| line.contains(&format!("family {name} "));
        assert_eq!(LOGGED.lock().unwrap().iter().filter(about).count(), 1, "{name}");
    }
    // A family that comes later collides from then on.
    registry.gauge("old_depth", &[]).unwrap().set(9);
    assert_eq!(value(&read(&exporter), "old_depth", None), "9");
    assert_eq!(value(&read(&exporter), "inferometer_families_left_out", None), "4");
}

#[test]
fn hostile_label_values_of_the_other_side_stay_in_their_lines() {
    let hostile = [
        "\n# TYPE requests_total counter\nrequests_total 1\n",
        "\"} 1\n# HELP x y",
        "\\",
        "\\\\\n",
        "a\r\n# TYPE x gauge",
        "{le=\"1\"}",
    ];
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || {
        for text in hostile {
            describe_counter!("old_requests", text);
            counter!("old_requests", "prompt" => text).increment(1);
        }
    });
    let families = read(&exporter(&ours(), &recorder));
    assert_eq!(value(&families, "requests_total", None), "7");
    assert_eq!(family(&families, "old_requests").samples.len(), hostile.len());
    assert_eq!(families.len(), 4);
}

#[test]
fn a_scrape_may_ask_for_families_of_either_side() {
    let exporter = exporter(&ours(), &other());
    let names = |query: &str| {
        let body = exporter.answer(&ScrapeRequest::new().query(query)).unwrap().body;
        let families = parse(std::str::from_utf8(&body).unwrap()).unwrap();
        families.into_iter().map(|family| family.name).collect::<Vec<_>>()
    };
    assert_eq!(names("name[]=old_depth&name[]=requests_total"), ["requests_total", "old_depth"]);
    assert_eq!(names("name[]=old_wait_seconds"), ["old_wait_seconds"]);
    assert_eq!(names("name[]=nobody"), [""; 0]);
}

const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

#[test]
fn only_formats_that_both_sides_render_are_offered() {
    let exporter = exporter(&ours(), &other());
    let (text, text_1) = ("text/plain; version=0.0.4", "text/plain; version=1.0.0");
    let protobuf = if cfg!(feature = "metrics-exporter-protobuf") { "application/vnd.google.protobuf" } else { text };
    let open_metrics = "application/openmetrics-text;version=1.0.0";
    for (accept, kind) in [
        (None, text),
        (Some(open_metrics.to_owned()), text),
        (Some(format!("{open_metrics},text/plain;version=1.0.0;q=0.1")), text_1),
        (Some(format!("{open_metrics};q=0.9,{PROTOBUF};q=0.1")), protobuf),
    ] {
        let rendered = exporter.render(accept.as_deref());
        assert!(rendered.content_type.starts_with(kind), "{accept:?}: {}", rendered.content_type);
        let holds = |name: &[u8]| rendered.body.windows(name.len()).any(|window| window == name);
        assert!(holds(b"requests_total") && holds(b"old_requests"), "{accept:?}");
    }
    // A program that asks for another one gets what there is.
    let mut out = Vec::new();
    exporter.render_into(Format::OpenMetrics, &mut out);
    let out = String::from_utf8(out).unwrap();
    assert!(out.ends_with("# EOF\n") && !out.contains("old_"));
}

#[test]
fn what_is_too_large_together_fails_as_a_whole() {
    let (registry, recorder) = (ours(), other());
    let limited = |bytes| {
        let builder = Exporter::builder().registry(registry.clone()).alongside(recorder.handle());
        builder.max_response_bytes(bytes).build().unwrap()
    };
    let whole = text(&limited(usize::MAX)).len();
    let own = text(&Exporter::builder().registry(registry.clone()).build().unwrap()).len();
    for limit in [1, own, whole - own, whole - 1] {
        let failed = limited(limit).answer(&ScrapeRequest::new()).unwrap_err();
        assert_eq!(failed, RenderError::TooLarge { limit });
        assert_eq!(limited(limit).render(None).body.len(), whole, "a program may have it all");
    }
    assert_eq!(limited(whole).answer(&ScrapeRequest::new()).unwrap().body.len(), whole);
}

#[test]
fn packed_answers_have_both_sides() {
    let exporter = exporter(&ours(), &other());
    let packed = exporter.answer(&ScrapeRequest::new().accept_encoding("gzip")).unwrap();
    assert_eq!(packed.content_encoding, Some("gzip"));
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&*packed.body).read_to_string(&mut unpacked).unwrap();
    assert_eq!(parse(&unpacked).unwrap().len(), 7);
}

#[cfg(feature = "metrics-exporter-protobuf")]
#[test]
fn both_sides_stand_in_one_protobuf_body_and_collisions_are_left_out() {
    use metrics_exporter_prometheus::NativeHistogramConfig;

    let native = NativeHistogramConfig::new(1.1, 160, 1e-6).unwrap();
    let buckets = Matcher::Suffix("_native".to_owned());
    let recorder = PrometheusBuilder::new().set_native_histogram_for_metric(buckets, native).build_recorder();
    with_local_recorder(&recorder, || {
        counter!("old_requests", "status" => "ok").increment(3);
        histogram!("old_native").record(0.5);
        counter!("requests_total").increment(100);
        gauge!("step_seconds_count").set(100);
    });
    let exporter = exporter(&ours(), &recorder);
    let families = support::protobuf::families(&exporter.render(Some(PROTOBUF)).body);
    let names: Vec<&str> = families.iter().map(|family| &*family.name).collect();
    let own = ["requests_total", "step_seconds", "inferometer_families_left_out"];
    assert_eq!(names, [&own[..], &["old_requests", "old_native"]].concat());
    assert_eq!(families[0].metric[0].counter.as_ref().unwrap().value, 7.0);
    assert_eq!(families[3].metric[0].counter.as_ref().unwrap().value, 3.0);
    let histogram = families[4].metric[0].histogram.as_ref().unwrap();
    assert_eq!((histogram.sample_count, histogram.positive_delta.len()), (1, 1));
    let request = ScrapeRequest::new().accept(PROTOBUF).query("name[]=old_native");
    let asked_for = support::protobuf::families(&exporter.answer(&request).unwrap().body);
    assert_eq!(asked_for, families[4..]);
    let families = support::protobuf::families(&exporter.render(Some(PROTOBUF)).body);
    assert_eq!(families[2].metric[0].gauge.as_ref().unwrap().value, 2.0);
}
