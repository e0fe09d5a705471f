//! What to do when no connection can be accepted.

use std::io::{self, ErrorKind};
use std::time::Duration;

/// How long to wait before another try to accept.
///
/// When the process has run out of file descriptors, `accept` fails at once, and the connection that it failed for is
/// still there: trying again and again would take a whole core until somebody closes a file.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

impl Backoff {
    pub(super) fn new() -> Self {
        Backoff { next: FIRST }
    }

    /// A connection was accepted.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// Accepting has failed: how long to wait. `None` when it was that connection's fault, and the next one is as good
    /// as any.
    pub(super) fn after(&mut self, error: &io::Error) -> Option<Duration> {
        match error.kind() {
            ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted => None,
            _ => {
                let wait = self.next;
                self.next = (wait * 2).min(LONGEST);
                Some(wait)
            }
        }
    }

    /// Whether the last failure was the first one in a row.
    pub(super) fn has_just_begun(&self) -> bool {
        self.next == FIRST * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `EMFILE`, "too many open files", which has no [`ErrorKind`].
    fn out_of_files() -> io::Error {
        io::Error::from_raw_os_error(24)
    }

    #[test]
    fn running_out_of_files_waits_longer_each_time_up_to_a_second() {
        let mut backoff = Backoff::new();
        let waits: Vec<u128> = (0..9).map(|_| backoff.after(&out_of_files()).unwrap().as_millis()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    }

    #[test]
    fn a_connection_that_is_accepted_ends_the_waiting() {
        let mut backoff = Backoff::new();
        backoff.after(&out_of_files());
        assert!(backoff.has_just_begun());
        backoff.after(&out_of_files());
        assert!(!backoff.has_just_begun());
        backoff.reset();
        assert_eq!(backoff.after(&out_of_files()), Some(FIRST));
    }

    #[test]
    fn a_connection_that_broke_before_it_was_accepted_costs_no_wait() {
        let mut backoff = Backoff::new();
        for kind in [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::Interrupted] {
            assert_eq!(backoff.after(&kind.into()), None);
        }
        assert_eq!(backoff.after(&out_of_files()), Some(FIRST));
    }
}
