//! A `web.yml` at work: read again when it has changed, and applied to connections and requests.

use super::WebConfig;
use super::rate_limit::RateLimiter;
use super::rules::Rules;
use super::sources::{self, Places, Sources};
use super::users::{Authenticator, Claim};
use crate::service::{MetricsBody, OneAtATime, plain, unavailable};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use inferometer::{Counter, Registry};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::server::TlsStream;

/// How often the files are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a connection waits for files that cannot be read at once, as on a network.
const PATIENCE: Duration = Duration::from_millis(500);

const REFUSED: &str = "inferometer_web_requests_refused_total";
const REFUSED_HELP: &str = "Connections and requests that the server's web.yml did not admit, by reason.";
const RELOAD_FAILURES: &str = "inferometer_web_config_reload_failures_total";
const RELOAD_FAILURES_HELP: &str = "Changes of the server's web.yml that could not be used.";

#[derive(Debug)]
pub(crate) struct Guard {
    live: Arc<Live>,
    reader: OneAtATime,
    next_look: Mutex<Instant>,
    authenticator: Authenticator,
    limiter: RateLimiter,
    refused: [Option<Counter>; Refusal::ALL.len()],
}

/// Why a connection or a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// There was no TLS to be agreed on, or no good certificate.
    Handshake,
    /// There were no good credentials.
    Unauthorized,
    /// There were too many requests.
    RateLimited,
}

impl Refusal {
    const ALL: [Refusal; 3] = [Refusal::Handshake, Refusal::Unauthorized, Refusal::RateLimited];

    fn as_str(self) -> &'static str {
        match self {
            Refusal::Handshake => "handshake",
            Refusal::Unauthorized => "unauthorized",
            Refusal::RateLimited => "rate_limited",
        }
    }
}

/// What is in force.
#[derive(Debug)]
struct Live {
    places: Places,
    state: Mutex<State>,
    failures: Option<Counter>,
}

