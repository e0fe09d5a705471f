//! With `--cfg inferometer_off` nothing is recorded and nothing panics. Run with
//! `RUSTFLAGS="--cfg inferometer_off" cargo test -p inferometer --test switched_off`.
#![cfg(inferometer_off)]

use inferometer::{
    Counter, Family, Gauge, Histogram, LabelSet, Registry, UpDownCounter, counter, describe_counter, gauge, histogram,
    metric,
};
use std::time::Duration;

/// A counter.
#[metric]
static COUNTER_TOTAL: Counter = Counter::new();

/// A family.
#[metric]
static FAMILY_TOTAL: Family<Model, Counter> = Family::new();

/// A histogram.
#[metric]
static STEP_SECONDS: Histogram = Histogram::new();

#[derive(LabelSet)]
struct Model<'a> {
    model_name: &'a str,
}

#[test]
fn nothing_is_recorded() {
    let registry = Registry::new();
    let local: Counter = registry.counter("local_total", &[]).unwrap();
    let up_down: UpDownCounter = registry.up_down_counter("up_down", &[]).unwrap();
    let level: Gauge = registry.gauge("level", &[]).unwrap();
    let name = String::from("dynamic_total");
    COUNTER_TOTAL.increment(1);
    COUNTER_TOTAL.absolute(7);
    COUNTER_TOTAL.signal_safe().increment(1);
    FAMILY_TOTAL.get(&Model { model_name: &name }).increment(1);
    STEP_SECONDS.record(Duration::from_secs(1));
    STEP_SECONDS.record_n(Duration::from_secs(1), 3);
    STEP_SECONDS.record_slice(&[Duration::from_secs(1)]);
    STEP_SECONDS.record_with_exemplar(Duration::from_secs(1), &[("trace_id", "1")]);
    STEP_SECONDS.record_with_exemplar(Duration::from_secs(1), &[("le", "not even looked at")]);
    #[cfg(feature = "tracing")]
    STEP_SECONDS.record_with_current_span(Duration::from_secs(1));
    local.increment(1);
    up_down.increment(1);
    up_down.decrement(2);
    level.set(1);
    level.increment(1);
    counter!("literal_total").increment(1);
    counter!(name.clone(), "a" => &name).increment(1);
    gauge!("gauge", "a" => &name).set(1);
    histogram!("histogram").record(1);
    describe_counter!("literal_total", "Not kept.");
    #[cfg(feature = "metrics")]
    metrics::with_local_recorder(&inferometer::facade::Recorder::global(), || {
        metrics::counter!("literal_of_the_facade").increment(1);
        metrics::gauge!("literal_of_the_facade_too").set(1);
        metrics::histogram!("literal_count").record_many(1, 2);
        metrics::describe_gauge!("literal_of_the_facade", "Not kept.");
    });

    let (global, own) = (Registry::global().snapshot(), registry.snapshot());
    assert_eq!(global.counter("counter_total", &[]), Some(0), "declared metrics are exposed all the same");
    assert_eq!(global.counter("family_total", &[]), None);
    let steps = global.histogram("step_seconds", &[]).unwrap();
    assert_eq!((steps.count(), steps.exemplars().len()), (0, 0));
    assert_eq!(global.counter("inferometer_exemplars_dropped_total", &[]), Some(0));
    assert!(global.families.iter().all(|family| !family.name.contains("literal") && family.name != "dynamic_total"));
    assert_eq!(own.counter("local_total", &[]), Some(0));
    assert_eq!((own.gauge("up_down", &[]), own.gauge("level", &[])), (Some(0.0), Some(0.0)));
}
