//! What the engine tells about itself, as traits that the scheduler and the front end are generic over.
//!
//! The scheduler is compiled once for each implementation, so [`NoTelemetry`] leaves nothing behind, not even the
//! reading of the clock: the difference between the two builds is what instrumentation costs.

mod figures;
mod instrumented;
mod stage;

use inferometer::Moment;
use std::fmt;

pub use figures::{Account, Figures, Quantiles, StageFigures};
pub use instrumented::{Instrumented, InstrumentedFrontEnd};
pub use stage::{Stage, Stages};

use crate::request::{FinishReason, Request};

/// What the engine thread reports. It is the only caller, hence `&mut self`; only [`Stages`] are timed on the threads that
/// compute, too.
///
/// All that happens in one step has one moment, at which the clock is read: its end, when its tokens are handed out,
/// whichever sequence was computed first. The stages have timers of their own.
pub trait Telemetry: Stages + Send + Sync + 'static {
    /// The part that the front end's threads use.
    type FrontEnd: FrontEnd<Tracker = Self::Tracker>;

    /// What follows one request, wherever it goes.
    type Tracker: Tracker;

    /// What is told of a step.
    type Step<'a>: Step<Self::Tracker>;

    /// Whether moments are wanted at all. Without, the scheduler reads no clock and time stands still.
    const READS_CLOCK: bool;

    /// The front end's part.
    fn front_end(&self) -> Self::FrontEnd;

    /// There was nothing to do until now; a step begins.
    fn woke_up(&mut self, now: Moment);

    /// An iteration over all running sequences has ended; `tell` says what happened in it.
    fn step(&mut self, now: Moment, tell: impl FnOnce(&mut Self::Step<'_>));
}

/// What the front end reports, from any thread.
pub trait FrontEnd: Stages + Clone + Send + Sync + 'static {
    /// What follows one request, wherever it goes.
    type Tracker: Tracker;

    /// A valid request is about to enter the queue.
    fn request_arrived(&self, request: &Request) -> Self::Tracker;

    /// Turns a prompt into tokens.
    fn tokenize<R>(&self, work: impl FnOnce() -> R) -> R;
}

/// A request that is followed. One that is dropped was given up.
pub trait Tracker: fmt::Debug + Send + 'static {
    /// It left the queue and takes part in the step that began then.
    fn scheduled(&mut self, now: Moment);

    /// It has ended, whether it ran or not.
    fn finished(self, reason: FinishReason, now: Moment);

    /// It never entered the queue.
    fn rejected(self, reason: RejectReason);
}

/// What happened in a step.
pub trait Step<T> {
    /// A sequence joined: its prompt was processed.
    fn prefill(&mut self, tokens: usize);

    /// A request has its next token.
    fn token(&mut self, request: &mut T);
}

/// Why a request never entered the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// As many requests wait as are allowed to.
    QueueFull,
    /// The engine has stopped or is stopping.
    ShuttingDown,
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
    type Tracker = Self;
    type Step<'a> = Self;
    const READS_CLOCK: bool = false;

    #[inline]
    fn front_end(&self) -> Self {
        Self
    }
    #[inline]
    fn woke_up(&mut self, _: Moment) {}
    #[inline]
    fn step(&mut self, _: Moment, tell: impl FnOnce(&mut Self)) {
        tell(&mut Self);
    }
}

impl FrontEnd for NoTelemetry {
    type Tracker = Self;

    #[inline]
    fn request_arrived(&self, _: &Request) -> Self {
        Self
    }
    #[inline]
    fn tokenize<R>(&self, work: impl FnOnce() -> R) -> R {
        work()
    }
}

impl Tracker for NoTelemetry {
    #[inline]
    fn scheduled(&mut self, _: Moment) {}
    #[inline]
    fn finished(self, _: FinishReason, _: Moment) {}
    #[inline]
    fn rejected(self, _: RejectReason) {}
}

impl Step<NoTelemetry> for NoTelemetry {
    #[inline]
    fn prefill(&mut self, _: usize) {}
    #[inline]
    fn token(&mut self, _: &mut NoTelemetry) {}
}
