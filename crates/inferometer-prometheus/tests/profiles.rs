//! Profiles: other names for what a registry holds.

mod support;

use inferometer::{Buckets, Histogram, Registry};
use inferometer_prometheus::{
    Exporter, ExporterBuilder, Format, Mapping, Profile, ProfileError, RenderError, ScrapeRequest,
};
use std::time::Duration;
use support::protobuf;

const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0";

fn exporter(registry: &Registry, mappings: impl IntoIterator<Item = Mapping>) -> Exporter {
    let profile = Profile::new("other", mappings).unwrap();
    Exporter::builder().registry(registry.clone()).profile(profile).build().unwrap()
}

fn get(exporter: &Exporter, accept: &str, query: &str) -> String {
    let rendered = exporter.answer(&ScrapeRequest::new().accept(accept).query(query)).unwrap();
    String::from_utf8(rendered.body.to_vec()).unwrap()
}

/// The text of a profile with these mappings. It is made twice, since the second is made from what the first has left.
fn text(registry: &Registry, mappings: impl IntoIterator<Item = Mapping>) -> String {
    let exporter = exporter(registry, mappings);
    let first = get(&exporter, "", "profile=other");
    assert_eq!(get(&exporter, "", "profile=other"), first);
    support::parse(&first.replace("vllm:", "vllm_")).unwrap();
    first
}

#[test]
fn names_labels_and_values_are_mapped_and_stand_in_the_order_of_the_mappings() {
    let registry = Registry::new();
    registry.describe("requests_total", None, "Requests.").unwrap();
    for (status, reason, count) in [("ok", "length", 3), ("ok", "stop", 4), ("error", "stop", 5)] {
        let labels = [("model_name", "llama"), ("status", status), ("finish_reason", reason)];
        registry.counter("requests_total", &labels).unwrap().increment(count);
    }
    registry.gauge("requests_running", &[("model_name", "llama")]).unwrap().set(2.0);
    let mapped = text(
        &registry,
        [
            Mapping::family("requests_running", "vllm:num_requests_running").rename_label("model_name", "model"),
            Mapping::family("requests_total", "vllm:request_success_total")
                .only("status", &["ok"])
                .drop_label("status")
                .rename_label("finish_reason", "finished_reason")
                .map_value("finish_reason", "stop", "eos")
                .add_label("engine", "0"),
            Mapping::family("nothing", "vllm:nothing"),
        ],
    );
    let want = "# TYPE vllm:num_requests_running gauge\n\
                vllm:num_requests_running{model=\"llama\"} 2\n\
                # HELP vllm:request_success_total Requests.\n\
                # TYPE vllm:request_success_total counter\n\
                vllm:request_success_total{model_name=\"llama\",finished_reason=\"eos\",engine=\"0\"} 4\n\
                vllm:request_success_total{model_name=\"llama\",finished_reason=\"length\",engine=\"0\"} 3\n";
    assert_eq!(mapped, want);
}

#[test]
fn series_that_become_one_are_added_up() {
    let registry = Registry::new();
    for (status, count) in [("ok", u64::MAX - 5), ("error", 5)] {
        registry.counter("requests_total", &[("model", "a"), ("status", status)]).unwrap().increment(count);
        registry.up_down_counter("running", &[("status", status)]).unwrap().decrement(3);
    }
    let buckets = Buckets::classic(&[0.001, 1.0]);
    for engine in ["0", "1"] {
        let labels = [("engine", engine)];
        let histogram: Histogram = registry.histogram_with_buckets("step_seconds", &labels, &buckets).unwrap();
        histogram.record(Duration::from_micros(500));
        histogram.record(Duration::from_millis(20));
    }
    let mapped = text(
        &registry,
        [
            Mapping::family("requests_total", "a_total").drop_label("status"),
            Mapping::family("running", "b").drop_label("status"),
            Mapping::family("step_seconds", "c_seconds").drop_label("engine"),
        ],
    );
    let want = "# TYPE a_total counter\n\
                a_total{model=\"a\"} 18446744073709551615\n\
                # TYPE b gauge\n\
                b -6\n\
                # TYPE c_seconds histogram\n\
                c_seconds_bucket{le=\"0.001\"} 2\n\
                c_seconds_bucket{le=\"1.0\"} 4\n\
                c_seconds_bucket{le=\"+Inf\"} 4\n\
                c_seconds_sum 0.041\n\
                c_seconds_count 4\n";
    assert_eq!(mapped, want);
    let mapped = exporter(&registry, [Mapping::family("step_seconds", "c_seconds").drop_label("engine")]);
    let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let body = mapped.answer(&ScrapeRequest::new().accept(accept).query("profile=other")).unwrap().body;
    let families = protobuf::families(&body);
    let native = families[0].metric[0].histogram.as_ref().unwrap().native().unwrap();
    assert_eq!(native.iter().map(|(_, count)| count).sum::<u64>(), 4);
}

