//! What is recorded through the crate `metrics` lands in a registry, whole and under the right name.

use inferometer::facade::Recorder;
use inferometer::{
    Buckets, Counter, Kind, LabelSet, Matcher, NameError, RegisterError, Registry, SeriesSnapshot, Unit, Value,
};
use metrics::{
    Key, KeyName, Label, Level, Metadata, Recorder as _, SharedString, counter, describe_counter, describe_gauge,
    describe_histogram, gauge, histogram, with_local_recorder,
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use metrics_util::layers::{FanoutBuilder, Layer as _, PrefixLayer, RouterBuilder};
use metrics_util::{MetricKind, MetricKindMask};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

fn fresh() -> (Registry, Recorder) {
    let registry = Registry::new();
    let recorder = Recorder::new(&registry);
    (registry, recorder)
}

/// The series of a family, as `name=value` pairs.
fn series(registry: &Registry, family: &str) -> Vec<SeriesSnapshot> {
    let families = registry.snapshot().families;
    families.into_iter().find(|other| other.name == family).map(|family| family.series).unwrap_or_default()
}

fn labels(registry: &Registry, family: &str) -> Vec<String> {
    let label_text = |series: SeriesSnapshot| {
        let pairs: Vec<String> = series.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join(",")
    };
    series(registry, family).into_iter().map(label_text).collect()
}

const METADATA: Metadata<'static> = Metadata::new("tests", Level::INFO, None);

#[test]
fn every_form_of_the_macros_lands_in_its_series() {
    const NAME: &str = "const_total";
    const LABEL: &str = "status";
    let (registry, recorder) = fresh();
    for _ in 0..2 {
        with_local_recorder(&recorder, || {
            let model = String::from("llama");
            counter!("literal_total").increment(1);
            counter!("literal_total", "status" => "ok").increment(2);
            counter!("literal_total", "status" => "ok", "stream" => "true",).increment(3);
            counter!("literal_total", "status" => model.clone()).increment(4);
            counter!("literal_total", LABEL => "const").increment(5);
            counter!(NAME, "status" => "ok").increment(6);
            counter!(format!("{}_total", "made")).increment(7);
            counter!(String::from("made_total"), "model" => format!("{model}-8b")).increment(8);
            let pairs = [("status", "slice"), ("stream", "false")];
            counter!("literal_total", &pairs).increment(9);
            counter!("literal_total", vec![Label::new("status", "vec")]).increment(10);
            counter!("literal_total", &BTreeMap::from([("status", "map")])).increment(11);
            counter!("literal_total", [Label::new("status", "iter")].iter()).increment(12);
            counter!("shared_total", "model" => Arc::<str>::from("llama")).increment(13);
            counter!(target: "engine", "target_total").increment(14);
            counter!(level: Level::DEBUG, "level_total").increment(15);
            counter!(target: "engine", level: Level::TRACE, "both_total", "status" => "ok").increment(16);
            gauge!("depth", "queue" => "0").set(2.5);
            gauge!("depth", "queue" => "0").increment(1);
            gauge!("depth", "queue" => "0").decrement(0.5);
            histogram!("step_seconds").record(0.5);
            histogram!("step_seconds").record(Duration::from_millis(250));
            histogram!("step_seconds", "phase" => "decode").record_many(0.25, 3);
        });
    }
    let seen = registry.snapshot();
    let count = |name: &str, labels: &[(&str, &str)]| seen.counter(name, labels);
    let literal = |status| count("literal_total", &[("status", status)]);
    assert_eq!(count("literal_total", &[("status", "ok"), ("stream", "true")]), Some(6));
    assert_eq!(literal("ok"), Some(4 + 6));
    assert_eq!(literal("llama"), Some(8));
    assert_eq!(literal("const"), Some(10));
    assert_eq!(count("const_total", &[("status", "ok")]), Some(12));
    assert_eq!(count("made_total", &[("model", "llama-8b")]), Some(16));
    assert_eq!(count("made_total", &[]), Some(14 + 16));
    assert_eq!(count("literal_total", &[("status", "slice"), ("stream", "false")]), Some(18));
    assert_eq!(literal("vec"), Some(20));
    assert_eq!(literal("map"), Some(22));
    assert_eq!(literal("iter"), Some(24));
    assert_eq!(count("shared_total", &[("model", "llama")]), Some(26));
    assert_eq!(count("target_total", &[]), Some(28));
    assert_eq!(count("level_total", &[]), Some(30));
    assert_eq!(count("both_total", &[("status", "ok")]), Some(32));
    let all: u64 = (1..=5).sum::<u64>() + (9..=12).sum::<u64>();
    assert_eq!(count("literal_total", &[]), Some(2 * all), "the one without labels is among them");
    assert_eq!(seen.gauge("depth", &[("queue", "0")]), Some(3.0));
    let all = seen.histogram("step_seconds", &[]).unwrap();
    assert_eq!((all.count(), all.sum()), (10, 2.0 * (0.5 + 0.25 + 0.75)));
    assert_eq!(seen.histogram("step_seconds", &[("phase", "decode")]).unwrap().count(), 6);
    assert_eq!(recorder.errors(), []);
}

#[test]
fn static_owned_and_retained_keys_with_labels_in_any_order_are_one_series() {
    static LABELS: [Label; 2] = [Label::from_static_parts("a", "1"), Label::from_static_parts("b", "2")];
    static KEY: Key = Key::from_static_parts("requests", &LABELS);
    let (registry, recorder) = fresh();
    let owned = || vec![Label::new(String::from("a"), String::from("1")), Label::new("b", "2")];
    let mut reversed = owned();
    reversed.reverse();
    let own = Key::from_parts(String::from("requests"), owned());
    let keys = [
        KEY.clone(),
        Key::from_static_labels("requests", &LABELS),
        own.to_retained(),
        own,
        Key::from_parts("requests", reversed),
    ];
    for key in &keys {
        for _ in 0..2 {
            recorder.register_counter(key, &METADATA).increment(1);
        }
    }
    assert_eq!(labels(&registry, "requests"), ["a=1,b=2"]);
    assert_eq!(registry.snapshot().counter("requests", &[]), Some(10));
}

#[test]
fn handles_may_be_kept_cloned_and_sent_and_record_after_the_recorder_is_gone() {
    let (registry, recorder) = fresh();
    let (counter, gauge, histogram) = (
        recorder.register_counter(&Key::from_static_name("sent"), &METADATA),
        recorder.register_gauge(&Key::from_static_name("level"), &METADATA),
        recorder.register_histogram(&Key::from_static_name("took_seconds"), &METADATA),
    );
    drop(recorder);
    thread::scope(|scope| {
        for _ in 0..4 {
            let (counter, gauge, histogram) = (counter.clone(), gauge.clone(), histogram.clone());
            scope.spawn(move || {
                counter.increment(2);
                gauge.increment(0.5);
                histogram.record_many(1.5, 10);
            });
        }
    });
    let seen = registry.snapshot();
    assert_eq!(seen.counter("sent", &[]), Some(8));
    assert_eq!(seen.gauge("level", &[]), Some(2.0));
    let took = seen.histogram("took_seconds", &[]).unwrap();
    assert_eq!((took.count(), took.sum()), (40, 60.0));
}

#[test]
fn absolute_raises_a_counter_and_never_lowers_it() {
    let (registry, recorder) = fresh();
    let value = || registry.snapshot().counter("polled", &[]);
    with_local_recorder(&recorder, || {
        for (absolute, want) in [(10, 10), (7, 10), (10, 10), (25, 25)] {
            counter!("polled").absolute(absolute);
            assert_eq!(value(), Some(want));
        }
        counter!("polled").increment(5);
        counter!("polled").absolute(28);
        assert_eq!(value(), Some(30));
    });
    thread::scope(|scope| {
        for start in 0..4_u64 {
            let recorder = &recorder;
            scope.spawn(move || {
                with_local_recorder(recorder, || (0..100).for_each(|i| counter!("polled").absolute(start + 4 * i)))
            });
        }
    });
    assert_eq!(value(), Some(399));
}

#[test]
fn descriptions_are_exposed_before_and_after_a_metric_is_there() {
    let (registry, recorder) = fresh();
    with_local_recorder(&recorder, || {
        describe_counter!("sent.bytes", metrics::Unit::Bytes, "Bytes sent.");
        describe_histogram!("wait_seconds", metrics::Unit::Milliseconds, "Time in the queue.");
        describe_gauge!("free_percent", metrics::Unit::Percent, "What is left.");
        counter!("sent.bytes").increment(1);
        histogram!("wait_seconds").record(1);
        gauge!("free_percent").set(5);
        gauge!("later").set(1);
        describe_gauge!("later", metrics::Unit::Count, "Described later.");
        describe_gauge!("later", "The first one stays.");
        counter!(description: "Both at once.", unit: metrics::Unit::Seconds, "at_once").increment(1);
    });
    let families = registry.snapshot().families;
    let seen: Vec<_> =
        families.iter().map(|family| (family.name.as_str(), family.unit, family.help.as_str())).collect();
    assert_eq!(
        seen,
        [
            ("sent_bytes", Some(Unit::Bytes), "Bytes sent."),
            ("wait_seconds", Some(Unit::Seconds), "Time in the queue."),
            ("free_percent", None, "What is left."),
            ("later", Some(Unit::Count), "Described later."),
            ("at_once", None, "Both at once."),
        ],
        "a name stays as it is, and has the unit that it says"
    );
    assert_eq!(recorder.errors(), []);
}

#[test]
fn names_are_escaped_as_metrics_exporter_prometheus_does() {
    let (registry, recorder) = fresh();
    with_local_recorder(&recorder, || {
        counter!("http.server-requests", "http.method" => "GET", "0x" => "1").increment(1);
        gauge!("vllm:numRequests").set(2);
        gauge!("caf\u{e9}").set(3);
        counter!("1st").increment(4);
    });
    let names: Vec<String> = registry.snapshot().families.into_iter().map(|family| family.name).collect();
    assert_eq!(names, ["http_server_requests", "vllm:numRequests", "caf_", "_st"]);
    assert_eq!(labels(&registry, "http_server_requests"), ["_x=1,http_method=GET"]);
    assert_eq!(recorder.errors(), []);
}

#[test]
fn the_series_of_a_family_may_differ_in_their_label_names() {
    let (registry, recorder) = fresh();
    with_local_recorder(&recorder, || {
        counter!("requests").increment(1);
        counter!("requests", "model" => "llama").increment(2);
        counter!("requests", "status" => "llama").increment(3);
        counter!("requests", "status" => "ok", "model" => "llama").increment(4);
        // An empty label is a missing one, and of a doubled one the last counts.
        counter!("requests", "model" => "llama", "status" => "").increment(5);
        counter!("requests", "model" => "gemma", "model" => "llama").increment(6);
    });
    assert_eq!(labels(&registry, "requests"), ["", "model=llama", "status=llama", "model=llama,status=ok"]);
    let values: Vec<Value> = series(&registry, "requests").into_iter().map(|series| series.value).collect();
    assert_eq!(values, [1, 2 + 5 + 6, 3, 4].map(Value::Counter));
}

#[test]
fn a_registrys_own_families_and_those_of_the_facade_are_the_same() {
    #[derive(LabelSet)]
    struct ByModel<'a> {
        model: &'a str,
        status: &'a str,
    }
    let (registry, recorder) = fresh();
    let fixed: inferometer::Family<ByModel<'static>, Counter> =
        registry.register_family("fixed_total", "Of a registry.").unwrap();
    fixed.get(&ByModel { model: "llama", status: "ok" }).increment(1);
    with_local_recorder(&recorder, || {
        counter!("fixed_total", "status" => "ok", "model" => "llama").increment(2);
        counter!("fixed_total", "model" => "llama", "unknown" => "").increment(3);
        counter!("free_total", "model" => "llama").increment(4);
        histogram!("ratio").record(0.5);
        histogram!("pause_seconds").record(0.5);
    });
    registry.counter("free_total", &[("model", "llama")]).unwrap().increment(5);
    registry.counter("free_total", &[("status", "ok"), ("model", "llama")]).unwrap().increment(6);
    registry.counter_fn("free_total", &[("by", "function")], || 7.0).unwrap();
    registry.histogram::<f64>("ratio", &[]).unwrap().record(0.25);
    let seen = registry.snapshot();
    assert_eq!(labels(&registry, "fixed_total"), ["model=llama,status=ok", "model=llama,status="]);
    assert_eq!(seen.counter("fixed_total", &[("status", "ok")]), Some(3));
    assert_eq!(seen.counter("fixed_total", &[("status", "")]), Some(3));
    assert_eq!(labels(&registry, "free_total"), ["model=llama", "model=llama,status=ok", "by=function"]);
    assert_eq!(seen.counter("free_total", &[("model", "llama")]), Some(4 + 5 + 6));
    assert_eq!(seen.histogram("ratio", &[]).unwrap().count(), 2);
    assert_eq!(recorder.errors(), []);
    // Seconds as floats and durations in nanoseconds are not the same histogram.
    let other = registry.histogram::<Duration>("pause_seconds", &[]).unwrap_err();
    assert_eq!(other, RegisterError::OtherBuckets { name: "pause_seconds".to_owned() });
}

