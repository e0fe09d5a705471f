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
use inferometer_e2e::prometheus::{Prometheus, Row};
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
    /// Names of metrics and of labels, of which a registry takes some.
    names: Vec<(String, String)>,
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
    let labels = proptest::collection::btree_set(label, 3);
    let names = proptest::collection::vec((any_name(), any_name()), 40);
    (names, any::<String>(), labels, proptest::collection::vec(series, 1..12)).prop_map(
        |(names, help, labels, mut series)| {
            // Each of the hostile values is there, whatever was drawn.
            series.extend(HOSTILE.iter().map(|value| (vec![(*value).to_owned(); 3], 1.5, 1, vec![0.25])));
            Filling { names, help, labels: labels.into_iter().collect(), series }
        },
    )
}

/// Names that may be right, and some that cannot be.
fn any_name() -> impl Strategy<Value = String> {
    const WORDS: [&str; 12] =
        ["a", "total", "bucket", "count", "sum", "created", "info", "seconds", "ratio", "le", "quantile", "__x"];
    let word = proptest::sample::select(&WORDS[..]).prop_map(str::to_owned);
    prop_oneof![
        4 => "[a-z_][a-z0-9_.]{0,20}",
        2 => proptest::collection::vec(word, 1..4).prop_map(|words| words.join("_")),
        1 => "[a-zA-Z0-9_:.\"{}=, #\n-]{0,6}",
        1 => any::<String>(),
        1 => proptest::sample::select(&HOSTILE[..]).prop_map(str::to_owned),
    ]
}

/// Registers what a registry takes of the names, each as a gauge, a counter or a histogram, and says how many series
/// there are then.
fn register_names(registry: &Registry, names: &[(String, String)]) -> usize {
    let taken = names.iter().enumerate().filter(|(at, (name, label))| {
        let labels = [(label.as_str(), "x")];
        match at % 3 {
            0 => registry.gauge(name, &labels).map(|gauge| gauge.set(1.0)).is_ok(),
            1 => registry.counter(name, &labels).map(|counter| counter.increment(1)).is_ok(),
            _ => registry.histogram(name, &labels).map(|histogram: Histogram| histogram.record_nanos(1)).is_ok(),
        }
    });
    taken.count()
}

/// The families' names end in what the linter wants of their kinds.
const GAUGE: &str = "engine_level";
const COUNTER: &str = "engine_requests_total";
const HISTOGRAM: &str = "engine_step_seconds";

/// The label of a series' exemplar: one of the hostile values that `exemplar` allows, by the length of its first value.
fn trace(first: &str, exemplar: fn(&str) -> bool) -> &'static str {
    let allowed: Vec<&str> = HOSTILE.into_iter().filter(|value| exemplar(value)).collect();
    allowed[first.len() % allowed.len()]
}

