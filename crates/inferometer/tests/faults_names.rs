//! Names, labels and the number of series. The numbers are those of `docs/faults.md`.

use inferometer::{
    Buckets, BucketsError, Counter, Family, FamilyView, Histogram, Kind, LabelSet, Matcher, NameError, RegisterError,
    Registry, Sample, SeriesView, Unit, Visitor,
};
use std::thread;
use std::time::{Duration, SystemTime};

#[derive(LabelSet)]
struct Model<'a> {
    model_name: &'a str,
}

// Fault 21; the exposition's side is in inferometer-prometheus.
#[test]
fn label_values_are_kept_byte_for_byte() {
    let registry = Registry::new();
    let long = "x".repeat(1 << 20);
    let values =
        ["", "\"", "\\", "\n", "\r", "\0", "}", ",", "# EOF\n", "\u{2028}", "\u{fffd}", "a\"b\\c\n", long.as_str()];
    for value in values {
        registry.counter("odd_total", &[("value", value)]).unwrap().increment(1);
    }
    let snapshot = registry.snapshot();
    for value in values {
        assert_eq!(snapshot.counter("odd_total", &[("value", value)]), Some(1), "{value:.20?}");
    }
}

#[test]
fn label_values_that_share_their_ends_are_told_apart() {
    let registry = Registry::new();
    let family: Family<Model<'static>, Counter> = registry.register_family("ends_total", "Ends.").unwrap();
    // Of all lengths around the words that the cache compares, and past what it holds.
    let names: Vec<String> = (0..130_usize)
        .flat_map(|length| (0..length).step_by(3).map(move |at| (length, at)))
        .map(|(length, at)| (0..length).map(|i| if i == at { 'x' } else { 'a' }).collect())
        .collect();
    let mut distinct: Vec<&String> = names.iter().collect();
    distinct.sort();
    distinct.dedup();
    for round in 1..=2_u64 {
        for name in &distinct[..900] {
            family.get(&Model { model_name: name }).increment(1);
        }
        let snapshot = registry.snapshot();
        for name in &distinct[..900] {
            assert_eq!(snapshot.counter("ends_total", &[("model_name", name)]), Some(round), "{name}");
        }
    }
}

// Fault 22; escaping is in inferometer-prometheus.
#[test]
fn help_texts_may_be_anything_and_an_empty_one_is_a_lint_finding() {
    let registry = Registry::new();
    registry.describe("odd_total", None, "a\nb\\c\"d").unwrap();
    registry.counter("odd_total", &[]).unwrap();
    assert_eq!(registry.snapshot().families[0].help, "a\nb\\c\"d");
    assert_eq!(inferometer::testing::lint(&registry), []);
    registry.counter("undescribed_total", &[]).unwrap();
    let findings = inferometer::testing::lint(&registry);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].to_string(), "undescribed_total: no help text");
}

// Fault 23
#[test]
fn bad_metric_names_are_refused_at_registration() {
    let registry = Registry::new();
    for (name, error) in [
        ("", NameError::Empty),
        ("9_total", NameError::LeadingDigit),
        ("vllm:x_total", NameError::Colon),
        ("requestsTotal", NameError::UpperCase),
        ("a b", NameError::Character),
        ("x_bucket", NameError::ReservedSuffix),
    ] {
        let refused = registry.counter(name, &[]).unwrap_err();
        assert_eq!(refused, RegisterError::Name { name: name.to_owned(), error });
    }
    assert!(registry.snapshot().families.is_empty(), "a refused registration leaves nothing behind");
}

