//! What is recorded of a model besides its requests and steps.

use crate::builder::ServingMetricsBuilder;
use crate::label::{
    CacheTier, EngineState, ErrorType, FinishReason, LoadPhase, LoraState, MemoryAccess, Stage, Status,
    TokenizerOperation, TransferDirection,
};
use crate::label_set::{ByEngineState, ByLoadPhase, ByLoraState, ByTransfer, KvCacheShape, PerEngine};
use crate::metric::Metric;
use crate::request_tracker::RequestTracker;
use crate::series::Series;
use crate::step_recorder::StepRecorder;
use inferometer::{Moment, Sampling, Timer};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

/// The metrics of one model in one engine. Clones record in the same series.
///
/// ```
/// use inferometer::Registry;
/// use inferometer::Moment;
/// use inferometer_serving::{FinishReason, ServingMetrics};
///
/// let registry = Registry::new();
/// let metrics = ServingMetrics::builder("llama").engine("0").registry(&registry).register()?;
/// let request = metrics.request(Moment::now());
/// request.finished(FinishReason::Stop, Moment::now());
/// let labels = [("model_name", "llama"), ("finish_reason", "stop")];
/// assert_eq!(registry.snapshot().counter("inference_requests_total", &labels), Some(1));
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ServingMetrics {
    series: Arc<Series>,
}

/// The LoRA adapters of an engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoraAdapters<'a> {
    /// How many there can be in a step.
    pub max: u64,
    /// How many are in memory.
    pub loaded: u64,
    /// The names of those whose requests run.
    pub running: &'a [&'a str],
    /// The names of those whose requests wait.
    pub waiting: &'a [&'a str],
}

impl ServingMetrics {
    /// Registers the metrics of a model. Many models and engines can share a registry.
    pub fn builder(model_name: &str) -> ServingMetricsBuilder {
        ServingMetricsBuilder::new(model_name)
    }

    pub(crate) fn new(series: Series) -> Self {
        ServingMetrics { series: Arc::new(series) }
    }

    /// A request has arrived. The tracker follows it to its end.
    pub fn request(&self, arrived: impl Into<Moment>) -> RequestTracker {
        RequestTracker::new(Arc::clone(&self.series), arrived.into())
    }

    /// A request came and went, for a server that tells no more of it. An error counts as an internal one.
    ///
    /// ```
    /// use inferometer::Moment;
    /// use inferometer_serving::{ServingMetrics, Status};
    ///
    /// let metrics = ServingMetrics::builder("classifier").register()?;
    /// let start = Moment::now();
    /// // ... the request ...
    /// metrics.record_request(start.elapsed(), Status::Ok);
    /// # Ok::<(), inferometer::RegisterError>(())
    /// ```
    pub fn record_request(&self, duration: Duration, status: Status) {
        self.series.requests_started.increment(1);
        self.series.request_duration.record(duration);
        self.series.count_end(match status {
            Status::Ok => FinishReason::Stop,
            Status::Error => FinishReason::Error,
            Status::Cancelled => FinishReason::Abort,
        });
        if status == Status::Error {
            self.series.request_errors[ErrorType::Internal as usize].increment(1);
        }
    }

    /// What records the steps of this engine; one for each thread that runs them.
    pub fn step_recorder(&self) -> StepRecorder {
        StepRecorder::new(Arc::clone(&self.series))
    }

    /// Begins a stage of the host's work, on any thread. It ends when the timer is dropped.
    #[inline]
    pub fn stage(&self, stage: Stage) -> Timer {
        self.series.host_stage[stage as usize].start()
    }

    /// Chooses which events of a sampled metric are measured, for all models and engines of the registry. Other metrics
    /// are never sampled: for them this does nothing.
    pub fn set_sampling(&self, metric: Metric, sampling: Sampling) {
        match metric {
            Metric::HostStage => self.series.host_stage[0].set_sampling(sampling),
            Metric::TokenLogprob => self.series.token_logprob.iter().for_each(|logprob| logprob.set_sampling(sampling)),
            _ => {}
        }
    }

    /// A text became tokens, or tokens a text.
    pub fn tokenized(&self, operation: TokenizerOperation, took: Duration) {
        self.series.tokenize[operation as usize].record(took);
    }

    /// A token was chosen whose log-probability `logprob` gives, in nats; it is called for a sample of the tokens, if
    /// [`Metric::TokenLogprob`](crate::Metric::TokenLogprob) was asked for.
    #[inline]
    pub fn token_logprob(&self, logprob: impl FnOnce() -> f64) {
        if let Some(histogram) = &self.series.token_logprob {
            histogram.record_with(|| -logprob());
        }
    }