/// A registry with that in it. Exemplars have what `exemplar` allows of the hostile label values.
fn registry(filling: &Filling, exemplar: fn(&str) -> bool) -> Registry {
    let registry = Registry::new();
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
                0 => histogram.record_with_exemplar(value, &[("trace_id", trace(&values[0], exemplar))]),
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
fn whatever_names_a_registry_takes_its_judges_take_as_well() {
    let mut runner = TestRunner::deterministic();
    let (mut offered, mut taken) = (0, 0);
    for _ in 0..16 {
        let Filling { names, .. } = any_filling().new_tree(&mut runner).expect("a filling").current();
        let registry = Registry::new();
        offered += names.len();
        taken += register_names(&registry, &names);
        let exporter = Exporter::builder().registry(registry.clone()).created_samples(true).build().unwrap();
        let text = page(&exporter, Format::Text);
        promtool::read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let page = page(&exporter, Format::OpenMetrics);
        let Some(parsed) = open_metrics::parse(&page) else { return };
        let families = parsed.unwrap_or_else(|error| panic!("{error}\n{page}"));
        assert!(!families.is_empty());
    }
    // Neither all nor nothing.
    assert!((offered / 8..offered * 7 / 8).contains(&taken), "{taken} of {offered} names were taken");
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

/// Answers each scrape in the format that `accept` names, whatever is asked for: every Prometheus of today would rather
/// have another.
fn serve_as(accept: &'static str, exporter: Exporter) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port of the loopback interface");
    let address = listener.local_addr().expect("a listener has an address").to_string();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            let lines = BufReader::new(socket.try_clone().expect("a socket can be shared")).lines();
            let _ = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).count();
            let rendered = exporter.answer(&ScrapeRequest::new().accept(accept)).expect("it is small enough");
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
    let large = "x".repeat(1 << 20);
    for (format, served_as, features) in [
        (Format::Text, Some("text/plain;version=0.0.4"), ""),
        (Format::Text1, Some("text/plain;version=1.0.0"), ""),
        (Format::OpenMetrics0, Some("application/openmetrics-text;version=0.0.1"), "exemplar-storage"),
        (Format::OpenMetrics, None, "exemplar-storage"),
        (Format::Protobuf, None, "native-histograms,exemplar-storage"),
    ] {
        assert!(served_as.is_none_or(|accept| Format::negotiate(Some(accept)) == format));
        let filling = any_filling().new_tree(&mut runner).expect("a filling").current();
        // OpenMetrics leaves out an exemplar with a NUL, and to Prometheus an empty label is none.
        let told = |value: &str| !value.contains('\0') && !value.is_empty();
        let registry = registry(&filling, told);
        register_names(&registry, &filling.names);
        registry.gauge("engine_large", &[("text", &large)]).unwrap().set(2.0);
        let exporter = Exporter::builder().registry(registry).build().unwrap();
        let server = exporter.serve("127.0.0.1:0").unwrap();
        let target = match served_as {
            Some(accept) => serve_as(accept, exporter),
            None => server.local_addr().to_string(),
        };
        let Some(mut prometheus) = Prometheus::start_with(&target, features) else { return };
        wait::until("a scrape", LIMIT, || match prometheus.query("up{job=\"engine\"}")?.as_slice() {
            [row] if row.value == 1.0 => Ok(()),
            _ => Err(format!("{format:?}: {}", prometheus.last_error()?)),
        });
        let held = prometheus.query("engine_large").unwrap();
        assert_eq!((held.len(), held[0].labels["text"].as_str(), held[0].value), (1, Some(&*large), 2.0));
        let mut exemplars = Vec::new();
        for (labels, level, count, observations) in expected(&filling) {
            // To Prometheus an empty label is none.
            let held: BTreeMap<_, _> = labels.iter().filter(|(_, value)| !value.is_empty()).collect();
            let place = &labels["place"];
            let value = |expression: &str| -> f64 {
                let rows = prometheus.query(expression).unwrap();
                assert_eq!(rows.len(), 1, "{format:?} {expression}: {rows:?}");
                rows[0].value
            };
            let one = |name: &str| -> f64 {
                let rows = prometheus.query(&format!("{name}{{place=\"{place}\"}}")).unwrap();
                assert_eq!(rows.len(), 1, "{format:?} {name}: {rows:?}");
                let own = rows[0].labels.as_object().unwrap();
                let own = own.iter().filter(|(name, _)| !["__name__", "instance", "job"].contains(&&***name));
                let own: BTreeMap<String, String> =
                    own.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
                assert_eq!(own.iter().collect::<BTreeMap<_, _>>(), held, "{format:?} {name}");
                rows[0].value
            };
            assert!(same(one(GAUGE), level), "{format:?} {labels:?}: {level}");
            assert_eq!(one(COUNTER), count as f64);
            let sum: f64 = observations.iter().sum();
            let below = observations.iter().filter(|&&value| value <= 1.0).count() as f64;
            let series = format!("{HISTOGRAM}{{place=\"{place}\"}}");
            let seen = if format == Format::Protobuf {
                // 1 is a bound of every schema.
                let below = value(&format!("histogram_fraction(-1, 1, {series}) * histogram_count({series})"));
                let below = if observations.is_empty() { 0.0 } else { below };
                [value(&format!("histogram_count({series})")), value(&format!("histogram_sum({series})")), below]
            } else {
                let below = value(&format!("{HISTOGRAM}_bucket{{place=\"{place}\", le=\"1.0\"}}"));
                [one("engine_step_seconds_count"), one("engine_step_seconds_sum"), below]
            };
            for (seen, want) in seen.into_iter().zip([observations.len() as f64, sum, below]) {
                assert!((seen - want).abs() <= 1e-9 * want, "{format:?} {labels:?}: {seen}, not {want}");
            }
            let trace = trace(&labels[&filling.labels[0]], told);
            // Prometheus 2.42 leaves the label of an exemplar in OpenMetrics as it is written.
            let trace = match format {
                Format::Protobuf => trace.to_owned(),
                _ => trace.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"),
            };
            exemplars.extend(observations.first().map(|&value| (trace, value)));
        }
        // The text has no exemplars, and 2.42 takes those of protobuf from the classic buckets.
        if !matches!(format, Format::Text | Format::Text1) {
            exemplars.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
            wait::until("exemplars", LIMIT, || {
                let rows = prometheus.exemplars(&format!("{{__name__=~\"{HISTOGRAM}.*\"}}"))?;
                let label = |row: &Row| row.labels["trace_id"].as_str().unwrap_or_default().to_owned();
                let mut held: Vec<(String, f64)> = rows.iter().map(|row| (label(row), row.value)).collect();
                held.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
                if held == exemplars { Ok(()) } else { Err(format!("{exemplars:?} wanted: {held:?}")) }
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
