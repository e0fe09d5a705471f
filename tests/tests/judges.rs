//! What those who read metrics think of each format: `promtool`, Python's strict parser of OpenMetrics, and a live
//! Prometheus that scrapes text, OpenMetrics and protobuf, all of a registry that is filled with whatever is allowed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use inferometer::{Buckets, Histogram, Registry, Sampling};
use inferometer_e2e::exposition::Labels;
use inferometer_e2e::open_metrics;
use inferometer_e2e::prometheus::Prometheus;
use inferometer_e2e::promtool;
use inferometer_e2e::wait;
use inferometer_prometheus::{Exporter, Format, ScrapeRequest};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// How long a query may stay without the answer that is waited for: some scrapes, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Label values that have broken readers.
const HOSTILE: [&str; 12] = [
    "",
    "\"",
    "\\",
    "\\n",
    "a\nb\r\nc",
    "nul\0nul",
    "# EOF\n",
    "\n# EOF\n",
    "},# EOF {le=\"1\"} 7",
    "line\u{2028}separator",
    "<script>alert(1)</script>",
    "\u{feff}模型\u{fffd}",
];

/// What a registry is filled with.
#[derive(Clone, Debug)]
struct Filling {
    help: String,
    labels: Vec<String>,
    series: Vec<(Vec<String>, f64, u64, Vec<f64>)>,
}

fn any_filling() -> impl Strategy<Value = Filling> {
    let value = prop_oneof![proptest::sample::select(&HOSTILE[..]).prop_map(str::to_owned), any::<String>()];
    // What the linter has against names is not the question here.
    let label = "[a-z][a-z0-9]{3,12}(_[a-z0-9]{3,9})?".prop_map(|name| format!("{name}x"));
    let observation = prop_oneof![0.0..100.0, Just(0.0), Just(1.0), 1e-9..1e-3];
    let series = (
        proptest::collection::vec(value, 3),
        any::<f64>(),
        prop_oneof![any::<u64>(), 0..1000_u64],
        proptest::collection::vec(observation, 0..20),
    );
    (any::<String>(), proptest::collection::btree_set(label, 3), proptest::collection::vec(series, 1..12))
        .prop_map(|(help, labels, series)| Filling { help, labels: labels.into_iter().collect(), series })
}

/// The families' names end in what the linter wants of their kinds.
const GAUGE: &str = "engine_level";
const COUNTER: &str = "engine_requests_total";
const HISTOGRAM: &str = "engine_step_seconds";

/// A registry with that in it. Exemplars have what `exemplar` allows of the hostile label values.
fn registry(filling: &Filling, exemplar: fn(&str) -> bool) -> Registry {
    let registry = Registry::new();
    let allowed: Vec<&str> = HOSTILE.into_iter().filter(|value| exemplar(value)).collect();
    for name in [GAUGE, COUNTER, HISTOGRAM] {
        registry.describe(name, None, &format!("Help: {}", filling.help)).unwrap();
    }
    for (place, (values, level, count, observations)) in filling.series.iter().enumerate() {
        let place = place.to_string();
        let mut labels = vec![("place", &*place)];
        labels.extend(filling.labels.iter().map(|name| &**name).zip(values.iter().map(|value| &**value)));
        registry.gauge(GAUGE, &labels).unwrap().set(*level);
        registry.counter(COUNTER, &labels).unwrap().increment(*count);
        let buckets = Buckets::classic(&[0.000_001, 0.01, 1.0, 25.0]);
        let histogram: Histogram<f64> = registry.histogram_with_buckets(HISTOGRAM, &labels, &buckets).unwrap();
        for (at, &value) in observations.iter().enumerate() {
            match at {
                0 => histogram.record_with_exemplar(value, &[("trace_id", allowed[values[0].len() % allowed.len()])]),
                _ => histogram.record(value),
            }
        }
    }
    registry
}

