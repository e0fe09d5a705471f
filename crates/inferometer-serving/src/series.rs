//! The series of one model in one engine.

use crate::label::{
    BlockState, CacheTier, EngineState, ErrorType, FinishReason, LoadPhase, LoraState, MemoryAccess, Phase,
    RejectReason, Stage, TokenizerOperation, TransferDirection,
};
use crate::label_set::{
    Adapters, ByAccess, ByBlockState, ByEngineState, ByError, ByLoadPhase, ByLoraState, ByOperation, ByOutcome,
    ByPhase, ByReason, BySource, ByStage, ByTier, ByTransfer, KvCacheShape, PerEngine, PerModel,
};
use crate::metric::{Metric, Presence};
use inferometer::{
    Buckets, Counter, Family, FamilyOptions, Gauge, Histogram, Instrument, Kind, LabelSet, RegisterError, Registry,
    Sampling, UpDownCounter,
};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What belongs to requests and steps has a handle here; the rest is found by its labels.
#[derive(Debug)]
pub(crate) struct Series {
    registry: Registry,
    model_name: String,
    engine: String,
    /// Whether the series are to go with the last of those who record.
    unloaded: AtomicBool,
    /// The adapters that are exposed now: how many there can be, those that run, those that wait.
    pub(crate) adapters: Mutex<Option<[String; 3]>>,

    pub(crate) requests_started: Counter,
    /// In the order of [`FinishReason`].
    pub(crate) requests: [Counter; FinishReason::ALL.len()],
    /// In the order of [`ErrorType`].
    pub(crate) request_errors: [Counter; ErrorType::ALL.len()],
    /// In the order of [`RejectReason`].
    pub(crate) requests_rejected: [Counter; RejectReason::ALL.len()],
    pub(crate) requests_in_flight: UpDownCounter,
    pub(crate) request_queue: Histogram,
    pub(crate) time_to_first_token: Histogram,
    pub(crate) inter_token_latency: Histogram,
    pub(crate) time_per_output_token: Histogram,
    pub(crate) request_duration: Histogram,
    pub(crate) request_prefill: Histogram,
    pub(crate) request_decode: Histogram,
    pub(crate) request_active: Option<Histogram>,
    /// In the order of [`TokenizerOperation`].
    pub(crate) tokenize: [Histogram; TokenizerOperation::ALL.len()],

    pub(crate) requests_running: UpDownCounter,
    pub(crate) requests_waiting: UpDownCounter,
    pub(crate) preemptions: Counter,
    /// In the order of [`Phase`].
    pub(crate) batch_size: [Histogram<u64>; Phase::ALL.len()],
    pub(crate) step_tokens: Histogram<u64>,
    /// In the order of [`Phase`].
    pub(crate) step: [Histogram; Phase::ALL.len()],
    pub(crate) max_running_requests: Family<PerEngine<'static>, Gauge>,
    pub(crate) max_step_tokens: Family<PerEngine<'static>, Gauge>,
    pub(crate) engine_state: Family<ByEngineState<'static>, Gauge>,

    pub(crate) kv_cache_usage: Gauge,
    pub(crate) kv_cache_blocks: Family<ByBlockState<'static>, Gauge>,
    pub(crate) kv_cache_blocks_max: Family<PerEngine<'static>, Gauge>,
    pub(crate) kv_cache_block_tokens: Family<PerEngine<'static>, Gauge>,
    pub(crate) kv_cache_info: Family<KvCacheShape<'static>, Gauge>,
    /// In the order of [`CacheTier`].
    pub(crate) prefix_cache_queries: [Counter; CacheTier::ALL.len()],
    /// In the order of [`CacheTier`].
    pub(crate) prefix_cache_hits: [Counter; CacheTier::ALL.len()],
    pub(crate) kv_cache_evicted_tokens: Counter,
    pub(crate) kv_transfer_bytes: Family<ByTransfer<'static>, Counter>,
    pub(crate) kv_transfer: Family<ByTransfer<'static>, Histogram>,
    /// In the order of [`Stage`].
    pub(crate) host_stage: [Histogram; Stage::ALL.len()],
    pub(crate) lora_adapters: Family<ByLoraState<'static>, Gauge>,
    pub(crate) lora_info: Family<Adapters<'static>, Gauge>,
    pub(crate) model_load: Family<ByLoadPhase<'static>, Gauge>,
    pub(crate) model_weight_bytes: Family<PerEngine<'static>, Gauge>,

