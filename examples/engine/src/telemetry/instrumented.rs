//! The engine's telemetry through inferometer's catalogue of an inference server's metrics.
//!
//! The engine has no data for some of the catalogue, and leaves it alone: it has a key-value cache for each sequence and no
//! blocks or prefixes to share, never preempts, does not speculate, has no adapters, and estimates no work.

use inferometer::{Moment, Timer};
use inferometer_serving::{
    ErrorType, FinishReason as End, RejectReason as Rejection, RequestTracker, ServingMetrics, Stage as HostStage,
    StepRecorder, TokenizerOperation,
};

use super::{FrontEnd, RejectReason, Stage, Stages, Step, Telemetry, Tracker};
use crate::request::{FinishReason, Request};

/// Records everything.
#[derive(Debug)]
pub struct Instrumented {
    metrics: ServingMetrics,
    recorder: StepRecorder,
}

/// The front end's part of [`Instrumented`].
#[derive(Debug, Clone)]
pub struct InstrumentedFrontEnd {
    metrics: ServingMetrics,
}

impl Instrumented {
    /// The telemetry of an engine with these metrics.
    pub fn new(metrics: ServingMetrics) -> Self {
        Self { recorder: metrics.step_recorder(), metrics }
    }
}

impl Stages for Instrumented {
    type Timer = Timer;

    #[inline]
    fn begin(&self, stage: Stage) -> Timer {
        self.recorder.stage(stage.into())
    }
}

impl Telemetry for Instrumented {
    type FrontEnd = InstrumentedFrontEnd;
    type Tracker = RequestTracker;
    type Step<'a> = inferometer_serving::Step<'a>;
    // With recording compiled away there is nothing that a time could be recorded in.
    const READS_CLOCK: bool = !cfg!(inferometer_off);

    fn front_end(&self) -> InstrumentedFrontEnd {
        InstrumentedFrontEnd { metrics: self.metrics.clone() }
    }

    #[inline]
    fn woke_up(&mut self, now: Moment) {
        self.recorder.wake(now);
    }

    #[inline]
    fn step(&mut self, now: Moment, tell: impl FnOnce(&mut Self::Step<'_>)) {
        self.recorder.step(now, tell);
    }
}

impl Stages for InstrumentedFrontEnd {
    type Timer = Timer;

    #[inline]
    fn begin(&self, stage: Stage) -> Timer {
        self.metrics.stage(stage.into())
    }
}

impl FrontEnd for InstrumentedFrontEnd {
    type Tracker = RequestTracker;

    fn request_arrived(&self, request: &Request) -> RequestTracker {
        let mut tracker = self.metrics.request(request.arrived);
        tracker.prompt_tokens(request.prompt.len() as u64);
        tracker.max_tokens(request.params.max_tokens as u64);
        tracker
    }

    fn tokenize<R>(&self, work: impl FnOnce() -> R) -> R {
        let start = Moment::now();
        let tokens = work();
        self.metrics.tokenized(TokenizerOperation::Tokenize, start.elapsed());
        tokens
    }
}

impl Tracker for RequestTracker {
    fn scheduled(&mut self, now: Moment) {
        RequestTracker::scheduled(self, now);
    }

    fn finished(self, reason: FinishReason, now: Moment) {
        match reason {
            FinishReason::Stop => RequestTracker::finished(self, End::Stop, now),
            FinishReason::Length => RequestTracker::finished(self, End::Length, now),
            FinishReason::Abort => RequestTracker::finished(self, End::Abort, now),
            FinishReason::Error => self.error(ErrorType::Internal, now),
        }
    }

    fn rejected(self, reason: RejectReason) {
        let reason = match reason {
            RejectReason::QueueFull => Rejection::QueueFull,
            RejectReason::ShuttingDown => Rejection::ShuttingDown,
        };
        RequestTracker::rejected(self, reason, Moment::now());
    }
}

impl Step<RequestTracker> for inferometer_serving::Step<'_> {
    #[inline]
    fn prefill(&mut self, tokens: usize) {
        inferometer_serving::Step::prefill(self, tokens as u64);
    }

    #[inline]
    fn token(&mut self, request: &mut RequestTracker) {
        self.tokens(request, 1);
    }
}

impl From<Stage> for HostStage {
    #[inline]
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Schedule => Self::Schedule,
            Stage::Prepare => Self::Prepare,
            Stage::Forward => Self::Forward,
            Stage::Sample => Self::Sample,
            Stage::HandOut => Self::HandOut,
            Stage::Detokenize => Self::Detokenize,
            Stage::Stream => Self::Stream,
        }
    }
}

#[cfg(test)]
mod tests;
