//! The engine's telemetry through inferometer.
//!
//! What is recorded in every step goes through handles that were looked up once. What is recorded once a request looks
//! its series up by its labels, which allocates nothing either. Stages are timed within inferometer's budget.

use inferometer::{Counter, Histogram, Timer, UpDownCounter};

use super::metrics::{
    BATCH_SIZE, ENGINE, Engine, FINISHED, GENERATION_TOKENS, HOST_STAGE, HostStage, INTER_TOKEN_LATENCY, Model,
    Outcome, PROMPT_TOKENS, REJECTED, REQUEST_DECODE, REQUEST_DURATION, REQUEST_PREFILL, REQUEST_QUEUE, RUNNING,
    Rejection, STARTED, STEP, Step, TIME_PER_OUTPUT_TOKEN, TIME_TO_FIRST_TOKEN, WAITING,
};
use super::{Finished, FirstToken, FrontEnd, Phase, RejectReason, Scheduled, Stage, Stages, StepStats, Telemetry};
use crate::request::FinishReason;

/// Records everything, into inferometer's global registry.
#[derive(Debug)]
pub struct Instrumented {
    front_end: InstrumentedFrontEnd,
    running: UpDownCounter,
    inter_token_latency: Histogram,
    prompt_tokens: Counter,
    generation_tokens: Counter,
    /// In the order of [`Phase`].
    phases: [PhaseHandles; 3],
    time_to_first_token: Histogram,
    request_queue: Histogram,
    request_prefill: Histogram,
    request_decode: Histogram,
    request_duration: Histogram,
    time_per_output_token: Histogram,
}

#[derive(Debug)]
struct PhaseHandles {
    seconds: Histogram,
    batch_size: Histogram<u64>,
}

/// The front end's part of [`Instrumented`].
#[derive(Debug, Clone)]
pub struct InstrumentedFrontEnd {
    model_name: String,
    started: Counter,
    waiting: UpDownCounter,
    /// In the order of [`Stage`].
    stages: [Histogram; Stage::ALL.len()],
}

impl Instrumented {
    /// The telemetry of an engine that serves this model. All its series exist from here on, at zero: a series that
    /// appears with its first event has no rate for that event.
    pub fn new(model_name: &str) -> Self {
        let engine = Engine { model_name, engine: ENGINE };
        let phase = |phase: Phase| {
            let labels = Step { model_name, engine: ENGINE, phase: phase.into() };
            PhaseHandles { seconds: STEP.get(&labels).handle(), batch_size: BATCH_SIZE.get(&labels).handle() }
        };
        let stage =
            |stage: Stage| HOST_STAGE.get(&HostStage { model_name, engine: ENGINE, stage: stage.into() }).handle();
        let front_end = InstrumentedFrontEnd {
            model_name: model_name.to_owned(),
            started: STARTED.get(&Model { model_name }).handle(),
            waiting: WAITING.get(&engine).handle(),
            stages: Stage::ALL.map(stage),
        };
        front_end.rejected(RejectReason::QueueFull, 0);
        front_end.finished(FinishReason::Stop, 0);
        Self {
            front_end,
            running: RUNNING.get(&engine).handle(),
            inter_token_latency: INTER_TOKEN_LATENCY.get(&engine).handle(),
            prompt_tokens: PROMPT_TOKENS.get(&engine).handle(),
            generation_tokens: GENERATION_TOKENS.get(&engine).handle(),
            phases: [phase(Phase::Prefill), phase(Phase::Decode), phase(Phase::Mixed)],
            time_to_first_token: TIME_TO_FIRST_TOKEN.get(&engine).handle(),
            request_queue: REQUEST_QUEUE.get(&engine).handle(),
            request_prefill: REQUEST_PREFILL.get(&engine).handle(),
            request_decode: REQUEST_DECODE.get(&engine).handle(),
            request_duration: REQUEST_DURATION.get(&engine).handle(),
            time_per_output_token: TIME_PER_OUTPUT_TOKEN.get(&engine).handle(),
        }
    }
}

impl Stages for Instrumented {
    type Timer = Timer;

    #[inline]
    fn begin(&self, stage: Stage) -> Timer {
        self.front_end.begin(stage)
    }
}

impl Telemetry for Instrumented {
    type FrontEnd = InstrumentedFrontEnd;
    // With recording compiled away there is nothing that a time could be recorded in.
    const READS_CLOCK: bool = !cfg!(inferometer_off);

    fn front_end(&self) -> InstrumentedFrontEnd {
        self.front_end.clone()
    }

    #[inline]
    fn request_scheduled(&mut self, scheduled: &Scheduled) {
        self.front_end.waiting.decrement(1);
        self.running.increment(1);
        self.request_queue.record(scheduled.queued);
    }

    #[inline]
    fn first_token(&mut self, first: &FirstToken) {
        self.time_to_first_token.record(first.since_arrival);
        self.request_prefill.record(first.prefill);
    }

    #[inline]
    fn step(&mut self, step: &StepStats) {
        let phase = &self.phases[step.phase() as usize];
        phase.seconds.record(step.duration);
        phase.batch_size.record(step.batch_size() as u64);
        if step.prefill_tokens > 0 {
            self.prompt_tokens.increment(step.prefill_tokens as u64);
        }
        self.generation_tokens.increment(step.generated_tokens as u64);
        // Every decoding sequence got its last token at the end of the step before: one record for all of them.
        self.inter_token_latency.record_n(step.duration, step.decode_sequences as u64);
    }

    fn request_finished(&mut self, finished: &Finished) {
        self.front_end.finished(finished.reason, 1);
        if !finished.scheduled {
            self.front_end.waiting.decrement(1);
            return;
        }
        self.running.decrement(1);
        self.request_duration.record(finished.duration);
        if finished.generated > 0 {
            self.request_decode.record(finished.decode);
        }
        if let Some(gaps) = u32::try_from(finished.generated).ok().filter(|&tokens| tokens > 1) {
            self.time_per_output_token.record(finished.decode / (gaps - 1));
        }
    }
}

impl Stages for InstrumentedFrontEnd {
    type Timer = Timer;

    #[inline]
    fn begin(&self, stage: Stage) -> Timer {
        self.stages[stage as usize].start()
    }
}

impl FrontEnd for InstrumentedFrontEnd {
    fn request_arrived(&self) {
        self.started.increment(1);
        self.waiting.increment(1);
    }

    fn request_rejected(&self, reason: RejectReason) {
        self.waiting.decrement(1);
        self.rejected(reason, 1);
        self.finished(FinishReason::Rejected, 1);
    }
}

impl InstrumentedFrontEnd {
    fn rejected(&self, reason: RejectReason, count: u64) {
        let labels = Rejection { model_name: &self.model_name, reason: reason.into() };
        REJECTED.get(&labels).increment(count);
    }

    fn finished(&self, reason: FinishReason, count: u64) {
        let labels = Outcome {
            model_name: &self.model_name,
            engine: ENGINE,
            finish_reason: reason.into(),
            status: reason.status().into(),
        };
        FINISHED.get(&labels).increment(count);
    }
}

#[cfg(test)]
mod tests;
