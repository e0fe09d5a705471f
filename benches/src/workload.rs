//! The loops, and what a decode step records.
//!
//! The functions with loops are not inlined, and take handles by reference: see the crate's documentation.

use crate::library::{Buckets, Labels, Library};
use std::hint::black_box;

/// The labels of series of which there is one.
pub const ONE: Labels<'static> = ["llama-3.1-8b-instruct", "0", "tenant-0001"];

/// Counts to `n`.
#[inline(never)]
pub fn count<L: Library>(counter: &L::Counter, n: u64) {
    for _ in 0..n {
        L::add(counter, 1);
    }
}

/// Sets a gauge `n` times.
#[inline(never)]
pub fn set<L: Library>(gauge: &L::Gauge, n: u64) {
    for i in 0..n {
        L::set(gauge, i as f64);
    }
}

/// Records `n` of these durations.
#[inline(never)]
pub fn observe<L: Library>(histogram: &L::Histogram, times: &[L::Time], n: u64) {
    over(times, n, |time| L::observe(histogram, time));
}

/// Calls `each` with `n` of the values, again from the start when there are fewer. Two loops, because `Iterator::cycle`
/// costs as much as a record.
#[inline(always)]
pub fn over<T: Copy>(values: &[T], n: u64, mut each: impl FnMut(T)) {
    assert!(!values.is_empty(), "no values, no calls");
    let mut left = n as usize;
    while left > 0 {
        let values = &values[..left.min(values.len())];
        values.iter().for_each(|&value| each(value));
        left -= values.len();
    }
}

/// These durations as the library takes them.
pub fn times<L: Library>(nanos: &[u64]) -> Vec<L::Time> {
    nanos.iter().map(|&nanos| L::time(nanos)).collect()
}

/// What the engine records when one decode step ends: nine records, of which two durations come from the same reading
/// of the clock.
pub struct DecodeStep<L: Library> {
    inter_token_latency: L::Histogram,
    step_seconds: L::Histogram,
    batch_size: L::Sizes,
    step_tokens: L::Sizes,
    generated_tokens: L::Counter,
    steps: L::Counter,
    running: L::Gauge,
    waiting: L::Gauge,
    kv_cache_usage: L::Gauge,
}

impl<L: Library> std::fmt::Debug for DecodeStep<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecodeStep").field("library", &L::NAME).finish_non_exhaustive()
    }
}

impl<L: Library> DecodeStep<L> {
    /// Registers everything.
    pub fn new(registry: &mut L::Registry, buckets: Buckets) -> Self {
        let mut histogram = |name| L::histogram(&L::histograms(registry, name, buckets), ONE);
        let (inter_token_latency, step_seconds) = (histogram("inter_token_latency_seconds"), histogram("step_seconds"));
        let mut sizes = |name| L::sizes(registry, name, ONE);
        let (batch_size, step_tokens) = (sizes("batch_size"), sizes("step_tokens"));
        let mut counter = |name| L::counter(&L::counters(registry, name), ONE);
        let (generated_tokens, steps) = (counter("generated_tokens_total"), counter("steps_total"));
        let mut gauge = |name| L::gauge(registry, name, ONE);
        let (running, waiting) = (gauge("requests_running"), gauge("requests_waiting"));
        let kv_cache_usage = gauge("kv_cache_usage_ratio");
        DecodeStep {
            inter_token_latency,
            step_seconds,
            batch_size,
            step_tokens,
            generated_tokens,
            steps,
            running,
            waiting,
            kv_cache_usage,
        }
    }

    /// One step of one sequence, which took this long.
    #[inline(always)]
    pub fn record(&self, time: L::Time, kv_cache_usage: f64) {
        L::observe(&self.inter_token_latency, time);
        L::observe(&self.step_seconds, time);
        L::observe_size(&self.batch_size, 1);
        L::observe_size(&self.step_tokens, 1);
        L::add(&self.generated_tokens, 1);
        L::add(&self.steps, 1);
        L::set(&self.running, 1.0);
        L::set(&self.waiting, 0.0);
        L::set(&self.kv_cache_usage, kv_cache_usage);
    }

    /// `n` steps.
    #[inline(never)]
    pub fn record_all(&self, times: &[L::Time], n: u64) {
        let mut usage = 0.0;
        over(times, n, |time| {
            usage += 1e-6;
            self.record(time, usage);
        });
    }
}

/// As much memory as a layer or two of a model, which pushes everything else out of the caches when it is read.
#[derive(Debug)]
pub struct Weights(Vec<u64>);

impl Weights {
    /// 48 MiB.
    pub fn new() -> Self {
        Weights((0..48 << 17).collect())
    }

    /// What it is made of.
    pub fn words(&self) -> &[u64] {
        &self.0
    }

    /// Reads all of it.
    pub fn stream(&self) {
        black_box(self.0.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word)));
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self::new()
    }
}

/// What the scrape rows read: ten families of a hundred counters and ten families of ten histograms.
pub struct Populated<L: Library> {
    /// All of it.
    pub registry: L::Registry,
    /// The families of the counters, for more series.
    pub counters: Vec<L::Counters>,
    /// The handles, which keep nothing from being scraped but a program would have them.
    _handles: (Vec<L::Counter>, Vec<L::Histogram>),
}

impl<L: Library> std::fmt::Debug for Populated<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Populated").field("library", &L::NAME).finish_non_exhaustive()
    }
}

const COUNTERS: [&str; 10] = [
    "requests_total",
    "prompt_tokens_total",
    "generated_tokens_total",
    "preemptions_total",
    "prefix_cache_hits_total",
    "prefix_cache_queries_total",
    "rejected_requests_total",
    "aborted_requests_total",
    "draft_tokens_total",
    "accepted_tokens_total",
];

const HISTOGRAMS: [&str; 10] = [
    "time_to_first_token_seconds",
    "inter_token_latency_seconds",
    "time_per_output_token_seconds",
    "request_duration_seconds",
    "queue_duration_seconds",
    "prefill_duration_seconds",
    "decode_duration_seconds",
    "step_duration_seconds",
    "tokenize_duration_seconds",
    "detokenize_duration_seconds",
];

impl<L: Library> Populated<L> {
    /// Registers everything and records into everything on this thread.
    pub fn new(buckets: Buckets, nanos: &[u64]) -> Self {
        let mut registry = L::registry();
        let counters: Vec<_> = COUNTERS.iter().map(|name| L::counters(&mut registry, name)).collect();
        let histograms: Vec<_> = HISTOGRAMS.iter().map(|name| L::histograms(&mut registry, name, buckets)).collect();
        let times = times::<L>(nanos);
        let mut handles = (Vec::new(), Vec::new());
        for (at, family) in counters.iter().enumerate() {
            for tenant in 0..100 {
                let counter = L::counter(family, [ONE[0], ONE[1], &format!("tenant-{tenant:04}")]);
                L::add(&counter, 7_919 * (100 * at as u64 + tenant + 1));
                handles.0.push(counter);
            }
        }
        for family in &histograms {
            for tenant in 0..10 {
                let histogram = L::histogram(family, [ONE[0], ONE[1], &format!("tenant-{tenant:04}")]);
                observe::<L>(&histogram, &times, 1_000 + tenant);
                L::upkeep(&registry);
                handles.1.push(histogram);
            }
        }
        Populated { registry, counters, _handles: handles }
    }
}
