//! What the profiles make of one engine's metrics.

use inferometer::testing::MockClock;
use inferometer::{Moment, Registry};
use inferometer_prometheus::{Exporter, Profile, ScrapeRequest};
use inferometer_serving::{
    CacheTier, EngineState, ErrorType, FinishReason, KvBlocks, LoadPhase, LoraAdapters, Metric, RejectReason,
    ServingMetrics, profiles,
};
use std::time::Duration;

/// A page of two engines, of which the second was registered first.
fn page(profile: Profile) -> String {
    let registry = Registry::new();
    let register = |engine: &str| {
        let builder = ServingMetrics::builder("llama").engine(engine).registry(&registry);
        builder.with(Metric::RequestActive).register().unwrap()
    };
    let [_second, metrics] = ["1", "0"].map(register);
    let _clock = MockClock::install(); // whose ticks are nanoseconds, so that sums are exact
    let start = Moment::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let mut recorder = metrics.step_recorder();
    recorder.wake(at(500));
    for reason in [FinishReason::Stop, FinishReason::ToolCalls, FinishReason::Length, FinishReason::Abort] {
        let mut request = metrics.request(at(0));
        request.prompt_tokens(100);
        request.max_tokens(50);
        request.cached_prompt_tokens(CacheTier::Device, 64);
        request.scheduled(at(500));
        request.tokens(1, at(1_500));
        request.tokens(1, at(2_500));
        request.finished(reason, at(2_500));
    }
    metrics.request(at(0)).error(ErrorType::ResponseTimeout, at(0));
    metrics.request(at(0)).error(ErrorType::Internal, at(0));
    metrics.request(at(0)).rejected(RejectReason::QueueFull, at(0));
    recorder.step(at(1_500), |step| step.prefill(100));
    recorder.set_kv_blocks(KvBlocks { used: 25, free: 70, cached: 5 });
    metrics.set_kv_cache(100, 16);
    metrics.set_engine_state(EngineState::Ready);
    metrics.set_lora_adapters(&LoraAdapters { max: 4, loaded: 2, running: &["a", "b"], waiting: &[] });
    metrics.set_model_load(LoadPhase::Weights, Duration::from_secs(2));
    metrics.set_model_load(LoadPhase::Warmup, Duration::from_secs(1));
    metrics.prefix_cache_lookup(CacheTier::Device, 400, 256);
    metrics.prefix_cache_lookup(CacheTier::Remote, 10, 4);
    metrics.estimated_work(10, 20, 30);
    let waiting = metrics.request(at(0));

    let name = profile.name().to_owned();
    let exporter = Exporter::builder().registry(registry).profile(profile).build().unwrap();
    let answer = exporter.answer(&ScrapeRequest::new().query(&*format!("profile={name}"))).unwrap();
    drop(waiting);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[track_caller]
fn assert_lines(page: &str, lines: &[&str]) {
    for line in lines {
        assert!(page.lines().any(|own| own == *line), "no {line} in\n{page}");
    }
}

/// The finite bounds of a histogram's first series.
fn bounds(page: &str, name: &str) -> Vec<f64> {
    let prefix = format!("{name}_bucket{{");
    let buckets = page.lines().filter(|line| line.starts_with(&prefix));
    let bounds = buckets.filter_map(|line| line.split("le=\"").nth(1)?.split('"').next()?.parse().ok());
    let mut bounds: Vec<f64> = bounds.filter(|bound: &f64| bound.is_finite()).collect();
    if let Some(second) = (1..bounds.len()).find(|&i| bounds[i] <= bounds[i - 1]) {
        bounds.truncate(second);
    }
    bounds
}

#[test]
fn vllm_has_the_names_types_and_values_of_vllm() {
    let page = page(profiles::vllm());
    let engine = "model_name=\"llama\",engine=\"0\"";
    let line = |name: &str, labels: &str, value: &str| format!("vllm:{name}{{{engine}{labels}}} {value}");
    for (name, labels, value) in [
        ("num_requests_waiting", "", "1"),
        ("num_requests_running", "", "0"),
        ("kv_cache_usage_perc", "", "0.25"),
        ("cache_config_info", ",block_size=\"16\",num_gpu_blocks=\"100\"", "1"),
        ("engine_sleep_state", ",sleep_state=\"awake\"", "1"),
        ("request_success_total", ",finished_reason=\"stop\"", "2"),
        ("request_success_total", ",finished_reason=\"length\"", "1"),
        ("request_success_total", ",finished_reason=\"abort\"", "2"),
        ("request_success_total", ",finished_reason=\"error\"", "1"),
        ("prompt_tokens_total", "", "400"),
        ("prompt_tokens_cached_total", "", "256"),
        ("prompt_tokens_cached_by_source_total", ",source=\"device\"", "256"),
        ("generation_tokens_total", "", "8"),
        ("prefix_cache_queries_total", "", "400"),
        ("prefix_cache_hits_total", "", "256"),
        ("external_prefix_cache_queries_total", "", "10"),
        ("external_prefix_cache_hits_total", "", "4"),
        ("num_preemptions_total", "", "0"),
        ("time_to_first_token_seconds_sum", "", "6"),
        ("inter_token_latency_seconds_count", "", "4"),
        ("request_inference_time_seconds_sum", "", "8"),
        ("request_max_num_generation_tokens_sum", "", "200"),
        ("iteration_tokens_total_count", "", "1"),
        ("spec_decode_num_accepted_tokens_total", "", "0"),
        ("estimated_read_bytes_per_gpu_total", "", "20"),
    ] {
        assert_lines(&page, &[&line(name, labels, value)]);
    }
    assert_lines(
        &page,
        &[
            "# TYPE vllm:num_requests_waiting gauge",
            "# TYPE vllm:num_requests_running gauge",
            "# TYPE vllm:kv_cache_usage_perc gauge",
            "# TYPE vllm:cache_config_info gauge",
            "# TYPE vllm:lora_requests_info gauge",
            "# TYPE vllm:iteration_tokens_total histogram",
            "vllm:admission_rejections_total{model_name=\"llama\",reason=\"queue_full\"} 1",
        ],
    );
    let lora = "max_lora=\"4\",running_lora_adapters=\"a,b\",waiting_lora_adapters=\"\"";
    assert!(page.contains(&format!("vllm:lora_requests_info{{{engine},{lora}}} 1")), "{page}");
    assert!(!page.contains("finished_reason=\"rejected\""), "{page}");
    assert!(page.lines().all(|line| line.starts_with("vllm:") || line.starts_with("# ")), "{page}");
    // The endpoint picker takes the first series.
    for name in ["num_requests_waiting", "num_requests_running", "kv_cache_usage_perc"] {
        let first = page.lines().find(|line| line.starts_with(&format!("vllm:{name}{{"))).unwrap();
        assert!(first.contains("engine=\"0\""), "{first}");
    }
}

#[test]
fn vllm_has_the_bounds_of_vllm() {
    let page = page(profiles::vllm());
    let lengths = [
        ("time_to_first_token_seconds", 22, 0.001, 2560.0),
        ("inter_token_latency_seconds", 19, 0.01, 80.0),
        ("request_time_per_output_token_seconds", 19, 0.01, 80.0),
        ("e2e_request_latency_seconds", 21, 0.3, 7680.0),
        ("request_queue_time_seconds", 21, 0.3, 7680.0),
        ("request_prefill_time_seconds", 21, 0.3, 7680.0),
        ("request_decode_time_seconds", 21, 0.3, 7680.0),
        ("request_inference_time_seconds", 21, 0.3, 7680.0),
        ("request_prompt_tokens", 19, 1.0, 1e6),
        ("request_generation_tokens", 19, 1.0, 1e6),
        ("request_max_num_generation_tokens", 19, 1.0, 1e6),
        ("iteration_tokens_total", 13, 1.0, 16_384.0),
    ];
    for (name, count, first, last) in lengths {
        let bounds = bounds(&page, &format!("vllm:{name}"));
        // A bound that the canonical histogram lacked would be left out.
        assert_eq!((bounds.len(), bounds[0], bounds[bounds.len() - 1]), (count, first, last), "{name}: {bounds:?}");
    }
}

#[test]
fn otel_has_the_names_and_bounds_of_the_conventions() {
    let page = page(profiles::otel());
    for (name, count) in [("request_duration", 14), ("time_to_first_token", 16), ("time_per_output_token", 13)] {
        let name = format!("gen_ai_server_{name}_seconds");
        assert_eq!(bounds(&page, &name).len(), count, "{name}");
        assert!(page.contains(&format!("{name}_count{{gen_ai_request_model=\"llama\"")), "{page}");
        assert!(page.contains("gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"inferometer\""), "{page}");
    }
}

#[test]
fn triton_has_counters_of_microseconds() {
    let page = page(profiles::triton());
    let labels = "model=\"llama\",version=\"1\"";
    let line = |name: &str, value: &str| format!("nv_{name}{{{labels}}} {value}");
    for (name, value) in [
        ("inference_request_success", "3"),
        ("inference_count", "4"),
        ("inference_exec_count", "1"),
        ("inference_request_duration_us", "10000000"),
        ("inference_queue_duration_us", "2000000"),
        ("inference_compute_input_duration_us", "4000000"),
        ("inference_compute_infer_duration_us", "4000000"),
        ("inference_pending_request_count", "1"),
        ("inference_first_response_histogram_ms_count", "4"),
        ("inference_first_response_histogram_ms_sum", "6000"),
        ("model_load_duration_secs", "3"),
    ] {
        assert_lines(&page, &[&line(name, value)]);
    }
    assert_eq!(bounds(&page, "nv_inference_first_response_histogram_ms"), [100.0, 500.0, 2_000.0, 5_000.0]);
    for (reason, count) in [("REJECTED", 1), ("CANCELED", 1), ("BACKEND", 1), ("OTHER", 1)] {
        let own = |line: &&str| line.starts_with("nv_inference_request_failure") && line.contains(reason);
        let line = page.lines().find(own).unwrap();
        assert!(line.ends_with(&format!(" {count}")), "{line}");
    }
    assert_lines(&page, &["# TYPE nv_inference_queue_duration_us counter"]);
}

#[test]
fn basic_has_what_services_that_were_written_by_hand_have() {
    let page = page(profiles::basic());
    assert_lines(
        &page,
        &[
            "inference_requests_total{model_name=\"llama\",status=\"ok\"} 3",
            "inference_requests_total{model_name=\"llama\",status=\"error\"} 3",
            "inference_requests_total{model_name=\"llama\",status=\"cancelled\"} 1",
            "inference_latency_seconds_count{model_name=\"llama\"} 4",
            "inference_latency_seconds_sum{model_name=\"llama\"} 10",
            "inference_queue_depth{model_name=\"llama\"} 1",
        ],
    );
    assert_eq!(bounds(&page, "inference_latency_seconds"), [0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0]);
}
