//! The load that the engine sends to itself, as any client would: over HTTP, streamed, and measured from outside.

mod prompts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::{self, Chat};

/// What to send.
#[derive(Debug, Clone)]
pub struct LoadConfig {
    /// How many requests in all.
    pub requests: usize,
    /// How many at once.
    pub concurrency: usize,
    /// The longest answer.
    pub max_tokens: usize,
    /// The model to ask for.
    pub model: String,
}

/// What came back.
#[derive(Debug, Clone, Serialize)]
pub struct LoadResult {
    /// Requests that were answered.
    pub answered: usize,
    /// Requests that were not.
    pub failed: usize,
    /// Why the first of them was not.
    pub first_error: Option<String>,
    /// From the first request to the last answer, in seconds.
    pub seconds: f64,
    /// Tokens in the prompts, by the server's usage figures.
    pub prompt_tokens: u64,
    /// Tokens in the answers, by the server's usage figures.
    pub completion_tokens: u64,
    /// Answer tokens per second, all requests together.
    pub tokens_per_second: f64,
    /// From sending to the first text, exact.
    pub first_text_seconds: Option<Spread>,
    /// From sending to the end, exact.
    pub total_seconds: Option<Spread>,
    /// One question and its answer.
    pub sample: Option<Sample>,
}

/// One exchange, to be read by a person.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// The question.
    pub prompt: &'static str,
    /// The model's answer, as far as `max_tokens` let it go.
    pub answer: String,
}

/// Two quantiles of a set of durations, in seconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spread {
    /// The median.
    pub p50: f64,
    /// The value that 95 of 100 stay within.
    pub p95: f64,
}

impl Spread {
    /// By the nearest rank, so that each is a value that occurred.
    fn of(mut durations: Vec<Duration>) -> Option<Self> {
        durations.sort_unstable();
        let at = |share: f64| {
            let rank = (share * durations.len() as f64).ceil() as usize;
            durations.get(rank.max(1) - 1).map(Duration::as_secs_f64)
        };
        Some(Self { p50: at(0.5)?, p95: at(0.95)? })
    }
}

/// Sends the requests and waits for all answers. `finished` counts them as they come.
pub async fn drive(address: SocketAddr, config: LoadConfig, finished: Arc<AtomicUsize>) -> LoadResult {
    let started = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let config = Arc::new(config);
    let mut workers = JoinSet::new();
    for _ in 0..config.concurrency.min(config.requests) {
        let next = Arc::clone(&next);
        let config = Arc::clone(&config);
        let finished = Arc::clone(&finished);
        workers.spawn(async move {
            let mut answers = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= config.requests {
                    return answers;
                }
                let prompt = prompts::ALL[number % prompts::ALL.len()];
                let body = json!({
                    "model": config.model,
                    "messages": [{ "role": "user", "content": prompt }],
                    "max_tokens": config.max_tokens,
                    // The likeliest tokens, so that every run does the same work.
                    "temperature": 0,
                    "stream": true,
                    "stream_options": { "include_usage": true },
                });
                answers.push((number, prompt, client::chat(address, &body).await));
                finished.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let mut answers: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    let seconds = started.elapsed().as_secs_f64();
    answers.sort_unstable_by_key(|&(number, ..)| number);

    let first_error = answers.iter().find_map(|(.., answer)| answer.as_ref().err().map(ToString::to_string));
    let failed = answers.iter().filter(|(.., answer)| answer.is_err()).count();
    let chats: Vec<(&'static str, Chat)> =
        answers.into_iter().filter_map(|(_, prompt, answer)| Some((prompt, answer.ok()?))).collect();
    let sum = |of: fn(&Chat) -> u64| chats.iter().map(|(_, chat)| of(chat)).sum::<u64>();
    let completion_tokens = sum(|chat| chat.completion_tokens);
    LoadResult {
        answered: chats.len(),
        failed,
        first_error,
        seconds,
        prompt_tokens: sum(|chat| chat.prompt_tokens),
        completion_tokens,
        tokens_per_second: completion_tokens as f64 / seconds,
        first_text_seconds: Spread::of(chats.iter().filter_map(|(_, chat)| chat.first_text).collect()),
        total_seconds: Spread::of(chats.iter().map(|(_, chat)| chat.total).collect()),
        sample: chats.into_iter().next().map(|(prompt, chat)| Sample { prompt, answer: chat.text }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        assert!(Spread::of(Vec::new()).is_none());
        let millis = |list: &[u64]| list.iter().map(|&ms| Duration::from_millis(ms)).collect();
        let one = Spread::of(millis(&[7])).expect("a value");
        assert_eq!((one.p50, one.p95), (0.007, 0.007));
        let spread = Spread::of((1..=100).rev().map(Duration::from_secs).collect()).expect("values");
        assert_eq!((spread.p50, spread.p95), (50.0, 95.0));
    }
}
