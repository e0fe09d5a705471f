//! One request, from its arrival to its end.

use crate::label::{CacheTier, ErrorType, FinishReason, RejectReason, Status};
use crate::series::Series;
use inferometer::Moment;
use std::sync::Arc;

/// A request that has arrived and not ended: see [`ServingMetrics::request`](crate::ServingMetrics::request).
///
/// It goes with the request from thread to thread. What ends it consumes it; a request that is dropped was given up.
/// Nothing that is left out or done twice makes counts wrong: a request whose tokens come before it was said to run is
/// running from then on, without a time in the queue.
///
/// ```
/// use inferometer::Moment;
/// use inferometer_serving::{FinishReason, ServingMetrics};
///
/// let metrics = ServingMetrics::builder("llama").register()?;
/// let mut request = metrics.request(Moment::now());
/// request.prompt_tokens(12);
/// request.scheduled(Moment::now());
/// request.tokens(1, Moment::now()); // the first
/// request.tokens(1, Moment::now());
/// request.finished(FinishReason::Length, Moment::now());
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
///
/// An engine that runs many requests a step gives them their tokens with [`Step::tokens`](crate::Step::tokens), at a
/// fraction of the cost.
///
/// A request without output, as for an embedding, is finished without any tokens, and has no times of tokens.
#[derive(Debug)]
#[must_use = "a request that is dropped counts as given up"]
pub struct RequestTracker {
    series: Arc<Series>,
    state: State,
    /// When it had its last token, once it has any.
    last_token: Moment,
    generated: u64,
    first_token: Option<Moment>,
    arrived: Moment,
    /// When it was scheduled first.
    started: Option<Moment>,
    has_run: bool,
    prompt_tokens: Option<u64>,
    /// Whether those were counted as processed.
    prompt_is_counted: bool,
    max_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    /// It runs, and has had a token since it does.
    Decoding,
    Ended,
}

impl RequestTracker {
    pub(crate) fn new(series: Arc<Series>, arrived: Moment) -> Self {
        series.requests_started.increment(1);
        series.requests_in_flight.increment(1);
        series.requests_waiting.increment(1);
        RequestTracker {
            series,
            state: State::Waiting,
            last_token: arrived,
            generated: 0,
            first_token: None,
            arrived,
            started: None,
            has_run: false,
            prompt_tokens: None,
            prompt_is_counted: false,
            max_tokens: None,
        }
    }

    /// The prompt has so many tokens. They count as processed when the first output token comes, or at the end of a
    /// request that has none.
    pub fn prompt_tokens(&mut self, tokens: u64) {
        self.prompt_tokens = Some(tokens);
    }

    /// At most so many output tokens are asked for.
    pub fn max_tokens(&mut self, tokens: u64) {
        self.max_tokens = Some(tokens);
    }

    /// So many tokens of the prompt need not be computed, because a cache has their keys and values.
    pub fn cached_prompt_tokens(&mut self, source: CacheTier, tokens: u64) {
        self.series.prompt_tokens_cached[source as usize].increment(tokens);
    }

    /// The request runs from now on: for the first time, or again after it was preempted.
    pub fn scheduled(&mut self, now: impl Into<Moment>) {
        if !self.has_run {
            let now = now.into();
            self.started = Some(now);
            self.series.request_queue.record_nanos(now.nanos_since(self.arrived));
        }
        self.run();
    }

    /// The request has to make room and waits to be scheduled again.
    pub fn preempted(&mut self) {
        if matches!(self.state, State::Running | State::Decoding) {
            self.state = State::Waiting;
            self.series.preemptions.increment(1);
            self.series.requests_running.decrement(1);
            self.series.requests_waiting.increment(1);
        }
    }

    /// The request got so many output tokens at once. The first call has its first token.
    pub fn tokens(&mut self, count: u64, now: impl Into<Moment>) {
        if count > 0 {
            self.series.generation_tokens.increment(count);
            self.tokens_at(now.into(), count);
        }
    }

    /// The request ended so.
    pub fn finished(mut self, reason: FinishReason, now: impl Into<Moment>) {
        self.end(reason, now.into());
    }

