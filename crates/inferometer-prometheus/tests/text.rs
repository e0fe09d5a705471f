//! What text 0.0.4 says of a registry.

mod support;

use inferometer::testing::MockClock;
use inferometer::{Buckets, Counter, Family, Histogram, LabelSet, LabelValue, Registry, Sampling};
use inferometer_prometheus::{Exporter, ScrapeRequest};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use support::{family, histograms, parse, read, text, value};

fn exporter(registry: &Registry) -> Exporter {
    Exporter::builder().registry(registry.clone()).build().unwrap()
}

#[test]
fn each_kind_of_metric_has_its_type() {
    let registry = Registry::new();
    registry.counter("requests_total", &[("status", "ok")]).unwrap().increment(3);
    registry.up_down_counter("requests_running", &[]).unwrap().decrement(2);
    registry.gauge("kv_cache_usage_ratio", &[]).unwrap().set(0.25);
    registry.describe("requests_total", None, "Requests finished.").unwrap();
    let buckets = Buckets::classic(&[0.01, 1.0]);
    let histogram: Histogram = registry.histogram_with_buckets("step_seconds", &[("engine", "0")], &buckets).unwrap();
    histogram.record(Duration::from_millis(10));
    histogram.record(Duration::from_millis(1_500));
    assert_eq!(
        text(&exporter(&registry)),
        "\
# HELP requests_total Requests finished.
# TYPE requests_total counter
requests_total{status=\"ok\"} 3
# TYPE requests_running gauge
requests_running -2
# TYPE kv_cache_usage_ratio gauge
kv_cache_usage_ratio 0.25
# TYPE step_seconds histogram
step_seconds_bucket{engine=\"0\",le=\"0.01\"} 1
step_seconds_bucket{engine=\"0\",le=\"1.0\"} 1
step_seconds_bucket{engine=\"0\",le=\"+Inf\"} 2
step_seconds_sum{engine=\"0\"} 1.51
step_seconds_count{engine=\"0\"} 2
"
    );
}

#[test]
fn an_empty_registry_is_an_empty_body_of_the_right_type() {
    let rendered = exporter(&Registry::new()).render(None);
    assert!(rendered.body.is_empty());
    assert_eq!(rendered.content_type, "text/plain; version=0.0.4; charset=utf-8");
}

#[test]
fn gauges_hold_what_floats_hold() {
    let registry = Registry::new();
    for (i, number) in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e300, 5e-324, 0.1, 3.0].iter().enumerate() {
        registry.gauge("level", &[("at", &i.to_string())]).unwrap().set(*number);
    }
    let families = read(&exporter(&registry));
    let texts: Vec<&str> = family(&families, "level").samples.iter().map(|sample| sample.text.as_str()).collect();
    assert_eq!(texts, ["NaN", "+Inf", "-Inf", "-0.0", "1e+300", "5e-324", "0.1", "3"]);
    assert_eq!(family(&families, "level").samples[4].value(), 1e300);
}

#[test]
fn a_family_without_a_sample_leaves_no_header() {
    let registry = Registry::new();
    registry.gauge_fn("absent_ratio", &[], || f64::NAN).unwrap();
    registry.gauge_fn("present_ratio", &[], || 0.5).unwrap();
    registry.describe("absent_ratio", None, "Not there.").unwrap();
    assert_eq!(text(&exporter(&registry)), "# TYPE present_ratio gauge\npresent_ratio 0.5\n");
}

#[test]
fn a_function_that_panics_costs_its_series_only() {
    let registry = Registry::new();
    registry.gauge_fn("broken_ratio", &[], || panic!("for the test")).unwrap();
    registry.counter_fn("polls_total", &[], || 2.5).unwrap();
    let exporter = exporter(&registry);
    for _ in 0..2 {
        assert_eq!(text(&exporter), "# TYPE polls_total counter\npolls_total 2.5\n");
    }
}

#[test]
fn removed_series_vanish_and_those_after_them_stay_right() {
    let registry = Registry::new();
    for model in ["a", "b", "c"] {
        registry.counter("requests_total", &[("model_name", model)]).unwrap().increment(1);
        registry.gauge("load_ratio", &[("model_name", model)]).unwrap().set(0.5);
    }
    let exporter = exporter(&registry);
    let before = text(&exporter);
    assert_eq!(registry.unregister(&[("model_name", "b")]), 2);
    assert!(before.contains("\"b\""));
    assert_eq!(
        text(&exporter),
        before.lines().filter(|l| !l.contains("\"b\"")).fold(String::new(), |t, l| t + l + "\n")
    );
    registry.counter("requests_total", &[("model_name", "d")]).unwrap().increment(4);
    let families = read(&exporter);
    let order: Vec<_> =
        family(&families, "requests_total").samples.iter().map(|s| (s.label("model_name"), &*s.text)).collect();
    assert_eq!(order, [(Some("a"), "1"), (Some("c"), "1"), (Some("d"), "4")]);
    for model in ["a", "c", "d"] {
        registry.unregister(&[("model_name", model)]);
    }
    assert_eq!(text(&exporter), "");
}

/// The values of a family by the label `model_name`: `a=1 c=2`.
fn by_model(exporter: &Exporter, name: &str) -> String {
    let families = read(exporter);
    let pair = |sample: &support::Sample| format!("{}={}", sample.label("model_name").unwrap(), sample.text);
    family(&families, name).samples.iter().map(pair).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_series_that_is_absent_at_times_leaves_its_neighbours_their_labels_and_values() {
    let registry = Registry::new();
    let middle = Arc::new(Mutex::new(f64::NAN));
    let shown = Arc::clone(&middle);
    registry.gauge_fn("level", &[("model_name", "a")], || 1.0).unwrap();
    registry.gauge_fn("level", &[("model_name", "b")], move || *shown.lock().unwrap()).unwrap();
    registry.gauge_fn("level", &[("model_name", "c")], || 3.0).unwrap();
    let exporter = exporter(&registry);
    for (value, want) in [(f64::NAN, "a=1 c=3"), (2.0, "a=1 b=2 c=3"), (f64::NAN, "a=1 c=3"), (2.5, "a=1 b=2.5 c=3")] {
        *middle.lock().unwrap() = value;
        assert_eq!(by_model(&exporter, "level"), want);
    }
}

#[test]
fn a_removed_series_whose_handle_records_is_listed_again_in_its_place() {
    let registry = Registry::new();
    let counters = ["a", "b", "c"].map(|model| registry.counter("requests_total", &[("model_name", model)]).unwrap());
    registry.unregister(&[("model_name", "b")]);
    let exporter = exporter(&registry);
    assert_eq!(by_model(&exporter, "requests_total"), "a=0 c=0");
    counters[1].increment(7);
    assert_eq!(by_model(&exporter, "requests_total"), "a=0 b=7 c=0");
}

#[test]
fn a_removed_series_is_let_go_by_the_next_scrape() {
    let registry = Registry::new();
    let captured = Arc::new(());
    let weak = Arc::downgrade(&captured);
    registry.gauge_fn("held_ratio", &[("model_name", "a")], move || Arc::strong_count(&captured) as f64).unwrap();
    let exporter = exporter(&registry);
    assert!(text(&exporter).contains("held_ratio"));
    assert_eq!(registry.unregister(&[("model_name", "a")]), 1);
    // The first scrape lets go of the series, so that the registry can drop it at the next look.
    assert_eq!(text(&exporter), "");
    assert_eq!(text(&exporter), "");
    assert!(weak.upgrade().is_none(), "the exporter or the registry still holds it");
}

#[test]
fn prefix_constant_labels_and_late_descriptions_appear_in_the_next_scrape() {
    let registry = Registry::new();
    registry.counter("requests_total", &[("status", "ok")]).unwrap().increment(1);
    let exporter = exporter(&registry);
    assert!(text(&exporter).contains("requests_total{status=\"ok\"} 1\n"));
    registry.set_prefix("engine_").unwrap();
    registry.set_constant_labels(&[("host", "a\"b")]).unwrap();
    registry.describe("requests_total", None, "Requests.").unwrap();
    assert_eq!(
        text(&exporter),
        "\
# HELP engine_requests_total Requests.
# TYPE engine_requests_total counter
engine_requests_total{host=\"a\\\"b\",status=\"ok\"} 1
"
    );
}

#[test]
fn families_that_come_later_stand_after_the_others() {
    let registry = Registry::new();
    registry.counter("a_total", &[]).unwrap();
    let exporter = exporter(&registry);
    assert_eq!(read(&exporter).len(), 1);
    registry.counter("b_total", &[]).unwrap();
    registry.counter("a_total", &[]).unwrap().increment(1);
    let families = read(&exporter);
    assert_eq!((value(&families, "a_total", None), value(&families, "b_total", None)), ("1", "0"));
}

#[test]
fn label_values_past_a_limit_are_counted_and_the_limits_count_is_exposed() {
    let registry = Registry::new();
    let exporter = exporter(&registry);
    for i in 0..1_010 {
        registry.counter("requests_total", &[("model_name", &i.to_string())]).unwrap().increment(1);
        if i % 100 == 0 {
            read(&exporter);
        }
    }
    let families = read(&exporter);
    assert_eq!(value(&families, "requests_total", Some(("model_name", "other"))), "10");
    assert_eq!(value(&families, "inferometer_series_dropped_total", Some(("family", "requests_total"))), "10");
    assert_eq!(text(&exporter), text(&exporter));
}

#[test]
fn the_members_of_a_closed_label_set_stand_side_by_side() {
    #[derive(LabelSet)]
    struct Outcome<'a> {
        model_name: &'a str,
        status: Status,
    }
    #[derive(LabelValue)]
    enum Status {
        Ok,
        Error,
    }
    /// Outcomes.
    #[inferometer::metric(name = "outcomes_total")]
    static OUTCOMES: Family<Outcome<'static>, Counter> = Family::new();

    OUTCOMES.get(&Outcome { model_name: "a", status: Status::Error }).increment(2);
    OUTCOMES.get(&Outcome { model_name: "a", status: Status::Ok }).increment(1);
    // The exporter of the global registry, which is the default.
    let families = read(&Exporter::builder().build().unwrap());
    assert_eq!(value(&families, "outcomes_total", Some(("status", "ok"))), "1");
    assert_eq!(value(&families, "outcomes_total", Some(("status", "error"))), "2");
}

#[test]
fn native_only_histograms_have_their_infinite_bucket() {
    let registry = Registry::new();
    let buckets = Buckets::DEFAULT.without_classic();
    registry.histogram_with_buckets::<Duration>("step_seconds", &[], &buckets).unwrap().record(Duration::from_secs(2));
    assert_eq!(
        text(&exporter(&registry)),
        "# TYPE step_seconds histogram\nstep_seconds_bucket{le=\"+Inf\"} 1\nstep_seconds_sum 2\nstep_seconds_count 1\n"
    );
}

#[test]
fn sums_of_durations_are_exact_decimals_and_sums_of_integers_are_integers() {
    let registry = Registry::new();
    let seconds: Histogram = registry.histogram("step_seconds", &[]).unwrap();
    // 104 days and a nanosecond, which no float tells from 104 days.
    seconds.record_n(Duration::from_secs(100_000), 90);
    seconds.record(Duration::from_nanos(1));
    let tokens: Histogram<u64> = registry.histogram("prompt_tokens", &[]).unwrap();
    tokens.record_n(1_000_000, 3);
    let families = read(&exporter(&registry));
    assert_eq!(histograms(family(&families, "step_seconds")).unwrap()[0].sum, "9000000.000000001");
    assert_eq!(histograms(family(&families, "prompt_tokens")).unwrap()[0].sum, "3000000");
}

#[test]
fn no_sample_has_a_timestamp_and_a_jump_of_the_wall_clock_changes_nothing() {
    let clock = MockClock::install();
    let registry = Registry::new();
    registry.counter("requests_total", &[("status", "ok")]).unwrap().increment(3);
    registry.gauge("kv_cache_usage_ratio", &[]).unwrap().set(0.25);
    let step: Histogram = registry.histogram("step_seconds", &[]).unwrap();
    step.set_sampling(Sampling::Always);
    step.start().stop();
    step.record_with_exemplar(Duration::from_millis(3), &[("trace_id", "7")]);
    let exporter = exporter(&registry);
    let before = text(&exporter);
    // The reader takes nothing after a value.
    assert_eq!(parse(&before).unwrap().len(), 5);
    let now = SystemTime::now();
    for jump in [now - Duration::from_secs(3_600), now + Duration::from_secs(3_600)] {
        clock.set_wall(jump);
        assert_eq!(text(&exporter), before);
    }
}

#[test]
fn hostile_label_values_and_help_texts_stay_in_their_lines() {
    let registry = Registry::new();
    let large = "x\"\\\n".repeat(1 << 18);
    let hostile =
        ["", "\"", "\\", "\n", "\r", "\0", "}", ",", "\"} 1\n# EOF\n", "\u{2028}", "\u{FFFD}", "\\n", "模型", &large];
    let help = "A \\ \"quoted\"\nhelp\r\n# TYPE x counter";
    registry.describe("requests_total", None, help).unwrap();
    for (i, text) in hostile.iter().enumerate() {
        registry.counter("requests_total", &[("at", &i.to_string()), ("text", text)]).unwrap().increment(1);
    }
    let families = read(&exporter(&registry));
    let family = family(&families, "requests_total");
    assert_eq!(family.help.as_deref(), Some(help));
    let texts: Vec<&str> = family.samples.iter().map(|sample| sample.label("text").unwrap()).collect();
    assert_eq!(texts, hostile);
}

#[test]
fn the_limit_of_a_response_refuses_the_whole_and_bounds_the_memory() {
    let registry = Registry::new();
    let large = "x".repeat(1 << 20);
    for i in 0..20 {
        registry.counter("requests_total", &[("at", &i.to_string()), ("text", &large)]).unwrap();
    }
    let exporter = Exporter::builder().registry(registry.clone()).max_response_bytes(3 << 20).build().unwrap();
    assert!(exporter.answer(&ScrapeRequest::new()).is_err());
    // What the program asks for itself is not limited.
    assert!(exporter.render(None).body.len() > 20 << 20);
    for i in 0..19 {
        registry.unregister(&[("at", &i.to_string())]);
    }
    assert!(exporter.answer(&ScrapeRequest::new()).is_ok());
}

#[test]
fn the_reader_of_these_tests_refuses_what_is_wrong() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{b=\"c\\\\\"} 1\n";
    let histogram = "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
    assert_eq!(parse(good).unwrap().len(), 1);
    assert_eq!(parse(histogram).unwrap().len(), 1);
    for (from, to) in [
        ("1\n", "1"),
        ("1\n", "1\r\n"),
        ("1\n", "1 \n"),
        ("c\\\\", "c\\"),
        ("c\\\\", "\\t"),
        ("c\\\\", "\n"),
        ("b=", "0="),
        ("# TYPE a_total counter\n", ""),
        ("a_total{", "b_total{"),
        ("1\n", "1\na_total{b=\"c\\\\\"} 1\n"),
        ("1\n", "1\n# TYPE a_total counter\n"),
        ("1\n", "1\n# TYPE z_total counter\n"),
        ("1\n", "0x1\n"),
        ("1\n", "1 1700000000000\n"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        assert!(parse(&bad).is_err(), "{bad:?}");
    }
    for (from, to) in [
        ("h_count 2", "h_count 3"),
        ("le=\"1.0\"} 1", "le=\"1.0\"} 3"),
        ("h_bucket{le=\"+Inf\"} 2\n", ""),
        ("le=\"1.0\"", "le=\"one\""),
        ("h_sum 3\n", ""),
        ("h_bucket{le=\"1.0\"} 1\n", "h_bucket{le=\"1.0\"} 1\nh_bucket{le=\"0.5\"} 1\n"),
    ] {
        let bad = histogram.replace(from, to);
        assert_ne!(bad, histogram);
        assert!(parse(&bad).is_err(), "{bad:?}");
    }
}

#[test]
fn an_exporter_can_be_used_from_any_thread() {
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>(_: &T) {}
    let registry = Registry::new();
    let exporter = exporter(&registry);
    shared(&exporter);
    shared(&exporter.render(None));
    registry.counter("requests_total", &[]).unwrap();
    assert!(format!("{exporter:?}").contains("requests_total"));
}

fn any_text() -> impl Strategy<Value = String> {
    let special =
        prop::sample::select(vec!['"', '\\', '\n', '\r', '\0', '}', '{', ',', '=', '#', ' ', 'n', '\u{2028}']);
    prop::collection::vec(prop_oneof![special, any::<char>()], 0..12).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(
        help in any_text(),
        values in prop::collection::vec((any_text(), any_text(), any::<f64>(), any::<u32>()), 1..6),
    ) {
        let registry = Registry::new();
        registry.describe("level", None, &help).unwrap();
        let mut want = Vec::new();
        for (i, (a, b, level, count)) in values.iter().enumerate() {
            let at = i.to_string();
            let labels = [("at", at.as_str()), ("a", a), ("b", b)];
            registry.gauge("level", &labels).unwrap().set(*level);
            registry.counter("requests_total", &labels).unwrap().increment(u64::from(*count));
            want.push(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
        }
        let exporter = exporter(&registry);
        for _ in 0..2 {
            let families = read(&exporter);
            let levels = family(&families, "level");
            prop_assert_eq!(levels.help.clone().unwrap_or_default(), help.clone());
            prop_assert_eq!(levels.samples.iter().map(|sample| sample.labels.clone()).collect::<Vec<_>>(), want.clone());
            for (sample, (_, _, level, _)) in levels.samples.iter().zip(&values) {
                prop_assert!(sample.value().to_bits() == level.to_bits() || (sample.value().is_nan() && level.is_nan()));
            }
            for (sample, (_, _, _, count)) in family(&families, "requests_total").samples.iter().zip(&values) {
                prop_assert_eq!(&sample.text, &count.to_string());
            }
        }
    }

    #[test]
    fn histograms_hold_their_observations(
        exponents in prop::collection::vec(-12.0_f64..12.0, 0..20),
        observations in prop::collection::vec(0_u64..1 << 44, 0..50),
        native in any::<bool>(),
    ) {
        let mut bounds: Vec<f64> = exponents.iter().map(|e| e.exp2()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let buckets = Buckets::classic_from(bounds.clone());
        let buckets = if native { buckets } else { buckets.without_native() };
        let registry = Registry::new();
        let histogram: Histogram = registry.histogram_with_buckets("step_seconds", &[], &buckets).unwrap();
        observations.iter().for_each(|&nanos| histogram.record(Duration::from_nanos(nanos)));
        let families = read(&exporter(&registry));
        let read = histograms(family(&families, "step_seconds")).unwrap().remove(0);
        // A duration of zero is an observation of zero seconds.
        prop_assert_eq!(read.count, observations.len() as u64);
        prop_assert_eq!(read.buckets.len(), bounds.len() + 1);
        for ((le, count), bound) in read.buckets.iter().zip(&bounds) {
            prop_assert_eq!(le.parse::<f64>().unwrap(), *bound);
            let below = observations.iter().filter(|&&nanos| nanos as f64 / 1e9 <= *bound).count();
            prop_assert_eq!(*count, below as u64);
        }
    }
}