#[test]
fn constant_labels_and_the_facades_labels_must_differ() {
    let (registry, recorder) = fresh();
    with_local_recorder(&recorder, || counter!("requests", "region" => "eu").increment(1));
    assert!(registry.set_constant_labels(&[("region", "us")]).is_err());
    registry.set_constant_labels(&[("host", "a")]).unwrap();
    with_local_recorder(&recorder, || counter!("requests", "host" => "b").increment(1));
    assert_eq!(labels(&registry, "requests"), ["host=a,region=eu"]);
    let error = NameError::DuplicateLabel;
    assert_eq!(recorder.errors(), [RegisterError::Label { name: "requests".to_owned(), error }]);
}

/// Takes what is logged, by the registry's names in it.
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

fn logged(about: &str) -> Vec<String> {
    static SET: Once = Once::new();
    SET.call_once(|| {
        log::set_logger(&Logs).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
    LOGGED.lock().unwrap().iter().filter(|line| line.contains(about)).cloned().collect()
}

fn dropped() -> f64 {
    match series(Registry::global(), "inferometer_records_dropped_total")[0].value {
        Value::FloatCounter(count) => count,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn names_that_are_exposed_alike_are_refused_once_and_their_records_counted() {
    assert_eq!(logged("alike"), [""; 0]);
    let (registry, recorder) = fresh();
    let before = dropped();
    with_local_recorder(&recorder, || {
        for _ in 0..10 {
            counter!("alike.hits").increment(1);
            counter!("alike_hits").increment(1);
            describe_counter!("alike_hits", "Not of this one.");
        }
        let held = counter!("alike_hits");
        (0..10).for_each(|_| held.increment(5));
    });
    // On another thread, which has a cache of its own.
    thread::scope(|scope| {
        scope.spawn(|| with_local_recorder(&recorder, || counter!("alike_hits").increment(1)));
    });
    let error = RegisterError::SameWhenEscaped { name: "alike_hits".to_owned(), registered: "alike.hits".to_owned() };
    assert_eq!(recorder.errors(), std::slice::from_ref(&error));
    assert!(error.to_string().contains("\"alike_hits\"") && error.to_string().contains("\"alike.hits\""));
    let lines = logged("alike");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with(&error.to_string()), "{lines:?}");
    assert!(dropped() >= before + 21.0);
    assert_eq!(registry.snapshot().counter("alike_hits", &[]), Some(10));
    assert_eq!(registry.snapshot().families[0].help, "");
}

#[test]
fn labels_that_are_exposed_alike_are_refused() {
    let (registry, recorder) = fresh();
    with_local_recorder(&recorder, || {
        counter!("hits", "a.b" => "1").increment(1);
        counter!("hits", "a_b" => "1").increment(1);
        counter!("other", "a-b" => "1", "a.b" => "1").increment(1);
        counter!("third", "a-b" => "1").increment(1);
    });
    registry.counter("fixed_total", &[("a_b", "1")]).unwrap();
    with_local_recorder(&recorder, || counter!("fixed_total", "a.b" => "1").increment(1));
    let error = |name: &str, label: &str, registered: &str| RegisterError::LabelSameWhenEscaped {
        name: name.to_owned(),
        label: label.to_owned(),
        registered: registered.to_owned(),
    };
    assert_eq!(
        recorder.errors(),
        [error("hits", "a_b", "a.b"), error("other", "a.b", "a-b"), error("fixed_total", "a.b", "a_b")]
    );
    assert_eq!(registry.counter("hits", &[("a_b", "2")]).unwrap_err(), error("hits", "a_b", "a.b"));
    let seen = registry.snapshot();
    assert_eq!(seen.counter("hits", &[]), Some(1));
    assert_eq!(seen.counter("third", &[]), Some(1), "another metric's labels do not matter");
    assert_eq!(seen.counter("fixed_total", &[]), Some(0));
}

#[test]
fn what_the_registry_does_not_allow_is_refused_and_nothing_else() {
    let (registry, recorder) = fresh();
    registry.counter("fixed_total", &[("model", "llama")]).unwrap();
    with_local_recorder(&recorder, || {
        counter!("twice").increment(1);
        gauge!("twice").set(1);
        histogram!("twice").record(1);
        gauge!("worker.count").set(1);
        counter!("hits", "le" => "1").increment(1);
        counter!("hits", "__name__" => "1").increment(1);
        counter!("fixed_total", "status" => "ok").increment(1);
        counter!("").increment(1);
        counter!("hits").increment(1);
    });
    let name = |name: &str| name.to_owned();
    let kind = RegisterError::OtherKind { name: name("twice"), registered: Kind::Counter };
    assert_eq!(
        recorder.errors(),
        [
            kind,
            RegisterError::Name { name: name("worker.count"), error: NameError::ReservedSuffix },
            RegisterError::Label { name: name("hits"), error: NameError::ReservedLabel },
            RegisterError::Label { name: name("hits"), error: NameError::InternalLabel },
            RegisterError::OtherLabels { name: name("fixed_total"), registered: vec![name("model")] },
            RegisterError::Name { name: name(""), error: NameError::Empty },
        ]
    );
    let families: Vec<String> = registry.snapshot().families.into_iter().map(|family| family.name).collect();
    assert_eq!(families, ["fixed_total", "twice", "hits"]);
    assert_eq!(registry.snapshot().counter("twice", &[]), Some(1));
    assert_eq!(registry.snapshot().counter("hits", &[]), Some(1));
}

#[test]
fn errors_without_end_are_remembered_up_to_a_limit() {
    assert_eq!(logged("endless"), [""; 0]);
    let (_, recorder) = fresh();
    with_local_recorder(&recorder, || (0..1_000).for_each(|i| gauge!(format!("endless{i}_count")).set(i)));
    assert_eq!(recorder.errors().len(), 64);
    assert_eq!(logged("endless").len(), 64);
}

#[test]
fn label_values_past_a_limit_go_to_one_series_called_other() {
    let (registry, recorder) = fresh();
    let limit = Registry::DEFAULT_MAX_SERIES_PER_FAMILY;
    with_local_recorder(&recorder, || {
        for i in 0..3 * limit {
            counter!("by_user", "user" => i.to_string()).increment(1);
        }
        // Under names without end as well.
        for i in 0..limit {
            counter!("by_user", format!("user_{i}") => "1", "b" => "2").increment(1);
        }
    });
    assert_eq!(series(&registry, "by_user").len(), limit + 1);
    let seen = registry.snapshot();
    assert_eq!(seen.counter("by_user", &[("user", "other")]), Some(3 * limit as u64));
    assert_eq!(seen.counter("by_user", &[]), Some(4 * limit as u64));
    assert_eq!(seen.counter("inferometer_series_dropped_total", &[("family", "by_user")]), Some(3 * limit as u64));
    assert_eq!(recorder.errors(), []);
}

#[test]
fn a_removed_series_starts_again_at_zero_on_all_threads() {
    let (registry, recorder) = fresh();
    let record = || {
        with_local_recorder(&recorder, || {
            counter!("hits", "model" => "old").increment(1);
            counter!("hits", "model" => "new").increment(1);
            histogram!("wait_seconds", "model" => "old").record(1);
        })
    };
    let barrier = std::sync::Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            record();
            barrier.wait();
            barrier.wait();
            record();
        });
        record();
        barrier.wait();
        assert_eq!(registry.unregister(&[("model", "old")]), 2);
        assert_eq!(labels(&registry, "hits"), ["model=new"]);
        barrier.wait();
        record();
    });
    let seen = registry.snapshot();
    assert_eq!(seen.counter("hits", &[("model", "old")]), Some(2));
    assert_eq!(seen.counter("hits", &[("model", "new")]), Some(4));
    assert_eq!(seen.histogram("wait_seconds", &[]).unwrap().count(), 2);
}

