//! The engine on a real model, over HTTP: what `/metrics` says is what the clients saw.
#![cfg(unix)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use inferometer_e2e::client::{Client, Completion};
use inferometer_e2e::engine::Engine;
use inferometer_e2e::exposition::{Labels, Scrape};
use inferometer_e2e::{promtool, wait};
use serde_json::json;

/// Every family of the engine, each with the number of its histograms' labels besides `le`.
const HISTOGRAMS: [&str; 10] = [
    "inference_time_to_first_token_seconds",
    "inference_inter_token_latency_seconds",
    "inference_time_per_output_token_seconds",
    "inference_request_duration_seconds",
    "inference_request_queue_seconds",
    "inference_request_prefill_seconds",
    "inference_request_decode_seconds",
    "inference_step_seconds",
    "inference_batch_size",
    "inference_host_stage_seconds",
];

/// The stages of the engine's thread and of those that compute for it, and of the front end's.
const STAGES: [&str; 7] = ["schedule", "prepare", "forward", "sample", "hand_out", "detokenize", "stream"];

/// One engine at a time: two of them would only slow each other down.
static ONE_ENGINE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    // A test that failed says so itself; the others can still run.
    ONE_ENGINE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(scrape: &Scrape, family: &str) -> u64 {
    scrape.sum(&format!("{family}_count"), &[]) as u64
}

fn total(scrape: &Scrape, family: &str) -> f64 {
    scrape.sum(&format!("{family}_sum"), &[])
}

fn counter(scrape: &Scrape, name: &str, labels: &[(&str, &str)]) -> u64 {
    scrape.sum(name, labels) as u64
}

/// Equal, but for the fractions of nanoseconds that each time loses, and for what scrapes meanwhile have found of how long a
/// tick is.
#[track_caller]
fn assert_same_seconds(what: &str, left: f64, right: f64) {
    assert!((left - right).abs() <= 1e-5 * left.abs(), "{what}: {left} and {right}");
}

