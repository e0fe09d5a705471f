//! Points in time.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// An [`Instant`] in one word, made to be compared and subtracted for each token.
///
/// What takes a moment takes an [`Instant`] as well, at a few nanoseconds for the conversion. A moment that is used more
/// than once is better converted once.
///
/// ```
/// use inferometer_serving::Moment;
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// let end = Moment::from(start + Duration::from_millis(5));
/// assert_eq!(end.since(start.into()), Duration::from_millis(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Since some moment of the process, before which it is negative.
    nanos: i64,
}

impl Moment {
    /// No moment that there is.
    pub(crate) const NEVER: Moment = Moment { nanos: i64::MIN };

    /// This one.
    #[inline]
    pub fn now() -> Self {
        Instant::now().into()
    }

    /// The time since `earlier`; zero if that was later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// Zero if `earlier` is not.
    #[inline]
    pub(crate) fn nanos_since(self, earlier: Moment) -> u64 {
        self.nanos.saturating_sub(earlier.nanos).max(0) as u64
    }
}

impl From<Instant> for Moment {
    #[inline]
    fn from(instant: Instant) -> Self {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();

        let origin = *ORIGIN.get_or_init(Instant::now);
        match instant.checked_duration_since(origin) {
            Some(after) => Moment { nanos: nanos(after) },
            None => Moment { nanos: -nanos(origin.duration_since(instant)) },
        }
    }
}

/// In the width of a register; right for centuries.
#[inline]
fn nanos(duration: Duration) -> i64 {
    duration.as_secs() as i64 * 1_000_000_000 + i64::from(duration.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

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
