use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use inferometer::Registry;
use inferometer_serving::ServingMetrics;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::client::{self, Events, read, send};
use crate::engine::{EngineThread, spawn};
use crate::model::{ModelSpec, load};
use crate::scheduler::SchedulerConfig;
use crate::telemetry::{Instrumented, NoTelemetry, Telemetry};

/// A server on a port of its own over the tiny random model; the thread's guard stops the engine.
async fn serve(config: SchedulerConfig) -> (SocketAddr, EngineThread) {
    serve_with(config, NoTelemetry).await
}

async fn serve_with(config: SchedulerConfig, telemetry: impl Telemetry) -> (SocketAddr, EngineThread) {
    let loaded = load(&ModelSpec::RandomTiny).expect("loads");
    let delay = config.delay.clone();
    let (submitter, thread) = spawn(loaded.model.clone(), config, telemetry).expect("a thread");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("an address");
    let router = router(loaded, submitter, 5, delay);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, thread)
}

fn slow() -> SchedulerConfig {
    SchedulerConfig { delay: Delay::of_millis(10), ..SchedulerConfig::default() }
}

async fn post(address: SocketAddr, path: &str, body: Value) -> (StatusCode, Value) {
    let response = send(address, Method::POST, path, body.to_string()).await.expect("an answer");
    read(response).await.expect("a body")
}