#[test]
fn recorders_of_one_thread_are_told_apart() {
    let recorders: Vec<_> = (1..=3).map(|n| (n, fresh())).collect();
    for _ in 0..2 {
        for (n, (_, recorder)) in &recorders {
            with_local_recorder(recorder, || (0..*n).for_each(|_| counter!("hits", "a" => "b").increment(1)));
        }
    }
    for (n, (registry, _)) in &recorders {
        assert_eq!(registry.snapshot().counter("hits", &[]), Some(2 * n));
    }
}

#[test]
fn buckets_are_chosen_by_names_as_given_or_as_exposed() {
    let (registry, recorder) = fresh();
    let bounds = |bounds: &[f64]| Buckets::classic_from(bounds.to_vec()).without_native();
    registry.set_buckets(Matcher::Prefix("http.".to_owned()), bounds(&[1.0, 2.0])).unwrap();
    registry.set_buckets(Matcher::Suffix("_tokens".to_owned()), bounds(&[3.0])).unwrap();
    registry.set_buckets(Matcher::Full("one-of-them".to_owned()), bounds(&[4.0])).unwrap();
    with_local_recorder(&recorder, || {
        for name in ["http.latency", "prompt.tokens", "one-of-them", "another_seconds"] {
            histogram!(name).record(1.5);
        }
    });
    let seen = registry.snapshot();
    let bounds = |name: &str| seen.histogram(name, &[]).unwrap().classic().map(|(bound, _)| bound).collect::<Vec<_>>();
    assert_eq!(bounds("http_latency"), [1.0, 2.0, f64::INFINITY]);
    assert_eq!(bounds("prompt_tokens"), [3.0, f64::INFINITY]);
    assert_eq!(bounds("one_of_them"), [4.0, f64::INFINITY]);
    assert!(bounds("another_seconds").len() > 4);
}

