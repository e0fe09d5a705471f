//! Which format and packing a client gets for what its headers say.

use inferometer::Registry;
use inferometer_prometheus::{Exporter, Format, Rendered, ScrapeRequest};
use std::io::Read;

const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

fn exporter() -> Exporter {
    let registry = Registry::new();
    registry.counter("requests_total", &[("model_name", "llama")]).unwrap().increment(7);
    registry.gauge("kv_cache_usage_ratio", &[]).unwrap().set(0.25);
    Exporter::builder().registry(registry).build().unwrap()
}

fn answer(request: ScrapeRequest<'_>) -> Rendered {
    exporter().answer(&request).unwrap()
}

#[test]
fn every_released_prometheus_gets_the_best_format_that_it_reads() {
    // As `acceptHeader` of `scrape/scrape.go` and its tests have them at these versions. From 2.49 on the weights count
    // down from one more than there are formats, and from 3.4 on `escaping` stands where the format knows it.
    let native = |rest: &str| format!("{PROTOBUF}{rest}");
    let headers: Vec<(&str, String, Format)> = vec![
        ("2.30", "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1".to_owned(), Format::OpenMetrics0),
        ("2.42", "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1".to_owned(), Format::OpenMetrics),
        ("2.42, native histograms", native(",application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"), Format::Protobuf),
        // The weights of 2 and 1 were a mistake, but they were released.
        ("2.49", "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=2".to_owned(), Format::OpenMetrics),
        ("2.49, native histograms", native(";q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,application/openmetrics-text;version=0.0.1;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=1"), Format::Protobuf),
        ("2.50", "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2".to_owned(), Format::OpenMetrics),
        ("2.50, native histograms", native(";q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,application/openmetrics-text;version=0.0.1;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"), Format::Protobuf),
        ("2.55, UTF-8 names", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.3,*/*;q=0.2".to_owned(), Format::OpenMetrics),
        ("2.55, UTF-8 names, native histograms", native(";escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.4,application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.2,*/*;q=0.1"), Format::Protobuf),
        // The parameter stands twice: the constant had it already.
        ("3.0", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.3,*/*;q=0.2".to_owned(), Format::OpenMetrics),
        ("3.0, native histograms", native(";escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.2,*/*;q=0.1"), Format::Protobuf),
        ("3.0, legacy names", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2".to_owned(), Format::OpenMetrics),
        ("3.3", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.3,*/*;q=0.2".to_owned(), Format::OpenMetrics),
        ("3.3, native histograms", native(";escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;escaping=allow-utf-8;q=0.2,*/*;q=0.1"), Format::Protobuf),
        ("3.4", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2".to_owned(), Format::OpenMetrics),
        ("3.4, native histograms", native(";q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"), Format::Protobuf),
        // With `scrape_protocols`, one format and the weights of five.
        ("3.4, OpenMetrics 0.0.1 alone", "application/openmetrics-text;version=0.0.1;q=0.6,*/*;q=0.5".to_owned(), Format::OpenMetrics0),
        ("3.4, text first", "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4".to_owned(), Format::Text1),
        ("3.4, old text alone", "text/plain;version=0.0.4;q=0.6,*/*;q=0.5".to_owned(), Format::Text),
        ("3.4, protobuf alone", native(";q=0.6,*/*;q=0.5"), Format::Protobuf),
    ];
    for (version, accept, format) in &headers {
        assert_eq!(Format::negotiate(Some(accept)), *format, "{version}");
        // The other ways to escape, as `metric_name_escaping_scheme` has them, change nothing but what is echoed.
        for scheme in ["underscores", "dots", "values"] {
            let accept = accept.replace("allow-utf-8", scheme);
            assert_eq!(Format::negotiate(Some(&accept)), *format, "{version}, {scheme}");
        }
    }
}

#[test]
fn the_answer_says_what_it_is_and_echoes_the_escaping_that_was_asked_for() {
    for (accept, content_type) in [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        ),
        ("text/plain;escaping=underscores", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
        ("application/openmetrics-text", "application/openmetrics-text; version=0.0.1; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0;escaping=values",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values",
        ),
        // Would turn our underscores into two; no reader needs that.
        (
            "application/openmetrics-text;version=1.0.0;escaping=dots",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=rot13",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        (PROTOBUF, "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"),
    ] {
        assert_eq!(answer(ScrapeRequest::new().accept(accept)).content_type, content_type, "{accept}");
    }
}

#[test]
fn whatever_makes_no_sense_gets_text_0_0_4() {
    let huge = "application/x;q=0.3,".repeat(6_000);
    assert!(huge.len() > 100_000);
    for accept in [
        "*/*",
        "*/*;q=2",
        "text/*",
        "garbage",
        ",;=,\"",
        "text/plain;q=abc",
        "text/plain;q=NaN,application/openmetrics-text;version=1.0.0;q=-1",
        "application/openmetrics-text;version=1.0.0;q=0",
        "text/plain;version=9.9.9",
        "application/openmetrics-text;version=1.0",
        "TEXT/PLAIN;VERSION=\"0.0.4\"",
        "application/vnd.google.protobuf",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "\u{fc}\0",
        &huge,
    ] {
        assert_eq!(Format::negotiate(Some(accept)), Format::Text, "{accept:.40}");
    }
    assert_eq!(Format::negotiate(None), Format::Text);
}

#[test]
fn weights_decide_and_the_first_of_equals_wins() {
    for (accept, format) in [
        ("text/plain;q=0.5,application/openmetrics-text;version=1.0.0;q=0.6", Format::OpenMetrics),
        ("text/plain,application/openmetrics-text;version=1.0.0", Format::Text),
        ("application/openmetrics-text;version=1.0.0,text/plain", Format::OpenMetrics),
        ("Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.5 , text/plain ; q=0.4", Format::OpenMetrics),
        (
            "application/openmetrics-text;version=1.0.0;q=0.1,application/openmetrics-text;version=7.0;q=1",
            Format::OpenMetrics,
        ),
    ] {
        assert_eq!(Format::negotiate(Some(accept)), format, "{accept}");
    }
}

#[test]
fn a_packed_body_is_the_same_when_it_is_unpacked() {
    let exporter = exporter();
    for accept in ["", "application/openmetrics-text;version=1.0.0", PROTOBUF] {
        let request = ScrapeRequest::new().accept(accept);
        let plain = exporter.answer(&request).unwrap();
        let packed = exporter.answer(&request.accept_encoding("gzip")).unwrap();
        assert_eq!((plain.content_encoding, packed.content_encoding), (None, Some("gzip")));
        assert_eq!(plain.content_type, packed.content_type);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body);
    }
}

#[test]
fn a_body_is_packed_for_those_who_want_that() {
    for (header, encoding) in [
        ("gzip", Some("gzip")),
        ("GZIP;q=1.0, identity; q=0.5", Some("gzip")),
        ("zstd, br, gzip;q=0.1", Some("gzip")),
        ("*", Some("gzip")),
        ("x-gzip", Some("gzip")),
        ("", None),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip;q=0, *;q=1", None),
        ("gzip;q=0.2, identity;q=0.8", None),
        ("gzip;q=abc", None),
        ("zstd", None),
        // Nobody can have this; the body goes out as it is.
        ("identity;q=0", None),
    ] {
        assert_eq!(answer(ScrapeRequest::new().accept_encoding(header)).content_encoding, encoding, "{header}");
    }
    assert_eq!(answer(ScrapeRequest::new()).content_encoding, None);
}

#[test]
fn names_choose_families() {
    let exporter = exporter();
    let names = |query: &str| {
        let rendered = exporter.answer(&ScrapeRequest::new().query(query)).unwrap();
        let text = std::str::from_utf8(&rendered.body).unwrap().to_owned();
        let headers = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        headers.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = ["requests_total", "kv_cache_usage_ratio"];
    assert_eq!(names(""), all);
    assert_eq!(names("other=1&name=requests_total"), all);
    assert_eq!(names("name[]=requests_total"), all[..1]);
    // As OpenMetrics calls it, and as a browser writes it.
    assert_eq!(names("name%5B%5D=requests"), all[..1]);
    assert_eq!(names("name[]=kv_cache_usage_ratio&name[]=requests_total&name[]=nothing"), all);
    assert_eq!(names("name[]=nothing"), [""; 0]);
    assert_eq!(names("name[]="), [""; 0]);
    assert_eq!(names(&"name[]=a&".repeat(10_000)), [""; 0]);
    // What was left out is remembered all the same.
    assert_eq!(names(""), all);
}
