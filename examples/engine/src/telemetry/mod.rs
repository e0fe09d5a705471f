//! What the engine tells about itself, as traits that the scheduler and the front end are generic over.
//!
//! The scheduler is compiled once for each implementation, so [`NoTelemetry`] leaves nothing behind, not even the
//! reading of the clock: the difference between the two builds is what instrumentation costs.

mod figures;
mod instrumented;
mod metrics;
mod stage;

use std::time::Duration;

pub use figures::{Account, Figures, Quantiles, StageFigures};
pub use instrumented::{Instrumented, InstrumentedFrontEnd};
pub use stage::{Stage, Stages};

use crate::request::FinishReason;

/// What the engine thread reports. It is the only caller, hence `&mut self`; only [`Stages`] are timed on the threads that
/// compute, too.
///
/// All durations in one step come from one reading of the clock, taken when the step ends: its tokens are handed out
/// at that moment, whichever sequence was computed first. The stages have timers of their own.
pub trait Telemetry: Stages + Send + Sync + 'static {
    /// The part that the front end's threads use.
    type FrontEnd: FrontEnd;

    /// Whether durations are wanted at all. Without, the scheduler reads no clock and all durations are zero.
    const READS_CLOCK: bool;

    /// The front end's part.
    fn front_end(&self) -> Self::FrontEnd;

    /// A request left the queue and will run in this step.
    fn request_scheduled(&mut self, scheduled: &Scheduled);

    /// A request has its first token.
    fn first_token(&mut self, first: &FirstToken);

    /// One iteration over all running sequences has ended.
    fn step(&mut self, step: &StepStats);

    /// A request has ended, whether it ran or not.
    fn request_finished(&mut self, finished: &Finished);
}

/// What the front end reports, from any thread.
pub trait FrontEnd: Stages + Clone + Send + Sync + 'static {
    /// A valid request is about to enter the queue.
    fn request_arrived(&self);

    /// The request that has just arrived was turned away.
    fn request_rejected(&self, reason: RejectReason);
}

/// Why a request never entered the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// As many requests wait as are allowed to.
    QueueFull,
    /// The engine has stopped or is stopping.
    ShuttingDown,
}

/// A request that begins to run.
#[derive(Debug, Clone, Copy)]
pub struct Scheduled {
    /// From its arrival to the start of the step in which it joins; zero if it arrived after that.
    pub queued: Duration,
    /// Tokens in its prompt.
    pub prompt_tokens: usize,
}

/// A request that has its first token.
#[derive(Debug, Clone, Copy)]
pub struct FirstToken {
    /// From its arrival to the first token.
    pub since_arrival: Duration,
    /// From the start of the step in which it joined, or its arrival if that was later, to the first token.
    pub prefill: Duration,
}

/// One iteration.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepStats {
    /// From the end of the step before (or from waking up) to the end of this one. For every sequence that was
    /// already decoding it is the time since its last token.
    pub duration: Duration,
    /// Sequences that joined in this step: their prompts were processed and each got its first token.
    pub prefill_sequences: usize,
    /// Sequences that went on by one token. A sequence that failed in this step counts as neither.
    pub decode_sequences: usize,
    /// Prompt tokens processed.
    pub prefill_tokens: usize,
    /// Tokens generated, by both kinds of sequence.
    pub generated_tokens: usize,
}

impl StepStats {
    /// Sequences in the step.
    pub fn batch_size(&self) -> usize {
        self.prefill_sequences + self.decode_sequences
    }

    /// What kind of step it was.
    pub fn phase(&self) -> Phase {
        match (self.prefill_sequences, self.decode_sequences) {
            (0, _) => Phase::Decode,
            (_, 0) => Phase::Prefill,
            _ => Phase::Mixed,
        }
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Only prompts.
    Prefill,
    /// Only single tokens.
    Decode,
    /// Both.
    Mixed,
}

/// A request that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Finished {
    /// Why.
    pub reason: FinishReason,
    /// Whether it ever ran; if not, it was still waiting.
    pub scheduled: bool,
    /// From its arrival to its end.
    pub duration: Duration,
    /// From its first token to its end; zero without a first token.
    pub decode: Duration,
    /// Tokens generated.
    pub generated: usize,
}

/// Records nothing and costs nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTelemetry;

impl Stages for NoTelemetry {
    type Timer = ();

    #[inline]
    fn begin(&self, _: Stage) {}
}

impl Telemetry for NoTelemetry {
    type FrontEnd = Self;
    const READS_CLOCK: bool = false;

    #[inline]
    fn front_end(&self) -> Self {
        Self
    }
    #[inline]
    fn request_scheduled(&mut self, _: &Scheduled) {}
    #[inline]
    fn first_token(&mut self, _: &FirstToken) {}
    #[inline]
    fn step(&mut self, _: &StepStats) {}
    #[inline]
    fn request_finished(&mut self, _: &Finished) {}
}

impl FrontEnd for NoTelemetry {
    #[inline]
    fn request_arrived(&self) {}
    #[inline]
    fn request_rejected(&self, _: RejectReason) {}
}