#[test]
fn values_that_no_histogram_takes_touch_nothing() {
    let (registry, recorder) = fresh();
    with_local_recorder(&recorder, || {
        for value in [-1.0, f64::NAN, f64::INFINITY, 0.0, 2.0] {
            histogram!("odd").record_many(value, 2);
        }
        gauge!("odd_gauge").set(f64::NEG_INFINITY);
    });
    let odd = registry.snapshot().histogram("odd", &[]).unwrap();
    assert_eq!((odd.count(), odd.sum()), (4, 4.0));
    assert_eq!(registry.snapshot().gauge("odd_gauge", &[]), Some(f64::NEG_INFINITY));
}

/// The fastest of some calls.
fn fastest(mut call: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        call();
        start.elapsed()
    };
    (0..20).map(time).min().unwrap().max(Duration::from_nanos(1))
}

#[test]
fn record_many_costs_the_same_however_many_there_are() {
    const MANY: usize = 5_000_000;
    /// As the facade does it where nothing else is said.
    struct Looping(Arc<Mutex<u64>>);

    impl metrics::HistogramFn for Looping {
        fn record(&self, _: f64) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let ratio = |histogram: &metrics::Histogram| {
        histogram.record_many(0.25, 1);
        let few = fastest(|| (0..100).for_each(|_| histogram.record_many(0.25, 10)));
        let many = fastest(|| (0..100).for_each(|_| histogram.record_many(0.25, MANY / 1_000)));
        many.as_secs_f64() / few.as_secs_f64()
    };
    let (registry, recorder) = fresh();
    let ours = with_local_recorder(&recorder, || histogram!("step_seconds"));
    let counted = Arc::new(Mutex::new(0));
    let looping = metrics::Histogram::from_arc(Arc::new(Looping(Arc::clone(&counted))));
    // 500 times as many records: the ratio is one, or hundreds.
    assert!(ratio(&ours) < 20.0);
    assert!(ratio(&looping) > 100.0, "the check would notice a loop");
    let before = registry.snapshot().histogram("step_seconds", &[]).unwrap().count();
    let took = fastest(|| ours.record_many(0.25, MANY));
    let one = fastest(|| (0..1_000).for_each(|_| ours.record(0.25)));
    assert!(took < one, "{took:?} for {MANY} at once, {one:?} for a thousand one by one");
    let seen = registry.snapshot().histogram("step_seconds", &[]).unwrap();
    assert_eq!(seen.count() - before, 20 * (MANY as u64 + 1_000));
    assert_eq!(seen.sum(), 0.25 * seen.count() as f64);
}

#[test]
fn it_stands_behind_the_layers_of_metrics_util() {
    let (registry, recorder) = fresh();
    let (other_registry, other) = fresh();
    let prefixed = PrefixLayer::new("engine").layer(recorder.clone());
    let mut router = RouterBuilder::from_recorder(prefixed);
    router.add_route(MetricKindMask::COUNTER, "other", other);
    let router = router.build();
    for _ in 0..3 {
        with_local_recorder(&router, || {
            describe_counter!("requests", "Requests.");
            counter!("requests", "status" => "ok").increment(1);
            counter!("other.requests").increment(2);
            gauge!("other.depth").set(4);
            histogram!("wait_seconds").record(0.5);
        });
    }
    let seen = registry.snapshot();
    assert_eq!(seen.families[0].help, "Requests.");
    assert_eq!(seen.counter("engine_requests", &[("status", "ok")]), Some(3));
    assert_eq!(seen.gauge("engine_other_depth", &[]), Some(4.0));
    assert_eq!(seen.histogram("engine_wait_seconds", &[]).unwrap().count(), 3);
    assert_eq!(other_registry.snapshot().counter("other_requests", &[]), Some(6));
    assert_eq!(recorder.errors(), []);
}

#[test]
fn it_agrees_with_the_debugging_recorder_beside_it() {
    let (registry, recorder) = fresh();
    let debugging = DebuggingRecorder::new();
    let snapshotter = debugging.snapshotter();
    let both = FanoutBuilder::default().add_recorder(recorder).add_recorder(debugging).build();
    // A linear congruence chooses what is done.
    let mut state = 1_u64;
    let mut choose = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    with_local_recorder(&both, || {
        for _ in 0..20_000 {
            let name = format!("m{}", choose(5));
            let value = choose(3).to_string();
            let labels = match choose(3) {
                0 => vec![],
                1 => vec![Label::new("a", value)],
                _ => vec![Label::new("b", value), Label::new("a", "x")],
            };
            let amount = choose(1 << 20);
            match choose(8) {
                0 | 1 => counter!(format!("{name}_total"), labels).increment(amount),
                2 => counter!(format!("{name}_absolute_total"), labels).absolute(amount),
                3 => gauge!(name, labels).set(amount as f64),
                4 => gauge!(name, labels).increment(amount as f64),
                5 => gauge!(name, labels).decrement(amount as f64),
                6 => histogram!(format!("{name}_seconds"), labels).record(amount as f64),
                _ => histogram!(format!("{name}_seconds"), labels).record_many(amount as f64, choose(4) as usize),
            }
        }
    });
    let seen = registry.snapshot();
    let mut compared = 0;
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let mut wanted: Vec<_> =
            key.key().labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        wanted.sort();
        let family = seen.families.iter().find(|family| family.name == key.key().name()).unwrap();
        let own = &family.series.iter().find(|series| series.labels == wanted).unwrap().value;
        let agree = match (value, own) {
            (DebugValue::Counter(theirs), Value::Counter(ours)) => theirs == *ours,
            (DebugValue::Gauge(theirs), Value::Gauge(ours)) => theirs.0 == *ours,
            (DebugValue::Histogram(theirs), Value::Histogram(ours)) => {
                let sum: f64 = theirs.iter().map(|value| value.0).sum();
                theirs.len() as u64 == ours.count() && sum == ours.sum()
            }
            _ => false,
        };
        assert!(agree, "{key:?} {own:?}");
        assert_eq!(key.kind() == MetricKind::Histogram, family.kind == Kind::Histogram);
        compared += 1;
    }
    assert_eq!(compared, seen.families.iter().map(|family| family.series.len()).sum::<usize>());
    assert!(compared > 100, "{compared}");
}

