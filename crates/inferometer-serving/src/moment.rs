//! Points in time, in one word.

use std::sync::OnceLock;
use std::time::Instant;

/// An [`Instant`] as nanoseconds since some moment of the process, before which it is negative. It is compared and
/// subtracted for each token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(i64);

impl Moment {
    /// No moment that there is.
    pub(crate) const NEVER: Moment = Moment(i64::MIN);

    pub(crate) fn now() -> Self {
        Instant::now().into()
    }

    /// Zero if `earlier` is not.
    #[inline]
    pub(crate) fn nanos_since(self, earlier: Moment) -> u64 {
        self.0.saturating_sub(earlier.0).max(0) as u64
    }
}

impl From<Instant> for Moment {
    #[inline]
    fn from(instant: Instant) -> Self {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();

        let origin = *ORIGIN.get_or_init(Instant::now);
        match instant.checked_duration_since(origin) {
            Some(after) => Moment(after.as_nanos() as i64),
            None => Moment(-(origin.duration_since(instant).as_nanos() as i64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn moments_before_the_first_one_are_as_far_apart_as_those_after_it() {
        let now = Instant::now();
        let moment = Moment::from;
        let second = Duration::from_secs(1);
        assert_eq!(moment(now + second).nanos_since(moment(now)), 1_000_000_000);
        if let Some(before) = now.checked_sub(second) {
            assert_eq!(moment(now).nanos_since(moment(before)), 1_000_000_000);
            assert_eq!(moment(before).nanos_since(moment(now)), 0);
        }
    }
}
