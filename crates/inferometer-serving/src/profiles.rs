//! The same metrics under other names: profiles for `inferometer-prometheus`.
//!
//! ```
//! use inferometer::Registry;
//! use inferometer_prometheus::{Exporter, ScrapeRequest};
//! use inferometer_serving::{ServingMetrics, profiles};
//!
//! let registry = Registry::new();
//! let metrics = ServingMetrics::builder("llama").registry(&registry).register()?;
//! let exporter = Exporter::builder().registry(registry).profile(profiles::vllm()).build()?;
//! let page = exporter.answer(&ScrapeRequest::new().query("profile=vllm"))?.body;
//! let first = "vllm:num_requests_waiting{model_name=\"llama\",engine=\"0\"} 0\n";
//! assert!(String::from_utf8_lossy(&page).contains(first));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The canonical names need no profile: they are what the registry has.

use crate::host;
use crate::label::{CacheTier, EngineState, FinishReason, MemoryAccess, Status};
use crate::metric::Metric;
use inferometer_prometheus::{Mapping, Profile};

/// The names, labels and bounds of vLLM 0.33, for its dashboards, for autoscalers, and for the endpoint picker of the
/// Gateway API: what of vLLM's there is data for.
///
/// Of several engines the first comes first, since the endpoint picker reads one series of a family. Reasons to end that
/// vLLM does not know are those that it would have given: a request that was turned away is in
/// `vllm:admission_rejections_total` alone. `vllm:num_incoming_requests_total` is not the server's but that of a router
/// before it, by which autoscalers know that a model is wanted. `vllm:cache_config_info` and `vllm:lora_requests_info` have a model and an
/// engine besides vLLM's labels.
pub fn vllm() -> Profile {
    profile("vllm", vllm_mappings())
}