/// The label sets of the filling, and what each series should be.
fn expected(filling: &Filling) -> impl Iterator<Item = (Labels, f64, u64, &[f64])> {
    filling.series.iter().enumerate().map(|(place, (values, level, count, observations))| {
        let own = filling.labels.iter().cloned().zip(values.iter().cloned());
        let labels = own.chain([("place".to_owned(), place.to_string())]).collect();
        (labels, *level, *count, &observations[..])
    })
}

fn page(exporter: &Exporter, format: Format) -> String {
    let mut body = Vec::new();
    exporter.render_into(format, &mut body);
    String::from_utf8(body).expect("text is UTF-8")
}

/// Python's parser takes an escaped quote in an exemplar for its end, which Prometheus does not. What has a NUL is left
/// out.
fn unquoted(value: &str) -> bool {
    !value.contains(['"', '\0'])
}

fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

#[test]
fn promtool_and_the_strict_parser_of_openmetrics_accept_whatever_a_registry_holds() {
    let mut runner = TestRunner::deterministic();
    for round in 0..16 {
        let mut filling = any_filling().new_tree(&mut runner).expect("a filling").current();
        if round == 0 {
            filling.series[0].0[0] = "x".repeat(1 << 20);
        }
        let exporter =
            Exporter::builder().registry(registry(&filling, unquoted)).created_samples(round % 2 == 0).build().unwrap();
        promtool::check(&page(&exporter, Format::Text)).unwrap_or_else(|error| panic!("{error}\n{filling:?}"));
        let Some(parsed) = open_metrics::parse(&page(&exporter, Format::OpenMetrics)) else { return };
        let families = parsed.unwrap_or_else(|error| panic!("{error}\n{filling:?}"));
        check_families(&filling, &families);
    }
}

fn check_families(filling: &Filling, families: &[open_metrics::Family]) {
    let family = |name: &str| families.iter().find(|family| family.name == name).unwrap_or_else(|| panic!("no {name}"));
    let (gauge, counter) = (family(GAUGE), family("engine_requests"));
    let histogram = family(HISTOGRAM);
    assert_eq!((&*gauge.kind, &*counter.kind, &*histogram.kind), ("gauge", "counter", "histogram"));
    assert_eq!((&*gauge.unit, &*histogram.unit), ("", "seconds"));
    assert_eq!(gauge.help, format!("Help: {}", filling.help));
    let value = |family: &open_metrics::Family, name: &str, labels: &Labels| {
        let found: Vec<f64> = family
            .samples
            .iter()
            .filter(|sample| sample.name == name && sample.labels == *labels)
            .map(|sample| sample.value)
            .collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}");
        found[0]
    };
    for (labels, level, count, observations) in expected(filling) {
        assert!(same(value(gauge, GAUGE, &labels), level), "{labels:?}");
        assert_eq!(value(counter, COUNTER, &labels), count as f64);
        assert_eq!(value(histogram, "engine_step_seconds_count", &labels), observations.len() as f64);
        let mut bucket = labels.clone();
        bucket.insert("le".to_owned(), "1.0".to_owned());
        let below = observations.iter().filter(|&&value| value <= 1.0).count();
        assert_eq!(value(histogram, "engine_step_seconds_bucket", &bucket), below as f64);
        let exemplars: Vec<_> = histogram
            .samples
            .iter()
            .filter(|sample| sample.labels.get("place") == labels.get("place") && sample.exemplar.is_some())
            .collect();
        assert_eq!(exemplars.len(), usize::from(!observations.is_empty()));
        for sample in exemplars {
            let (labels, value) = sample.exemplar.as_ref().unwrap();
            assert_eq!(*value, observations[0]);
            assert!(labels.contains_key("trace_id"));
        }
    }
}

