//! A client for the server's own API, for its load and its tests. It speaks real HTTP over a real socket, one
//! connection a request, so that what it measures is what any client would see.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A request that got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection failed.
    #[error("cannot reach the server: {0}")]
    Connect(#[from] std::io::Error),
    /// The exchange failed.
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// The request could not be put together.
    #[error("HTTP: {0}")]
    Request(#[from] hyper::http::Error),
    /// The server said no.
    #[error("the server answered {status}: {message}")]
    Status {
        /// The answer's status.
        status: StatusCode,
        /// Its body.
        message: String,
    },
    /// The answer is not what the API promises.
    #[error("the answer is malformed: {0}")]
    Malformed(String),
}

/// Sends a request. The answer's body is still to be read; dropping it closes the connection.
pub async fn send(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: String,
) -> Result<Response<Incoming>, ClientError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends when the answer has been read or dropped; an error of the connection shows up in the answer.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))?;
    Ok(sender.send_request(request).await?)
}

/// The whole answer, as JSON where it is JSON.
pub async fn read(response: Response<Incoming>) -> Result<(StatusCode, Value), ClientError> {
    let status = response.status();
    let bytes = response.into_body().collect().await?.to_bytes();
    let value =
        serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Ok((status, value))
}

/// The events of a streamed answer.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Events {
    /// The events of an answer that is a stream; an error if the server refused.
    pub async fn new(response: Response<Incoming>) -> Result<Self, ClientError> {
        if response.status() != StatusCode::OK {
            let (status, body) = read(response).await?;
            let message = match body["error"]["message"].as_str() {
                Some(message) => message.to_owned(),
                None => body.to_string(),
            };
            return Err(ClientError::Status { status, message });
        }
        Ok(Self { body: response.into_body(), buffer: Vec::new() })
    }

    /// The next event's data; `None` when the server has closed the stream.
    pub async fn next(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let event = String::from_utf8_lossy(&event);
                // Comments keep the connection alive and say nothing.
                if let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: ")) {
                    return Ok(Some(data.to_owned()));
                }
                continue;
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    if let Some(data) = frame?.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
            }
        }
    }
}

/// A streamed chat as its client saw it.
#[derive(Debug, Clone)]
pub struct Chat {
    /// The answer.
    pub text: String,
    /// Why it ended.
    pub finish_reason: String,
    /// Tokens in the prompt, by the server's count.
    pub prompt_tokens: u64,
    /// Tokens in the answer, by the server's count.
    pub completion_tokens: u64,
    /// From sending the request to the first text; `None` if there was none.
    pub first_text: Option<Duration>,
    /// From sending the request to the end.
    pub total: Duration,
}

/// Sends a chat request that asks for a stream and its usage, and reads it to the end.
pub async fn chat(address: SocketAddr, body: &Value) -> Result<Chat, ClientError> {
    let sent = Instant::now();
    let response = send(address, Method::POST, "/v1/chat/completions", body.to_string()).await?;
    let mut events = Events::new(response).await?;
    let mut chat = Chat {
        text: String::new(),
        finish_reason: String::new(),
        prompt_tokens: 0,
        completion_tokens: 0,
        first_text: None,
        total: Duration::ZERO,
    };
    loop {
        let data =
            events.next().await?.ok_or_else(|| ClientError::Malformed("the stream ends without [DONE]".to_owned()))?;
        if data == "[DONE]" {
            break;
        }
        let chunk: Value = serde_json::from_str(&data).map_err(|error| ClientError::Malformed(error.to_string()))?;
        if let Some(message) = chunk["error"]["message"].as_str() {
            return Err(ClientError::Malformed(message.to_owned()));
        }
        let choice = &chunk["choices"][0];
        match choice["delta"]["content"].as_str() {
            Some(text) if !text.is_empty() => {
                chat.first_text.get_or_insert_with(|| sent.elapsed());
                chat.text.push_str(text);
            }
            _ => {}
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            reason.clone_into(&mut chat.finish_reason);
        }
        if let Some(tokens) = chunk["usage"]["completion_tokens"].as_u64() {
            chat.completion_tokens = tokens;
            chat.prompt_tokens = chunk["usage"]["prompt_tokens"].as_u64().unwrap_or(0);
        }
    }
    chat.total = sent.elapsed();
    Ok(chat)
}
