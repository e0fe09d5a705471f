//! The figures of the summary and of the live line, read from the metrics themselves: what is printed is what
//! `/metrics` says.

use std::fmt;

use inferometer::{HistogramSnapshot, Registry, SeriesSnapshot, Snapshot, Value};
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
    /// The host's work, by stage.
    pub stages: Vec<StageFigures>,
    /// What recording has cost.
    pub account: Account,
}

/// One stage of the host's work. Times are estimates where not every event was timed.
#[derive(Debug, Clone, Serialize)]
pub struct StageFigures {
    /// The stage.
    pub stage: String,
    /// How often it began, exactly.
    pub events: u64,
    /// How many of these were timed.
    pub samples: u64,
    /// Time in it, all threads together.
    pub seconds: f64,
    /// This over the time in steps. What n threads do at a time may take n times that.
    pub share_of_steps: Option<f64>,
    /// How long it takes.
    pub mean_seconds: Option<f64>,
}

/// What recording has cost this process, as inferometer reckons.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Account {
    /// In all.
    pub overhead_seconds: Option<f64>,
    /// As a share.
    pub overhead_ratio: Option<f64>,
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
        // The account is of the end of the scrape before.
        Registry::global().snapshot();
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
            stages: StageFigures::all(&snapshot, model_name, step_seconds),
            account: Account::of(&snapshot),
        }
    }
}

/// The series of a family.
fn series<'a>(snapshot: &'a Snapshot, name: &str) -> &'a [SeriesSnapshot] {
    snapshot.families.iter().find(|family| family.name == name).map_or(&[], |family| &family.series)
}

impl StageFigures {
    fn all(snapshot: &Snapshot, model_name: &str, step_seconds: f64) -> Vec<Self> {
        let stage = |series: &SeriesSnapshot| {
            let label = |name: &str| series.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value);
            let stage = label("stage").filter(|_| label("model_name").is_some_and(|model| model == model_name))?;
            let Value::Histogram(seen) = &series.value else { return None };
            let labels = [("model_name", model_name), ("stage", stage.as_str())];
            let counter = |name: &str| snapshot.counter(name, &labels).unwrap_or(0);
            // This engine does not have all of the catalogue's stages.
            let events = Some(counter("inference_host_stage_seconds_events_total")).filter(|&events| events > 0)?;
            Some(Self {
                stage: stage.clone(),
                events,
                samples: counter("inference_host_stage_seconds_samples_total"),
                seconds: seen.sum(),
                share_of_steps: (step_seconds > 0.0).then(|| seen.sum() / step_seconds),
                mean_seconds: seen.mean(),
            })
        };
        series(snapshot, "inference_host_stage_seconds").iter().filter_map(stage).collect()
    }
}

impl Account {
    fn of(snapshot: &Snapshot) -> Self {
        let value = |name: &str| match series(snapshot, name).first()?.value {
            Value::FloatCounter(value) | Value::Gauge(value) => Some(value),
            _ => None,
        };
        Self {
            overhead_seconds: value("inferometer_overhead_seconds_total"),
            overhead_ratio: value("inferometer_overhead_ratio"),
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
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let number = |value: Option<f64>| or_none(value.map(|v| format!("{v:.1}")));
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
        writeln!(f, "              e2e  {}", self.request_duration)?;
        writeln!(f, "  stages      of the time in steps, all threads together")?;
        for stage in &self.stages {
            writeln!(
                f,
                "              {:<10} {:>9}, mean {:>7}, {} of {} timed",
                stage.stage,
                or_none(stage.share_of_steps.map(|share| format!("{:.3} %", 100.0 * share))),
                seconds(stage.mean_seconds),
                stage.samples,
                stage.events,
            )?;
        }
        write!(f, "  account     {} for recording", seconds(self.account.overhead_seconds))?;
        match self.account.overhead_ratio {
            Some(ratio) => writeln!(f, ", {:.4} %", 100.0 * ratio),
            None => writeln!(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_says_what_there_is() {
        let registry = Registry::new();
        let account = || Account::of(&registry.snapshot());
        assert_eq!((account().overhead_seconds, account().overhead_ratio), (None, None));
        registry.counter_fn("inferometer_overhead_seconds_total", &[], || 0.0024).expect("a name of its own");
        assert_eq!((account().overhead_seconds, account().overhead_ratio), (Some(0.0024), None));
        registry.gauge_fn("inferometer_overhead_ratio", &[], || 0.0001).expect("a name of its own");
        let figures = Figures { account: account(), ..Figures::default() };
        assert!(figures.to_string().ends_with("  account     2.4 ms for recording, 0.0100 %\n"), "{figures}");
    }
}
