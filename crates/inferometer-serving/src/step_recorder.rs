//! The steps of an engine.

use crate::label::{BlockState, Phase, Stage};
use crate::label_set::{ByBlockState, PerEngine};
use crate::request_tracker::RequestTracker;
use crate::series::Series;
use inferometer::{Gauge, Moment, Timer, UpDownCounter};
use std::sync::Arc;

/// Records the steps of one engine's thread: see [`ServingMetrics::step_recorder`](crate::ServingMetrics::step_recorder).
///
/// A step ends when its tokens are there. That is the one moment for which the clock is read; all its tokens have it, and
/// it is where the next step begins. After the engine has waited for requests, [`wake`](StepRecorder::wake) begins the
/// next one.
///
/// ```
/// use inferometer::Moment;
/// use inferometer_serving::{FinishReason, ServingMetrics};
///
/// let metrics = ServingMetrics::builder("llama").register()?;
/// let mut recorder = metrics.step_recorder();
/// let mut request = metrics.request(Moment::now());
///
/// let woke_up = Moment::now();
/// recorder.wake(woke_up);
/// request.scheduled(woke_up);
/// for prompt_tokens in [Some(12), None, None] {
///     // ... the forward pass ...
///     recorder.step(Moment::now(), |step| {
///         if let Some(tokens) = prompt_tokens {
///             step.prefill(tokens);
///         }
///         step.tokens(&mut request, 1);
///     });
/// }
/// request.finished(FinishReason::Stop, Moment::now());
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
#[derive(Debug)]
pub struct StepRecorder {
    series: Arc<Series>,
    /// When the step began that is under way.
    began: Moment,
    /// In the order of [`BlockState::ALL`]; made when first set.
    kv_blocks: Option<[Gauge; BlockState::ALL.len()]>,
    waiting: Level,
    running: Level,
}

/// A step that has ended, and is told what happened in it: see [`StepRecorder::step`].
#[derive(Debug)]
pub struct Step<'a> {
    series: &'a Arc<Series>,
    began: Moment,
    ended: Moment,
    prefill_sequences: u64,
    prefill_tokens: u64,
    output_tokens: u64,
    /// Sequences whose last token came when this step began.
    steady: u64,
    /// Other ones that had tokens before.
    unsteady: u64,
}

/// The blocks of a KV cache, by what they are used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KvBlocks {
    /// Running requests need them.
    pub used: u64,
    /// Nothing is in them.
    pub free: u64,
    /// They can be used again by a request with the same prefix, and given up for any other.
    pub cached: u64,
}

/// What one recorder adds to a count that others add to as well.
#[derive(Debug)]
struct Level {
    counter: UpDownCounter,
    now: u64,
}

impl StepRecorder {
    pub(crate) fn new(series: Arc<Series>) -> Self {
        StepRecorder {
            began: Moment::now(),
            kv_blocks: None,
            waiting: Level { counter: series.requests_waiting.clone(), now: 0 },
            running: Level { counter: series.requests_running.clone(), now: 0 },
            series,
        }
    }

    /// The engine had nothing to do until now: the next step begins here.
    pub fn wake(&mut self, now: impl Into<Moment>) {
        self.began = now.into();
    }