#[test]
fn a_name_cannot_be_registered_twice_as_different_things() {
    let registry = Registry::new();
    registry.counter("x_total", &[("a", "1")]).unwrap();
    let name = || "x_total".to_owned();
    assert_eq!(
        registry.gauge("x_total", &[("a", "1")]).unwrap_err(),
        RegisterError::OtherKind { name: name(), registered: Kind::Counter }
    );
    assert_eq!(
        registry.counter("x_total", &[("b", "1")]).unwrap_err(),
        RegisterError::OtherLabels { name: name(), registered: vec!["a".to_owned()] }
    );
    assert_eq!(
        registry.counter("x.total", &[("a", "1")]).unwrap_err(),
        RegisterError::SameWhenEscaped { name: "x.total".to_owned(), registered: name() }
    );
    let _: Family<Model<'static>, Counter> = registry.register_family("y_total", "One help.").unwrap();
    let other = registry.register_family::<Model<'static>, Counter>("y_total", "Another help.").unwrap_err();
    assert_eq!(other, RegisterError::OtherHelp { name: "y_total".to_owned() });
    registry.histogram_with_buckets::<u64>("h", &[], &Buckets::classic(&[1.0])).unwrap();
    let other = registry.histogram_with_buckets::<u64>("h", &[], &Buckets::classic(&[2.0])).unwrap_err();
    assert_eq!(other, RegisterError::OtherBuckets { name: "h".to_owned() });
    let other = registry.histogram::<Duration>("h", &[]).unwrap_err();
    assert_eq!(other, RegisterError::OtherBuckets { name: "h".to_owned() });
}

#[test]
fn a_unit_that_contradicts_the_name_is_refused() {
    let registry = Registry::new();
    let refused = registry.describe("x_bytes", Some(Unit::Seconds), "X.").unwrap_err();
    let error = NameError::UnitContradictsName;
    assert_eq!(refused, RegisterError::Name { name: "x_bytes".to_owned(), error });
    registry.describe("x_bytes", Some(Unit::Bytes), "X.").unwrap();
    registry.gauge("x_bytes", &[]).unwrap();
    registry.gauge("y_seconds", &[]).unwrap();
    let units: Vec<_> = registry.snapshot().families.iter().map(|family| family.unit).collect();
    assert_eq!(units, [Some(Unit::Bytes), Some(Unit::Seconds)]);
}

#[test]
fn bad_buckets_are_refused() {
    let registry = Registry::new();
    for (bounds, error) in [
        (vec![1.0, 1.0], BucketsError::NotAscending),
        (vec![2.0, 1.0], BucketsError::NotAscending),
        (vec![f64::NAN], BucketsError::NotFinite),
        (vec![1.0, f64::INFINITY], BucketsError::NotFinite),
        (vec![-1.0], BucketsError::NotFinite),
    ] {
        let refused = registry.histogram_with_buckets::<f64>("h", &[], &Buckets::classic_from(bounds)).unwrap_err();
        assert_eq!(refused, RegisterError::Buckets { name: "h".to_owned(), error });
    }
    assert_eq!(Buckets::DEFAULT.native(9).check(), Err(BucketsError::Schema));
    assert_eq!(Buckets::DEFAULT.range(1.0, 0.5).check(), Err(BucketsError::Range));
    assert_eq!(Buckets::DEFAULT.native(8).range(1e-300, 1e300).check(), Err(BucketsError::TooMany));
}

// Fault 24
#[test]
fn reserved_and_doubled_labels_are_refused() {
    let registry = Registry::new();
    for (labels, error) in [
        (&[("le", "1")][..], NameError::ReservedLabel),
        (&[("quantile", "1")], NameError::ReservedLabel),
        (&[("__name__", "1")], NameError::InternalLabel),
        (&[("a", "1"), ("a", "2")], NameError::DuplicateLabel),
        (&[("", "1")], NameError::Empty),
    ] {
        let refused = registry.counter("x_total", labels).unwrap_err();
        assert_eq!(refused, RegisterError::Label { name: "x_total".to_owned(), error });
    }
    registry.counter("x_total", &[("region", "eu")]).unwrap();
    let refused = registry.set_constant_labels(&[("region", "us")]).unwrap_err();
    let error = NameError::DuplicateLabel;
    assert_eq!(refused, RegisterError::Label { name: "x_total".to_owned(), error });
    registry.set_constant_labels(&[("cluster", "a")]).unwrap();
    let refused = registry.counter("y_total", &[("cluster", "b")]).unwrap_err();
    assert_eq!(refused, RegisterError::Label { name: "y_total".to_owned(), error });
}

