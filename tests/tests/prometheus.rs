//! A real Prometheus that scrapes the engine while it works.
#![cfg(unix)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use inferometer_e2e::client::Client;
use inferometer_e2e::dashboards;
use inferometer_e2e::engine::Engine;
use inferometer_e2e::load::StopOnDrop;
use inferometer_e2e::prometheus::{Prometheus, Row};

/// What the engine does not do: it has no second place for keys and values.
const EMPTY: &str = "inference_kv_transfer_seconds";

/// The rows of an expression, once there are some and all of them pass.
fn rows(prometheus: &Prometheus, expression: &str, good: impl Fn(f64) -> bool) -> Vec<Row> {
    dashboards::rows(prometheus, expression, |rows| !rows.is_empty() && rows.iter().all(|row| good(row.value)))
}

#[test]
fn a_live_prometheus_scrapes_the_engine_and_answers_queries() {
    let Some(engine) = Engine::start(&["--max-running", "4"]) else { return };
    let Some(mut prometheus) = Prometheus::start(engine.target()) else { return };

    rows(&prometheus, "up{job=\"engine\"}", |up| up == 1.0);
    // Zeroes before the first request, so that the first one has a rate.
    rows(&prometheus, "inference_generation_tokens_total", |tokens| tokens == 0.0);

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..4 {
            let (engine, stop) = (&engine, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    let prompt = format!("Write a story about {number} ships.");
                    let answer = Client::new().chat(&engine.api, &prompt, 12);
                    answer.unwrap_or_else(|error| panic!("{error}\n{}", engine.messages()));
                }
            });
        }
        let _stop = StopOnDrop(&stop);
        for counter in [
            "inference_generation_tokens_total",
            "inference_prompt_tokens_total",
            "inference_requests_started_total",
            "inference_requests_total{status=\"ok\",finish_reason=\"length\"}",
        ] {
            rows(&prometheus, &format!("rate({counter}[30s])"), |rate| rate.is_finite() && rate > 0.0);
        }
        let histograms: Vec<String> = engine
            .scrape()
            .families("histogram")
            .into_iter()
            .filter(|&name| name.starts_with("inference_") && name != EMPTY)
            .map(str::to_owned)
            .collect();
        assert!(histograms.len() >= 14, "{histograms:?}");
        rows(&prometheus, &format!("sum({EMPTY}_count)"), |count| count == 0.0);
        for histogram in &histograms {
            for quantile in ["0.5", "0.99"] {
                let expression = format!("histogram_quantile({quantile}, sum by (le) (rate({histogram}_bucket[30s])))");
                rows(&prometheus, &expression, |value| value.is_finite() && value > 0.0);
            }
            let mean = format!("sum(rate({histogram}_sum[30s])) / sum(rate({histogram}_count[30s]))");
            rows(&prometheus, &mean, |value| value.is_finite() && value >= 0.0);
        }
        rows(&prometheus, "max_over_time(inference_requests_running[30s])", |running| running > 1.0);
    });

    // At rest, what Prometheus holds is what the page says, sample for sample.
    let page = engine.settled();
    let scraped = rows(&prometheus, "scrape_samples_scraped", |samples| samples == page.len() as f64);
    assert_eq!(scraped.len(), 1, "one target: {scraped:?}");
    for (family, kind) in page.types.iter().filter(|(name, _)| name.starts_with("inference_")) {
        let name = if kind == "histogram" { format!("{family}_count") } else { family.clone() };
        let expected = page.sum(&name, &[]);
        rows(&prometheus, &format!("sum({name})"), |held| held == expected);
    }
    let failures = rows(&prometheus, "min_over_time(up{job=\"engine\"}[5m])", |_| true);
    assert!(failures.iter().all(|row| row.value == 1.0), "a scrape failed: {}", prometheus.messages());
    assert!(prometheus.is_running());
}
