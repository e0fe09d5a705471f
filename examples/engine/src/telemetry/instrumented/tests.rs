use std::time::Instant;

use inferometer::{Registry, Sampling, Snapshot};
use inferometer_serving::Metric;

use super::*;
use crate::engine::{Submitter, engine};
use crate::model::{ModelSpec, load};
use crate::request::{Event, GenerationParams, Request};
use crate::scheduler::{Delay, Progress, Scheduler, SchedulerConfig};
use crate::telemetry::Figures;

fn instrumented(model_name: &str) -> Instrumented {
    Instrumented::new(ServingMetrics::builder(model_name).register().expect("registers"))
}

/// An engine over the tiny random model whose series carry a name of their own: tests share the registry.
fn tiny(model_name: &str, config: SchedulerConfig) -> (Submitter<InstrumentedFrontEnd>, Scheduler<Instrumented>) {
    let loaded = load(&ModelSpec::RandomTiny).expect("loads");
    engine(loaded.model, config, instrumented(model_name))
}

fn request(max_tokens: usize) -> (Request, tokio::sync::mpsc::UnboundedReceiver<Event>) {
    let params = GenerationParams { max_tokens, ..GenerationParams::default() };
    Request::new(vec![1, 2, 3], params)
}

struct Seen<'a>(Snapshot, &'a str);

impl<'a> Seen<'a> {
    fn now(model_name: &'a str) -> Self {
        Self(Registry::global().snapshot(), model_name)
    }
    fn counter(&self, name: &str) -> u64 {
        let name = format!("inference_{name}");
        self.0.counter(&name, &[("model_name", self.1)]).expect("it exists")
    }
    fn gauge(&self, name: &str) -> f64 {
        let name = format!("inference_{name}");
        self.0.gauge(&name, &[("model_name", self.1)]).expect("it exists")
    }
    fn count(&self, name: &str) -> u64 {
        let name = format!("inference_{name}");
        self.0.histogram(&name, &[("model_name", self.1)]).expect("it exists").count()
    }
    /// Events of a stage, samples, and time.
    fn stage(&self, stage: &str) -> (u64, u64, f64) {
        let labels = [("model_name", self.1), ("engine", "0"), ("stage", stage)];
        let counter = |name: &str| {
            let name = format!("inference_host_stage_seconds_{name}_total");
            self.0.counter(&name, &labels).expect("it exists")
        };
        let seconds = self.0.histogram("inference_host_stage_seconds", &labels).expect("it exists").sum();
        (counter("events"), counter("samples"), seconds)
    }
    fn finished(&self, reason: &str, status: &str) -> u64 {
        let labels = [("model_name", self.1), ("engine", "0"), ("finish_reason", reason), ("status", status)];
        self.0.counter("inference_requests_total", &labels).expect("it exists")
    }
}

#[test]
fn every_series_exists_before_the_first_request() {
    let name = "telemetry-zero";
    let _engine = tiny(name, SchedulerConfig::default());
    let seen = Seen::now(name);
    assert_eq!(seen.counter("requests_started_total"), 0);
    assert_eq!(seen.counter("requests_rejected_total"), 0);
    assert_eq!(seen.finished("length", "ok"), 0);
    assert_eq!(seen.gauge("requests_waiting"), 0.0);
    assert_eq!(seen.count("step_seconds"), 0);
    for stage in ["schedule", "prepare", "forward", "sample", "hand_out", "detokenize", "stream"] {
        assert_eq!(seen.stage(stage), (0, 0, 0.0), "{stage}");
    }
}

