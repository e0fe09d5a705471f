//! The macros and the declarations, through the global registry.

use inferometer::testing::{Recorded, lint};
use inferometer::{
    Counter, Family, Gauge, Histogram, LabelSet, LabelValue, Level, Registry, Unit, UpDownCounter, counter,
    describe_counter, describe_gauge, describe_histogram, gauge, histogram, metric, up_down_counter,
};
use std::time::Duration;

/// Requests that arrived.
#[metric]
static DECLARED_REQUESTS_TOTAL: Counter = Counter::new();

/// Requests in flight.
#[metric(name = "declared_in_flight")]
pub static IN_FLIGHT: UpDownCounter = UpDownCounter::new();

/// Cache usage.
#[metric(name = "declared_cache_usage_ratio", unit = Unit::Ratio)]
static USAGE: Gauge = Gauge::new();

const BOUNDS: &[f64] = &[0.01, 0.1, 1.0];

/// Step time.
///
/// The second paragraph is for readers of the source.
#[metric(name = "declared_step_seconds", buckets = BOUNDS)]
static STEP: Histogram = Histogram::new();

/// Batch size.
#[metric(name = "declared_batch_size", buckets = [1.0, 2.0, 4.0, 8.0], native = false)]
static BATCH: Histogram<u64> = Histogram::new();

/// Loss.
#[metric(name = "declared_loss", native = 5, range = (1e-3, 10.0))]
static LOSS: Histogram<f64> = Histogram::new();

/// Outcomes.
#[metric(name = "declared_outcomes_total", max_series = 2)]
static OUTCOMES: Family<Outcome, Counter> = Family::new();

/// Stage time.
#[metric(name = "declared_stage_seconds_total")]
static STAGES: Family<StageLabels, Counter> = Family::new();

#[derive(LabelSet)]
struct Outcome<'a> {
    model_name: &'a str,
    status: Status,
    #[label(name = "type")]
    kind: &'a str,
    streamed: bool,
}

#[derive(LabelValue, Clone, Copy)]
enum Status {
    Ok,
    #[label(value = "failed")]
    Error,
}

#[derive(LabelSet)]
struct StageLabels {
    stage: Stage,
}

#[derive(LabelValue)]
enum Stage {
    Schedule,
    ToolCalls,
}

#[test]
fn declared_metrics_record() {
    let recorded = Recorded::since_now(Registry::global());
    DECLARED_REQUESTS_TOTAL.increment(3);
    IN_FLIGHT.increment(2);
    IN_FLIGHT.decrement(1);
    USAGE.set(0.5);
    STEP.record(Duration::from_millis(50));
    BATCH.record_n(4, 2);
    LOSS.record(0.25);
    let model = String::from("llama");
    for status in [Status::Ok, Status::Error, Status::Ok] {
        OUTCOMES.get(&Outcome { model_name: &model, status, kind: "chat", streamed: true }).increment(1);
    }
    STAGES.get(&StageLabels { stage: Stage::ToolCalls }).increment(5);
    STAGES.get(&StageLabels { stage: Stage::Schedule }).handle().increment(1);

    recorded.assert_counter("declared_requests_total", &[], 3);
    recorded.assert_gauge("declared_in_flight", &[], 1.0);
    recorded.assert_gauge("declared_cache_usage_ratio", &[], 0.5);
    recorded.assert_observations("declared_step_seconds", &[], 1);
    recorded.assert_observations("declared_batch_size", &[], 2);
    recorded.assert_observations("declared_loss", &[], 1);
    let ok = [("model_name", "llama"), ("status", "ok"), ("type", "chat"), ("streamed", "true")];
    recorded.assert_counter("declared_outcomes_total", &ok, 2);
    recorded.assert_counter("declared_outcomes_total", &[("status", "failed")], 1);
    recorded.assert_unchanged("declared_outcomes_total", &[("streamed", "false")]);
    recorded.assert_counter("declared_stage_seconds_total", &[("stage", "tool_calls")], 5);
    let bounds: Vec<f64> =
        recorded.delta().histogram("declared_step_seconds", &[]).unwrap().classic().map(|b| b.0).collect();
    assert_eq!(bounds, [0.01, 0.1, 1.0, f64::INFINITY]);

    // The family's own limit: two tuples of open labels, then `other`.
    for kind in ["completion", "embedding", "rerank"] {
        OUTCOMES.get(&Outcome { model_name: &model, status: Status::Ok, kind, streamed: false }).increment(1);
    }
    recorded.assert_counter("declared_outcomes_total", &[("type", "completion")], 1);
    recorded.assert_counter("declared_outcomes_total", &[("type", "other"), ("model_name", "other")], 2);
}