struct State {
    rules: Arc<Rules>,
    /// What was last read, or why it could not be: neither is to be tried again and again.
    seen: Result<Sources, String>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Guard {
    /// The counters are made in `registry`. A registry without room for them is served all the same.
    pub(crate) fn new(config: WebConfig, registry: &Registry) -> io::Result<Self> {
        let authenticator = Authenticator::new().ok_or_else(|| io::Error::other("the system has no random numbers"))?;
        let counted = |name, help, labels: &[(&str, &str)]| {
            let described = registry.describe(name, None, help);
            let counter = described.and_then(|()| registry.counter(name, labels));
            counter.inspect_err(|error| log::warn!("{name} is not counted: {error}")).ok()
        };
        let WebConfig { places, sources, rules } = config;
        let state = State { rules: Arc::new(rules), seen: Ok(sources) };
        let failures = counted(RELOAD_FAILURES, RELOAD_FAILURES_HELP, &[]);
        Ok(Guard {
            live: Arc::new(Live { places, state: Mutex::new(state), failures }),
            reader: OneAtATime::new("inferometer-web"),
            next_look: Mutex::new(Instant::now() + LOOK_EVERY),
            authenticator,
            limiter: RateLimiter::default(),
            refused: Refusal::ALL.map(|reason| counted(REFUSED, REFUSED_HELP, &[("reason", reason.as_str())])),
        })
    }

    /// Whether connections are encrypted. This does not change while the server runs.
    pub(crate) fn encrypts(&self) -> bool {
        self.live.state().rules.tls.is_some()
    }

    /// Agrees on TLS over a connection. `None` when that fails, or takes too long.
    pub(crate) async fn secure<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: S,
        deadline: Instant,
    ) -> Option<TlsStream<S>> {
        let rules = self.rules().await;
        let error = match timeout_at(deadline, rules.tls.as_ref()?.accept(socket)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        log::debug!("a connection for metrics was broken off: {error}");
        self.refuse(Refusal::Handshake);
        None
    }

    /// Whether a request with these headers is to be answered.
    pub(crate) async fn admit(&self, headers: &HeaderMap, deadline: Instant) -> Admission {
        let rules = self.rules().await;
        let refusal = self.refusal(&rules, headers, deadline).await;
        Admission { rules, refusal }
    }

    async fn refusal(&self, rules: &Rules, headers: &HeaderMap, deadline: Instant) -> Option<Response<MetricsBody>> {
        if rules.rate.is_some_and(|rate| !self.limiter.admits(rate, std::time::Instant::now())) {
            self.refuse(Refusal::RateLimited);
            return Some(plain(StatusCode::TOO_MANY_REQUESTS, "too many requests\n"));
        }
        let has_users = !rules.users.is_empty();
        if !has_users && rules.token.is_none() {
            return None;
        }
        match (Claim::of(headers), &rules.token) {
            (Some(Claim::Bearer(given)), Some(right)) if self.authenticator.is_token(right, &given) => return None,
            (Some(Claim::User(credentials)), _) if has_users => {
                match timeout_at(deadline, self.authenticator.admits(&rules.users, credentials)).await {
                    Ok(true) => return None,
                    Ok(false) => {}
                    Err(_) => return Some(unavailable("the password was not compared in time\n")),
                }
            }
            _ => {}
        }
        self.refuse(Refusal::Unauthorized);
        let mut response = plain(StatusCode::UNAUTHORIZED, "unauthorized\n");
        for (scheme, is_taken) in [("Basic", has_users), ("Bearer", rules.token.is_some())] {
            if is_taken {
                response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
            }
        }
        Some(response)
    }

    fn refuse(&self, refusal: Refusal) {
        if let Some(counter) = &self.refused[refusal as usize] {
            counter.increment(1);
        }
    }

    /// What is in force now, after a look at the files if it is time for one.
    async fn rules(&self) -> Arc<Rules> {
        if self.is_time_to_look() {
            let live = Arc::clone(&self.live);
            if let Ok(Err(error)) = timeout(PATIENCE, self.reader.run(move || live.look())).await {
                log::error!("the web.yml of the metrics cannot be looked at: {error}");
            }
        }
        Arc::clone(&self.live.state().rules)
    }

    fn is_time_to_look(&self) -> bool {
        let now = Instant::now();
        let mut next = self.next_look.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now >= *next;
        if due {
            *next = now + LOOK_EVERY;
        }
        due
    }
}

impl Live {
    /// Reads the files and puts them in force, if they have changed and make sense.
    fn look(&self) {
        let read = sources::read(&self.places).map_err(|error| describe(&error));
        if let (Ok((_, sources)), Ok(seen)) = (&read, &self.state().seen)
            && sources == seen
        {
            return;
        }
        let (seen, rules) = match read {
            Ok((file, sources)) => {
                let rules = Rules::new(&self.places.web, file, &sources).map_err(|error| describe(&error));
                (Ok(sources), rules)
            }
            Err(error) => (Err(error.clone()), Err(error)),
        };
        let mut state = self.state();
        let rules = rules.and_then(|rules| match rules.tls.is_some() == state.rules.tls.is_some() {
            true => Ok(rules),
            false => Err(format!("{}: TLS can be switched on or off with a restart only", self.places.web.display())),
        });
        match rules {
            Ok(rules) => {
                state.rules = Arc::new(rules);
                log::info!("{} is in force anew", self.places.web.display());
            }
            Err(error) if seen.is_ok() || seen.as_ref().err() != state.seen.as_ref().err() => {
                log::error!("the web.yml of the metrics has changed and cannot be used, so the old one stays: {error}");
                if let Some(failures) = &self.failures {
                    failures.increment(1);
                }
            }
            Err(_) => {}
        }
        state.seen = seen;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error with its cause.
fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Whether a request is answered.
#[derive(Debug)]
pub(crate) struct Admission {
    rules: Arc<Rules>,
    /// What is said instead.
    pub(crate) refusal: Option<Response<MetricsBody>>,
}

impl Admission {
    /// Adds what each response has.
    pub(crate) fn finish(&self, response: &mut Response<MetricsBody>) {
        for (name, value) in &self.rules.headers {
            response.headers_mut().insert(name, value.clone());
        }
    }
}
