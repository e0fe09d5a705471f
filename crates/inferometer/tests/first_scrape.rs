//! What stands in the first scrape, before anything was recorded. A program of its own, since other tests record.

use inferometer::{
    Counter, Family, Gauge, Histogram, Kind, LabelSet, LabelValue, Registry, Unit, UpDownCounter, metric,
};
use std::sync::Barrier;
use std::thread;

/// Requests that arrived.
#[metric]
static REQUESTS_TOTAL: Counter = Counter::new();

/// Requests in flight.
#[metric]
static IN_FLIGHT: UpDownCounter = UpDownCounter::new();

/// Cache usage.
#[metric(unit = Unit::Ratio)]
static CACHE_USAGE_RATIO: Gauge = Gauge::new();

/// Step time,
/// in one line.
///
/// The second paragraph is for readers of the source.
#[metric]
static STEP_SECONDS: Histogram = Histogram::new();

/// Stages.
#[metric]
static STAGES_TOTAL: Family<StageLabels, Counter> = Family::new();

/// Models.
#[metric]
static MODELS_TOTAL: Family<Model, Counter> = Family::new();

#[derive(LabelSet)]
struct StageLabels {
    stage: Stage,
    last: bool,
}

#[derive(LabelValue)]
enum Stage {
    Schedule,
    ToolCalls,
}

#[derive(LabelSet)]
struct Model<'a> {
    model_name: &'a str,
}

/// Whoever comes while another thread makes the global registry waits for all of it.
fn all_threads_see_the_whole_registry_at_once() {
    let together = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                together.wait();
                let snapshot = Registry::global().snapshot();
                assert_eq!(snapshot.counter("requests_total", &[]), Some(0));
                assert_eq!(snapshot.counter("inferometer_records_dropped_total", &[]), Some(0));
            });
        }
    });
}

#[test]
fn declared_metrics_stand_in_the_first_scrape_at_zero() {
    all_threads_see_the_whole_registry_at_once();
    let snapshot = Registry::global().snapshot();
    assert_eq!(snapshot.counter("requests_total", &[]), Some(0));
    assert_eq!(snapshot.gauge("in_flight", &[]), Some(0.0));
    assert_eq!(snapshot.gauge("cache_usage_ratio", &[]), Some(0.0));
    assert_eq!(snapshot.histogram("step_seconds", &[]).unwrap().count(), 0);
    // All combinations of closed labels are known from the start. A family whose labels are open has no series yet.
    for stage in [Stage::Schedule, Stage::ToolCalls] {
        for last in [false, true] {
            let text = Stage::VALUES[stage.index()];
            let labels = [("stage", text), ("last", if last { "true" } else { "false" })];
            assert_eq!(snapshot.counter("stages_total", &labels), Some(0), "{labels:?}");
            assert_eq!(STAGES_TOTAL.get(&StageLabels { stage: Stage::Schedule, last }).handle().absolute(0), ());
        }
    }
    assert_eq!(snapshot.counter("models_total", &[]), None);
    MODELS_TOTAL.get(&Model { model_name: "llama" }).increment(0);
    assert_eq!(Registry::global().snapshot().counter("models_total", &[("model_name", "llama")]), Some(0));

    let step = snapshot.families.iter().find(|family| family.name == "step_seconds").unwrap();
    assert_eq!(step.help, "Step time, in one line.");
    assert_eq!((step.unit, step.kind), (Some(Unit::Seconds), Kind::Histogram));
    assert_eq!(snapshot.gauge("inferometer_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), Some(1.0));
    for counter in ["inferometer_invalid_observations_total", "inferometer_records_dropped_total"] {
        assert_eq!(snapshot.counter(counter, &[]), Some(0), "{counter}");
    }
}
