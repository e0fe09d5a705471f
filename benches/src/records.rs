//! How often the steps of an engine record, and how.

use inferometer::{Kind, Snapshot, Value};
use serde::{Deserialize, Serialize};

/// The kinds of records. What they cost is measured for each.
pub const KINDS: [&str; 7] = [
    "counter",
    "up-down counter",
    "histogram",
    "section, only counted",
    "section, timed",
    "look-up of labels",
    "reading of the clock",
];

/// What one step of an engine records on average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Records {
    /// The model.
    pub model: String,
    /// How long the step takes, with its records.
    pub step_seconds: f64,
    /// How often it records, for each of [`KINDS`].
    pub each: [f64; KINDS.len()],
}

/// What was done between two snapshots.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Requests, one after another, from their arrival to their end.
    pub requests: usize,
    /// The steps of all of them.
    pub steps: usize,
    /// How long they took.
    pub seconds: f64,
}

impl Records {
    /// From what the families with this prefix have grown by. One sequence runs at a time, so each record counts one.
    ///
    /// Three kinds leave no trace in a value. Each request goes up and down once in each up-down counter, and its end is
    /// counted by a label that is looked up; the clock is read at the end of each step and at the start of the first.
    pub fn of(model: &str, growth: &Snapshot, prefix: &str, done: Done) -> Self {
        let [mut counters, mut up_downs, mut histograms, mut events, mut samples] = [0; 5];
        for family in growth.families.iter().filter(|family| family.name.starts_with(prefix)) {
            for series in &family.series {
                match &series.value {
                    Value::Counter(count) if family.name.ends_with("_events_total") => events += count,
                    Value::Counter(count) if family.name.ends_with("_samples_total") => samples += count,
                    Value::Counter(count) => counters += count,
                    Value::Gauge(_) if family.kind == Kind::UpDownCounter => up_downs += 2 * done.requests as u64,
                    Value::Histogram(_) if is_timed(growth, &family.name) => {}
                    Value::Histogram(histogram) => histograms += histogram.count(),
                    _ => {}
                }
            }
        }
        let (requests, steps) = (done.requests as u64, done.steps as u64);
        // What is looked up is then counted, and that is part of the look-up's cost.
        let all = [counters - requests, up_downs, histograms, events - samples, samples, requests, steps + requests];
        Records {
            model: model.to_owned(),
            step_seconds: done.seconds / done.steps as f64,
            each: all.map(|count| count as f64 / done.steps as f64),
        }
    }
}

/// Whether the observations of a histogram come from timed sections, which are counted by themselves.
fn is_timed(growth: &Snapshot, name: &str) -> bool {
    growth.counter(&format!("{name}_events_total"), &[]).is_some_and(|events| events > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferometer::{Registry, Sampling};

    #[test]
    fn each_kind_is_counted_by_itself() {
        let registry = Registry::new();
        let counter = registry.counter("engine_tokens_total", &[]).expect("a valid counter");
        let ended = registry.counter("engine_requests_total", &[]).expect("a valid counter");
        let running = registry.up_down_counter("engine_running", &[]).expect("a valid counter");
        let latency = registry.histogram::<std::time::Duration>("engine_latency_seconds", &[]).expect("a histogram");
        let stage = registry.histogram::<std::time::Duration>("engine_stage_seconds", &[]).expect("a histogram");
        stage.set_sampling(Sampling::Always);
        let other = registry.counter("other_total", &[]).expect("a valid counter");
        let request = || {
            running.increment(1);
            for _ in 0..4 {
                stage.start().stop();
                latency.record_nanos(5);
                counter.increment(1);
                other.increment(1);
            }
            running.decrement(1);
            ended.increment(1);
        };
        request();
        let before = registry.snapshot();
        request();
        request();
        let growth = registry.snapshot().delta(&before);
        let records = Records::of("a", &growth, "engine_", Done { requests: 2, steps: 8, seconds: 4.0 });
        assert_eq!(records.step_seconds, 0.5);
        assert_eq!(records.each, [1.0, 0.5, 1.0, 0.0, 1.0, 0.25, 1.25]);
    }
}