#[test]
fn the_strict_parser_refuses_what_is_broken() {
    let mut runner = TestRunner::deterministic();
    let filling = any_filling().new_tree(&mut runner).expect("a filling").current();
    let page = page(&Exporter::builder().registry(registry(&filling, unquoted)).build().unwrap(), Format::OpenMetrics);
    for broken in
        [page.replace("# EOF\n", ""), page.replace("engine_requests_total{", "engine_requests{"), format!("{page}\n")]
    {
        let Some(parsed) = open_metrics::parse(&broken) else { return };
        assert!(parsed.is_err());
    }
}

#[test]
fn an_empty_registry_is_accepted() {
    let exporter = Exporter::builder().registry(Registry::new()).build().unwrap();
    promtool::check(&page(&exporter, Format::Text)).unwrap();
    let Some(parsed) = open_metrics::parse(&page(&exporter, Format::OpenMetrics)) else { return };
    assert!(parsed.unwrap().is_empty());
}

/// Counters and gauges whose names collide in OpenMetrics, where the suffix of a counter is not part of its family.
#[test]
fn names_that_collide_in_openmetrics_alone_are_still_valid_there() {
    let registry = Registry::new();
    registry.gauge("requests", &[]).unwrap().set(2.0);
    registry.counter("requests_total", &[]).unwrap().increment(3);
    registry.counter("errors", &[]).unwrap().increment(4);
    let exporter = Exporter::builder().registry(registry).build().unwrap();
    let page = page(&exporter, Format::OpenMetrics);
    let Some(parsed) = open_metrics::parse(&page) else { return };
    let families = parsed.unwrap_or_else(|error| panic!("{error}\n{page}"));
    let all: Vec<(&str, &str, f64)> =
        families.iter().map(|family| (&*family.name, &*family.kind, family.samples[0].value)).collect();
    assert_eq!(all, [("requests", "gauge", 2.0), ("requests_total", "unknown", 3.0), ("errors", "counter", 4.0)]);
}

/// Answers each scrape with text 0.0.4, whatever is asked for: every Prometheus of today would rather have another.
fn serve_text(exporter: Exporter) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port of the loopback interface");
    let address = listener.local_addr().expect("a listener has an address").to_string();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            let lines = BufReader::new(socket.try_clone().expect("a socket can be shared")).lines();
            let _ = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).count();
            let rendered = exporter.answer(&ScrapeRequest::new()).expect("it is small enough");
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                rendered.content_type,
                rendered.body.len()
            );
            let _ = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(&rendered.body));
        }
    });
    address
}

#[test]
fn a_live_prometheus_takes_every_format_and_holds_what_was_recorded() {
    let mut runner = TestRunner::deterministic();
    for (format, features) in [
        (Format::Text, ""),
        (Format::OpenMetrics, "exemplar-storage"),
        (Format::Protobuf, "native-histograms,exemplar-storage"),
    ] {
        let filling = any_filling().new_tree(&mut runner).expect("a filling").current();
        // OpenMetrics leaves out an exemplar with a NUL, and to Prometheus an empty label is none.
        let told = |value: &str| !value.contains('\0') && !value.is_empty();
        let exporter = Exporter::builder().registry(registry(&filling, told)).build().unwrap();
        let server = exporter.serve("127.0.0.1:0").unwrap();
        let target = match format {
            Format::Text => serve_text(exporter),
            _ => server.local_addr().to_string(),
        };
        let Some(mut prometheus) = Prometheus::start_with(&target, features) else { return };
        wait::until("a scrape", LIMIT, || match prometheus.query("up{job=\"engine\"}")?.as_slice() {
            [row] if row.value == 1.0 => Ok(()),
            _ => Err(format!("{format:?}: {}", prometheus.last_error()?)),
        });
        for (labels, level, count, observations) in expected(&filling) {
            // To Prometheus an empty label is none.
            let held: BTreeMap<_, _> = labels.iter().filter(|(_, value)| !value.is_empty()).collect();
            let place = &labels["place"];
            let one = |name: &str| -> f64 {
                let expression = format!("{name}{{place=\"{place}\"}}");
                let rows = prometheus.query(&expression).unwrap();
                assert_eq!(rows.len(), 1, "{format:?} {expression}: {rows:?}");
                let own = rows[0].labels.as_object().unwrap();
                let own = own.iter().filter(|(name, _)| !["__name__", "instance", "job"].contains(&&***name));
                let own: BTreeMap<String, String> =
                    own.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
                assert_eq!(own.iter().collect::<BTreeMap<_, _>>(), held, "{format:?} {name}");
                rows[0].value
            };
            assert!(same(one(GAUGE), level), "{format:?} {labels:?}: {level}");
            assert_eq!(one(COUNTER), count as f64);
            if format == Format::Protobuf {
                let held = prometheus.query(&format!("histogram_count({HISTOGRAM}{{place=\"{place}\"}})")).unwrap();
                assert_eq!(held[0].value, observations.len() as f64);
            } else {
                assert_eq!(one("engine_step_seconds_count"), observations.len() as f64);
            }
        }
        // The text has no exemplars, and 2.42 takes those of protobuf from the classic buckets.
        let with = filling.series.iter().filter(|(.., observations)| !observations.is_empty()).count();
        if format != Format::Text {
            wait::until("exemplars", LIMIT, || {
                let exemplars = prometheus.exemplars(&format!("{{__name__=~\"{HISTOGRAM}.*\"}}"))?;
                let ok = exemplars.iter().all(|exemplar| exemplar.labels["trace_id"].is_string());
                if exemplars.len() == with && ok { Ok(()) } else { Err(format!("{with} wanted: {exemplars:?}")) }
            });
        }
        assert!(prometheus.is_running(), "{}", prometheus.messages());
    }
}

