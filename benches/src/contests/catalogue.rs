//! A decode step through the catalogue of inference metrics, and the same records by hand.

use crate::allocations::Allocations;
use crate::library::{Buckets, Exporter, Labels, Library, PrometheusClient};
use crate::timing::Contestant;
use crate::workload::{ONE, over, times};
use inferometer::{Moment, Registry};
use inferometer_serving::{KvBlocks, RequestTracker, ServingMetrics, StepRecorder};
use std::hint::black_box;
use std::time::Duration;

/// The contestants, for a batch of so many sequences. Ours gets the moments at which steps end from the caller, as from an
/// engine that reads the clock anyway; the peers get the durations.
pub fn contestants(nanos: &[u64], batch: usize) -> Vec<Contestant<'static>> {
    let mut ours = Ours::new(nanos, batch);
    vec![
        Contestant::new("inferometer", move |n| ours.record_all(n)),
        peer::<Exporter>(nanos, batch),
        peer::<PrometheusClient>(nanos, batch),
    ]
}

/// How often a thousand of our steps allocate.
pub fn allocations(nanos: &[u64], batch: usize) -> u64 {
    let mut ours = Ours::new(nanos, batch);
    ours.record_all(1_000);
    let before = Allocations::now();
    ours.record_all(1_000);
    Allocations::since(before).count
}

/// An engine whose requests are decoding.
struct Ours {
    recorder: StepRecorder,
    requests: Vec<RequestTracker>,
    ends: Vec<Moment>,
    tokens: u64,
}

const BLOCKS: u64 = 1 << 20;

/// What a block of the KV cache holds: so many tokens of a sequence, and then it needs the next one.
const BLOCK_TOKENS: u64 = 16;

impl Ours {
    fn new(nanos: &[u64], batch: usize) -> Self {
        let [model, engine, _]: Labels<'_> = ONE;
        let builder = ServingMetrics::builder(model).engine(engine).registry(&Registry::new());
        let metrics = builder.register().expect("the registry is new");
        let start = Moment::now();
        let ends = nanos.iter().scan(start, |end, &nanos| {
            *end += Duration::from_nanos(nanos);
            Some(*end)
        });
        let first_token = |_| {
            let mut request = metrics.request(start);
            request.tokens(1, start);
            request
        };
        Ours {
            recorder: metrics.step_recorder(),
            requests: (0..batch).map(first_token).collect(),
            ends: ends.collect(),
            tokens: 0,
        }
    }

    #[inline(never)]
    fn record_all(&mut self, n: u64) {
        let Ours { recorder, requests, ends, tokens } = self;
        over(ends, n, |end| {
            *tokens += requests.len() as u64;
            if tokens.is_multiple_of(BLOCK_TOKENS) {
                let used = *tokens / BLOCK_TOKENS % BLOCKS;
                recorder.set_kv_blocks(KvBlocks { used, free: BLOCKS - used, cached: 0 });
            }
            recorder.step(end, |step| requests.iter_mut().for_each(|request| step.tokens(request, 1)));
        });
    }
}

/// The same series by hand: each sequence's time since its last token, and what there is once a step.
struct ByHand<L: Library> {
    inter_token_latency: L::Histogram,
    step_seconds: L::Histogram,
    batch_size: L::Sizes,
    step_tokens: L::Sizes,
    generated_tokens: L::Counter,
    kv_cache_usage: L::Gauge,
    /// Used, free and cached.
    kv_cache_blocks: [L::Gauge; 3],
}

impl<L: Library> ByHand<L> {
    fn new(registry: &mut L::Registry) -> Self {
        let mut histogram = |name| L::histogram(&L::histograms(registry, name, Buckets::Classic), ONE);
        let (inter_token_latency, step_seconds) = (histogram("inter_token_latency_seconds"), histogram("step_seconds"));
        let mut sizes = |name| L::sizes(registry, name, ONE);
        let (batch_size, step_tokens) = (sizes("batch_size"), sizes("step_tokens"));
        let mut gauge = |name| L::gauge(registry, name, ONE);
        ByHand {
            inter_token_latency,
            step_seconds,
            batch_size,
            step_tokens,
            kv_cache_usage: gauge("kv_cache_usage_ratio"),
            kv_cache_blocks: ["kv_cache_blocks_used", "kv_cache_blocks_free", "kv_cache_blocks_cached"].map(gauge),
            generated_tokens: L::counter(&L::counters(registry, "generated_tokens_total"), ONE),
        }
    }

    #[inline(never)]
    fn record_all(&self, times: &[L::Time], batch: usize, n: u64) {
        let mut tokens = 0;
        over(times, n, |time| {
            tokens += batch as u64;
            if tokens.is_multiple_of(BLOCK_TOKENS) {
                let used = tokens / BLOCK_TOKENS % BLOCKS;
                let blocks = [used, BLOCKS - used, 0];
                self.kv_cache_blocks.iter().zip(blocks).for_each(|(gauge, blocks)| L::set(gauge, blocks as f64));
                L::set(&self.kv_cache_usage, used as f64 / BLOCKS as f64);
            }
            (0..batch).for_each(|_| L::observe(&self.inter_token_latency, time));
            L::observe(&self.step_seconds, time);
            L::observe_size(&self.batch_size, batch as u64);
            L::observe_size(&self.step_tokens, batch as u64);
            L::add(&self.generated_tokens, batch as u64);
        });
    }
}

fn peer<L: Library>(nanos: &[u64], batch: usize) -> Contestant<'static> {
    let registry = Box::leak(Box::new(L::registry()));
    let step: &'static ByHand<L> = black_box(Box::leak(Box::new(ByHand::new(registry))));
    let registry = &*registry;
    let times = times::<L>(nanos);
    Contestant::with_upkeep(L::NAME, move |n| step.record_all(&times, batch, n), move || L::upkeep(registry))
}