#[test]
fn more_observations_than_can_be_told_are_absent_also_when_they_are_added_up() {
    let registry = Registry::new();
    for engine in ["0", "1", "2"] {
        let histogram: Histogram<u64> = registry.histogram("tokens", &[("engine", engine)]).unwrap();
        histogram.record_n(1, i64::MAX as u64);
    }
    let whole = text(&registry, [Mapping::family("tokens", "t")]);
    assert!(whole.contains("t_count{engine=\"2\"} 9223372036854775807\n"), "{whole}");
    assert_eq!(text(&registry, [Mapping::family("tokens", "t").drop_label("engine")]), "");
}

#[test]
fn series_stand_in_the_order_in_which_they_were_made_or_in_that_of_their_labels() {
    let registry = Registry::new();
    for (engine, model) in [("1", "b"), ("0", "b"), ("1", "a")] {
        registry.gauge("running", &[("engine", engine), ("model", model)]).unwrap().set(1.5);
        let labels = [("engine", engine), ("model", model)];
        let histogram: Histogram<u64> = registry.histogram("tokens", &labels).unwrap();
        histogram.record_n(1, 7);
    }
    let order = |mapping: Mapping, name: &str| -> Vec<String> {
        let text = text(&registry, [mapping]);
        let labels = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once('}'));
        labels.map(|(labels, _)| labels.replace(['"', '='], "").replace("engine", "").replace("model", "")).collect()
    };
    assert_eq!(order(Mapping::family("running", "r"), "r"), ["1,b", "0,b", "1,a"]);
    assert_eq!(order(Mapping::family("running", "r").sorted(), "r"), ["0,b", "1,a", "1,b"]);
    assert_eq!(order(Mapping::family("tokens", "t"), "t_count"), ["1,b", "0,b", "1,a"]);
    assert_eq!(order(Mapping::family("tokens", "t").sorted(), "t_count"), ["0,b", "1,a", "1,b"]);
}

#[test]
fn a_histogram_can_have_fewer_bounds_another_unit_or_be_two_counters() {
    let registry = Registry::new();
    let buckets = Buckets::classic(&[0.001, 0.01, 0.1, 1.0]);
    let histogram: Histogram = registry.histogram_with_buckets("step_seconds", &[], &buckets).unwrap();
    for millis in [1, 5, 50, 5_000] {
        histogram.record_with_exemplar(Duration::from_millis(millis), &[("trace_id", &millis.to_string())]);
    }
    let exporter = exporter(
        &registry,
        [
            // 0.05 is not one of the histogram's.
            Mapping::family("step_seconds", "fewer_seconds").bounds(&[0.01, 0.05, 1.0]),
            Mapping::family("step_seconds", "milliseconds").scale(1e3).bounds(&[0.1]),
            Mapping::sum("step_seconds", "step_us_total").scale(1e6),
            Mapping::count("step_seconds", "steps_total"),
        ],
    );
    let page = get(&exporter, OPEN_METRICS, "profile=other");
    let lines: Vec<&str> = page.lines().map(|line| line.split(" # ").next().unwrap()).collect();
    let want = "# TYPE fewer_seconds histogram\n\
                # UNIT fewer_seconds seconds\n\
                fewer_seconds_bucket{le=\"0.01\"} 2\n\
                fewer_seconds_bucket{le=\"1.0\"} 3\n\
                fewer_seconds_bucket{le=\"+Inf\"} 4\n\
                fewer_seconds_sum 5.056\n\
                fewer_seconds_count 4\n\
                # TYPE milliseconds histogram\n\
                milliseconds_bucket{le=\"100.0\"} 3\n\
                milliseconds_bucket{le=\"+Inf\"} 4\n\
                milliseconds_sum 5056\n\
                milliseconds_count 4\n\
                # TYPE step_us counter\n\
                step_us_total 5056000\n\
                # TYPE steps counter\n\
                steps_total 4\n\
                # EOF";
    assert_eq!(lines.join("\n"), want);
    // Exemplars move with their buckets.
    for exemplar in [
        "{le=\"0.01\"} 2 # {trace_id=\"5\"} 0.005",
        "{le=\"1.0\"} 3 # {trace_id=\"50\"} 0.05",
        "{le=\"+Inf\"} 4 # {trace_id=\"5000\"} 5",
    ] {
        assert!(page.contains(exemplar), "{exemplar}: {page}");
    }
    assert_eq!(page.matches("trace_id").count(), 3);
}