#[test]
fn the_macros_take_what_those_of_the_metrics_crate_take() {
    const NAME: &str = "const_name_total";
    let recorded = Recorded::since_now(Registry::global());
    let model = String::from("llama");
    for i in 0..3 {
        counter!("bare_total").increment(1);
        counter!("literal_total", "status" => "ok", "code" => "200").increment(2);
        counter!("trailing_total", "status" => "ok",).increment(1);
        counter!("values_total", "model_name" => model.clone(), "status" => "ok").increment(1);
        counter!("formatted_total", "i" => format!("{}", i % 2)).increment(1);
        counter!(NAME, "a" => "b").increment(1);
        counter!(concat!("concat", "_total")).increment(1);
        counter!(format!("formatted_name_{}_total", i % 2), "a" => &model).increment(1);
        let labels = [("a", "1"), ("b", "2")];
        counter!("slice_total", &labels).increment(1);
        let owned: Vec<(String, String)> = vec![("a".to_owned(), i.to_string())];
        counter!("vec_total", &owned).increment(1);
        counter!(target: "t", "target_total").increment(1);
        counter!(level: Level::INFO, "level_total", "a" => &model).increment(1);
        counter!(target: "t", level: Level::DEBUG, "both_total", "a" => "b").increment(1);
        up_down_counter!("up_down", "a" => &model).increment(2);
        gauge!("gauge", "a" => &model).set(7);
        gauge!("gauge_literal").increment(1.5);
        gauge!("gauge_literal").decrement(0.5);
        histogram!("macro_seconds", "a" => &model).record(Duration::from_millis(250));
        histogram!("macro_literal_seconds").record(0.25_f32);
        histogram!("macro_literal_seconds").record_many(3, 2);
    }
    counter!("absolute_total").absolute(42);
    for (name, labels, want) in [
        ("bare_total", &[][..], 3),
        ("literal_total", &[("status", "ok"), ("code", "200")], 6),
        ("trailing_total", &[], 3),
        ("values_total", &[("model_name", "llama"), ("status", "ok")], 3),
        ("formatted_total", &[("i", "0")], 2),
        ("const_name_total", &[("a", "b")], 3),
        ("concat_total", &[], 3),
        ("formatted_name_0_total", &[("a", "llama")], 2),
        ("formatted_name_1_total", &[("a", "llama")], 1),
        ("slice_total", &[("b", "2"), ("a", "1")], 3),
        ("vec_total", &[("a", "2")], 1),
        ("target_total", &[], 3),
        ("level_total", &[], 3),
        ("both_total", &[], 3),
        ("absolute_total", &[], 42),
    ] {
        recorded.assert_counter(name, labels, want);
    }
    recorded.assert_gauge("up_down", &[], 6.0);
    recorded.assert_gauge("gauge", &[("a", "llama")], 7.0);
    recorded.assert_gauge("gauge_literal", &[], 3.0);
    recorded.assert_observations("macro_seconds", &[("a", "llama")], 3);
    recorded.assert_observations("macro_literal_seconds", &[], 9);
}

