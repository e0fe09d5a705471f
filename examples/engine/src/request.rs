//! What travels between the front end and the engine thread: a request on the way in, events on the way out.

use inferometer::Moment;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How the next token is picked and when to stop.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationParams {
    /// The most tokens to generate; at least one.
    pub max_tokens: usize,
    /// 0 picks the likeliest token; larger values flatten the distribution.
    pub temperature: f32,
    /// Only the smallest set of tokens whose probabilities reach this share is drawn from; 1 draws from all.
    pub top_p: f32,
    /// The same seed, prompt and temperature give the same answer.
    pub seed: u64,
}

impl Default for GenerationParams {
    fn default() -> Self {
        Self { max_tokens: 64, temperature: 0.0, top_p: 1.0, seed: 0 }
    }
}

/// One request, tokenised and validated.
#[derive(Debug)]
pub struct Request {
    /// The prompt's tokens; never empty, and within the model's context together with `params.max_tokens`.
    pub prompt: Vec<u32>,
    /// How to generate.
    pub params: GenerationParams,
    /// When the front end had the request.
    pub arrived: Moment,
    /// Where the tokens go. The engine never blocks on it; what it holds is bounded by `max_tokens`. A closed
    /// channel is how a client that has gone away cancels its request.
    pub events: UnboundedSender<Event>,
}

impl Request {
    /// A request that has just arrived, and the receiver of its events. Dropping the receiver cancels the request.
    pub fn new(prompt: Vec<u32>, params: GenerationParams) -> (Self, UnboundedReceiver<Event>) {
        let (events, receiver) = unbounded_channel();
        let request = Self { prompt, params, arrived: Moment::now(), events };
        (request, receiver)
    }
}

/// What the engine tells a request's client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// One generated token.
    Token(u32),
    /// The last event of a request that ran.
    Finished {
        /// Why it ended.
        reason: FinishReason,
        /// Tokens generated, an end-of-text token included.
        generated: usize,
    },
    /// The last event of a request that failed, with the cause.
    Failed(String),
}

/// Why a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model produced an end-of-text token.
    Stop,
    /// `max_tokens` were generated.
    Length,
    /// The client went away, or the engine is shutting down.
    Abort,
    /// A forward pass failed.
    Error,
}

impl FinishReason {
    /// The name that answers use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Abort => "abort",
            Self::Error => "error",
        }
    }
}
