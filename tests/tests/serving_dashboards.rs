//! What others ask of vLLM and of Triton, on a live Prometheus that scrapes the example engine under their names.
#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use std::thread;

use inferometer_e2e::client::Client;
use inferometer_e2e::dashboards::{expressions, folder, rows};
use inferometer_e2e::engine::Engine;
use inferometer_e2e::load::StopOnDrop;
use inferometer_e2e::prometheus::{Prometheus, Row};

/// Rows, and numbers in them.
fn has_numbers(rows: &[Row]) -> bool {
    !rows.is_empty() && rows.iter().any(|row| !row.value.is_nan())
}

/// Runs `check` on a Prometheus that scrapes the engine under this profile's names while it answers requests.
fn with_engine(profile: &str, check: impl FnOnce(&Prometheus)) {
    let Some(engine) = Engine::start(&["--gpu", "fake", "--profile", profile]) else { return };
    let Some(prometheus) = Prometheus::start(engine.target()) else { return };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for (prompt, tokens) in [("Once upon a time", 8), ("The capital of France is", 3)] {
            let (done, api) = (&done, &engine.api);
            scope.spawn(move || {
                let client = Client::new();
                while !done.load(Acquire) {
                    client.complete(api, prompt, tokens).expect("a completion");
                }
            });
        }
        let _stop = StopOnDrop(&done);
        check(&prometheus);
    });
}

#[test]
fn every_expression_of_vllms_dashboards_and_of_what_scales_by_them_has_rows() {
    let Some(folder) = folder() else { return };
    with_engine("vllm", |prometheus| {
        let model = rows(prometheus, "vllm:num_requests_running", has_numbers)[0].labels["model_name"].clone();
        let model = model.as_str().expect("a model's name");
        let variables = [
            ("$__rate_interval", "20s"),
            ("$__interval", "20s"),
            ("$__range", "1m"),
            ("$model_name", model),
            ("$Deployment_id", model),
        ];
        for (file, least) in
            [("vllm-grafana.json", 32), ("vllm-performance-statistics.json", 21), ("vllm-query-statistics.json", 14)]
        {
            let expressions = expressions(&folder.join(file), &variables);
            assert!(expressions.len() >= least, "{file}: {expressions:?}");
            for expression in &expressions {
                rows(prometheus, expression, has_numbers);
            }
        }
        // KEDA, the adapter for the Kubernetes API, and llm-d's autoscaler.
        for expression in [
            format!("vllm:num_requests_waiting{{model_name=\"{model}\"}}"),
            "sum(rate(vllm:num_incoming_requests_total[1m]) > bool 0)".to_owned(),
            "sum by (instance) ({__name__=~\"^vllm:num_requests_waiting$\"})".to_owned(),
            "max_over_time(vllm:kv_cache_usage_perc[1m])".to_owned(),
        ] {
            rows(prometheus, &expression, has_numbers);
        }
    });
}

#[test]
fn every_expression_of_tritons_dashboard_has_rows() {
    let Some(folder) = folder() else { return };
    let expressions = expressions(&folder.join("triton-k8s-onprem.json"), &[]);
    assert!(expressions.len() >= 12, "{expressions:?}");
    with_engine("triton", |prometheus| {
        for expression in &expressions {
            rows(prometheus, expression, has_numbers);
        }
    });
}