#[test]
fn what_threads_record_is_scraped_exactly_and_never_falls() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 20_000;
    let (registry, recorder) = fresh();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let recorders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let recorder = &recorder;
                scope.spawn(move || {
                    with_local_recorder(recorder, || {
                        let held = counter!("held");
                        for round in 0..ROUNDS {
                            held.increment(1);
                            counter!("by_macro", "status" => "ok").increment(2);
                            counter!("by_thread", "thread" => thread.to_string()).increment(1);
                            gauge!("in_flight").increment(0.5);
                            gauge!("in_flight").decrement(0.25);
                            histogram!("wait_seconds").record_many(0.25, 1 + round % 2);
                        }
                    });
                })
            })
            .collect();
        let scraper = scope.spawn(|| {
            let mut last = registry.snapshot();
            while !done.load(Relaxed) {
                let now = registry.snapshot();
                for family in ["held", "by_macro", "by_thread"] {
                    assert!(now.counter(family, &[]).unwrap_or(0) >= last.counter(family, &[]).unwrap_or(0));
                }
                last = now;
            }
        });
        recorders.into_iter().for_each(|thread| thread.join().unwrap());
        done.store(true, Relaxed);
        scraper.join().unwrap();
    });
    let seen = registry.snapshot();
    let all = (THREADS * ROUNDS) as u64;
    assert_eq!(seen.counter("held", &[]), Some(all));
    assert_eq!(seen.counter("by_macro", &[]), Some(2 * all));
    for thread in 0..THREADS {
        assert_eq!(seen.counter("by_thread", &[("thread", &thread.to_string())]), Some(ROUNDS as u64));
    }
    assert_eq!(seen.gauge("in_flight", &[]), Some(0.25 * all as f64), "no increment is lost");
    let wait = seen.histogram("wait_seconds", &[]).unwrap();
    assert_eq!((wait.count(), wait.sum()), (all * 3 / 2, 0.25 * (all * 3 / 2) as f64));
}

