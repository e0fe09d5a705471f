//! What the exposition says of a budget that cannot be met. In a process of its own, whose budget it changes.

mod support;

use inferometer::{Histogram, Registry, set_budget};
use inferometer_prometheus::Exporter;
use std::time::{Duration, Instant};
use support::{family, read};

#[test]
fn a_budget_that_cannot_be_met_is_exposed_beside_the_labels_that_were_refused() {
    let registry = Registry::new();
    for i in 0..1_002 {
        registry.counter("models_total", &[("model_name", &i.to_string())]).unwrap();
    }
    let exporter = Exporter::builder().registry(registry.clone()).build().unwrap();
    assert_eq!(family(&read(&exporter), "inferometer_series_dropped_total").samples.len(), 1);

    set_budget(1e-9);
    let step: Histogram = registry.histogram("step_seconds", &[]).unwrap();
    drop(step.start());
    // The family that is new goes before the other one, and no other name changes with it.
    read(&exporter);
    let start = Instant::now();
    while read(&exporter).len() < 6 {
        assert!(start.elapsed() < Duration::from_secs(20), "the budget is met");
        for _ in 0..100_000 {
            step.start().stop();
        }
    }
    let families = read(&exporter);
    let infeasible = family(&families, "inferometer_budget_infeasible");
    assert_eq!((infeasible.kind.as_str(), infeasible.samples[0].label("series")), ("gauge", Some("step_seconds")));
    let dropped = family(&families, "inferometer_series_dropped_total");
    assert_eq!((dropped.kind.as_str(), dropped.samples[0].label("family")), ("counter", Some("models_total")));
}