/// Durations whose quantiles are known, recorded while Prometheus looks on.
#[test]
fn quantiles_that_prometheus_computes_are_within_a_buckets_width_of_the_exact_ones() {
    for (features, native) in [("native-histograms", true), ("", false)] {
        let registry = Registry::new();
        let histogram: Histogram = registry.histogram(HISTOGRAM, &[]).unwrap();
        histogram.set_sampling(Sampling::Always);
        let exporter = Exporter::builder().registry(registry).build().unwrap();
        let server = exporter.serve("127.0.0.1:0").unwrap();
        let Some(prometheus) = Prometheus::start_with(&server.local_addr().to_string(), features) else { return };
        // From 1 us to 4 s, evenly in the logarithm.
        let mut values: Vec<f64> =
            (0..2_000).map(|i| 1e-6 * 4e6_f64.powf(f64::from(i * 7919 % 2_000) / 2_000.0)).collect();
        values.iter().for_each(|&value| histogram.record(Duration::from_secs_f64(value)));
        values.sort_by(f64::total_cmp);
        let (selector, count) = if native {
            (HISTOGRAM.to_owned(), format!("histogram_count({HISTOGRAM})"))
        } else {
            (format!("{HISTOGRAM}_bucket"), format!("{HISTOGRAM}_count"))
        };
        wait::until("all observations", LIMIT, || match prometheus.query(&count)?.as_slice() {
            [row] if row.value == 2_000.0 => Ok(()),
            rows => Err(format!("{rows:?}")),
        });
        let bounds =
            [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0_f64];
        for quantile in [0.1, 0.5, 0.9, 0.99] {
            let rows = prometheus.query(&format!("histogram_quantile({quantile}, {selector})")).unwrap();
            let (estimate, exact) = (rows[0].value, values[(quantile * 2_000.0) as usize - 1]);
            let (low, high) = if native {
                let index = (exact.log2() * 8.0).ceil();
                (((index - 1.0) / 8.0).exp2(), (index / 8.0).exp2())
            } else {
                let place = bounds.partition_point(|&bound| bound < exact);
                (if place == 0 { 0.0 } else { bounds[place - 1] }, bounds[place])
            };
            assert!(low <= estimate && estimate <= high, "{quantile}: {estimate} for {exact} in ({low}, {high}]");
        }
    }
}