    /// A request's logits were not numbers.
    pub fn corrupted_request(&self) {
        self.series.corrupted_requests.increment(1);
    }

    /// What steps have computed, read and written, in floating-point operations and bytes, as far as it can be estimated.
    pub fn estimated_work(&self, flops: u64, bytes_read: u64, bytes_written: u64) {
        self.series.estimated_flops.increment(flops);
        self.series.estimated_memory[MemoryAccess::Read as usize].increment(bytes_read);
        self.series.estimated_memory[MemoryAccess::Write as usize].increment(bytes_written);
    }

    /// The engine is in this state.
    pub fn set_engine_state(&self, state: EngineState) {
        let PerEngine { model_name, engine } = self.series.labels();
        for each in EngineState::ALL {
            let gauge = self.series.engine_state.get(&ByEngineState { model_name, engine, state: each });
            gauge.set(if each == state { 1.0 } else { 0.0 });
        }
    }

    /// How many requests can run at a time.
    pub fn set_max_running_requests(&self, requests: u64) {
        self.series.max_running_requests.get(&self.series.labels()).set(requests as f64);
    }

    /// How many tokens a step can have.
    pub fn set_max_step_tokens(&self, tokens: u64) {
        self.series.max_step_tokens.get(&self.series.labels()).set(tokens as f64);
    }

    /// How many blocks the KV cache has, and how many tokens a block holds.
    pub fn set_kv_cache(&self, blocks: u64, block_tokens: u64) {
        let labels = self.series.labels();
        let PerEngine { model_name, engine } = labels;
        self.series.kv_cache_blocks_max.get(&labels).set(blocks as f64);
        self.series.kv_cache_block_tokens.get(&labels).set(block_tokens as f64);
        let (blocks, block_tokens) = (&*blocks.to_string(), &*block_tokens.to_string());
        self.series.kv_cache_info.get(&KvCacheShape { model_name, engine, block_tokens, blocks }).set(1.0);
    }

    /// So many tokens of a prompt were looked up in this tier of the prefix cache, and so many of them were there.
    pub fn prefix_cache_lookup(&self, tier: CacheTier, queries: u64, hits: u64) {
        self.series.prefix_cache_queries[tier as usize].increment(queries);
        self.series.prefix_cache_hits[tier as usize].increment(hits);
    }

    /// The KV cache gave up the keys and values of so many tokens.
    pub fn kv_cache_evicted(&self, tokens: u64) {
        self.series.kv_cache_evicted_tokens.increment(tokens);
    }

    /// Keys and values were moved to the accelerator from a tier, or from it to the tier.
    pub fn kv_transferred(&self, direction: TransferDirection, tier: CacheTier, bytes: u64, took: Duration) {
        let PerEngine { model_name, engine } = self.series.labels();
        let labels = ByTransfer { model_name, engine, direction, tier };
        self.series.kv_transfer_bytes.get(&labels).increment(bytes);
        self.series.kv_transfer.get(&labels).record(took);
    }

    /// The engine has these adapters now.
    pub fn set_lora_adapters(&self, adapters: &LoraAdapters<'_>) {
        let labels = self.series.labels();
        let PerEngine { model_name, engine } = labels;
        for (state, count) in [
            (LoraState::Loaded, adapters.loaded),
            (LoraState::Running, adapters.running.len() as u64),
            (LoraState::Waiting, adapters.waiting.len() as u64),
        ] {
            self.series.lora_adapters.get(&ByLoraState { model_name, engine, state }).set(count as f64);
        }
        let now = [adapters.max.to_string(), adapters.running.join(","), adapters.waiting.join(",")];
        let mut exposed = self.series.adapters.lock().unwrap_or_else(PoisonError::into_inner);
        // A reader takes the series with the greatest value: there is one.
        if let Some(before) = exposed.replace(now.clone()).filter(|before| *before != now) {
            self.series.lora_info.remove(&labels.with_adapters(&before));
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.series.lora_info.get(&labels.with_adapters(&now)).set(since.as_secs_f64());
    }

    /// A part of loading the model took so long.
    pub fn set_model_load(&self, phase: LoadPhase, took: Duration) {
        let PerEngine { model_name, engine } = self.series.labels();
        self.series.model_load.get(&ByLoadPhase { model_name, engine, phase }).set(took.as_secs_f64());
    }

    /// The model's weights take so many bytes.
    pub fn set_model_weight_bytes(&self, bytes: u64) {
        self.series.model_weight_bytes.get(&self.series.labels()).set(bytes as f64);
    }

    /// The model is unloaded: its series for this engine leave the registry, and with the last engine's those that
    /// engines share. That is when the last clone, tracker and recorder has gone, so that nothing comes back.
    pub fn unload(self) {
        self.series.unload();
    }
}