    pub(crate) prompt_tokens: Counter,
    pub(crate) generation_tokens: Counter,
    /// In the order of [`CacheTier`].
    pub(crate) prompt_tokens_cached: [Counter; CacheTier::ALL.len()],
    pub(crate) request_prompt_tokens: Histogram<u64>,
    pub(crate) request_generation_tokens: Histogram<u64>,
    pub(crate) request_max_tokens: Histogram<u64>,
    pub(crate) spec_decode_drafts: Counter,
    pub(crate) spec_decode_draft_tokens: Counter,
    pub(crate) spec_decode_accepted_tokens: Counter,
    pub(crate) estimated_flops: Counter,
    /// In the order of [`MemoryAccess`].
    pub(crate) estimated_memory: [Counter; MemoryAccess::ALL.len()],
    pub(crate) corrupted_requests: Counter,
    pub(crate) token_logprob: Option<Histogram<f64>>,
}

impl Series {
    /// Registers what is missing of the table, `on_request` of those that have to be asked for; makes the series.
    pub(crate) fn register(
        registry: Registry,
        model_name: &str,
        engine: &str,
        max_series: usize,
        on_request: &[Metric],
    ) -> Result<Self, RegisterError> {
        let registrar = Registrar { registry: &registry, max_series, on_request };
        let model = &PerModel { model_name };
        let per_engine = &PerEngine { model_name, engine };
        let outcome = |finish_reason: FinishReason| ByOutcome {
            model_name,
            engine,
            finish_reason,
            status: finish_reason.status(),
        };
        let phase = |phase| ByPhase { model_name, engine, phase };
        let tier = |tier| ByTier { model_name, engine, tier };
        let transfer = &ByTransfer { model_name, engine, direction: TransferDirection::In, tier: CacheTier::Host };
        Ok(Series {
            requests_started: registrar.series(Metric::RequestsStarted, model)?,
            requests: registrar.each(Metric::Requests, FinishReason::ALL.map(outcome))?,
            request_errors: registrar
                .each(Metric::RequestErrors, ErrorType::ALL.map(|error_type| ByError { model_name, error_type }))?,
            requests_rejected: registrar
                .each(Metric::RequestsRejected, RejectReason::ALL.map(|reason| ByReason { model_name, reason }))?,
            requests_in_flight: registrar.series(Metric::RequestsInFlight, model)?,
            request_queue: registrar.series(Metric::RequestQueue, per_engine)?,
            time_to_first_token: registrar.series(Metric::TimeToFirstToken, per_engine)?,
            inter_token_latency: registrar.series(Metric::InterTokenLatency, per_engine)?,
            time_per_output_token: registrar.series(Metric::TimePerOutputToken, per_engine)?,
            request_duration: registrar.series(Metric::RequestDuration, per_engine)?,
            request_prefill: registrar.series(Metric::RequestPrefill, per_engine)?,
            request_decode: registrar.series(Metric::RequestDecode, per_engine)?,
            request_active: registrar.series_on_request(Metric::RequestActive, per_engine)?,
            tokenize: registrar.each(
                Metric::Tokenize,
                TokenizerOperation::ALL.map(|operation| ByOperation { model_name, operation }),
            )?,

            requests_running: registrar.series(Metric::RequestsRunning, per_engine)?,
            requests_waiting: registrar.series(Metric::RequestsWaiting, per_engine)?,
            preemptions: registrar.series(Metric::Preemptions, per_engine)?,
            batch_size: registrar.each(Metric::BatchSize, Phase::ALL.map(phase))?,
            step_tokens: registrar.series(Metric::StepTokens, per_engine)?,
            step: registrar.each(Metric::Step, Phase::ALL.map(phase))?,
            max_running_requests: registrar.family(Metric::MaxRunningRequests, per_engine)?,
            max_step_tokens: registrar.family(Metric::MaxStepTokens, per_engine)?,
            engine_state: registrar
                .family(Metric::EngineState, &ByEngineState { model_name, engine, state: EngineState::Loading })?,

            kv_cache_usage: registrar.series(Metric::KvCacheUsage, per_engine)?,
            kv_cache_blocks: registrar
                .family(Metric::KvCacheBlocks, &ByBlockState { model_name, engine, state: BlockState::Used })?,
            kv_cache_blocks_max: registrar.family(Metric::KvCacheBlocksMax, per_engine)?,
            kv_cache_block_tokens: registrar.family(Metric::KvCacheBlockTokens, per_engine)?,
            kv_cache_info: registrar
                .family(Metric::KvCacheInfo, &KvCacheShape { model_name, engine, block_tokens: "", blocks: "" })?,
            prefix_cache_queries: registrar.each(Metric::PrefixCacheQueries, CacheTier::ALL.map(tier))?,
            prefix_cache_hits: registrar.each(Metric::PrefixCacheHits, CacheTier::ALL.map(tier))?,
            kv_cache_evicted_tokens: registrar.series(Metric::KvCacheEvictedTokens, per_engine)?,
            kv_transfer_bytes: registrar.family(Metric::KvTransferBytes, transfer)?,
            kv_transfer: registrar.family(Metric::KvTransfer, transfer)?,
            host_stage: registrar
                .each(Metric::HostStage, Stage::ALL.map(|stage| ByStage { model_name, engine, stage }))?,
            lora_adapters: registrar
                .family(Metric::LoraAdapters, &ByLoraState { model_name, engine, state: LoraState::Loaded })?,
            lora_info: registrar.family(
                Metric::LoraInfo,
                &Adapters { model_name, engine, max_lora: "", running_lora_adapters: "", waiting_lora_adapters: "" },
            )?,
            model_load: registrar
                .family(Metric::ModelLoad, &ByLoadPhase { model_name, engine, phase: LoadPhase::Weights })?,
            model_weight_bytes: registrar.family(Metric::ModelWeightBytes, per_engine)?,

            prompt_tokens: registrar.series(Metric::PromptTokens, per_engine)?,
            generation_tokens: registrar.series(Metric::GenerationTokens, per_engine)?,
            prompt_tokens_cached: registrar.each(
                Metric::PromptTokensCached,
                CacheTier::ALL.map(|source| BySource { model_name, engine, source }),
            )?,
            request_prompt_tokens: registrar.series(Metric::RequestPromptTokens, per_engine)?,
            request_generation_tokens: registrar.series(Metric::RequestGenerationTokens, per_engine)?,
            request_max_tokens: registrar.series(Metric::RequestMaxTokens, per_engine)?,
            spec_decode_drafts: registrar.series(Metric::SpecDecodeDrafts, per_engine)?,
            spec_decode_draft_tokens: registrar.series(Metric::SpecDecodeDraftTokens, per_engine)?,
            spec_decode_accepted_tokens: registrar.series(Metric::SpecDecodeAcceptedTokens, per_engine)?,
            estimated_flops: registrar.series(Metric::EstimatedFlops, per_engine)?,
            estimated_memory: registrar.each(
                Metric::EstimatedMemory,
                MemoryAccess::ALL.map(|direction| ByAccess { model_name, engine, direction }),
            )?,
            corrupted_requests: registrar.series(Metric::CorruptedRequests, per_engine)?,
            token_logprob: registrar.series_on_request(Metric::TokenLogprob, per_engine)?,

            model_name: model_name.to_owned(),
            engine: engine.to_owned(),
            unloaded: AtomicBool::new(false),
            adapters: Mutex::default(),
            registry,
        })
    }

