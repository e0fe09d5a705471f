//! The stages of the host's work, and what times them.

/// A part of the work for a step's tokens. No stage contains another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Sequences leave and join. Once a step, and where all that ran or waited turns out to have been given up.
    Schedule,
    /// Tokens become the model's input. Once a forward pass, on the thread that computes it.
    Prepare,
    /// The model runs. Once for each sequence in a step, and for each piece of a long prompt.
    Forward,
    /// The next token is picked from the logits. Once a sequence in a step, on the thread that computed them.
    Sample,
    /// A step's tokens go to the requests' channels. Once a step.
    HandOut,
    /// A token becomes text. Once a token, on a thread of the front end.
    Detokenize,
    /// A chunk of a streamed answer is written as JSON. Once a chunk, on a thread of the front end.
    Stream,
}

impl Stage {
    /// All of them, in the order in which a token passes through them.
    pub const ALL: [Self; 7] =
        [Self::Schedule, Self::Prepare, Self::Forward, Self::Sample, Self::HandOut, Self::Detokenize, Self::Stream];
}

/// What times the stages, from any thread.
pub trait Stages {
    /// A stage that is under way. It ends when this is dropped.
    type Timer;

    /// Begins a stage.
    fn begin(&self, stage: Stage) -> Self::Timer;

    /// Runs a stage from its begin to its end.
    #[inline]
    fn time<R>(&self, stage: Stage, work: impl FnOnce() -> R) -> R {
        let _timer = self.begin(stage);
        work()
    }
}
