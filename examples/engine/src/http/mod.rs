//! The HTTP front end: the part of OpenAI's API that a completion needs.

mod answer;
mod completions;
mod error;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json};
use axum::routing::{get, post};

pub use error::ApiError;

use crate::engine::Submitter;
use crate::model::{Loaded, ModelInfo};
use crate::scheduler::Delay;
use crate::telemetry::FrontEnd;

/// Prompts are bounded by the context; a body larger than this cannot hold one that fits.
const MAX_BODY: usize = 1 << 20;

/// What the handlers share.
#[derive(Debug)]
struct Server<F: FrontEnd> {
    loaded: Loaded,
    submitter: Submitter<F>,
    /// The answer's length where the request does not say.
    default_max_tokens: usize,
    delay: Delay,
    started: u64,
    /// Makes ids and default seeds.
    next: AtomicU64,
}

impl<F: FrontEnd> Server<F> {
    fn info(&self) -> &ModelInfo {
        self.loaded.model.info()
    }

    fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// The API over a running engine.
pub fn router<F: FrontEnd>(loaded: Loaded, submitter: Submitter<F>, default_max_tokens: usize, delay: Delay) -> Router {
    let (started, next) = (unix_seconds(), AtomicU64::new(1));
    let server = Server { loaded, submitter, default_max_tokens, delay, started, next };
    Router::new()
        .route("/health", get(health::<F>))
        .route("/delay", post(set_delay::<F>))
        .route("/v1/models", get(models::<F>))
        .route("/v1/completions", post(completions::completions::<F>))
        .route("/v1/chat/completions", post(completions::chat::<F>))
        .fallback(async || ApiError::not_found("there is no such path".to_owned()))
        .method_not_allowed_fallback(async || {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method".to_owned())
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::new(server))
}

/// 200 while the engine takes requests; 503 once it has stopped, so that a load balancer looks elsewhere.
async fn health<F: FrontEnd>(State(server): State<Arc<Server<F>>>) -> impl IntoResponse {
    let (status, word) =
        if server.submitter.is_open() { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "stopped") };
    let waiting = server.submitter.waiting();
    (status, Json(serde_json::json!({ "status": word, "waiting": waiting })))
}

/// Sets the artificial delay of a step to the milliseconds in the body, so that a server can be made slow for a while.
async fn set_delay<F: FrontEnd>(State(server): State<Arc<Server<F>>>, millis: String) -> Result<StatusCode, ApiError> {
    let refused = |_| ApiError::bad_request(None, format!("not a number of milliseconds: {millis:?}"));
    server.delay.set_millis(millis.trim().parse().map_err(refused)?);
    Ok(StatusCode::NO_CONTENT)
}

async fn models<F: FrontEnd>(State(server): State<Arc<Server<F>>>) -> impl IntoResponse {
    let info = server.info();
    Json(serde_json::json!({
        "object": "list",
        "data": [{
            "id": info.name,
            "object": "model",
            "created": server.started,
            "owned_by": "inferometer-example-engine",
            "max_model_len": info.context,
        }],
    }))
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
