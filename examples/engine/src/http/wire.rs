//! The requests as they arrive, in OpenAI's JSON, and their translation into what the engine takes.

use serde::Deserialize;

use super::ApiError;
use crate::chat::Message;
use crate::request::GenerationParams;

/// As in the API.
const MAX_TEMPERATURE: f32 = 2.0;

/// What both endpoints take. Fields of the API that would change the answer and that this server does not know are
/// named, so that they are refused and not ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Common {
    model: Option<String>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    seed: Option<i64>,
    #[serde(default)]
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    n: Option<u64>,
    stop: Option<serde_json::Value>,
    tools: Option<serde_json::Value>,
    response_format: Option<serde_json::Value>,
    logprobs: Option<serde_json::Value>,
    logit_bias: Option<serde_json::Value>,
    echo: Option<bool>,
    suffix: Option<serde_json::Value>,
    best_of: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// `POST /v1/completions`.
#[derive(Debug, Deserialize)]
pub(super) struct CompletionRequest {
    #[serde(flatten)]
    pub(super) common: Common,
    pub(super) prompt: Prompt,
}

/// A prompt is a text or a list of tokens; a list of one text is taken as well.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Prompt {
    Text(String),
    Texts([String; 1]),
    Tokens(Vec<u32>),
}

/// `POST /v1/chat/completions`.
#[derive(Debug, Deserialize)]
pub(super) struct ChatRequest {
    #[serde(flatten)]
    pub(super) common: Common,
    messages: Vec<WireMessage>,
}

#[derive(Debug, Deserialize)]
struct WireMessage {
    role: String,
    content: Content,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text { text: String },
}

/// How the answer is to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery {
    pub(super) stream: bool,
    pub(super) include_usage: bool,
}

/// Reads a body, whatever its content type says.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(None, format!("the body is not a request: {error}")))
}

impl ChatRequest {
    pub(super) fn split(self) -> Result<(Common, Vec<Message>), ApiError> {
        if self.messages.is_empty() {
            let message = "there has to be a message".to_owned();
            return Err(ApiError::bad_request(Some("messages"), message));
        }
        let messages = self
            .messages
            .into_iter()
            .map(|message| Message {
                role: message.role,
                content: match message.content {
                    Content::Text(text) => text,
                    Content::Parts(parts) => parts.into_iter().map(|Part::Text { text }| text).collect(),
                },
            })
            .collect();
        Ok((self.common, messages))
    }
}

impl Common {
    /// Refuses what this server cannot do.
    pub(super) fn check(&self, served: &str) -> Result<(), ApiError> {
        if let Some(model) = &self.model
            && model != served
        {
            let message = format!("the model `{model}` is not served here; `{served}` is");
            return Err(ApiError::not_found(message).with_code("model_not_found"));
        }
        let unsupported = [
            ("n", self.n.is_some_and(|n| n != 1)),
            ("best_of", self.best_of.is_some_and(|n| n != 1)),
            ("echo", self.echo == Some(true)),
            ("stop", is_set(self.stop.as_ref())),
            ("tools", is_set(self.tools.as_ref())),
            ("logprobs", is_set(self.logprobs.as_ref())),
            ("logit_bias", is_set(self.logit_bias.as_ref())),
            ("suffix", is_set(self.suffix.as_ref())),
            ("response_format", self.response_format.as_ref().is_some_and(|format| format["type"] != "text")),
        ];
        match unsupported.into_iter().find(|&(_, asked)| asked) {
            Some((name, _)) => Err(ApiError::bad_request(Some(name), format!("this server does not support `{name}`"))
                .with_code("unsupported_parameter")),
            None => Ok(()),
        }
    }

    pub(super) fn delivery(&self) -> Delivery {
        Delivery {
            stream: self.stream.unwrap_or(false),
            include_usage: self.stream_options.as_ref().is_some_and(|options| options.include_usage),
        }
    }

    /// The parameters, for a prompt after which `room` tokens are left in the context.
    pub(super) fn params(
        &self,
        room: usize,
        default_max_tokens: usize,
        default_seed: u64,
    ) -> Result<GenerationParams, ApiError> {
        let temperature = self.temperature.unwrap_or(1.0);
        if !(0.0..=MAX_TEMPERATURE).contains(&temperature) {
            let message = format!("temperature must be between 0 and {MAX_TEMPERATURE}");
            return Err(ApiError::bad_request(Some("temperature"), message));
        }
        let top_p = self.top_p.unwrap_or(1.0);
        if !(top_p > 0.0 && top_p <= 1.0) {
            let message = "top_p must be above 0 and at most 1".to_owned();
            return Err(ApiError::bad_request(Some("top_p"), message));
        }
        let max_tokens = match self.max_completion_tokens.or(self.max_tokens) {
            None => default_max_tokens.min(room),
            Some(0) => {
                let message = "max_tokens must be at least 1".to_owned();
                return Err(ApiError::bad_request(Some("max_tokens"), message));
            }
            Some(asked) => usize::try_from(asked).unwrap_or(usize::MAX),
        };
        if max_tokens > room {
            let message =
                format!("the prompt leaves room for {room} tokens in the context, and max_tokens is {max_tokens}");
            return Err(ApiError::bad_request(Some("max_tokens"), message).with_code("context_length_exceeded"));
        }
        Ok(GenerationParams {
            max_tokens,
            temperature,
            top_p,
            seed: self.seed.map_or(default_seed, i64::cast_unsigned),
        })
    }
}

/// Given, and not in a way that means "not given".
fn is_set(value: Option<&serde_json::Value>) -> bool {
    use serde_json::Value;
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(_) => true,
    }
}
