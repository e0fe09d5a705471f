//! A limit of how often requests are answered.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One more request each interval, and so many at once if there were none for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) interval: Duration,
    pub(super) burst: u32,
}

/// Requests of the past, as far as they matter.
#[derive(Debug, Default)]
pub(super) struct RateLimiter {
    /// When all of a burst can be had again; all of it if that is past.
    full_at: Mutex<Option<Instant>>,
}

impl RateLimiter {
    /// Whether a request may be answered.
    pub(super) fn admits(&self, rate: Rate, now: Instant) -> bool {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full = full_at.unwrap_or(now).max(now);
        let after = full.checked_add(rate.interval);
        match after {
            Some(after) if after.duration_since(now) <= rate.interval.saturating_mul(rate.burst) => {
                *full_at = Some(after);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_is_admitted_at_once_and_then_one_each_interval() {
        let (limiter, rate, start) = (RateLimiter::default(), Rate { interval: SECOND, burst: 3 }, Instant::now());
        let at = |millis| limiter.admits(rate, start + Duration::from_millis(millis));
        assert_eq!(
            [0, 0, 0, 0, 999, 1_000, 1_000, 1_999, 2_000].map(at),
            [true, true, true, false, false, true, false, false, true]
        );
    }

    #[test]
    fn a_rest_gives_back_a_burst_and_no_more() {
        let (limiter, rate, start) = (RateLimiter::default(), Rate { interval: SECOND, burst: 2 }, Instant::now());
        assert!(limiter.admits(rate, start));
        let later = start + 100 * SECOND;
        assert_eq!([later; 3].map(|now| limiter.admits(rate, now)), [true, true, false]);
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let (limiter, rate, start) = (RateLimiter::default(), Rate { interval: SECOND, burst: 1 }, Instant::now());
        assert!(limiter.admits(rate, start));
        for _ in 0..1_000 {
            assert!(!limiter.admits(rate, start));
        }
        assert!(limiter.admits(rate, start + SECOND));
    }

    #[test]
    fn an_interval_past_the_clock_admits_none() {
        assert!(!RateLimiter::default().admits(Rate { interval: Duration::MAX, burst: 1 }, Instant::now()));
    }
}
