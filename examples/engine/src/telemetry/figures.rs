//! The figures of the summary and of the live line, read from the metrics themselves: what is printed is what
//! `/metrics` says.

use std::fmt;

use inferometer::{HistogramSnapshot, Registry};
use serde::Serialize;

use crate::report::seconds;

/// What the metrics say, since the program started.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Requests that have ended, by any outcome.
    pub requests: u64,
    /// Requests that run now.
    pub running: u64,
    /// Requests that wait now.
    pub waiting: u64,
    /// Prompt tokens processed.
    pub prompt_tokens: u64,
    /// Tokens generated.
    pub generated_tokens: u64,
    /// Steps.
    pub steps: u64,
    /// Time in steps.
    pub step_seconds: f64,
    /// Sequences a step, on average.
    pub mean_batch_size: Option<f64>,
    /// Tokens generated per second of time in steps.
    pub tokens_per_step_second: Option<f64>,
    /// Time to first token.
    pub time_to_first_token: Quantiles,
    /// Time between tokens.
    pub inter_token_latency: Quantiles,
    /// Duration of whole requests.
    pub request_duration: Quantiles,
}

/// Two quantiles of a histogram, in seconds; as exact as its buckets are narrow.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Quantiles {
    /// The number of values.
    pub count: u64,
    /// The median.
    pub p50_seconds: Option<f64>,
    /// The value that 95 of 100 stay within.
    pub p95_seconds: Option<f64>,
}

impl Figures {
    /// What the global registry holds about this model now.
    pub fn now(model_name: &str) -> Self {
        let snapshot = Registry::global().snapshot();
        let labels = [("model_name", model_name)];
        let counter = |name: &str| snapshot.counter(name, &labels).unwrap_or(0);
        // An up-down counter that is read while its two sides move can be off by one, and below zero for a moment.
        let gauge = |name: &str| snapshot.gauge(name, &labels).unwrap_or(0.0).max(0.0) as u64;
        let histogram = |name: &str| snapshot.histogram(name, &labels);
        let generated_tokens = counter("inference_generation_tokens_total");
        let step = histogram("inference_step_seconds");
        let step_seconds = step.as_ref().map_or(0.0, HistogramSnapshot::sum);
        Self {
            requests: counter("inference_requests_total"),
            running: gauge("inference_requests_running"),
            waiting: gauge("inference_requests_waiting"),
            prompt_tokens: counter("inference_prompt_tokens_total"),
            generated_tokens,
            steps: step.as_ref().map_or(0, HistogramSnapshot::count),
            step_seconds,
            mean_batch_size: histogram("inference_batch_size").and_then(|sizes| sizes.mean()),
            tokens_per_step_second: (step_seconds > 0.0).then(|| generated_tokens as f64 / step_seconds),
            time_to_first_token: Quantiles::of(histogram("inference_time_to_first_token_seconds")),
            inter_token_latency: Quantiles::of(histogram("inference_inter_token_latency_seconds")),
            request_duration: Quantiles::of(histogram("inference_request_duration_seconds")),
        }
    }
}

impl Quantiles {
    fn of(histogram: Option<HistogramSnapshot>) -> Self {
        histogram.map_or_else(Self::default, |histogram| Self {
            count: histogram.count(),
            p50_seconds: histogram.quantile(0.5),
            p95_seconds: histogram.quantile(0.95),
        })
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {}, p95 {}", seconds(self.p50_seconds), seconds(self.p95_seconds))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.1}"));
        writeln!(
            f,
            "  metrics     {} requests ended; {} prompt and {} generated tokens in {} steps, {} sequences a step, \
             {} tokens/s of step time",
            self.requests,
            self.prompt_tokens,
            self.generated_tokens,
            self.steps,
            number(self.mean_batch_size),
            number(self.tokens_per_step_second),
        )?;
        writeln!(f, "              TTFT {}", self.time_to_first_token)?;
        writeln!(f, "              ITL  {}", self.inter_token_latency)?;
        writeln!(f, "              e2e  {}", self.request_duration)
    }
}