/// Runs the clients side by side and gives their answers in the same order.
fn side_by_side<T: Send>(clients: Vec<Box<dyn FnOnce() -> T + Send + '_>>) -> Vec<T> {
    thread::scope(|scope| {
        let threads: Vec<_> = clients.into_iter().map(|client| scope.spawn(client)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
    })
}

/// What somebody sees who scrapes all the time.
#[derive(Debug, Default)]
struct Watched {
    scrapes: u64,
    most_running: f64,
    most_waiting: f64,
    /// Each value of the generated tokens, once.
    generated: Vec<f64>,
}

/// Scrapes until told to stop. Each scrape has to fit together, and to follow from the one before.
fn watch(engine: &Engine, stop: &AtomicBool) -> Watched {
    let mut watched = Watched::default();
    let mut before = engine.scrape();
    loop {
        let last = stop.load(Ordering::Acquire);
        let scrape = engine.scrape();
        scrape.check_since(&before).unwrap_or_else(|error| panic!("{error}"));
        watched.scrapes += 1;
        watched.most_running = watched.most_running.max(scrape.sum("inference_requests_running", &[]));
        watched.most_waiting = watched.most_waiting.max(scrape.sum("inference_requests_waiting", &[]));
        watched.generated.push(scrape.sum("inference_generation_tokens_total", &[]));
        watched.generated.dedup();
        before = scrape;
        if last {
            return watched;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Stops a thread that watches also when its scope panics; it would wait for that thread for ever.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn the_first_scrape_has_every_family_at_zero_and_promtool_accepts_it() {
    let _alone = alone();
    let Some(engine) = Engine::start(&[]) else { return };
    let (content_type, page) = engine.page();
    assert!(content_type.starts_with("text/plain; version=0.0.4"), "{content_type}");
    let scrape = engine.scrape();
    for histogram in HISTOGRAMS {
        assert_eq!(scrape.types.get(histogram).map(String::as_str), Some("histogram"), "{histogram}");
        assert!(!scrape.buckets(histogram, &[]).is_empty(), "{histogram} has buckets before its first value");
        assert_eq!(count(&scrape, histogram), 0, "{histogram}");
    }
    let counters = [
        "inference_requests_started_total",
        "inference_requests_total",
        "inference_requests_rejected_total",
        "inference_prompt_tokens_total",
        "inference_generation_tokens_total",
    ];
    for name in counters {
        assert_eq!(scrape.types.get(name).map(String::as_str), Some("counter"), "{name}");
        assert_eq!(counter(&scrape, name, &[]), 0, "{name}");
    }
    for stage in STAGES {
        for name in ["inference_host_stage_seconds_events_total", "inference_host_stage_seconds_samples_total"] {
            let of_stage = |(labels, value): (&Labels, f64)| (labels["stage"] == stage).then_some(value);
            let values: Vec<f64> = scrape.series(name).filter_map(of_stage).collect();
            assert_eq!(values, [0.0], "{name} {stage}");
        }
    }
    for name in ["inference_requests_running", "inference_requests_waiting"] {
        assert_eq!(scrape.types.get(name).map(String::as_str), Some("gauge"), "{name}");
    }
    promtool::check(&page).expect("promtool has nothing to say");
}

#[test]
fn the_metrics_are_what_the_clients_saw() {
    let _alone = alone();
    // Fewer places than clients, so that some wait and join when others have left.
    let Some(engine) = Engine::start(&["--max-running", "4"]) else { return };
    let started = Instant::now();
    let stop = AtomicBool::new(false);
    let (answers, watched) = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&engine, &stop));
        let stop = StopOnDrop(&stop);
        let api = engine.api.as_str();
        // Of different lengths, one of a single token, so that sequences leave at different steps.
        let clients = [5, 1, 8, 11, 14, 17, 20, 24].into_iter().enumerate().map(|(number, max_tokens)| {
            let client: Box<dyn FnOnce() -> Result<Completion, String> + Send> = Box::new(move || {
                let prompt = format!("Write a long story about {number} ships.");
                if number % 3 == 2 {
                    Client::new().complete(api, &prompt, max_tokens)
                } else {
                    Client::new().chat(api, &prompt, max_tokens)
                }
            });
            client
        });
        let answers = side_by_side(clients.collect());
        drop(stop);
        (answers, watcher.join().expect("every scrape is consistent"))
    });
    let wall = started.elapsed().as_secs_f64();
    let answers: Vec<Completion> =
        answers.into_iter().collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}\n{}", engine.messages()));
    let scrape = engine.settled();

    // Requests.
    let requests = answers.len() as u64;
    assert_eq!(counter(&scrape, "inference_requests_started_total", &[]), requests);
    assert_eq!(counter(&scrape, "inference_requests_total", &[]), requests);
    assert_eq!(counter(&scrape, "inference_requests_total", &[("status", "ok")]), requests);
    assert_eq!(counter(&scrape, "inference_requests_rejected_total", &[]), 0);
    for reason in ["stop", "length"] {
        let seen = answers.iter().filter(|answer| answer.finish_reason == reason).count() as u64;
        assert_eq!(counter(&scrape, "inference_requests_total", &[("finish_reason", reason)]), seen, "{reason}");
    }

    // Tokens.
    let prompt: u64 = answers.iter().map(|answer| answer.prompt_tokens).sum();
    let generated: u64 = answers.iter().map(|answer| answer.completion_tokens).sum();
    assert!(prompt > 8 * requests && generated > 4 * requests, "a real load: {answers:?}");
    assert_eq!(counter(&scrape, "inference_prompt_tokens_total", &[]), prompt);
    assert_eq!(counter(&scrape, "inference_generation_tokens_total", &[]), generated);

    // Latencies, each once a request. Between tokens: one fewer than tokens, for each sequence.
    for family in [
        "inference_time_to_first_token_seconds",
        "inference_request_duration_seconds",
        "inference_request_queue_seconds",
        "inference_request_prefill_seconds",
        "inference_request_decode_seconds",
    ] {
        assert_eq!(count(&scrape, family), requests, "{family}");
    }
    let gaps: u64 = answers.iter().map(|answer| answer.completion_tokens - 1).sum();
    assert_eq!(count(&scrape, "inference_inter_token_latency_seconds"), gaps);
    let of_several = answers.iter().filter(|answer| answer.completion_tokens > 1).count() as u64;
    assert!(of_several < requests, "one answer has a single token");
    assert_eq!(count(&scrape, "inference_time_per_output_token_seconds"), of_several);

    // The parts add up to the whole, to the nanosecond, because one reading of the clock ends one and begins the next.
    let [ttft, itl, duration, queue, prefill, decode] = [
        "inference_time_to_first_token_seconds",
        "inference_inter_token_latency_seconds",
        "inference_request_duration_seconds",
        "inference_request_queue_seconds",
        "inference_request_prefill_seconds",
        "inference_request_decode_seconds",
    ]
    .map(|family| total(&scrape, family));
    assert_same_seconds("queue + prefill and time to first token", queue + prefill, ttft);
    assert_same_seconds("time to first token + decode and duration", ttft + decode, duration);
    assert_same_seconds("times between tokens and decode", itl, decode);

    // And they are what the clients measured: never more, and not much less.
    let seen: f64 = answers.iter().map(|answer| answer.total.as_secs_f64()).sum();
    assert!(duration <= seen && duration > 0.5 * seen, "the engine says {duration} s, its clients {seen} s");
    let step_seconds = total(&scrape, "inference_step_seconds");
    assert!(step_seconds <= wall, "{step_seconds} s of steps in {wall} s");

    // Steps: each sequence in a step gives one token, and the batches were real ones.
    let steps = count(&scrape, "inference_step_seconds");
    assert_eq!(count(&scrape, "inference_batch_size"), steps);
    assert_eq!(total(&scrape, "inference_batch_size"), generated as f64);
    assert!(steps < generated, "{steps} steps for {generated} tokens");
    let alone =
        scrape.buckets("inference_batch_size", &[]).iter().find(|bucket| bucket.0 == 1.0).map(|bucket| bucket.1);
    let alone = alone.expect("there is a bucket for batches of one");
    assert!((alone as u64) < steps, "all {steps} steps had one sequence");
    // Once a step, for all its sequences: with one record a sequence it would be the other way round in the account,
    // and with one a step there would be no more records than steps.
    let decoding = |phase| counter(&scrape, "inference_step_seconds_count", &[("phase", phase)]);
    let decoding_steps = decoding("decode") + decoding("mixed");
    assert!(gaps > decoding_steps, "{gaps} times between tokens in {decoding_steps} steps");
    assert!(decoding("mixed") > 0, "no sequence joined while others were decoding");

    // What somebody saw who scraped all along.
    assert!(watched.scrapes > 20, "{watched:?}");
    assert!(watched.most_running > 1.0 && watched.most_running <= 4.0, "{watched:?}");
    assert!(watched.most_waiting > 0.0, "{watched:?}");
    assert!(watched.generated.len() > 5, "generated tokens do not move while they are generated: {watched:?}");
    promtool::check(&engine.page().1).expect("promtool has nothing to say");
}

