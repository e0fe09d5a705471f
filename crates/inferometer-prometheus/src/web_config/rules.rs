//! What a `web.yml` comes down to.

use super::error::WebConfigError;
use super::file::{ContentTypeOptions, File, FrameOptions, Headers};
use super::rate_limit::Rate;
use super::sources::Sources;
use super::tls;
use super::users::Users;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

pub(super) struct Rules {
    /// `None`: connections are not encrypted.
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) users: Users,
    /// Who has it is let in as a user is.
    pub(super) token: Option<Vec<u8>>,
    pub(super) rate: Option<Rate>,
    /// What each response has besides.
    pub(super) headers: HeaderMap,
}

impl Rules {
    pub(super) fn new(path: &Path, file: File, sources: &Sources) -> Result<Self, WebConfigError> {
        let tls = match (&file.tls_server_config, &sources.tls) {
            (Some(tls), Some(sources)) => Some(TlsAcceptor::from(Arc::new(tls::build(path, tls, sources)?))),
            _ => None,
        };
        let rate = file.rate_limit.filter(|rate| !rate.interval.0.is_zero());
        if rate.as_ref().is_some_and(|rate| rate.burst == 0) {
            return Err(WebConfigError::field(path, "rate_limit.burst", "0 would refuse all requests"));
        }
        Ok(Rules {
            tls,
            users: Users::new(file.basic_auth_users.unwrap_or_default()),
            token: sources.token.clone(),
            rate: rate.map(|rate| Rate { interval: rate.interval.0, burst: rate.burst }),
            headers: headers(path, file.http_server_config.and_then(|http| http.headers).unwrap_or_default())?,
        })
    }
}

fn headers(path: &Path, configured: Headers) -> Result<HeaderMap, WebConfigError> {
    let frame_options = configured.x_frame_options.and_then(|options| match options {
        FrameOptions::Unset => None,
        FrameOptions::Deny => Some("deny".to_owned()),
        FrameOptions::SameOrigin => Some("sameorigin".to_owned()),
    });
    let content_type_options = configured.x_content_type_options.and_then(|options| match options {
        ContentTypeOptions::Unset => None,
        ContentTypeOptions::NoSniff => Some("nosniff".to_owned()),
    });
    let all: [(HeaderName, &'static str, Option<String>); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "http_server_config.headers.Content-Security-Policy",
            configured.content_security_policy,
        ),
        (header::X_FRAME_OPTIONS, "http_server_config.headers.X-Frame-Options", frame_options),
        (header::X_CONTENT_TYPE_OPTIONS, "http_server_config.headers.X-Content-Type-Options", content_type_options),
        (header::X_XSS_PROTECTION, "http_server_config.headers.X-XSS-Protection", configured.x_xss_protection),
        (
            header::STRICT_TRANSPORT_SECURITY,
            "http_server_config.headers.Strict-Transport-Security",
            configured.strict_transport_security,
        ),
    ];
    let mut headers = HeaderMap::new();
    for (name, field, value) in all {
        let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
        let value = HeaderValue::try_from(value)
            .map_err(|_| WebConfigError::field(path, field, "a header cannot have this value"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rules { tls, users, token, rate, headers } = self;
        f.debug_struct("Rules")
            .field("tls", &tls.is_some())
            .field("users", users)
            .field("token", &token.is_some())
            .field("rate", rate)
            .field("headers", headers)
            .finish()
    }
}