/// The mappings of [`vllm`], for a profile that has more.
pub fn vllm_mappings() -> Vec<Mapping> {
    const FIRST_TOKEN: &[f64] = &[
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
        160.0, 640.0, 2560.0,
    ];
    const BETWEEN_TOKENS: &[f64] =
        &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];
    const REQUEST: &[f64] = &[
        0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
        1920.0, 7680.0,
    ];
    const TOKENS: &[f64] = &[
        1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0, 20000.0, 50000.0,
        100000.0, 200000.0, 500000.0, 1000000.0,
    ];
    const STEP_TOKENS: &[f64] =
        &[1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];

    let levels = [
        ("vllm:num_requests_waiting", Metric::RequestsWaiting),
        ("vllm:num_requests_running", Metric::RequestsRunning),
        ("vllm:kv_cache_usage_perc", Metric::KvCacheUsage),
    ];
    let counters = [
        ("vllm:num_incoming_requests_total", Metric::RequestsStarted),
        ("vllm:num_preemptions_total", Metric::Preemptions),
        ("vllm:prompt_tokens_total", Metric::PromptTokens),
        ("vllm:generation_tokens_total", Metric::GenerationTokens),
        ("vllm:prompt_tokens_cached_by_source_total", Metric::PromptTokensCached),
        ("vllm:admission_rejections_total", Metric::RequestsRejected),
        ("vllm:corrupted_requests_total", Metric::CorruptedRequests),
        ("vllm:spec_decode_num_drafts_total", Metric::SpecDecodeDrafts),
        ("vllm:spec_decode_num_draft_tokens_total", Metric::SpecDecodeDraftTokens),
        ("vllm:spec_decode_num_accepted_tokens_total", Metric::SpecDecodeAcceptedTokens),
        ("vllm:estimated_flops_per_gpu_total", Metric::EstimatedFlops),
    ];
    let histograms = [
        ("vllm:time_to_first_token_seconds", Metric::TimeToFirstToken, FIRST_TOKEN),
        ("vllm:inter_token_latency_seconds", Metric::InterTokenLatency, BETWEEN_TOKENS),
        ("vllm:request_time_per_output_token_seconds", Metric::TimePerOutputToken, BETWEEN_TOKENS),
        ("vllm:e2e_request_latency_seconds", Metric::RequestDuration, REQUEST),
        ("vllm:request_queue_time_seconds", Metric::RequestQueue, REQUEST),
        ("vllm:request_prefill_time_seconds", Metric::RequestPrefill, REQUEST),
        ("vllm:request_decode_time_seconds", Metric::RequestDecode, REQUEST),
        ("vllm:request_inference_time_seconds", Metric::RequestActive, REQUEST),
        ("vllm:request_prompt_tokens", Metric::RequestPromptTokens, TOKENS),
        ("vllm:request_generation_tokens", Metric::RequestGenerationTokens, TOKENS),
        ("vllm:request_max_num_generation_tokens", Metric::RequestMaxTokens, TOKENS),
        ("vllm:request_params_max_tokens", Metric::RequestMaxTokens, TOKENS),
        ("vllm:iteration_tokens_total", Metric::StepTokens, STEP_TOKENS),
    ];
    let external = &[CacheTier::Host, CacheTier::Disk, CacheTier::Remote].map(CacheTier::as_str);
    let device = &[CacheTier::Device.as_str()];
    let tiers = [
        ("vllm:prefix_cache_queries_total", Metric::PrefixCacheQueries, &device[..]),
        ("vllm:prefix_cache_hits_total", Metric::PrefixCacheHits, device),
        ("vllm:external_prefix_cache_queries_total", Metric::PrefixCacheQueries, external),
        ("vllm:external_prefix_cache_hits_total", Metric::PrefixCacheHits, external),
    ];
    let accesses = [
        ("vllm:estimated_read_bytes_per_gpu_total", MemoryAccess::Read),
        ("vllm:estimated_write_bytes_per_gpu_total", MemoryAccess::Write),
    ];

    let mut mappings: Vec<Mapping> = levels.into_iter().map(|(name, metric)| family(metric, name).sorted()).collect();
    mappings.extend([
        family(Metric::KvCacheInfo, "vllm:cache_config_info")
            .rename_label("block_tokens", "block_size")
            .rename_label("blocks", "num_gpu_blocks")
            .sorted(),
        family(Metric::LoraInfo, "vllm:lora_requests_info"),
        family(Metric::EngineState, "vllm:engine_sleep_state")
            .only("state", &[EngineState::Ready, EngineState::Draining].map(EngineState::as_str))
            .map_value("state", EngineState::Ready.as_str(), "awake")
            .map_value("state", EngineState::Draining.as_str(), "awake")
            .rename_label("state", "sleep_state"),
        ended(
            "vllm:request_success_total",
            "finished_reason",
            &[
                (FinishReason::Stop, "stop"),
                (FinishReason::ToolCalls, "stop"),
                (FinishReason::ContentFilter, "stop"),
                (FinishReason::Length, "length"),
                (FinishReason::Abort, "abort"),
                (FinishReason::Timeout, "abort"),
                (FinishReason::Error, "error"),
                (FinishReason::Repetition, "repetition"),
            ],
        ),
        family(Metric::PromptTokensCached, "vllm:prompt_tokens_cached_total").drop_label("source"),
    ]);
    mappings.extend(counters.into_iter().map(|(name, metric)| family(metric, name)));
    mappings.extend(histograms.into_iter().map(|(name, metric, bounds)| family(metric, name).bounds(bounds)));
    mappings.extend(
        tiers.into_iter().map(|(name, metric, tiers)| family(metric, name).only("tier", tiers).drop_label("tier")),
    );
    mappings.extend(accesses.into_iter().map(|(name, access)| {
        family(Metric::EstimatedMemory, name).only("direction", &[access.as_str()]).drop_label("direction")
    }));
    mappings
}

/// The server metrics of OpenTelemetry's conventions for generative models, with its names as Prometheus has them.
///
/// The conventions ask for an operation and a provider. They are `chat` and `inferometer`; a profile of your own, of
/// [`otel_mappings`] with other labels, can say otherwise.
pub fn otel() -> Profile {
    let known = |mapping: Mapping| {
        mapping.add_label("gen_ai_operation_name", "chat").add_label("gen_ai_provider_name", "inferometer")
    };
    profile("otel", otel_mappings().into_iter().map(known).collect())
}

/// The mappings of [`otel`] without the operation and the provider, for a profile that has more.
pub fn otel_mappings() -> Vec<Mapping> {
    const FIRST_TOKEN: &[f64] =
        &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    const BETWEEN_TOKENS: &[f64] = &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
    const REQUEST: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
    let histograms = [
        ("gen_ai_server_request_duration_seconds", Metric::RequestDuration, REQUEST),
        ("gen_ai_server_time_to_first_token_seconds", Metric::TimeToFirstToken, FIRST_TOKEN),
        ("gen_ai_server_time_per_output_token_seconds", Metric::TimePerOutputToken, BETWEEN_TOKENS),
    ];
    let model = "gen_ai_request_model";
    histograms
        .into_iter()
        .map(|(name, metric, bounds)| family(metric, name).bounds(bounds).rename_label("model_name", model))
        .collect()
}