#[test]
fn labels_in_another_order_are_the_same_series() {
    let registry = Registry::new();
    registry.counter("x_total", &[("a", "1"), ("b", "2")]).unwrap().increment(1);
    registry.counter("x_total", &[("b", "2"), ("a", "1")]).unwrap().increment(1);
    registry.counter("x_total", &[("b", "1"), ("a", "2")]).unwrap().increment(1);
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.families[0].series.len(), 2);
    assert_eq!(snapshot.counter("x_total", &[("a", "1"), ("b", "2")]), Some(2));
}

// Fault 25
#[test]
fn a_million_label_values_end_in_one_series_called_other() {
    let registry = Registry::new();
    let family: Family<Model<'static>, Counter> = registry.register_family("tenant_requests_total", "T.").unwrap();
    let values = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    for i in 0..values {
        family.get(&Model { model_name: &format!("tenant-{i}") }).increment(1);
    }
    let snapshot = registry.snapshot();
    let series = &snapshot.families[0].series;
    assert_eq!(series.len(), Registry::DEFAULT_MAX_SERIES_PER_FAMILY + 1);
    let kept = Registry::DEFAULT_MAX_SERIES_PER_FAMILY as u64;
    let other = snapshot.counter("tenant_requests_total", &[("model_name", "other")]);
    assert_eq!(other, Some(values - kept));
    assert_eq!(snapshot.counter("tenant_requests_total", &[]), Some(values), "nothing is lost");
    let dropped = snapshot.counter("inferometer_series_dropped_total", &[("family", "tenant_requests_total")]);
    assert!(dropped.unwrap() > 0);
}

// Fault 26; the limit of bytes is in inferometer-prometheus.
#[test]
fn a_registry_has_a_limit_of_series() {
    let registry = Registry::new();
    for family in 0..11 {
        let family: Family<Model<'static>, Counter> =
            registry.register_family(&format!("family_{family}_total"), "F.").unwrap();
        for model in 0..1_000 {
            family.get(&Model { model_name: &format!("model-{model}") }).increment(1);
        }
    }
    let series: usize = registry.snapshot().families[..11].iter().map(|family| family.series.len()).sum();
    assert!((Registry::MAX_SERIES..=Registry::MAX_SERIES + 11).contains(&series), "{series}");
    let refused = registry.gauge_fn("one_too_many", &[], || 0.0).unwrap_err();
    assert_eq!(refused, RegisterError::TooManySeries);
}

// Fault 28
/// When the only series of a registry began.
fn started(registry: &Registry) -> SystemTime {
    struct Started(Vec<SystemTime>);

    impl Visitor for Started {
        fn family(&mut self, _: &FamilyView<'_>) -> bool {
            true
        }

        fn series(&mut self, series: &SeriesView<'_>, _: Sample<'_>) {
            self.0.push(series.started());
        }
    }

    let mut seen = Started(Vec::new());
    registry.visit(&mut seen);
    let [started] = seen.0[..] else { panic!("not one series: {:?}", seen.0) };
    started
}

#[test]
fn a_removed_label_set_starts_again_at_zero_with_a_new_start_time() {
    // Start times are whole milliseconds.
    let a_moment = || thread::sleep(Duration::from_millis(3));
    let registry = Registry::new();
    let family: Family<Model<'static>, Counter> = registry.register_family("loads_total", "Loads.").unwrap();
    let llama = Model { model_name: "llama" };
    let before = SystemTime::now();
    a_moment();
    family.get(&llama).increment(7);
    let first = started(&registry);
    assert!((before..=SystemTime::now()).contains(&first), "{first:?} is not after {before:?}");
    let old_handle = family.get(&llama).handle();
    assert!(family.remove(&llama));
    assert!(!family.remove(&llama), "it is gone already");
    assert_eq!(registry.snapshot().counter("loads_total", &[]), None);

    // Asked for anew while an old handle is alive: both record into the one series, which began at zero.
    a_moment();
    family.get(&llama).increment(1);
    old_handle.increment(1);
    assert_eq!(registry.snapshot().counter("loads_total", &[]), Some(2));
    let second = started(&registry);
    assert!(second > first, "{second:?} is not after {first:?}");

    // Asked for anew when nobody has it any more: a new series.
    drop(old_handle);
    assert!(family.remove(&llama));
    a_moment();
    family.get(&llama).increment(3);
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("loads_total", &[]), Some(3));
    assert_eq!(snapshot.families[0].series.len(), 1);
    let third = started(&registry);
    assert!(third > second, "{third:?} is not after {second:?}");
}

