//! Scrapes that failed, counted in the registry that they were of.

use inferometer::{Counter, Registry};

const NAME: &str = "inferometer_scrapes_failed_total";
const HELP: &str = "Scrapes that got no complete answer, by reason.";

/// Why a scrape got no complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The response would have been larger than it may be.
    TooLarge,
    /// The response was not rendered in time, or the client did not read it in time.
    TimedOut,
    /// The client went away in the middle of the response.
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only a server notices"))]
    Disconnected,
    /// There were too many connections or scrapes already.
    Refused,
    /// Rendering has panicked, or there was no thread for it.
    Panicked,
}

impl Failure {
    const ALL: [Failure; 5] =
        [Failure::TooLarge, Failure::TimedOut, Failure::Disconnected, Failure::Refused, Failure::Panicked];

    fn as_str(self) -> &'static str {
        match self {
            Failure::TooLarge => "too_large",
            Failure::TimedOut => "timed_out",
            Failure::Disconnected => "disconnected",
            Failure::Refused => "refused",
            Failure::Panicked => "panicked",
        }
    }
}

/// The counters, one for each reason.
#[derive(Debug)]
pub(crate) struct Failures([Option<Counter>; Failure::ALL.len()]);

impl Failures {
    /// Makes the counters, so that they stand at zero from the first scrape on. A registry without room for them is
    /// served all the same.
    pub(crate) fn register(registry: &Registry) -> Self {
        let described = registry.describe(NAME, None, HELP);
        let counter = |reason: Failure| registry.counter(NAME, &[("reason", reason.as_str())]);
        let counters = Failure::ALL.map(|reason| match counter(reason) {
            Ok(counter) => Some(counter),
            Err(error) => {
                log::warn!("failed scrapes are not counted: {error}");
                None
            }
        });
        if let Err(error) = described {
            log::warn!("the count of failed scrapes has no description: {error}");
        }
        Failures(counters)
    }

    pub(crate) fn count(&self, failure: Failure) {
        if let Some(counter) = &self.0[failure as usize] {
            counter.increment(1);
        }
    }
}