#[test]
fn records_in_destructors_of_thread_locals_are_kept() {
    struct Last(Recorder);

    impl Drop for Last {
        fn drop(&mut self) {
            for _ in 0..3 {
                self.0.register_counter(&Key::from_static_name("last_words"), &METADATA).increment(1);
            }
        }
    }
    thread_local! {
        static EARLY: std::cell::OnceCell<Last> = const { std::cell::OnceCell::new() };
        static LATE: std::cell::OnceCell<Last> = const { std::cell::OnceCell::new() };
    }
    let (registry, recorder) = fresh();
    // A scope ends before its threads' destructors do.
    let thread = thread::spawn(move || {
        EARLY.with(|last| last.set(Last(recorder.clone())).map_err(drop).unwrap());
        recorder.register_counter(&Key::from_static_name("last_words"), &METADATA).increment(1);
        LATE.with(|last| last.set(Last(recorder.clone())).map_err(drop).unwrap());
    });
    thread.join().unwrap();
    assert_eq!(registry.snapshot().counter("last_words", &[]), Some(7));
}

#[test]
fn a_key_that_is_too_long_to_be_kept_is_found_all_the_same() {
    let (registry, recorder) = fresh();
    let long = "x".repeat(10_000);
    with_local_recorder(&recorder, || {
        for _ in 0..3 {
            counter!("hits", "prompt" => long.clone()).increment(1);
        }
    });
    assert_eq!(registry.snapshot().counter("hits", &[("prompt", &long)]), Some(3));
    let name = KeyName::from(SharedString::from(long.clone()));
    recorder.describe_counter(name, None, "Long.".into());
    assert_eq!(recorder.errors(), []);
}

#[test]
fn more_keys_than_a_thread_keeps_are_all_counted() {
    let (registry, recorder) = fresh();
    with_local_recorder(&recorder, || {
        for _ in 0..2 {
            for i in 0..9_000 {
                counter!(format!("hits{}", i / 900), "i" => i.to_string()).increment(1);
            }
        }
    });
    let seen = registry.snapshot();
    for family in 0..10 {
        assert_eq!(seen.counter(&format!("hits{family}"), &[]), Some(1_800));
    }
    let each_twice = |series: &SeriesSnapshot| series.value == Value::Counter(2);
    assert!(seen.families.iter().flat_map(|family| &family.series).all(each_twice));
}
