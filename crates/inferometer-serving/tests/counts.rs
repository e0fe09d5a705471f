//! Counts agree with each other and with what clients received, whatever happens to requests.

use inferometer::{Moment, Registry, Snapshot};
use inferometer_serving::{CacheTier, ErrorType, FinishReason, RejectReason, RequestTracker, ServingMetrics, Status};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const THREADS: u64 = 4;
const REQUESTS: u64 = 250; // of each thread

/// What clients saw, by any thread.
#[derive(Default)]
struct Clients {
    tokens: AtomicU64,
    rejected: AtomicU64,
    errors: AtomicU64,
    aborted: AtomicU64,
    finished: AtomicU64,
    preemptions: AtomicU64,
}

/// Numbers that look random and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A front end: some requests are turned away or given up before the engine has them.
fn front_end(seed: u64, metrics: &ServingMetrics, clients: &Clients, engine: &mpsc::Sender<RequestTracker>) {
    let mut numbers = Numbers(seed);
    for _ in 0..REQUESTS {
        let mut request = metrics.request(Moment::now());
        request.prompt_tokens(1 + numbers.below(100));
        match numbers.below(10) {
            0 => {
                request.rejected(RejectReason::QueueFull, Moment::now());
                clients.rejected.fetch_add(1, Relaxed);
            }
            1 => {
                drop(request);
                clients.aborted.fetch_add(1, Relaxed);
            }
            2 => {
                request.error(ErrorType::Validation, Moment::now());
                clients.errors.fetch_add(1, Relaxed);
            }
            _ => engine.send(request).unwrap(),
        }
    }
}

/// The engine: steps over a batch of 8, in which requests come, are preempted, fail, are dropped and end.
fn engine(metrics: &ServingMetrics, clients: &Clients, queue: &mpsc::Receiver<RequestTracker>) {
    let mut numbers = Numbers(7);
    let mut recorder = metrics.step_recorder();
    let mut batch: Vec<RequestTracker> = Vec::new();
    let mut preempted: Vec<RequestTracker> = Vec::new();
    loop {
        while batch.len() < 8 {
            let next = preempted.pop().or_else(|| queue.try_recv().ok());
            let Some(mut request) = next.or_else(|| if batch.is_empty() { queue.recv().ok() } else { None }) else {
                break;
            };
            request.scheduled(Moment::now());
            batch.push(request);
        }
        if batch.is_empty() {
            return;
        }
        recorder.step(Moment::now(), |step| {
            for request in &mut batch {
                step.prefill(1);
                let count = 1 + numbers.below(2);
                step.tokens(request, count);
                clients.tokens.fetch_add(count, Relaxed);
            }
        });
        let one = numbers.below(batch.len() as u64) as usize;
        match numbers.below(12) {
            0 => {
                let mut request = batch.swap_remove(one);
                request.preempted();
                request.preempted(); // said twice
                clients.preemptions.fetch_add(1, Relaxed);
                preempted.push(request);
            }
            1 => {
                drop(batch.swap_remove(one));
                clients.aborted.fetch_add(1, Relaxed);
            }
            2 => {
                batch.swap_remove(one).error(ErrorType::Internal, Moment::now());
                clients.errors.fetch_add(1, Relaxed);
            }
            3..6 => {
                batch.swap_remove(one).finished(FinishReason::Length, Moment::now());
                clients.finished.fetch_add(1, Relaxed);
            }
            _ => {}
        }
    }
}

fn counter(snapshot: &Snapshot, name: &str, labels: &[(&str, &str)]) -> u64 {
    snapshot.counter(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?}"))
}