#[test]
fn a_description_may_come_before_the_metric_or_after() {
    describe_counter!("described_before_total", "Before.");
    counter!("described_before_total").increment(1);
    gauge!("described_after_bytes").set(1);
    describe_gauge!("described_after_bytes", Unit::Bytes, "After.");
    describe_gauge!("described_after_bytes", Unit::Bytes, "Too late.");
    describe_histogram!("described_seconds", Unit::Seconds, String::from("Owned."));
    histogram!("described_seconds").record(1);
    let snapshot = Registry::global().snapshot();
    let family = |name: &str| snapshot.families.iter().find(|family| family.name == name).unwrap();
    assert_eq!(family("described_before_total").help, "Before.");
    assert_eq!(
        (&*family("described_after_bytes").help, family("described_after_bytes").unit),
        ("After.", Some(Unit::Bytes))
    );
    assert_eq!(family("described_seconds").help, "Owned.");
}

#[test]
fn a_record_under_a_name_that_is_taken_is_dropped_and_counted_and_nothing_panics() {
    counter!("taken_total").increment(1);
    let dropped = || Registry::global().snapshot().counter("inferometer_records_dropped_total", &[]).unwrap();
    let before = dropped();
    for _ in 0..2 {
        gauge!("taken_total").set(1); // refused: it is a counter
        counter!("taken_total", "label" => "x").increment(1); // refused: it has no labels
        counter!(String::from("not a name")).increment(1);
        histogram!(String::from("also:bad")).record(1);
    }
    assert_eq!(Registry::global().snapshot().counter("taken_total", &[]), Some(1));
    assert!(dropped() >= before + 6, "{} and {before}", dropped());
}

#[test]
fn handles_of_all_kinds_can_be_kept_and_sent() {
    let counter: Counter = counter!("kept_total", "a" => String::from("b")).handle();
    let literal: Counter = counter!("kept_literal_total").handle();
    let histogram: Histogram<f64> = histogram!("kept_seconds", "a" => String::from("b")).handle();
    let gauge: Gauge = gauge!("kept", "a" => String::from("b")).handle();
    let up_down: UpDownCounter = up_down_counter!("kept_up_down").handle();
    let recorded = Recorded::since_now(Registry::global());
    std::thread::spawn(move || {
        counter.clone().increment(1);
        literal.increment(1);
        histogram.record(1);
        gauge.set(3);
        up_down.decrement(2);
    })
    .join()
    .unwrap();
    recorded.assert_counter("kept_total", &[("a", "b")], 1);
    recorded.assert_counter("kept_literal_total", &[], 1);
    recorded.assert_observations("kept_seconds", &[], 1);
    recorded.assert_gauge("kept", &[], 3.0);
    recorded.assert_gauge("kept_up_down", &[], -2.0);
}

#[test]
fn loans_that_outlive_a_removal_keep_recording() {
    let registry = Registry::new();
    let family: Family<Outcome<'static>, Counter> = registry.register_family("loans_total", "Loans.").unwrap();
    let outcome = |kind| Outcome { model_name: "llama", status: Status::Ok, kind, streamed: true };
    let loan = family.get(&outcome("a"));
    loan.increment(1);
    assert!(family.remove(&outcome("a")));
    // Other look-ups flush the cache while the loan is out.
    family.get(&outcome("b")).increment(1);
    loan.increment(1);
    assert_eq!(registry.snapshot().counter("loans_total", &[("type", "a")]), Some(2), "listed again");
    drop(loan);
    assert!(family.remove(&outcome("a")));
    assert_eq!(registry.snapshot().counter("loans_total", &[("type", "a")]), None);
}

#[test]
fn the_declared_names_pass_the_lint() {
    let ours: Vec<_> = lint(Registry::global())
        .into_iter()
        .filter(|finding| finding.family.starts_with("declared_") || finding.family.starts_with("inferometer_"))
        .collect();
    assert_eq!(ours, []);
}
