//! Whatever a client's headers and query say, it gets a whole answer of the type that the answer names.
#![no_main]

use arbitrary::Arbitrary;
use inferometer::Registry;
use inferometer_prometheus::{Exporter, Format, Mapping, Profile, RenderError, ScrapeRequest};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

#[derive(Arbitrary, Debug)]
struct Request<'a> {
    accept: Option<&'a str>,
    accept_encoding: Option<&'a str>,
    query: Option<&'a str>,
}

static EXPORTER: LazyLock<Exporter> = LazyLock::new(|| {
    let registry = Registry::new();
    registry.counter("requests_total", &[("status", "ok")]).unwrap().increment(1);
    let profile = Profile::new("p", [Mapping::family("requests_total", "r")]).unwrap();
    Exporter::builder().registry(registry).profile(profile).build().unwrap()
});

fuzz_target!(|request: Request<'_>| {
    let Request { accept, accept_encoding, query } = request;
    let asked = ScrapeRequest::new().accept(accept).accept_encoding(accept_encoding).query(query);
    let rendered = match EXPORTER.answer(&asked) {
        Ok(rendered) => rendered,
        Err(RenderError::NoSuchProfile) => return assert!(query.is_some_and(|query| query.contains("profile"))),
        Err(error) => panic!("{error}"),
    };
    let media_type = match Format::negotiate(accept) {
        Format::Text | Format::Text1 => "text/plain; version=",
        Format::OpenMetrics | Format::OpenMetrics0 => "application/openmetrics-text; version=",
        Format::Protobuf => {
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
        }
        other => panic!("{other:?}"),
    };
    assert!(rendered.content_type.starts_with(media_type), "{}", rendered.content_type);
    let packed = rendered.body.starts_with(&[0x1f, 0x8b]);
    assert_eq!(packed, rendered.content_encoding == Some("gzip"));
    if media_type.starts_with("application/openmetrics") && !packed {
        assert!(rendered.body.ends_with(b"# EOF\n"));
    }
});
