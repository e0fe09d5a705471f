//! The families of an inference server: the one table of their names, types, units, labels and bounds.

use crate::bounds;
use inferometer::{Kind, Unit};

/// A family.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// Its help text.
    pub help: &'static str,
    /// What its series are.
    pub kind: Kind,
    /// Its unit.
    pub unit: Unit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// The bounds of a histogram's classic buckets, `+Inf` implied; empty for others.
    pub bounds: &'static [f64],
    /// Whether it is a histogram of events of which not all are measured.
    pub sampled: bool,
    /// What it tells about.
    pub group: Group,
    /// When there are series of it.
    pub presence: Presence,
}

/// What metrics tell about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Group {
    /// What clients see: requests, how they end and how long they take.
    Requests,
    /// What the engine does: steps, batches and queues.
    Scheduler,
    /// What it needs: caches, memory, the host's time.
    Resources,
    /// What the model does: tokens, speculation, confidence.
    Model,
}

impl Group {
    /// All of them.
    pub const ALL: [Group; 4] = [Group::Requests, Group::Scheduler, Group::Resources, Group::Model];

    /// In words.
    pub const fn title(self) -> &'static str {
        match self {
            Group::Requests => "Requests and their latencies",
            Group::Scheduler => "Scheduler and queue",
            Group::Resources => "Resources",
            Group::Model => "Model performance",
        }
    }
}

/// When there are series of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Presence {
    /// From the registration on, at zero: a series that appears with its first event has no rate for that event.
    Always,
    /// Once it was set: zero would be a statement that nobody made.
    OnceSet,
    /// From the registration on if it was asked for.
    OnRequest,
}

const MODEL: &[&str] = &["model_name"];
const ENGINE: &[&str] = &["model_name", "engine"];