#[test]
fn a_ratio_of_two_counters_is_a_gauge_for_each_set_of_labels() {
    let registry = Registry::new();
    for (model, hits, queries) in [("a", 3, 4), ("b", 0, 0), ("c", 0, 7)] {
        registry.counter("hits_total", &[("model", model)]).unwrap().increment(hits);
        registry.counter("queries_total", &[("model", model)]).unwrap().increment(queries);
    }
    let mapped = text(&registry, [Mapping::ratio("hits_total", "queries_total", "cache_hit_rate")]);
    let want = "# TYPE cache_hit_rate gauge\ncache_hit_rate{model=\"a\"} 0.75\ncache_hit_rate{model=\"c\"} 0\n";
    assert_eq!(mapped, want);
}

#[test]
fn a_type_can_be_changed_and_a_counter_may_lack_its_suffix() {
    let registry = Registry::new();
    registry.counter("requests_total", &[]).unwrap().increment(7);
    registry.gauge("level", &[]).unwrap().set(1.0);
    let mappings = [
        Mapping::family("requests_total", "tgi_request_count"),
        Mapping::family("requests_total", "requests_now").as_gauge().help("A \"gauge\"."),
        Mapping::family("level", "level_total").as_counter(),
    ];
    let want = "# TYPE tgi_request_count counter\ntgi_request_count 7\n\
                # HELP requests_now A \"gauge\".\n# TYPE requests_now gauge\nrequests_now 7\n\
                # TYPE level_total counter\nlevel_total 1\n";
    assert_eq!(text(&registry, mappings.clone()), want);
    // OpenMetrics would add a suffix to the first, and dashboards would not find it.
    let page = get(&exporter(&registry, mappings), OPEN_METRICS, "profile=other");
    assert!(page.starts_with("# TYPE tgi_request_count unknown\ntgi_request_count 7\n"), "{page}");
    assert!(page.contains("# TYPE level counter\nlevel_total 1\n"), "{page}");
}

#[test]
fn two_labels_that_get_one_name_are_the_first_of_them() {
    let registry = Registry::new();
    registry.gauge("level", &[("a", "1"), ("b", "2")]).unwrap().set(3.0);
    let mapping = Mapping::family("level", "level").rename_label("b", "a").add_label("a", "3").add_label("c", "4");
    assert_eq!(text(&registry, [mapping]), "# TYPE level gauge\nlevel{a=\"1\",c=\"4\"} 3\n");
}

fn both(registry: &Registry, options: impl FnOnce(ExporterBuilder) -> ExporterBuilder) -> Exporter {
    let short =
        Profile::new("short", [Mapping::family("running", "r"), Mapping::family("waiting", "waiting")]).unwrap();
    let site = Profile::new("site", [Mapping::family("running", "x")]).unwrap().others("acme:", "_now").unwrap();
    let builder = Exporter::builder().registry(registry.clone()).profile(short).profile(site);
    options(builder).build().unwrap()
}