#[tokio::test]
async fn completions_in_one_piece() {
    let (address, _engine) = serve(SchedulerConfig::default()).await;
    let ask = json!({ "model": "random-tiny", "prompt": "abc", "max_tokens": 7, "temperature": 0 });
    let (status, body) = post(address, "/v1/completions", ask.clone()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["object"], "text_completion");
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    assert_eq!(body["usage"], json!({ "prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10 }));
    // The same prompt as tokens, and the same again: the same text.
    let mut tokens = ask;
    tokens["prompt"] = json!([97, 98, 99]);
    let (_, again) = post(address, "/v1/completions", tokens).await;
    assert_eq!(body["choices"][0]["text"], again["choices"][0]["text"]);
}

#[tokio::test]
async fn a_seed_repeats_an_answer() {
    let (address, _engine) = serve(SchedulerConfig::default()).await;
    let ask = |seed: i64| json!({ "prompt": "abc", "max_tokens": 20, "temperature": 2.0, "seed": seed });
    let text = async |seed| post(address, "/v1/completions", ask(seed)).await.1["choices"][0]["text"].clone();
    assert_eq!(text(-1).await, text(-1).await);
    assert_ne!(text(-1).await, text(2).await);
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    let (address, _engine) = serve(SchedulerConfig::default()).await;
    let mut ask = json!({
        "messages": [{ "role": "user", "content": [{ "type": "text", "text": "hi" }] }],
        "max_completion_tokens": 12,
        "temperature": 0,
    });
    let (status, whole) = post(address, "/v1/chat/completions", ask.clone()).await;
    assert_eq!(status, StatusCode::OK, "{whole}");
    ask["stream"] = true.into();
    ask["stream_options"] = json!({ "include_usage": true });
    let chat = client::chat(address, &ask).await.expect("a stream");
    assert_eq!(whole["choices"][0]["message"]["content"], chat.text.as_str());
    assert_eq!(whole["usage"]["completion_tokens"], chat.completion_tokens);
    assert_eq!(chat.finish_reason, "length");
    assert!(chat.first_text.is_some());
}

#[tokio::test]
async fn each_token_is_made_text_once_and_each_chunk_is_written_once() {
    let metrics = ServingMetrics::builder("http-stages").register().expect("registers");
    let (address, _engine) = serve_with(SchedulerConfig::default(), Instrumented::new(metrics)).await;
    let events = |stage| {
        let labels = [("model_name", "http-stages"), ("stage", stage)];
        Registry::global().snapshot().counter("inference_host_stage_seconds_events_total", &labels)
    };
    let mut ask = json!({ "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 12, "stream": true });
    let response = send(address, Method::POST, "/v1/chat/completions", ask.to_string()).await.expect("an answer");
    let mut stream = Events::new(response).await.expect("a stream");
    let mut chunks = 0;
    while stream.next().await.expect("reads").is_some_and(|data| data != "[DONE]") {
        chunks += 1;
    }
    // One says who speaks and one why it ends; a token that ends in the middle of a character has none.
    assert!((3..=14).contains(&chunks), "{chunks} chunks");
    assert_eq!((events("detokenize"), events("stream")), (Some(12), Some(chunks)));

    ask["stream"] = false.into();
    let (status, body) = post(address, "/v1/chat/completions", ask).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!((events("detokenize"), events("stream")), (Some(24), Some(chunks)));
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_and_says_why() {
    let (address, _engine) = serve(SchedulerConfig::default()).await;
    let chat = "/v1/chat/completions";
    let plain = "/v1/completions";
    for (path, body, status, word) in [
        (plain, json!({}), 400, "prompt"),
        (plain, json!("text"), 400, "not a request"),
        (plain, json!({ "prompt": "" }), 400, "empty"),
        (plain, json!({ "prompt": [512] }), 400, "below 512"),
        (plain, json!({ "prompt": "x", "model": "other" }), 404, "other"),
        (plain, json!({ "prompt": "x", "temperature": -1 }), 400, "temperature"),
        (plain, json!({ "prompt": "x", "top_p": 0 }), 400, "top_p"),
        (plain, json!({ "prompt": "x", "max_tokens": 0 }), 400, "max_tokens"),
        (plain, json!({ "prompt": "x", "max_tokens": 2_048 }), 400, "room for 2047"),
        (plain, json!({ "prompt": "x".repeat(2_048) }), 400, "no room"),
        (plain, json!({ "prompt": "x", "n": 2 }), 400, "`n`"),
        (plain, json!({ "prompt": "x", "stop": ["\n"] }), 400, "`stop`"),
        (plain, json!({ "prompt": "x".repeat(MAX_BODY) }), 413, ""),
        (chat, json!({ "messages": [] }), 400, "message"),
        (chat, json!({ "messages": [{ "role": "user" }] }), 400, "content"),
        ("/v1/other", json!({}), 404, "no such path"),
        ("/health", json!({}), 405, "method"),
    ] {
        let (got, answer) = post(address, path, body.clone()).await;
        assert_eq!(got.as_u16(), status, "{path} {answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains(word), "{message}");
    }
}

#[tokio::test]
async fn a_full_queue_answers_429_with_a_time_to_come_back() {
    let config = SchedulerConfig { max_running: 1, queue: 1, ..slow() };
    let (address, _engine) = serve(config).await;
    let ask = json!({ "prompt": "x", "max_tokens": 2_000, "stream": true }).to_string();
    let ask = async || send(address, Method::POST, "/v1/completions", ask.clone()).await.expect("an answer");
    let mut running = Events::new(ask().await).await.expect("a stream");
    running.next().await.expect("reads").expect("a token");
    let waiting = ask().await;
    assert_eq!(waiting.status(), StatusCode::OK);
    let refused = ask().await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "1");
    let (_, body) = read(refused).await.expect("a body");
    assert_eq!(body["error"]["code"], "queue_full");

    // Both clients leave: the running one's place and the waiting one's become free.
    drop(running);
    drop(waiting);
    let answered = async {
        loop {
            let (status, _) = post(address, "/v1/completions", json!({ "prompt": "x", "max_tokens": 1 })).await;
            if status == StatusCode::OK {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // The two requests alone would take 40 seconds.
    tokio::time::timeout(Duration::from_secs(10), answered).await.expect("a client that leaves cancels its request");
}

#[tokio::test]
async fn a_client_that_leaves_without_a_stream_cancels_too() {
    let config = SchedulerConfig { max_running: 1, ..slow() };
    let (address, _engine) = serve(config).await;
    let ask = json!({ "prompt": "x", "max_tokens": 2_000 }).to_string();
    let impatient = send(address, Method::POST, "/v1/completions", ask);
    tokio::time::timeout(Duration::from_millis(200), impatient).await.expect_err("it takes 20 seconds");
    let quick = post(address, "/v1/completions", json!({ "prompt": "x", "max_tokens": 1 }));
    let (status, _) = tokio::time::timeout(Duration::from_secs(5), quick).await.expect("the place is free");
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn health_and_models_and_the_end() {
    let (address, engine) = serve(slow()).await;
    let get = async |path| {
        let response = send(address, Method::GET, path, String::new()).await.expect("an answer");
        read(response).await.expect("a body")
    };
    assert_eq!(get("/health").await.0, StatusCode::OK);
    let (_, models) = get("/v1/models").await;
    assert_eq!(models["data"][0]["id"], "random-tiny");

    let ask = json!({ "prompt": "x", "max_tokens": 2_000 });
    let cut_off = tokio::spawn(post(address, "/v1/completions", ask.clone()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::task::spawn_blocking(|| engine.shutdown()).await.expect("joins").expect("no panic");
    let (status, body) = cut_off.await.expect("joins");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    assert_eq!(get("/health").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let (status, _) = post(address, "/v1/completions", ask).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_server_is_made_slow_and_fast_again_while_it_runs() {
    let (address, _engine) = serve(SchedulerConfig::default()).await;
    let took = async |delay: &str| {
        let answer = send(address, Method::POST, "/delay", delay.to_owned()).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        let start = std::time::Instant::now();
        post(address, "/v1/completions", json!({ "prompt": "abc", "max_tokens": 3 })).await;
        start.elapsed()
    };
    let least = 3 * Duration::from_millis(100);
    assert!(took("100").await >= least);
    assert!(took("0").await < least);
    let (status, _) = post(address, "/delay", json!("soon")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