const fn spec(name: &'static str, kind: Kind, labels: &'static [&'static str]) -> Spec {
    let unit = match Unit::from_name(name) {
        Some(unit) => unit,
        None => Unit::Count,
    };
    Spec {
        name,
        help: "",
        kind,
        unit,
        labels,
        bounds: &[],
        sampled: false,
        group: Group::Requests,
        presence: Presence::Always,
    }
}

const fn counter(name: &'static str, labels: &'static [&'static str]) -> Spec {
    spec(name, Kind::Counter, labels)
}

/// What goes up and down with requests.
const fn level(name: &'static str, labels: &'static [&'static str]) -> Spec {
    spec(name, Kind::UpDownCounter, labels)
}

const fn gauge(name: &'static str, labels: &'static [&'static str]) -> Spec {
    spec(name, Kind::Gauge, labels)
}

const fn histogram(name: &'static str, labels: &'static [&'static str], bounds: &'static [f64]) -> Spec {
    Spec { bounds, ..spec(name, Kind::Histogram, labels) }
}

impl Spec {
    const fn once_set(self) -> Self {
        Spec { presence: Presence::OnceSet, ..self }
    }

    const fn on_request(self) -> Self {
        Spec { presence: Presence::OnRequest, ..self }
    }

    const fn sampled(self) -> Self {
        Spec { sampled: true, ..self }
    }
}

/// Makes the enum, the list and the specifications of one table. A row's comment is the family's help text.
macro_rules! table {
    ($($group:ident { $(#[doc = $help:literal] $metric:ident = $spec:expr;)* })*) => {
        /// What is told of an inference server.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Metric {
            $($(#[doc = $help] $metric,)*)*
        }

        impl Metric {
            /// All of them, in the order in which they are exposed.
            pub const ALL: &[Metric] = &[$($(Metric::$metric,)*)*];

            /// Its family.
            pub const fn spec(self) -> &'static Spec {
                match self {
                    $($(Metric::$metric => {
                        const { &Spec { help: $help.trim_ascii_start(), group: Group::$group, ..$spec } }
                    })*)*
                }
            }
        }
    };
}

table! {
    Requests {
        /// Requests that arrived, taken or not.
        RequestsStarted = counter("inference_requests_started_total", MODEL);
        /// Requests that ended, by why and how.
        Requests = counter("inference_requests_total", &["model_name", "engine", "finish_reason", "status"]);
        /// Requests that ended with an error, by its kind.
        RequestErrors = counter("inference_request_errors_total", &["model_name", "error_type"]);
        /// Requests that were turned away before they ran, by why.
        RequestsRejected = counter("inference_requests_rejected_total", &["model_name", "reason"]);
        /// Requests that have arrived and not ended.
        RequestsInFlight = level("inference_requests_in_flight", MODEL);
        /// Time from a request's arrival until it ran for the first time.
        RequestQueue = histogram("inference_request_queue_seconds", ENGINE, bounds::REQUEST_PART);
        /// Time from a request's arrival to its first output token.
        TimeToFirstToken = histogram("inference_time_to_first_token_seconds", ENGINE, bounds::FIRST_TOKEN);
        /// Time between one output token of a request and the next.
        InterTokenLatency = histogram("inference_inter_token_latency_seconds", ENGINE, bounds::BETWEEN_TOKENS);
        /// Mean time between the output tokens of a request; requests of one token have none.
        TimePerOutputToken = histogram("inference_time_per_output_token_seconds", ENGINE, bounds::BETWEEN_TOKENS);
        /// Time from a request's arrival to its end, of requests that ran.
        RequestDuration = histogram("inference_request_duration_seconds", ENGINE, bounds::REQUEST);
        /// Time from when a request ran for the first time to its first output token.
        RequestPrefill = histogram("inference_request_prefill_seconds", ENGINE, bounds::REQUEST_PART);
        /// Time from a request's first output token to its last.
        RequestDecode = histogram("inference_request_decode_seconds", ENGINE, bounds::REQUEST_PART);
        /// Time from when a request ran for the first time to its end.
        RequestActive = histogram("inference_request_active_seconds", ENGINE, bounds::REQUEST_PART).on_request();
        /// Time to turn a request's text into tokens, or tokens into text.
        Tokenize = histogram("inference_tokenize_seconds", &["model_name", "operation"], bounds::TOKENIZE);
    }
    Scheduler {
        /// Requests that take part in every step.
        RequestsRunning = level("inference_requests_running", ENGINE);
        /// Requests that wait to run, for the first time or again.
        RequestsWaiting = level("inference_requests_waiting", ENGINE);
        /// How often a running request had to make room and wait again.
        Preemptions = counter("inference_preemptions_total", ENGINE);
        /// Sequences of a step.
        BatchSize = histogram("inference_batch_size", &["model_name", "engine", "phase"], bounds::BATCH);
        /// Tokens of a step, those of prompts and of output together.
        StepTokens = histogram("inference_step_tokens", ENGINE, bounds::STEP_TOKENS);
        /// Time of a step: one pass over the batch.
        Step = histogram("inference_step_seconds", &["model_name", "engine", "phase"], bounds::STEP);
        /// Requests that can run at a time.
        MaxRunningRequests = gauge("inference_max_running_requests", ENGINE).once_set();
        /// Tokens that a step can have.
        MaxStepTokens = gauge("inference_max_step_tokens", ENGINE).once_set();
        /// 1 for the state that the engine is in, 0 for the others.
        EngineState = gauge("inference_engine_state", &["model_name", "engine", "state"]).once_set();
    }
    Resources {
        /// Share of the KV cache's blocks that running requests use.
        KvCacheUsage = gauge("inference_kv_cache_usage_ratio", ENGINE);
        /// Blocks of the KV cache, by what they are used for.
        KvCacheBlocks = gauge("inference_kv_cache_blocks", &["model_name", "engine", "state"]).once_set();
        /// Blocks that the KV cache has.
        KvCacheBlocksMax = gauge("inference_kv_cache_blocks_max", ENGINE).once_set();
        /// Tokens that a block of the KV cache holds.
        KvCacheBlockTokens = gauge("inference_kv_cache_block_tokens", ENGINE).once_set();
        /// 1, with the shape of the KV cache as labels.
        KvCacheInfo = gauge("inference_kv_cache_info", &["model_name", "engine", "block_tokens", "blocks"]).once_set();
        /// Prompt tokens that were looked up in the prefix cache.
        PrefixCacheQueries = counter("inference_prefix_cache_queries_total", &["model_name", "engine", "tier"]);
        /// Prompt tokens that the prefix cache had.
        PrefixCacheHits = counter("inference_prefix_cache_hits_total", &["model_name", "engine", "tier"]);
        /// Tokens whose keys and values the KV cache gave up for others.
        KvCacheEvictedTokens = counter("inference_kv_cache_evicted_tokens_total", ENGINE);
        /// Bytes of keys and values that were moved to and from the accelerator.
        KvTransferBytes = counter("inference_kv_transfer_bytes_total", &["model_name", "engine", "direction", "tier"]);
        /// Time of a move of keys and values to or from the accelerator.
        KvTransfer = histogram("inference_kv_transfer_seconds", &["model_name", "engine", "direction", "tier"], bounds::STEP);
        /// Time of the host's work for the steps, by stage. What several threads do at a time is added up.
        HostStage = histogram("inference_host_stage_seconds", &["model_name", "engine", "stage"], bounds::STAGE).sampled();
        /// Adapters, by state.
        LoraAdapters = gauge("inference_lora_adapters", &["model_name", "engine", "state"]).once_set();
        /// When the adapters last changed, as Unix time, with the adapters as labels.
        LoraInfo = gauge("inference_lora_info", &["model_name", "engine", "max_lora", "running_lora_adapters", "waiting_lora_adapters"]).once_set();
        /// Time that loading the model took, by what was done.
        ModelLoad = gauge("inference_model_load_seconds", &["model_name", "engine", "phase"]).once_set();
        /// Bytes of the model's weights in memory.
        ModelWeightBytes = gauge("inference_model_weight_bytes", ENGINE).once_set();
    }
    Model {
        /// Prompt tokens of requests whose prompts were processed, cached ones included.
        PromptTokens = counter("inference_prompt_tokens_total", ENGINE);
        /// Output tokens; moves with every step.
        GenerationTokens = counter("inference_generation_tokens_total", ENGINE);
        /// Prompt tokens that did not have to be computed, by where their keys and values were.
        PromptTokensCached = counter("inference_prompt_tokens_cached_total", &["model_name", "engine", "source"]);
        /// Prompt tokens of a request.
        RequestPromptTokens = histogram("inference_request_prompt_tokens", ENGINE, bounds::TOKENS);
        /// Output tokens of a request that had some.
        RequestGenerationTokens = histogram("inference_request_generation_tokens", ENGINE, bounds::TOKENS);
        /// Output tokens that a request asked for at most.
        RequestMaxTokens = histogram("inference_request_max_tokens", ENGINE, bounds::TOKENS);
        /// How often tokens were drafted for a sequence.
        SpecDecodeDrafts = counter("inference_spec_decode_drafts_total", ENGINE);
        /// Tokens that were drafted.
        SpecDecodeDraftTokens = counter("inference_spec_decode_draft_tokens_total", ENGINE);
        /// Drafted tokens that the model agreed with.
        SpecDecodeAcceptedTokens = counter("inference_spec_decode_accepted_tokens_total", ENGINE);
        /// Floating-point operations of the steps, as estimated from the model's shape.
        EstimatedFlops = counter("inference_estimated_flops_total", ENGINE);
        /// Bytes that the steps read and wrote in the accelerator's memory, as estimated from the model's shape.
        EstimatedMemory = counter("inference_estimated_memory_bytes_total", &["model_name", "engine", "direction"]);
        /// Requests whose logits were not numbers.
        CorruptedRequests = counter("inference_corrupted_requests_total", ENGINE);
        /// Negative log-probability of a chosen token, in nats.
        TokenLogprob = histogram("inference_token_logprob", ENGINE, bounds::LOGPROB).sampled().on_request();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_is_whole() {
        let names: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.spec().name).collect();
        assert_eq!(names.len(), Metric::ALL.len(), "two metrics share a name");
        for spec in Metric::ALL.iter().map(|metric| metric.spec()) {
            let name = spec.name;
            assert!(name.starts_with("inference_"), "{name}");
            assert!(spec.help.ends_with('.') && !spec.help.starts_with(' '), "{name}: {:?}", spec.help);
            assert_eq!(name.ends_with("_total"), spec.kind == Kind::Counter, "{name}");
            assert_eq!(spec.unit, Unit::from_name(name).unwrap_or(Unit::Count), "{name}");
            assert_eq!(spec.bounds.is_empty(), spec.kind != Kind::Histogram, "{name}");
            assert!(spec.bounds.is_sorted_by(|a, b| a < b), "{name}");
            assert!(spec.kind == Kind::Histogram || !spec.sampled, "{name}");
            assert_eq!(spec.labels[0], "model_name", "{name}");
            assert_eq!(spec.labels.iter().collect::<BTreeSet<_>>().len(), spec.labels.len(), "{name}");
        }
    }

    #[test]
    fn limits_that_are_commonly_promised_are_bounds() {
        let promised = [0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0];
        for metric in [
            Metric::TimeToFirstToken,
            Metric::InterTokenLatency,
            Metric::TimePerOutputToken,
            Metric::RequestDuration,
            Metric::RequestQueue,
        ] {
            let Spec { name, bounds, .. } = metric.spec();
            assert!(promised.iter().all(|limit| bounds.contains(limit)), "{name}");
        }
    }
}