#[test]
fn arrivals_are_ends_and_tokens_are_what_clients_received() {
    let registry = Registry::new();
    let metrics = ServingMetrics::builder("llama").registry(&registry).register().unwrap();
    let clients = Clients::default();
    let (sender, queue) = mpsc::channel();
    thread::scope(|scope| {
        let (metrics, clients) = (&metrics, &clients);
        for seed in 0..THREADS {
            let sender = sender.clone();
            scope.spawn(move || front_end(seed, metrics, clients, &sender));
        }
        drop(sender);
        scope.spawn(move || engine(metrics, clients, &queue));
        // Whatever is read meanwhile, nothing has ended that has not arrived.
        for _ in 0..20 {
            let now = registry.snapshot();
            let ended = counter(&now, "inference_requests_total", &[]);
            let later = registry.snapshot();
            assert!(counter(&later, "inference_requests_started_total", &[]) >= ended);
        }
    });
    let snapshot = registry.snapshot();
    let ended = |reason: &str| counter(&snapshot, "inference_requests_total", &[("finish_reason", reason)]);
    let seen = |count: &AtomicU64| count.load(Relaxed);
    assert_eq!(counter(&snapshot, "inference_requests_started_total", &[]), THREADS * REQUESTS);
    assert_eq!(counter(&snapshot, "inference_requests_total", &[]), THREADS * REQUESTS);
    assert_eq!(ended("length"), seen(&clients.finished));
    assert_eq!(ended("abort"), seen(&clients.aborted));
    assert_eq!(ended("error"), seen(&clients.errors));
    assert_eq!(ended("rejected"), seen(&clients.rejected));
    assert_eq!(counter(&snapshot, "inference_requests_rejected_total", &[]), seen(&clients.rejected));
    assert_eq!(counter(&snapshot, "inference_request_errors_total", &[]), seen(&clients.errors));
    assert_eq!(counter(&snapshot, "inference_generation_tokens_total", &[]), seen(&clients.tokens));
    assert_eq!(counter(&snapshot, "inference_preemptions_total", &[]), seen(&clients.preemptions));
    assert!([&clients.finished, &clients.aborted, &clients.errors, &clients.preemptions].iter().all(|n| seen(n) > 0));
    let lengths = snapshot.histogram("inference_request_generation_tokens", &[]).unwrap();
    assert_eq!(lengths.sum(), seen(&clients.tokens) as f64);
    for gauge in ["inference_requests_in_flight", "inference_requests_waiting", "inference_requests_running"] {
        assert_eq!(snapshot.gauge(gauge, &[]), Some(0.0), "{gauge}");
    }
    // Each request that had tokens has one time to the first, and one gap for each further call.
    let count = |name: &str| snapshot.histogram(name, &[]).unwrap().count();
    let with_tokens = count("inference_time_to_first_token_seconds");
    assert_eq!(with_tokens, lengths.count());
    assert_eq!(with_tokens, count("inference_request_decode_seconds"));
    assert_eq!(with_tokens, count("inference_request_queue_seconds"));
    assert_eq!(with_tokens, count("inference_request_duration_seconds"));
    let sequences = snapshot.histogram("inference_batch_size", &[]).unwrap();
    // `prefill` was said of each sequence in each step, and those that went on count besides.
    assert_eq!(sequences.sum() as u64, 2 * count("inference_inter_token_latency_seconds") + with_tokens);
    let prompts = snapshot.histogram("inference_request_prompt_tokens", &[]).unwrap();
    assert_eq!(prompts.sum(), counter(&snapshot, "inference_prompt_tokens_total", &[]) as f64);
}

