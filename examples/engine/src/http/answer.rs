//! The engine's events as an answer: in one piece, or as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::response::Json;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::ApiError;
use crate::request::{Event, FinishReason};
use crate::tokenizer::{Detokenizer, Tokenizer};

/// Which endpoint's form the answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Completion,
    Chat,
}

impl Style {
    pub(super) fn id_prefix(self) -> &'static str {
        match self {
            Self::Completion => "cmpl",
            Self::Chat => "chatcmpl",
        }
    }

    pub(super) fn prompt_field(self) -> &'static str {
        match self {
            Self::Completion => "prompt",
            Self::Chat => "messages",
        }
    }

    fn object(self, stream: bool) -> &'static str {
        match (self, stream) {
            (Self::Completion, _) => "text_completion",
            (Self::Chat, false) => "chat.completion",
            (Self::Chat, true) => "chat.completion.chunk",
        }
    }
}

/// An answer under way. Dropping it cancels the request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) style: Style,
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) prompt_tokens: usize,
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) events: UnboundedReceiver<Event>,
}

impl Answer {
    /// Waits for the end.
    pub(super) async fn into_whole(mut self) -> Result<Json<Value>, ApiError> {
        let mut detokenizer = Detokenizer::new();
        let mut text = String::new();
        loop {
            match self.events.recv().await {
                Some(Event::Token(token)) => {
                    text.push_str(&detokenizer.push(self.tokenizer.piece(token)));
                }
                Some(Event::Finished { reason: FinishReason::Abort, .. }) => return Err(ApiError::stopped()),
                Some(Event::Finished { reason, generated }) => {
                    text.push_str(&detokenizer.finish());
                    return Ok(Json(self.whole(&text, reason, generated)));
                }
                Some(Event::Failed(message)) => return Err(ApiError::internal(message)),
                None => return Err(engine_died()),
            }
        }
    }

    fn whole(&self, text: &str, reason: FinishReason, generated: usize) -> Value {
        let mut choice = json!({ "index": 0, "finish_reason": reason.as_str(), "logprobs": null });
        match self.style {
            Style::Completion => choice["text"] = text.into(),
            Style::Chat => choice["message"] = json!({ "role": "assistant", "content": text }),
        }
        let mut body = self.envelope(false);
        body["choices"] = json!([choice]);
        body["usage"] = self.usage(generated);
        body
    }

    /// One event a token, then the finish reason, then the usage if it was asked for, then `[DONE]`.
    pub(super) fn into_stream(self, include_usage: bool) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
        let mut ready = VecDeque::new();
        if self.style == Style::Chat {
            // The API's first chunk names the speaker and says nothing.
            ready.push_back(self.chunk(Some(""), None, true).to_string());
        }
        let state = Streaming { answer: self, detokenizer: Detokenizer::new(), ready, include_usage, done: false };
        let events = stream::unfold(state, |mut state| async move {
            let data = state.next().await?;
            Some((Ok(SseEvent::default().data(data)), state))
        });
        // A comment now and then also finds out that the client has gone while it waits in the queue.
        Sse::new(events).keep_alive(KeepAlive::default())
    }

    fn chunk(&self, text: Option<&str>, reason: Option<FinishReason>, first: bool) -> Value {
        let mut choice = json!({
            "index": 0,
            "finish_reason": reason.map(FinishReason::as_str),
            "logprobs": null,
        });
        match self.style {
            Style::Completion => choice["text"] = text.unwrap_or("").into(),
            Style::Chat => {
                let mut delta = json!({});
                if first {
                    delta["role"] = "assistant".into();
                }
                if let Some(text) = text {
                    delta["content"] = text.into();
                }
                choice["delta"] = delta;
            }
        }
        let mut body = self.envelope(true);
        body["choices"] = json!([choice]);
        body
    }

    fn usage_chunk(&self, generated: usize) -> Value {
        let mut body = self.envelope(true);
        body["choices"] = json!([]);
        body["usage"] = self.usage(generated);
        body
    }

    fn envelope(&self, stream: bool) -> Value {
        json!({
            "id": self.id,
            "object": self.style.object(stream),
            "created": self.created,
            "model": self.model,
        })
    }

    fn usage(&self, generated: usize) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": generated,
            "total_tokens": self.prompt_tokens + generated,
        })
    }
}

struct Streaming {
    answer: Answer,
    detokenizer: Detokenizer,
    /// Events to send before the engine is asked for more.
    ready: VecDeque<String>,
    include_usage: bool,
    done: bool,
}

impl Streaming {
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return Some(data);
            }
            if self.done {
                return None;
            }
            match self.answer.events.recv().await {
                Some(Event::Token(token)) => {
                    let text = self.detokenizer.push(self.answer.tokenizer.piece(token));
                    // Half a character, or an end token: there is nothing to show yet.
                    if !text.is_empty() {
                        self.ready.push_back(self.answer.chunk(Some(&text), None, false).to_string());
                    }
                }
                Some(Event::Finished { reason: FinishReason::Abort, .. }) => self.fail(&ApiError::stopped()),
                Some(Event::Finished { reason, generated }) => {
                    let rest = std::mem::take(&mut self.detokenizer).finish();
                    let rest = (!rest.is_empty()).then_some(rest.as_str());
                    self.ready.push_back(self.answer.chunk(rest, Some(reason), false).to_string());
                    if self.include_usage {
                        self.ready.push_back(self.answer.usage_chunk(generated).to_string());
                    }
                    self.end();
                }
                Some(Event::Failed(message)) => self.fail(&ApiError::internal(message)),
                None => self.fail(&engine_died()),
            }
        }
    }

    /// The status has long been sent, so the error travels as an event.
    fn fail(&mut self, error: &ApiError) {
        self.ready.push_back(error.body().to_string());
        self.end();
    }

    fn end(&mut self) {
        self.ready.push_back("[DONE]".to_owned());
        self.done = true;
    }
}

fn engine_died() -> ApiError {
    ApiError::internal("the engine ended without an answer".to_owned())
}