#[test]
fn each_stage_is_counted_exactly_and_timed_within_the_budget() {
    let _alone = alone();
    let Some(engine) = Engine::start(&[]) else { return };
    let started = Instant::now();
    let api = engine.api.as_str();
    let (tokens, chunks) = thread::scope(|scope| {
        let whole = scope.spawn(|| Client::new().complete(api, "Ships are", 16).expect("it is answered"));
        let mut stream = Client::new().stream(api, "Tell me about the sea.", 24).expect("it is taken");
        let (mut tokens, mut chunks) = (0, 0);
        while let Some(event) = stream.event().expect("the stream goes on") {
            chunks += 1;
            tokens = event["usage"]["completion_tokens"].as_u64().unwrap_or(tokens);
        }
        (tokens + whole.join().expect("a client does not panic").completion_tokens, chunks)
    });
    let scrape = engine.settled();
    let wall = started.elapsed().as_secs_f64();

    const FAMILY: &str = "inference_host_stage_seconds";
    let of = |part: &str, stage| scrape.sum(&format!("{FAMILY}_{part}"), &[("stage", stage)]);
    let events = |stage| of("events_total", stage) as u64;
    let steps = count(&scrape, "inference_step_seconds");
    assert!(steps > 0 && chunks > 3, "{steps} steps, {chunks} chunks");
    // The prompts are short, so each is one forward pass.
    for (stage, due) in [
        ("schedule", steps),
        ("prepare", tokens),
        ("forward", tokens),
        ("sample", tokens),
        ("hand_out", steps),
        ("detokenize", tokens),
        ("stream", chunks),
    ] {
        assert_eq!(events(stage), due, "{stage}");
    }

    // What was timed stands for all, and lies within the test.
    let threads = thread::available_parallelism().map_or(1, usize::from) as f64;
    for stage in STAGES {
        let samples = of("samples_total", stage) as u64;
        assert!((1..=events(stage)).contains(&samples), "{samples} samples of {stage}");
        assert!(of("count", stage) as u64 >= samples, "{stage}");
        let seconds = of("sum", stage);
        assert!(seconds > 0.0 && seconds < threads * wall, "{seconds} s of {stage} in {wall} s");
    }
    // On a real model, the model is what takes the time; a timer around something else would not show it.
    let (forward, step_seconds) = (of("sum", "forward"), total(&scrape, "inference_step_seconds"));
    assert!(forward > 0.5 * step_seconds, "{forward} s of forward passes in {step_seconds} s of steps");

    let overhead = engine.scrape().sum("inferometer_overhead_seconds_total", &[]);
    assert!(overhead > 0.0 && overhead < 0.01 * step_seconds, "{overhead} s of recording in {step_seconds} s of steps");
}