#[test]
fn stages_are_counted_exactly_and_their_times_fit_into_the_loop() {
    let name = "telemetry-stages";
    let config = SchedulerConfig { max_running: 3, ..SchedulerConfig::default() };
    let (submitter, mut scheduler) = tiny(name, config);
    // An estimate may be larger than what it estimates. Holds for the other tests of this process too, which is all the
    // same to them.
    scheduler.telemetry().metrics.set_sampling(Metric::HostStage, Sampling::Always);
    let mut clients = Vec::new();
    let started = Instant::now();
    for _ in 0..10 {
        clients.extend((20..=23).map(|tokens| {
            let (request, events) = request(tokens);
            submitter.submit(request).expect("there is room");
            events
        }));
        while scheduler.step() == Progress::Stepped {}
    }
    let wall = started.elapsed().as_secs_f64();
    let seen = Seen::now(name);
    let (steps, tokens) = (seen.count("step_seconds"), seen.counter("generation_tokens_total"));
    assert_eq!(tokens, 860);
    for (stage, due) in
        [("schedule", steps), ("prepare", tokens), ("forward", tokens), ("sample", tokens), ("hand_out", steps)]
    {
        let (events, samples, _) = seen.stage(stage);
        assert_eq!((events, samples), (due, due), "{stage}");
    }
    let seconds = |stages: &[&str]| stages.iter().map(|stage| seen.stage(stage).2).sum::<f64>();
    let on_this_thread = seconds(&["schedule", "hand_out"]);
    let on_all = seconds(&["prepare", "forward", "sample"]);
    let forward = seconds(&["forward"]);
    let threads = crate::threads::count() as f64;
    assert!(0.0 < on_this_thread && on_this_thread < wall, "{on_this_thread} s of {wall} s");
    assert!(forward < on_all && on_all < threads * wall, "{on_all} s on {threads} threads in {wall} s");
    assert!(forward > on_this_thread, "the model takes the most: {forward} s and {on_this_thread} s");
    // No front end, no text.
    assert_eq!((seen.stage("detokenize").0, seen.stage("stream").0), (0, 0));
}

#[test]
fn the_metrics_agree_with_each_other() {
    let name = "telemetry-sums";
    let config = SchedulerConfig { max_running: 3, delay: Delay::of_millis(2), ..SchedulerConfig::default() };
    let (submitter, mut scheduler) = tiny(name, config);
    let clients: Vec<_> = (1..=6)
        .map(|tokens| {
            let (request, events) = request(tokens);
            submitter.submit(request).expect("there is room");
            events
        })
        .collect();
    assert_eq!(Seen::now(name).gauge("requests_waiting"), 6.0);
    scheduler.step();
    let seen = Seen::now(name);
    assert_eq!(seen.gauge("requests_waiting"), 3.0);
    // One of the three asked for one token only.
    assert_eq!(seen.gauge("requests_running"), 2.0);
    while scheduler.step() == Progress::Stepped {}

    let seen = Seen::now(name);
    assert_eq!(seen.gauge("requests_waiting"), 0.0);
    assert_eq!(seen.gauge("requests_running"), 0.0);
    assert_eq!(seen.counter("requests_started_total"), 6);
    assert_eq!(seen.finished("length", "ok"), 6);
    assert_eq!(seen.counter("prompt_tokens_total"), 18);
    assert_eq!(seen.counter("generation_tokens_total"), 21);
    assert_eq!(seen.count("time_to_first_token_seconds"), 6);
    assert_eq!(seen.count("inter_token_latency_seconds"), 15);
    assert_eq!(seen.count("time_per_output_token_seconds"), 5);
    for part in ["queue", "prefill", "decode", "duration"] {
        assert_eq!(seen.count(&format!("request_{part}_seconds")), 6, "{part}");
    }
    assert_eq!(seen.count("step_seconds"), seen.count("batch_size"));

    let figures = Figures::now(name);
    assert_eq!((figures.requests, figures.generated_tokens), (6, 21));
    // Each step sleeps for 2 ms.
    assert!(figures.inter_token_latency.p50_seconds.expect("values") > 0.0018);
    let mean = figures.mean_batch_size.expect("steps");
    assert!((mean - 21.0 / figures.steps as f64).abs() < 1e-9, "{mean}");
    drop(clients);
}

#[test]
fn rejected_and_abandoned_requests_leave_the_gauges_at_zero() {
    let name = "telemetry-ends";
    let config = SchedulerConfig { max_running: 1, queue: 2, ..SchedulerConfig::default() };
    let (submitter, mut scheduler) = tiny(name, config);
    let (one, running) = request(100);
    let (two, waiting) = request(100);
    submitter.submit(one).expect("there is room");
    submitter.submit(two).expect("there is room");
    submitter.submit(request(1).0).expect_err("it is full");
    scheduler.step();
    drop((running, waiting));
    assert_eq!(scheduler.step(), Progress::Idle);

    let seen = Seen::now(name);
    assert_eq!(seen.finished("rejected", "error"), 1);
    assert_eq!(seen.finished("abort", "cancelled"), 2);
    assert_eq!(seen.counter("requests_rejected_total"), 1);
    assert_eq!(seen.counter("requests_started_total"), 3);
    assert_eq!(seen.gauge("requests_waiting"), 0.0);
    assert_eq!(seen.gauge("requests_running"), 0.0);
    assert_eq!(seen.count("request_duration_seconds"), 1);
}
