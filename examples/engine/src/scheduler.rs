//! The decode loop: iteration-level scheduling, also known as continuous batching.
//!
//! Every step advances every running sequence by one token. Sequences join and leave between steps: a request that
//! finds room has its whole prompt processed in the step in which it joins, and gets its first token at that step's
//! end. Nothing waits for a batch to fill or to drain.
//!
//! All of a step's tokens are handed out at its end, and one reading of the clock there serves all that the step
//! records: its duration, the time between tokens of every sequence that was already decoding, the time to first
//! token of those that joined, and the latencies of those that ended.

mod delay;

use std::sync::Arc;

use crossbeam_channel::{Receiver, TryRecvError};
use inferometer::Moment;
use rayon::prelude::*;

use crate::model::{self, ModelError, Sequence, SharedModel};
use crate::request::{Event, FinishReason, Request};
use crate::sampling::Sampler;
use crate::telemetry::{Stage, Stages, Step, Telemetry, Tracker};

pub use delay::Delay;

/// A prompt goes through the model in pieces of this many tokens, all in one step. The matrix of attention scores
/// grows with the piece times the context, and a whole prompt of thousands of tokens would take gigabytes.
const PREFILL_PIECE: usize = 256;

/// What the scheduler needs to know besides the model.
#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    /// The most sequences that run at once; at least one.
    pub max_running: usize,
    /// The most requests that wait.
    pub queue: usize,
    /// No further request joins a step that has this many prompt tokens to process; at least one. Every prompt holds up
    /// the sequences that are already decoding, and the prompts before it.
    pub max_prefill_tokens: usize,
    /// An artificial delay in every step, to make a slow model out of a fast one.
    pub delay: Delay,
    /// Tokens that end an answer.
    pub end_tokens: Vec<u32>,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self { max_running: 8, queue: 64, max_prefill_tokens: 128, delay: Delay::default(), end_tokens: Vec::new() }
    }
}

/// What a call of [`Scheduler::step`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It ran one iteration.
    Stepped,
    /// Nothing runs and nothing waits.
    Idle,
    /// The same, and nobody is left who could submit a request.
    Closed,
}

/// The loop's state: the model, the running sequences and the queue.
#[derive(Debug)]
pub struct Scheduler<T: Telemetry> {
    model: SharedModel,
    config: SchedulerConfig,
    queue: Receiver<Queued<T::Tracker>>,
    running: Vec<Running<T::Tracker>>,
    telemetry: T,
    /// The end of the step before, if it was followed by nothing but this one.
    last_end: Option<Moment>,
    /// What [`Telemetry::READS_CLOCK`] gets in place of the time.
    epoch: Moment,
    /// How the front end knows that this scheduler exists.
    _alive: Arc<()>,
}

/// A request that waits, and what follows it.
#[derive(Debug)]
pub(crate) struct Queued<R> {
    pub(crate) request: Request,
    pub(crate) tracker: R,
}

struct Running<R> {
    request: Request,
    tracker: R,
    sequence: Box<dyn Sequence>,
    sampler: Sampler,
    logits: Vec<f32>,
    /// Tokens in the key-value cache.
    position: usize,
    last_token: u32,
    generated: usize,
    /// What the step before, or this one, did to the sequence; handed out at the step's end.
    outcome: Option<Outcome>,
}

impl<R> std::fmt::Debug for Running<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("position", &self.position)
            .field("generated", &self.generated)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Outcome {
    Token {
        token: u32,
        /// Prompt tokens that were processed for it; none if the sequence was already decoding.
        prefilled: usize,
        end: Option<FinishReason>,
    },
    Failed(String),
}

impl<T: Telemetry> Scheduler<T> {
    pub(crate) fn new(
        model: SharedModel,
        config: SchedulerConfig,
        queue: Receiver<Queued<T::Tracker>>,
        telemetry: T,
        alive: Arc<()>,
    ) -> Self {
        Self {
            model,
            running: Vec::with_capacity(config.max_running),
            config,
            queue,
            telemetry,
            last_end: None,
            epoch: Moment::now(),
            _alive: alive,
        }
    }

    /// Runs one iteration, if there is anything to run. Never waits for a request.
    pub fn step(&mut self) -> Progress {
        let begin = match self.last_end.take() {
            Some(end) => end,
            None => {
                let now = self.now();
                self.telemetry.woke_up(now);
                now
            }
        };
        // Looked at first, so that a round with nothing to schedule does not count as one.
        let next = match self.running.is_empty().then(|| self.queue.try_recv()) {
            Some(Err(TryRecvError::Empty)) => return Progress::Idle,
            Some(Err(TryRecvError::Disconnected)) => return Progress::Closed,
            Some(Ok(queued)) => Some(queued),
            None => None,
        };
        let timer = self.telemetry.begin(Stage::Schedule);
        self.release_cancelled(begin);
        self.admit(begin, next);
        drop(timer);
        if self.running.is_empty() {
            return Progress::Idle;
        }

        self.advance();
        self.config.delay.sleep();

        let end = self.now();
        self.last_end = Some(end);
        // Before the tokens go out, so that whoever has an answer finds it in the metrics.
        self.record(end);
        let timer = self.telemetry.begin(Stage::HandOut);
        self.hand_out(end);
        drop(timer);
        Progress::Stepped
    }

    /// Lets go of the sequences whose clients have gone, which makes their places free for this step.
    fn release_cancelled(&mut self, begin: Moment) {
        for running in self.running.extract_if(.., |running| running.request.events.is_closed()) {
            running.finish(begin, FinishReason::Abort, None);
        }
    }

