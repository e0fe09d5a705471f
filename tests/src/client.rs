//! A client of the engine's API, and of plain pages.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// No answer of a test takes longer, on however busy a machine.
const LIMIT: Duration = Duration::from_secs(300);

/// An HTTP client with connections of its own.
#[derive(Debug, Clone)]
pub struct Client(ureq::Agent);

/// An answer in one piece.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its content type.
    pub content_type: String,
    /// Its body.
    pub body: String,
}

/// A completion as its client saw it.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The text.
    pub text: String,
    /// Why it ended.
    pub finish_reason: String,
    /// Tokens in the prompt, by the server's usage.
    pub prompt_tokens: u64,
    /// Tokens generated, by the server's usage.
    pub completion_tokens: u64,
    /// From sending the request to the end of the answer.
    pub total: Duration,
    /// From sending the request to the first text, if it was streamed.
    pub first_text: Option<Duration>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A new one, which uses no proxy.
    pub fn new() -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(LIMIT)).proxy(None).build();
        Self(config.into())
    }

    /// Gets a page.
    pub fn get(&self, url: &str) -> Result<Answer, String> {
        self.0.get(url).call().map_err(|error| format!("GET {url}: {error}")).and_then(whole)
    }

    /// Sends a JSON body and reads the answer.
    pub fn post(&self, url: &str, body: &Value) -> Result<Answer, String> {
        self.send(url, body).and_then(whole)
    }

    /// Asks for a thing to be deleted.
    pub fn delete(&self, url: &str) -> Result<Answer, String> {
        self.0.delete(url).call().map_err(|error| format!("DELETE {url}: {error}")).and_then(whole)
    }

    fn send(&self, url: &str, body: &Value) -> Result<ureq::http::Response<ureq::Body>, String> {
        self.0
            .post(url)
            .header("content-type", "application/json")
            .send(body.to_string())
            .map_err(|error| format!("POST {url}: {error}"))
    }

    /// A completion in one piece.
    pub fn complete(&self, base: &str, prompt: &str, max_tokens: u64) -> Result<Completion, String> {
        let sent = Instant::now();
        let body = json!({ "prompt": prompt, "max_tokens": max_tokens, "temperature": 0 });
        let answer = self.post(&format!("{base}/v1/completions"), &body)?;
        let total = sent.elapsed();
        if answer.status != 200 {
            return Err(format!("status {}: {}", answer.status, answer.body));
        }
        let value = parse(&answer.body)?;
        let choice = &value["choices"][0];
        Ok(Completion {
            text: text(&choice["text"])?,
            finish_reason: text(&choice["finish_reason"])?,
            prompt_tokens: number(&value["usage"]["prompt_tokens"])?,
            completion_tokens: number(&value["usage"]["completion_tokens"])?,
            total,
            first_text: None,
        })
    }

    /// A chat, streamed.
    pub fn stream(&self, base: &str, prompt: &str, max_tokens: u64) -> Result<Stream, String> {
        let sent = Instant::now();
        let body = json!({
            "messages": [{ "role": "user", "content": prompt }],
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": true,
            "stream_options": { "include_usage": true },
        });
        let response = self.send(&format!("{base}/v1/chat/completions"), &body)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(format!("status {status}: {}", whole(response)?.body));
        }
        Ok(Stream { sent, lines: BufReader::new(Box::new(response.into_body().into_reader())) })
    }

    /// A chat, streamed and read to its end.
    pub fn chat(&self, base: &str, prompt: &str, max_tokens: u64) -> Result<Completion, String> {
        self.stream(base, prompt, max_tokens)?.finish()
    }
}

/// A streamed answer under way. Dropping it closes the connection.
pub struct Stream {
    sent: Instant,
    lines: BufReader<Box<dyn std::io::Read + Send>>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("sent", &self.sent).finish_non_exhaustive()
    }
}

impl Stream {
    /// The next event's data; `None` after the last.
    pub fn event(&mut self) -> Result<Option<Value>, String> {
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).map_err(|error| format!("the stream broke: {error}"))?;
            if read == 0 {
                return Err("the stream ends without [DONE]".to_owned());
            }
            match line.trim_end().strip_prefix("data: ") {
                Some("[DONE]") => return Ok(None),
                Some(data) => return parse(data).map(Some),
                // The empty lines between events, and comments that keep the connection alive.
                None => {}
            }
        }
    }

    /// Reads to the end.
    pub fn finish(mut self) -> Result<Completion, String> {
        let mut completion = Completion {
            text: String::new(),
            finish_reason: String::new(),
            prompt_tokens: 0,
            completion_tokens: 0,
            total: Duration::ZERO,
            first_text: None,
        };
        while let Some(event) = self.event()? {
            if !event["error"].is_null() {
                return Err(format!("the stream failed: {event}"));
            }
            let choice = &event["choices"][0];
            if let Some(piece) = choice["delta"]["content"].as_str().filter(|piece| !piece.is_empty()) {
                completion.first_text.get_or_insert_with(|| self.sent.elapsed());
                completion.text.push_str(piece);
            }
            if let Some(reason) = choice["finish_reason"].as_str() {
                reason.clone_into(&mut completion.finish_reason);
            }
            if event["usage"].is_object() {
                completion.prompt_tokens = number(&event["usage"]["prompt_tokens"])?;
                completion.completion_tokens = number(&event["usage"]["completion_tokens"])?;
            }
        }
        completion.total = self.sent.elapsed();
        Ok(completion)
    }
}

fn whole(mut response: ureq::http::Response<ureq::Body>) -> Result<Answer, String> {
    let content_type =
        response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let body = response.body_mut().read_to_string().map_err(|error| format!("the body broke: {error}"))?;
    Ok(Answer { status: response.status().as_u16(), content_type, body })
}

fn parse(json: &str) -> Result<Value, String> {
    serde_json::from_str(json).map_err(|error| format!("not JSON ({error}): {json}"))
}

fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("not a text: {value}"))
}

fn number(value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| format!("not a whole number: {value}"))
}