    /// A step has ended now, and `tell` says what happened in it. One without any sequences is not recorded.
    #[inline]
    pub fn step(&mut self, now: impl Into<Moment>, tell: impl FnOnce(&mut Step<'_>)) {
        let ended = now.into();
        let began = std::mem::replace(&mut self.began, ended);
        let mut step = Step {
            series: &self.series,
            began,
            ended,
            prefill_sequences: 0,
            prefill_tokens: 0,
            output_tokens: 0,
            steady: 0,
            unsteady: 0,
        };
        tell(&mut step);
        step.record();
    }

    /// Begins a stage of the host's work. It ends when the timer is dropped.
    #[inline]
    pub fn stage(&self, stage: Stage) -> Timer {
        self.series.host_stage[stage as usize].start()
    }

    /// So many requests of this engine wait to run. For an engine whose requests have no [`RequestTracker`]s, which count
    /// themselves.
    pub fn set_waiting(&mut self, requests: u64) {
        self.waiting.set(requests);
    }

    /// So many requests of this engine run; the same holds.
    pub fn set_running(&mut self, requests: u64) {
        self.running.set(requests);
    }

    /// What the blocks of the KV cache are used for from now on.
    pub fn set_kv_blocks(&mut self, blocks: KvBlocks) {
        let series = &self.series;
        let gauges = self.kv_blocks.get_or_insert_with(|| {
            let PerEngine { model_name, engine } = series.labels();
            BlockState::ALL
                .map(|state| series.kv_cache_blocks.get(&ByBlockState { model_name, engine, state }).handle())
        });
        for (gauge, blocks) in gauges.iter().zip([blocks.used, blocks.free, blocks.cached]) {
            gauge.set(blocks as f64);
        }
        let all = blocks.used + blocks.free + blocks.cached;
        series.kv_cache_usage.set(if all == 0 { 0.0 } else { blocks.used as f64 / all as f64 });
    }
}

impl Step<'_> {
    /// So many tokens of a sequence's prompt were processed: all of it, or a part.
    #[inline]
    pub fn prefill(&mut self, tokens: u64) {
        self.prefill_sequences += 1;
        self.prefill_tokens += tokens;
    }

    /// A request got so many output tokens: one, or more with speculation. Its first one comes of a
    /// [`prefill`](Step::prefill), and is no sequence of its own.
    #[inline]
    pub fn tokens(&mut self, request: &mut RequestTracker, count: u64) {
        if count == 0 {
            return;
        }
        if request.goes_on(self.series, self.began) {
            request.go_on(self.ended, count);
            self.steady += 1;
            self.output_tokens += count;
        } else {
            // What is out of line does not get the step, whose counts can then stay in registers.
            self.unsteady += u64::from(request.has_tokens());
            self.output_tokens += request.tokens_in_step(self.series, self.ended, count);
        }
    }

    /// So many tokens were drafted for a sequence, and so many of them the model agreed with.
    pub fn speculated(&mut self, drafted: u64, accepted: u64) {
        let series = self.series;
        series.spec_decode_drafts.increment(1);
        series.spec_decode_draft_tokens.increment(drafted);
        series.spec_decode_accepted_tokens.increment(accepted);
    }

    #[inline]
    fn record(self) {
        match (self.prefill_sequences, self.steady + self.unsteady) {
            (0, 0) => self.count_tokens(),
            // The frequent one, on a path of its own.
            (0, _) => self.record_as(Phase::Decode),
            (_, others) => self.record_with_prefill(if others == 0 { Phase::Prefill } else { Phase::Mixed }),
        }
    }

    #[cold]
    fn record_with_prefill(self, phase: Phase) {
        self.record_as(phase);
    }

    #[inline(always)]
    fn record_as(self, phase: Phase) {
        let series = self.series;
        let duration = self.ended.nanos_since(self.began);
        self.count_tokens();
        series.step[phase as usize].record_nanos(duration);
        series.batch_size[phase as usize].record(self.prefill_sequences + self.steady + self.unsteady);
        series.step_tokens.record(self.prefill_tokens + self.output_tokens);
        if self.steady > 0 {
            series.inter_token_latency.record_nanos_n(duration, self.steady);
        }
    }

    #[inline(always)]
    fn count_tokens(&self) {
        if self.output_tokens > 0 {
            self.series.generation_tokens.increment(self.output_tokens);
        }
    }
}

impl Level {
    fn set(&mut self, level: u64) {
        if level > self.now {
            self.counter.increment(level - self.now);
        } else {
            self.counter.decrement(self.now - level);
        }
        self.now = level;
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.set(0);
    }
}