#[test]
fn a_client_that_goes_away_is_counted_as_cancelled() {
    let _alone = alone();
    const ASKED: u64 = 1_000;
    let Some(engine) = Engine::start(&[]) else { return };
    let client = Client::new();
    let mut stream = client.stream(&engine.api, "Tell me everything about the sea.", ASKED).expect("it is taken");
    let mut seen = 0;
    while seen < 3 {
        let event = stream.event().expect("the stream goes on").expect("there are more tokens to come");
        if event["choices"][0]["delta"]["content"].as_str().is_some_and(|text| !text.is_empty()) {
            seen += 1;
        }
    }
    assert_eq!(counter(&engine.scrape(), "inference_requests_total", &[]), 0, "it still runs");
    drop(stream);
    // Meanwhile another client is served as if nothing had happened.
    let other = client.complete(&engine.api, "The sea is", 6).expect("it is answered");
    let scrape = engine.settled();

    let ended = |labels: &[(&str, &str)]| counter(&scrape, "inference_requests_total", labels);
    assert_eq!(ended(&[("status", "cancelled"), ("finish_reason", "abort")]), 1);
    assert_eq!(ended(&[("status", "ok")]), 1);
    assert_eq!(ended(&[]), 2);
    let generated = counter(&scrape, "inference_generation_tokens_total", &[]);
    let cancelled = generated - other.completion_tokens;
    assert!((seen..ASKED).contains(&cancelled), "{cancelled} tokens, of which the client saw {seen}");
    assert_eq!(count(&scrape, "inference_time_to_first_token_seconds"), 2);
    assert_eq!(count(&scrape, "inference_inter_token_latency_seconds"), generated - 2);
    assert_eq!(count(&scrape, "inference_request_duration_seconds"), 2);
}

#[test]
fn what_is_turned_away_is_counted_as_rejected() {
    let _alone = alone();
    let Some(engine) = Engine::start(&["--max-running", "1", "--queue", "1"]) else { return };
    let api = engine.api.as_str();
    let body = json!({ "prompt": "Ships are", "max_tokens": 12, "temperature": 0 });
    let url = format!("{api}/v1/completions");
    let clients = (0..6).map(|_| {
        let client: Box<dyn FnOnce() -> Result<u16, String> + Send> =
            Box::new(|| Client::new().post(&url, &body).map(|answer| answer.status));
        client
    });
    let statuses: Vec<u16> =
        side_by_side(clients.collect()).into_iter().collect::<Result<_, _>>().expect("all are answered");
    let seen = |wanted| statuses.iter().filter(|&&status| status == wanted).count() as u64;
    assert_eq!(seen(200) + seen(429), 6, "{statuses:?}");
    assert!(seen(429) > 0, "six at once do not fit: {statuses:?}");

    // What is no request at all is none in the metrics either.
    let refused = Client::new().post(&url, &json!({ "prompt": "x", "max_tokens": 0 })).expect("it is answered");
    assert_eq!(refused.status, 400, "{}", refused.body);

    let scrape = engine.settled();
    assert_eq!(counter(&scrape, "inference_requests_started_total", &[]), 6);
    assert_eq!(counter(&scrape, "inference_requests_total", &[("status", "ok")]), seen(200));
    let rejected = [("status", "error"), ("finish_reason", "rejected")];
    assert_eq!(counter(&scrape, "inference_requests_total", &rejected), seen(429));
    assert_eq!(counter(&scrape, "inference_requests_rejected_total", &[("reason", "queue_full")]), seen(429));
    assert_eq!(count(&scrape, "inference_request_duration_seconds"), seen(200));
}

#[test]
fn it_stops_when_it_is_told_to() {
    let _alone = alone();
    let Some(mut engine) = Engine::start(&[]) else { return };
    let client = Client::new();
    let mut stream = client.stream(&engine.api, "Tell me everything about the sea.", 1_000).expect("it is taken");
    stream.event().expect("the stream goes on");
    let status = engine.stop();
    assert!(status.success(), "{status}: {}", engine.messages());
    wait::until("the page to be gone", Duration::from_secs(10), || match client.get(&engine.metrics) {
        Ok(answer) => Err(format!("status {}", answer.status)),
        Err(_) => Ok(()),
    });
}