/// The names, units and labels of Triton: `nv_inference_queue_duration_us{model,version}`. The version is `1`.
///
/// What it says of the machine (`nv_cpu_utilization`) is there with a [`HostCollector`](crate::HostCollector).
///
/// Triton tells the time of its parts as counters of microseconds. The time for input is that of the prompt, and the time
/// for inference that from the first output token on.
pub fn triton() -> Profile {
    profile("triton", triton_mappings())
}

/// The mappings of [`triton`], for a profile that has more.
pub fn triton_mappings() -> Vec<Mapping> {
    const MICROSECONDS: f64 = 1e6;
    const MILLISECONDS: f64 = 1e3;
    let sum = |metric: Metric, name: &str| Mapping::sum(metric.spec().name, name).scale(MICROSECONDS);
    let count = |metric: Metric, name: &str| Mapping::count(metric.spec().name, name);
    let mappings = [
        family(Metric::Requests, "nv_inference_request_success")
            .only("status", &[Status::Ok.as_str()])
            .drop_label("status")
            .drop_label("finish_reason"),
        ended(
            "nv_inference_request_failure",
            "reason",
            &[
                (FinishReason::Rejected, "REJECTED"),
                (FinishReason::Abort, "CANCELED"),
                (FinishReason::Error, "BACKEND"),
                (FinishReason::Timeout, "OTHER"),
            ],
        ),
        count(Metric::RequestDuration, "nv_inference_count"),
        count(Metric::Step, "nv_inference_exec_count").drop_label("phase"),
        sum(Metric::RequestDuration, "nv_inference_request_duration_us"),
        sum(Metric::RequestQueue, "nv_inference_queue_duration_us"),
        sum(Metric::RequestPrefill, "nv_inference_compute_input_duration_us"),
        sum(Metric::RequestDecode, "nv_inference_compute_infer_duration_us"),
        family(Metric::RequestsWaiting, "nv_inference_pending_request_count"),
        family(Metric::TimeToFirstToken, "nv_inference_first_response_histogram_ms")
            .bounds(&[0.1, 0.5, 2.0, 5.0])
            .scale(MILLISECONDS),
        family(Metric::ModelLoad, "nv_model_load_duration_secs").drop_label("phase"),
    ];
    let host = [
        (host::CPU_UTILIZATION, "nv_cpu_utilization"),
        (host::MEMORY_USED, "nv_cpu_memory_used_bytes"),
        (host::MEMORY_TOTAL, "nv_cpu_memory_total_bytes"),
    ];
    mappings
        .into_iter()
        .map(|mapping| mapping.rename_label("model_name", "model").add_label("version", "1").drop_label("engine"))
        .chain(host.into_iter().map(|(source, name)| Mapping::family(source, name)))
        .collect()
}

/// What services that were written by hand often have: requests by status, one latency, the depth of the queue.
pub fn basic() -> Profile {
    profile("basic", basic_mappings())
}

/// The mappings of [`basic`], for a profile that has more.
pub fn basic_mappings() -> Vec<Mapping> {
    let mappings = [
        family(Metric::Requests, "inference_requests_total").drop_label("finish_reason"),
        family(Metric::RequestDuration, "inference_latency_seconds")
            .bounds(&[0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0]),
        family(Metric::RequestsWaiting, "inference_queue_depth"),
    ];
    mappings.into_iter().map(|mapping| mapping.drop_label("engine")).collect()
}

fn family(metric: Metric, name: &str) -> Mapping {
    Mapping::family(metric.spec().name, name)
}

/// The requests that ended for one of these reasons, which have other names in `label`.
fn ended(name: &str, label: &str, reasons: &[(FinishReason, &str)]) -> Mapping {
    let wanted: Vec<&str> = reasons.iter().map(|(reason, _)| reason.as_str()).collect();
    let mapping = family(Metric::Requests, name)
        .only("finish_reason", &wanted)
        .drop_label("status")
        .rename_label("finish_reason", label);
    reasons.iter().fold(mapping, |mapping, (reason, other)| mapping.map_value("finish_reason", reason.as_str(), other))
}

fn profile(name: &str, mappings: Vec<Mapping>) -> Profile {
    Profile::new(name, mappings).unwrap_or_else(|error| unreachable!("a table of this crate is wrong: {error}"))
}