    /// The request ended with this error.
    pub fn error(mut self, error: ErrorType, now: impl Into<Moment>) {
        self.series.request_errors[error as usize].increment(1);
        self.end(error.finish_reason(), now.into());
    }

    /// The request was turned away.
    pub fn rejected(mut self, reason: RejectReason, now: impl Into<Moment>) {
        self.series.requests_rejected[reason as usize].increment(1);
        self.end(FinishReason::Rejected, now.into());
    }

    /// Whether it goes on decoding, is of these series, and had its last token then.
    #[inline]
    pub(crate) fn goes_on(&self, series: &Arc<Series>, since: Moment) -> bool {
        (self.state == State::Decoding) & (self.last_token == since) & Arc::ptr_eq(&self.series, series)
    }

    /// Tokens of a request that goes on; the rest is recorded elsewhere.
    #[inline]
    pub(crate) fn go_on(&mut self, now: Moment, count: u64) {
        self.last_token = now;
        self.generated += count;
    }

    /// Tokens in a step of the engine with these series. Returns how many are left for the step to count.
    #[cold]
    pub(crate) fn tokens_in_step(&mut self, series: &Arc<Series>, now: Moment, count: u64) -> u64 {
        self.tokens_at(now, count);
        if Arc::ptr_eq(&self.series, series) {
            return count;
        }
        self.series.generation_tokens.increment(count);
        0
    }

    /// Whether it has had a token.
    pub(crate) fn has_tokens(&self) -> bool {
        self.first_token.is_some()
    }

    /// Everything about new tokens but how many there are.
    fn tokens_at(&mut self, now: Moment, count: u64) {
        self.run();
        if self.first_token.is_some() {
            self.series.inter_token_latency.record_nanos(now.nanos_since(self.last_token));
        } else {
            self.first_token = Some(now);
            self.series.time_to_first_token.record_nanos(now.nanos_since(self.arrived));
            if let Some(started) = self.started {
                self.series.request_prefill.record_nanos(now.nanos_since(started));
            }
            self.count_prompt();
        }
        self.state = State::Decoding;
        self.go_on(now, count);
    }

    fn run(&mut self) {
        if self.state == State::Waiting {
            self.state = State::Running;
            self.has_run = true;
            self.series.requests_waiting.decrement(1);
            self.series.requests_running.increment(1);
        }
    }

    fn count_prompt(&mut self) {
        if let Some(tokens) = self.prompt_tokens.filter(|_| !self.prompt_is_counted) {
            self.prompt_is_counted = true;
            self.series.prompt_tokens.increment(tokens);
        }
    }

    fn end(&mut self, reason: FinishReason, now: Moment) {
        let series = Arc::clone(&self.series);
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Waiting => series.requests_waiting.decrement(1),
            State::Running | State::Decoding => series.requests_running.decrement(1),
            State::Ended => return,
        }
        series.requests_in_flight.decrement(1);
        series.count_end(reason);
        let is_ok = reason.status() == Status::Ok;
        if !is_ok && !self.has_run {
            return;
        }
        series.request_duration.record_nanos(now.nanos_since(self.arrived));
        if let (Some(active), Some(started)) = (&series.request_active, self.started) {
            active.record_nanos(now.nanos_since(started));
        }
        if is_ok || self.has_tokens() {
            self.count_prompt();
        }
        if let Some(tokens) = self.prompt_tokens {
            series.request_prompt_tokens.record(tokens);
        }
        if let Some(tokens) = self.max_tokens {
            series.request_max_tokens.record(tokens);
        }
        if let Some(first) = self.first_token {
            let decode = self.last_token.nanos_since(first);
            series.request_generation_tokens.record(self.generated);
            series.request_decode.record_nanos(decode);
            if self.generated > 1 {
                series.time_per_output_token.record_nanos(decode / (self.generated - 1));
            }
        }
    }
}

impl Drop for RequestTracker {
    fn drop(&mut self) {
        if self.state != State::Ended {
            self.end(FinishReason::Abort, Moment::now());
        }
    }
}