#[test]
fn profiles_stand_beside_the_canonical_names_or_instead_of_them() {
    let registry = Registry::new();
    registry.gauge("running", &[]).unwrap().set(1.0);
    registry.gauge("waiting", &[]).unwrap().set(2.0);
    registry.counter("done_total", &[]).unwrap().increment(3);
    let samples = |exporter: &Exporter, query: &str| {
        let page = get(exporter, "", query);
        page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    let canonical = ["running 1", "waiting 2", "done_total 3"];
    let exporter = both(&registry, |builder| builder);
    assert_eq!(samples(&exporter, ""), canonical);
    assert_eq!(samples(&exporter, "profile=short"), ["r 1", "waiting 2"]);
    assert_eq!(samples(&exporter, "profile=site"), ["x 1", "acme:waiting_now 2", "acme:done_now_total 3"]);
    assert_eq!(samples(&exporter, "profile=short&name[]=r"), ["r 1"]);
    assert_eq!(samples(&exporter, "profile=short&name[]=running"), [""; 0]);

    // A name that was there before is not there twice.
    let beside = both(&registry, |builder| builder.expose([Profile::CANONICAL, "short"]));
    assert_eq!(samples(&beside, ""), ["running 1", "waiting 2", "done_total 3", "r 1"]);
    assert_eq!(samples(&beside, "profile=short"), ["r 1", "waiting 2"]);
    let instead = both(&registry, |builder| builder.expose(["short", "site"]));
    assert_eq!(samples(&instead, ""), ["r 1", "waiting 2", "x 1", "acme:waiting_now 2", "acme:done_now_total 3"]);
    assert_eq!(samples(&instead, "profile=canonical"), canonical);

    let unknown = exporter.answer(&ScrapeRequest::new().query("profile=%3Cscript%3E"));
    assert_eq!(unknown, Err(RenderError::NoSuchProfile));
}

#[test]
fn what_comes_and_goes_is_followed() {
    let registry = Registry::new();
    let exporter = exporter(&registry, [Mapping::family("level", "l"), Mapping::sum("step_seconds", "s_total")]);
    assert_eq!(get(&exporter, "", "profile=other"), "");
    registry.gauge("level", &[("at", "a")]).unwrap().set(1.0);
    assert_eq!(get(&exporter, "", "profile=other"), "# TYPE l gauge\nl{at=\"a\"} 1\n");
    registry.describe("level", None, "Level.").unwrap();
    let histogram: Histogram = registry.histogram("step_seconds", &[]).unwrap();
    histogram.record(Duration::from_millis(1));
    let want = "# HELP l Level.\n# TYPE l gauge\nl{at=\"a\"} 1\n# TYPE s_total counter\ns_total 0.001\n";
    assert_eq!(get(&exporter, "", "profile=other"), want);
    registry.unregister(&[("at", "a")]);
    assert_eq!(get(&exporter, "", "profile=other"), "# TYPE s_total counter\ns_total 0.001\n");
}

#[test]
fn the_limit_of_a_response_holds_for_profiles_too() {
    let registry = Registry::new();
    for i in 0..1_000 {
        registry.gauge("level", &[("at", &i.to_string())]).unwrap().set(1.0);
    }
    let profile = Profile::new("other", [Mapping::family("level", "l")]).unwrap();
    let exporter = Exporter::builder().registry(registry).profile(profile).max_response_bytes(500).build().unwrap();
    let answer = exporter.answer(&ScrapeRequest::new().query("profile=other"));
    assert_eq!(answer, Err(RenderError::TooLarge { limit: 500 }));
}

#[test]
fn a_profile_that_cannot_be_exposed_is_refused_when_it_is_made() {
    let error = |mapping: Mapping| Profile::new("p", [mapping]).unwrap_err();
    let family = || "ok".to_owned();
    for name in ["", "1st", "a b", "a-b", "caf\u{e9}", "a\n"] {
        assert_eq!(error(Mapping::family("a", name)), ProfileError::FamilyName { name: name.to_owned() });
    }
    for label in ["", "le", "quantile", "__x", "a:b", "0"] {
        let want = ProfileError::LabelName { family: family(), name: label.to_owned() };
        assert_eq!(error(Mapping::family("a", "ok").rename_label("b", label)), want);
        assert_eq!(error(Mapping::family("a", "ok").add_label(label, "")), want);
    }
    for bounds in [&[1.0, 1.0][..], &[2.0, 1.0], &[f64::NAN], &[f64::INFINITY]] {
        assert_eq!(error(Mapping::family("a", "ok").bounds(bounds)), ProfileError::Bounds { family: family() });
    }
    for scale in [0.0, -1.0, f64::INFINITY] {
        assert_eq!(error(Mapping::family("a", "ok").scale(scale)), ProfileError::Scale { family: family(), scale });
    }
    assert!(matches!(error(Mapping::family("a", "ok").scale(f64::NAN)), ProfileError::Scale { .. }));
    for name in ["", "canonical", "a b", "a&b"] {
        assert_eq!(Profile::new(name, []).unwrap_err(), ProfileError::ProfileName { name: name.to_owned() });
    }
    assert!(Profile::new("p", []).unwrap().others("0", "").is_err());
}

#[test]
fn without_a_profile_the_text_is_the_same_in_every_format_as_before() {
    let registry = Registry::new();
    registry.gauge("running", &[]).unwrap().set(1.0);
    let with = both(&registry, |builder| builder);
    let without = Exporter::builder().registry(registry.clone()).build().unwrap();
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        with.render_into(format, &mut a);
        without.render_into(format, &mut b);
        assert_eq!(a, b);
    }
}