/// A registry, the metrics of a model in it, and a moment.
fn one() -> (Registry, ServingMetrics, Moment) {
    let registry = Registry::new();
    let metrics = ServingMetrics::builder("llama").registry(&registry).register().unwrap();
    (registry, metrics, Moment::now())
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn times_are_those_of_the_moments_that_were_given() {
    let (registry, metrics, start) = one();
    let at = |ms: u32| start + ms * MS;
    let mut recorder = metrics.step_recorder();
    let mut request = metrics.request(at(0));
    request.max_tokens(100);
    request.scheduled(at(5));
    recorder.wake(at(5));
    for end in [25, 35, 45] {
        recorder.step(at(end), |step| {
            if end == 25 {
                step.prefill(7);
            }
            step.tokens(&mut request, 1);
        });
    }
    request.preempted();
    recorder.step(at(55), |_| ());
    request.scheduled(at(55));
    recorder.step(at(65), |step| step.tokens(&mut request, 2));
    request.finished(FinishReason::Stop, at(66));

    let snapshot = registry.snapshot();
    let sum = |name: &str, count: u64| {
        let histogram = snapshot.histogram(name, &[]).unwrap();
        assert_eq!(histogram.count(), count, "{name}");
        (histogram.sum() * 1e3).round() as u64
    };
    assert_eq!(sum("inference_request_queue_seconds", 1), 5);
    assert_eq!(sum("inference_time_to_first_token_seconds", 1), 25);
    assert_eq!(sum("inference_request_prefill_seconds", 1), 20);
    // 10 ms twice in steady steps, and 20 ms over the pause.
    assert_eq!(sum("inference_inter_token_latency_seconds", 3), 40);
    assert_eq!(sum("inference_request_decode_seconds", 1), 40);
    assert_eq!(sum("inference_time_per_output_token_seconds", 1), 10);
    assert_eq!(sum("inference_request_duration_seconds", 1), 66);
    // The step without a sequence is none.
    assert_eq!(sum("inference_step_seconds", 4), 50);
    assert_eq!(snapshot.histogram("inference_step_seconds", &[("phase", "prefill")]).unwrap().count(), 1);
    assert_eq!(snapshot.histogram("inference_step_tokens", &[]).unwrap().sum(), 12.0);
    assert_eq!(snapshot.histogram("inference_request_max_tokens", &[]).unwrap().sum(), 100.0);
}

#[test]
fn what_is_said_in_the_wrong_order_counts_once() {
    let (registry, metrics, now) = one();
    let (_, other, _) = one();
    let mut recorder = other.step_recorder();
    let mut request = metrics.request(now);
    request.preempted(); // it does not run
    request.tokens(0, now); // no tokens
    request.tokens(3, now); // before it was said to run
    request.scheduled(now);
    request.scheduled(now);
    recorder.step(now, |step| step.tokens(&mut request, 2)); // a step of another engine
    request.finished(FinishReason::Stop, now - Duration::from_secs(1)); // before it began

    let snapshot = registry.snapshot();
    assert_eq!(counter(&snapshot, "inference_preemptions_total", &[]), 0);
    assert_eq!(counter(&snapshot, "inference_generation_tokens_total", &[]), 5);
    let count = |name: &str| snapshot.histogram(name, &[]).unwrap().count();
    assert_eq!(count("inference_time_to_first_token_seconds"), 1);
    assert_eq!(count("inference_request_queue_seconds"), 0);
    assert_eq!(count("inference_inter_token_latency_seconds"), 1);
    assert_eq!(snapshot.histogram("inference_request_duration_seconds", &[]).unwrap().sum(), 0.0);
    for gauge in ["inference_requests_in_flight", "inference_requests_waiting", "inference_requests_running"] {
        assert_eq!(snapshot.gauge(gauge, &[]), Some(0.0), "{gauge}");
    }
}

#[test]
fn a_request_without_output_has_a_duration_and_a_prompt() {
    let (registry, metrics, now) = one();
    let mut request = metrics.request(now);
    request.prompt_tokens(300);
    request.cached_prompt_tokens(CacheTier::Host, 100);
    request.finished(FinishReason::Stop, now + MS);
    let snapshot = registry.snapshot();
    assert_eq!(counter(&snapshot, "inference_prompt_tokens_total", &[]), 300);
    assert_eq!(counter(&snapshot, "inference_prompt_tokens_cached_total", &[("source", "host")]), 100);
    assert_eq!(snapshot.histogram("inference_request_duration_seconds", &[]).unwrap().count(), 1);
    assert_eq!(snapshot.histogram("inference_request_generation_tokens", &[]).unwrap().count(), 0);
    assert_eq!(snapshot.histogram("inference_time_to_first_token_seconds", &[]).unwrap().count(), 0);
}

#[test]
fn a_request_that_came_and_went_is_counted_by_its_status() {
    let (registry, metrics, _) = one();
    for status in Status::ALL {
        metrics.record_request(MS, status);
    }
    let snapshot = registry.snapshot();
    assert_eq!(counter(&snapshot, "inference_requests_started_total", &[]), 3);
    for status in ["ok", "error", "cancelled"] {
        assert_eq!(counter(&snapshot, "inference_requests_total", &[("status", status)]), 1);
    }
    assert_eq!(counter(&snapshot, "inference_request_errors_total", &[("error_type", "internal")]), 1);
}

#[test]
fn queues_without_trackers_are_levels_that_go_with_their_recorder() {
    let (registry, metrics, _) = one();
    let mut recorders = [metrics.step_recorder(), metrics.step_recorder()];
    recorders[0].set_waiting(5);
    recorders[0].set_waiting(3);
    recorders[1].set_waiting(1);
    recorders[1].set_running(8);
    let gauges = || {
        let snapshot = registry.snapshot();
        ["inference_requests_waiting", "inference_requests_running"].map(|name| snapshot.gauge(name, &[]).unwrap())
    };
    assert_eq!(gauges(), [4.0, 8.0]);
    drop(recorders);
    assert_eq!(gauges(), [0.0, 0.0]);
}
