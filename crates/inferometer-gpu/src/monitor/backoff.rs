//! How long to leave a driver alone that does not work.

use std::time::Duration;

/// Waits that double, up to a limit.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    limit: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, limit: Duration) -> Self {
        Backoff { first, limit, next: first }
    }

    /// How long to wait this time.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next.min(self.limit);
        self.next = self.next.saturating_mul(2).min(self.limit);
        wait
    }

    /// All is well.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_begin_again_when_all_is_well() {
        let second = Duration::from_secs;
        let mut backoff = Backoff::new(second(1), second(5));
        assert_eq!([(); 4].map(|()| backoff.next()), [1, 2, 4, 5].map(second));
        backoff.reset();
        assert_eq!(backoff.next(), second(1));
    }
}
