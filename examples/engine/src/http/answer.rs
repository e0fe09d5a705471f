//! The engine's events as an answer: in one piece, or as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::response::Json;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{ApiError, Server};
use crate::request::{Event, FinishReason};
use crate::telemetry::{FrontEnd, Stage};
use crate::tokenizer::Detokenizer;

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
pub(super) struct Answer<F: FrontEnd> {
    pub(super) server: Arc<Server<F>>,
    pub(super) style: Style,
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) prompt_tokens: usize,
    pub(super) events: UnboundedReceiver<Event>,
}

impl<F: FrontEnd> Answer<F> {
    /// Waits for the end.
    pub(super) async fn into_whole(mut self) -> Result<Json<Value>, ApiError> {
        let mut detokenizer = Detokenizer::new();
        let mut text = String::new();
        loop {
            match self.events.recv().await {
                Some(Event::Token(token)) => {
                    text.push_str(&self.text(&mut detokenizer, token));
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

    /// What has become complete with a token.
    fn text(&self, detokenizer: &mut Detokenizer, token: u32) -> String {
        let tokenizer = &self.server.loaded.tokenizer;
        self.telemetry().time(Stage::Detokenize, || detokenizer.push(tokenizer.piece(token)))
    }

    /// A chunk as it is sent.
    fn written(&self, chunk: impl FnOnce() -> Value) -> String {
        self.telemetry().time(Stage::Stream, || chunk().to_string())
    }

    fn telemetry(&self) -> &F {
        self.server.submitter.telemetry()
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
            ready.push_back(self.written(|| self.chunk(Some(""), None, true)));
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
            "model": self.server.info().name,
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

struct Streaming<F: FrontEnd> {
    answer: Answer<F>,
    detokenizer: Detokenizer,
    /// Events to send before the engine is asked for more.
    ready: VecDeque<String>,
    include_usage: bool,
    done: bool,
}

impl<F: FrontEnd> Streaming<F> {
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
                    let text = self.answer.text(&mut self.detokenizer, token);
                    // Half a character, or an end token: there is nothing to show yet.
                    if !text.is_empty() {
                        self.send(|answer| answer.chunk(Some(&text), None, false));
                    }
                }
                Some(Event::Finished { reason: FinishReason::Abort, .. }) => self.fail(&ApiError::stopped()),
                Some(Event::Finished { reason, generated }) => {
                    let rest = std::mem::take(&mut self.detokenizer).finish();
                    let rest = (!rest.is_empty()).then_some(rest.as_str());
                    self.send(|answer| answer.chunk(rest, Some(reason), false));
                    if self.include_usage {
                        self.send(|answer| answer.usage_chunk(generated));
                    }
                    self.end();
                }
                Some(Event::Failed(message)) => self.fail(&ApiError::internal(message)),
                None => self.fail(&engine_died()),
            }
        }
    }

    fn send(&mut self, chunk: impl FnOnce(&Answer<F>) -> Value) {
        self.ready.push_back(self.answer.written(|| chunk(&self.answer)));
    }

    /// The status has long been sent, so the error travels as an event.
    fn fail(&mut self, error: &ApiError) {
        self.send(|_| error.body());
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
