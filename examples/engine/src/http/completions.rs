//! The two endpoints: what arrives becomes a request to the engine, and its events become the answer.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};

use super::answer::{Answer, Style};
use super::wire::{ChatRequest, Common, CompletionRequest, Prompt, parse};
use super::{ApiError, Server, unix_seconds};
use crate::request::Request;
use crate::telemetry::FrontEnd;

type Body = Result<Bytes, BytesRejection>;

/// `POST /v1/completions`.
pub(super) async fn completions<F: FrontEnd>(
    State(server): State<Arc<Server<F>>>,
    body: Body,
) -> Result<Response, ApiError> {
    let body = received(body)?;
    let request: CompletionRequest = parse(&body)?;
    request.common.check(&server.info().name)?;
    let prompt = match request.prompt {
        Prompt::Text(text) | Prompt::Texts([text]) => encode(&server, &text)?,
        Prompt::Tokens(tokens) => {
            let vocabulary = server.info().vocabulary;
            if tokens.iter().any(|&token| token as usize >= vocabulary) {
                let message = format!("tokens must be below {vocabulary}");
                return Err(ApiError::bad_request(Some("prompt"), message));
            }
            tokens
        }
    };
    answer(&server, &request.common, prompt, Style::Completion).await
}

/// `POST /v1/chat/completions`.
pub(super) async fn chat<F: FrontEnd>(State(server): State<Arc<Server<F>>>, body: Body) -> Result<Response, ApiError> {
    let body = received(body)?;
    let request: ChatRequest = parse(&body)?;
    request.common.check(&server.info().name)?;
    let (common, messages) = request.split()?;
    let prompt = server
        .loaded
        .template
        .render(&messages)
        .map_err(|error| ApiError::bad_request(Some("messages"), error.to_string()))?;
    let prompt = encode(&server, &prompt)?;
    answer(&server, &common, prompt, Style::Chat).await
}

/// Turns axum's refusal of a body, for instance of one that is too large, into an error of ours.
fn received(body: Body) -> Result<Bytes, ApiError> {
    body.map_err(|rejection| ApiError::new(rejection.status(), rejection.body_text()))
}

fn encode<F: FrontEnd>(server: &Server<F>, text: &str) -> Result<Vec<u32>, ApiError> {
    let tokens = server.submitter.telemetry().tokenize(|| server.loaded.tokenizer.encode(text));
    tokens.map_err(|error| ApiError::internal(error.to_string()))
}

async fn answer<F: FrontEnd>(
    server: &Arc<Server<F>>,
    common: &Common,
    prompt: Vec<u32>,
    style: Style,
) -> Result<Response, ApiError> {
    if prompt.is_empty() {
        let message = "the prompt is empty".to_owned();
        return Err(ApiError::bad_request(Some("prompt"), message));
    }
    let info = server.info();
    let room = info.context.saturating_sub(prompt.len());
    if room == 0 {
        let message =
            format!("the prompt has {} tokens, which leaves no room in the context of {}", prompt.len(), info.context);
        return Err(ApiError::bad_request(Some(style.prompt_field()), message).with_code("context_length_exceeded"));
    }
    let number = server.next();
    let params = common.params(room, server.default_max_tokens, number)?;
    let prompt_tokens = prompt.len();
    let (request, events) = Request::new(prompt, params);
    server.submitter.submit(request)?;

    let answer = Answer {
        server: Arc::clone(server),
        style,
        id: format!("{}-{}-{number}", style.id_prefix(), server.started),
        created: unix_seconds(),
        prompt_tokens,
        events,
    };
    let delivery = common.delivery();
    if delivery.stream {
        Ok(answer.into_stream(delivery.include_usage).into_response())
    } else {
        // If the client goes away, this future is dropped and `events` with it, which cancels the request.
        Ok(answer.into_whole().await?.into_response())
    }
}