    /// Fills the free places with the request that was taken from the queue already, if there is one, and from the queue.
    fn admit(&mut self, begin: Moment, mut next: Option<Queued<T::Tracker>>) {
        let mut prompt_tokens = 0;
        while self.running.len() < self.config.max_running && prompt_tokens < self.config.max_prefill_tokens {
            let queued = next.take().or_else(|| self.queue.try_recv().ok());
            let Some(Queued { request, mut tracker }) = queued else { return };
            if request.events.is_closed() {
                tracker.finished(FinishReason::Abort, begin);
                continue;
            }
            let sequence = match self.model.new_sequence() {
                Ok(sequence) => sequence,
                Err(error) => {
                    tracker.finished(FinishReason::Error, begin);
                    // A send fails only if the client has gone, which is then no news to it.
                    let _ = request.events.send(Event::Failed(error.to_string()));
                    continue;
                }
            };
            // It may have arrived since the step began.
            tracker.scheduled(begin.max(request.arrived));
            prompt_tokens += request.prompt.len();
            self.running.push(Running {
                sampler: Sampler::new(&request.params),
                request,
                tracker,
                sequence,
                logits: Vec::new(),
                position: 0,
                last_token: 0,
                generated: 0,
                outcome: None,
            });
        }
    }

    /// Runs the model once for every running sequence.
    ///
    /// Sequences are spread over the threads, not the parts of one sequence: see [`crate::threads`].
    fn advance(&mut self) {
        let (end_tokens, stages) = (&self.config.end_tokens, &self.telemetry);
        let advance = |running: &mut Running<T::Tracker>| running.outcome = Some(running.advance(end_tokens, stages));
        if self.running.len() > 1 && rayon::current_num_threads() > 1 {
            self.running.par_iter_mut().with_max_len(1).for_each(advance);
        } else {
            self.running.iter_mut().for_each(advance);
        }
    }

    /// Tells what the step did.
    fn record(&mut self, end: Moment) {
        let running = &mut self.running;
        self.telemetry.step(end, |step| {
            for running in running {
                if let Some(Outcome::Token { prefilled, .. }) = running.outcome {
                    if prefilled > 0 {
                        step.prefill(prefilled);
                    }
                    step.token(&mut running.tracker);
                }
            }
        });
    }

    /// Sends each sequence's token, and lets go of the sequences that have ended.
    fn hand_out(&mut self, end: Moment) {
        let ended = self.running.extract_if(.., |running| match &running.outcome {
            None => false,
            Some(Outcome::Token { token, end, .. }) => {
                // A client that goes away now is seen in the next step.
                let _ = running.request.events.send(Event::Token(*token));
                end.is_some()
            }
            Some(Outcome::Failed(_)) => true,
        });
        for mut running in ended {
            let (reason, failure) = match running.outcome.take() {
                Some(Outcome::Failed(message)) => (FinishReason::Error, Some(message)),
                Some(Outcome::Token { end: Some(reason), .. }) => (reason, None),
                _ => continue,
            };
            running.finish(end, reason, failure);
        }
    }

    /// Ends all that runs or waits, because the engine stops.
    pub fn abort_all(&mut self) {
        let now = self.now();
        for running in self.running.drain(..) {
            running.finish(now, FinishReason::Abort, None);
        }
        while let Ok(Queued { request, tracker }) = self.queue.try_recv() {
            tracker.finished(FinishReason::Abort, now);
            let _ = request.events.send(Event::Finished { reason: FinishReason::Abort, generated: 0 });
        }
        self.last_end = None;
    }

    /// Sequences that are running.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn queue(&self) -> &Receiver<Queued<T::Tracker>> {
        &self.queue
    }

    /// What records.
    pub fn telemetry(&self) -> &T {
        &self.telemetry
    }

    #[inline]
    fn now(&self) -> Moment {
        if T::READS_CLOCK { Moment::now() } else { self.epoch }
    }
}

impl<R: Tracker> Running<R> {
    /// Runs the model for the next token.
    fn advance(&mut self, end_tokens: &[u32], stages: &impl Stages) -> Outcome {
        let prefilled = self.request.prompt.len();
        let run = if prefilled > 0 { self.prefill(stages) } else { self.forward(&[self.last_token], stages) };
        if let Err(error) = run {
            return Outcome::Failed(error.to_string());
        }
        let Some(token) = stages.time(Stage::Sample, || self.sampler.sample(&self.logits)) else {
            return Outcome::Failed("the model returned no usable logits".to_owned());
        };
        self.last_token = token;
        self.generated += 1;
        let end = if end_tokens.contains(&token) {
            Some(FinishReason::Stop)
        } else if self.generated >= self.request.params.max_tokens {
            Some(FinishReason::Length)
        } else {
            None
        };
        Outcome::Token { token, prefilled, end }
    }

    /// Takes the prompt, which is not needed again.
    fn prefill(&mut self, stages: &impl Stages) -> Result<(), ModelError> {
        let prompt = std::mem::take(&mut self.request.prompt);
        prompt.chunks(PREFILL_PIECE).try_for_each(|piece| self.forward(piece, stages))
    }

    fn forward(&mut self, tokens: &[u32], stages: &impl Stages) -> Result<(), ModelError> {
        let input = stages.time(Stage::Prepare, || model::input(tokens))?;
        stages.time(Stage::Forward, || self.sequence.forward(&input, self.position, &mut self.logits))?;
        self.position += tokens.len();
        Ok(())
    }

    fn finish(self, end: Moment, reason: FinishReason, failure: Option<String>) {
        self.tracker.finished(reason, end);
        let event = match failure {
            Some(message) => Event::Failed(message),
            None => Event::Finished { reason, generated: self.generated },
        };
        let _ = self.request.events.send(event);
    }
}

#[cfg(test)]
mod tests;
