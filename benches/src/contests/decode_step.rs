//! Everything that one decode step records.

use crate::library::{
    Buckets, Exporter, Fastmetrics, Library, Metriken, MetrikenSharded, OpenTelemetry, Ours, Prometheus,
    PrometheusClient,
};
use crate::timing::Contestant;
use crate::workload::{DecodeStep, Weights, times};
use std::hint::black_box;
use std::rc::Rc;
use std::time::Instant;

/// The same steps hot, and cold.
#[derive(Debug)]
pub struct Contest<'a> {
    /// One step after the other.
    pub hot: Vec<Contestant<'a>>,
    /// Each step after the weights went through the caches. The last one reads the clock and records nothing.
    pub cold: Vec<Contestant<'a>>,
}

impl<'a> Contest<'a> {
    /// Steps that take so long.
    pub fn new(nanos: &[u64], weights: &'a Weights) -> Self {
        let mut contest = Contest { hot: Vec::new(), cold: Vec::new() };
        contest.add::<Ours>(Ours::NAME, Buckets::Both, nanos, weights);
        contest.add::<Exporter>(Exporter::NAME, Buckets::Classic, nanos, weights);
        contest.add::<Prometheus>(Prometheus::NAME, Buckets::Classic, nanos, weights);
        contest.add::<PrometheusClient>(PrometheusClient::NAME, Buckets::Classic, nanos, weights);
        contest.add::<PrometheusClient>("prometheus-client, classic + native", Buckets::Both, nanos, weights);
        contest.add::<Fastmetrics>(Fastmetrics::NAME, Buckets::Classic, nanos, weights);
        contest.add::<OpenTelemetry>(OpenTelemetry::NAME, Buckets::Classic, nanos, weights);
        contest.add::<Metriken>(Metriken::NAME, Buckets::Native, nanos, weights);
        contest.add::<MetrikenSharded>(MetrikenSharded::NAME, Buckets::Native, nanos, weights);
        contest.cold.push(Contestant::timing_itself("the clock alone", |n| {
            let clock = || {
                weights.stream();
                Instant::now().elapsed()
            };
            (0..n).map(|_| clock()).sum()
        }));
        contest
    }

    fn add<L: Library>(&mut self, name: &'static str, buckets: Buckets, nanos: &[u64], weights: &'a Weights) {
        let registry = Box::leak(Box::new(L::registry()));
        let step: &'static DecodeStep<L> = black_box(Box::leak(Box::new(DecodeStep::new(registry, buckets))));
        let registry = &*registry;
        let times = Rc::new(times::<L>(nanos));
        let hot_times = Rc::clone(&times);
        let hot = move |n| step.record_all(&hot_times, n);
        self.hot.push(Contestant::with_upkeep(name, hot, move || L::upkeep(registry)));
        self.cold.push(Contestant::timing_itself(name, move |n| {
            let cold_step = || {
                weights.stream();
                let start = Instant::now();
                step.record_all(&times, 1);
                let time = start.elapsed();
                L::upkeep(registry);
                time
            };
            (0..n).map(|_| cold_step()).sum()
        }));
    }
}