    /// The labels that most series have.
    pub(crate) fn labels(&self) -> PerEngine<'_> {
        PerEngine { model_name: &self.model_name, engine: &self.engine }
    }

    /// A request has ended.
    pub(crate) fn count_end(&self, reason: FinishReason) {
        self.requests[reason as usize].increment(1);
    }

    /// The series go when nobody can record in them any more.
    pub(crate) fn unload(&self) {
        self.unloaded.store(true, Relaxed);
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        if !*self.unloaded.get_mut() {
            return;
        }
        self.registry.unregister(&[("model_name", &self.model_name), ("engine", &self.engine)]);
        // What all engines of a model share goes with the last of them.
        let model = [("model_name", self.model_name.as_str())];
        if self.registry.snapshot().counter(Metric::Requests.spec().name, &model).is_none() {
            self.registry.unregister(&model);
        }
    }
}

/// Registers families as the table says.
struct Registrar<'a> {
    registry: &'a Registry,
    max_series: usize,
    on_request: &'a [Metric],
}

impl Registrar<'_> {
    /// The family, with the series of these labels' open ones if they are there from the start.
    fn family<L: LabelSet, I: Instrument>(
        &self,
        metric: Metric,
        labels: &L,
    ) -> Result<Family<L::Owner, I>, RegisterError> {
        let spec = metric.spec();
        let mut options = FamilyOptions::new().max_series(self.max_series);
        if spec.kind == Kind::Histogram {
            options = options.buckets(Buckets::classic(spec.bounds));
        }
        if spec.sampled {
            options = options.sampling(Sampling::DEFAULT);
        }
        let family = self.registry.register_family_with(spec.name, spec.help, &options)?;
        if spec.presence != Presence::OnceSet {
            family.get(labels);
        }
        Ok(family)
    }

    /// One series of the family.
    fn series<L: LabelSet, I: Instrument>(&self, metric: Metric, labels: &L) -> Result<I, RegisterError> {
        Ok(I::clone(&self.family(metric, labels)?.get(labels)))
    }

    /// One series for each of these labels.
    fn each<L: LabelSet, I: Instrument, const N: usize>(
        &self,
        metric: Metric,
        labels: [L; N],
    ) -> Result<[I; N], RegisterError> {
        let family = self.family(metric, &labels[0])?;
        Ok(labels.map(|labels| I::clone(&family.get(&labels))))
    }

    /// The series, if it was asked for.
    fn series_on_request<L: LabelSet, I: Instrument>(
        &self,
        metric: Metric,
        labels: &L,
    ) -> Result<Option<I>, RegisterError> {
        self.on_request.contains(&metric).then(|| self.series(metric, labels)).transpose()
    }
}