#[test]
fn a_removed_histogram_starts_again_at_zero() {
    let registry = Registry::new();
    let family: Family<Model<'static>, Histogram<f64>> = registry.register_family("loss", "Loss.").unwrap();
    let llama = Model { model_name: "llama" };
    let handle = family.get(&llama).handle();
    handle.record_n(0.25, 4);
    assert!(family.remove(&llama));
    family.get(&llama).record(0.5);
    let seen = registry.snapshot().histogram("loss", &[]).unwrap();
    assert_eq!((seen.count(), seen.sum()), (1, 0.5));
}

#[test]
fn unloading_a_model_removes_its_series_in_all_families() {
    let registry = Registry::new();
    let gauge = registry.gauge("model_weight_bytes", &[("model_name", "llama")]).unwrap();
    gauge.set(5.0);
    for model in ["llama", "mistral"] {
        registry.counter("requests_total", &[("model_name", model), ("status", "ok")]).unwrap().increment(1);
        registry.histogram::<u64>("batch_size", &[("model_name", model)]).unwrap().record(2);
    }
    registry.counter("model_less_total", &[]).unwrap();
    assert_eq!(registry.unregister(&[]), 0, "no labels: nothing, rather than everything");
    assert_eq!(registry.unregister(&[("model_name", "llama")]), 3);
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("requests_total", &[("model_name", "llama")]), None);
    assert_eq!(snapshot.counter("requests_total", &[("model_name", "mistral")]), Some(1));
    assert_eq!(snapshot.gauge("model_weight_bytes", &[]), None);
    assert_eq!(snapshot.counter("model_less_total", &[]), Some(0));
    gauge.set(6.0); // the model is back, and its handle was kept
    assert_eq!(registry.snapshot().gauge("model_weight_bytes", &[]), Some(6.0));
}

#[test]
fn a_prefix_and_constant_labels_apply_to_all_families() {
    let registry = Registry::new();
    registry.counter("requests_total", &[("status", "ok")]).unwrap().increment(1);
    registry.set_prefix("inference_").unwrap();
    registry.set_constant_labels(&[("cluster", "a")]).unwrap();
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.families[0].name, "inference_requests_total");
    let labels = &snapshot.families[0].series[0].labels;
    assert_eq!(labels[0], ("cluster".to_owned(), "a".to_owned()));
    assert_eq!(labels[1], ("status".to_owned(), "ok".to_owned()));
    assert!(registry.set_prefix("9").is_err());
}

#[test]
fn buckets_are_chosen_by_name() {
    let registry = Registry::new();
    registry.set_buckets(Matcher::Suffix("_seconds".to_owned()), Buckets::classic(&[1.0])).unwrap();
    registry.set_buckets(Matcher::Prefix("step_".to_owned()), Buckets::classic(&[2.0])).unwrap();
    registry.set_buckets(Matcher::Full("step_exact_seconds".to_owned()), Buckets::classic(&[3.0])).unwrap();
    for (name, bound) in [("queue_seconds", 1.0), ("step_seconds", 2.0), ("step_exact_seconds", 3.0)] {
        registry.histogram::<Duration>(name, &[]).unwrap();
        let bounds: Vec<f64> =
            registry.snapshot().histogram(name, &[]).unwrap().classic().map(|(bound, _)| bound).collect();
        assert_eq!(bounds, [bound, f64::INFINITY], "{name}");
    }
}
