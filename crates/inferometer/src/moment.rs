//! Points in time for users: the clock of timed sections.

use crate::clock;
use std::ops::{Add, AddAssign, Sub};
use std::time::{Duration, Instant};

/// A point in time, by the clock that timed sections are measured with: on most machines the processor's time stamp counter,
/// which is read in two fifths of the time that [`Instant::now`] takes, and with one cache line of memory.
///
/// It goes up steadily, also between threads, and follows the system's monotonic clock: how long a tick is, each scrape
/// checks and refines. A moment has one word, and two of them are compared and subtracted at once.
///
/// ```
/// use inferometer::{Histogram, Moment, Registry};
/// let registry = Registry::new();
/// let step: Histogram = registry.histogram("step_seconds", &[])?;
/// let mut began = Moment::now();
/// for _ in 0..3 {
///     // ... the forward pass ...
///     let ended = Moment::now();
///     step.record(ended.since(began));
///     began = ended;
/// }
/// assert_eq!(registry.snapshot().histogram("step_seconds", &[]).unwrap().count(), 3);
/// # Ok::<(), inferometer::RegisterError>(())
/// ```
///
/// An [`Instant`] can be made a moment: both clocks are read for it, so it takes longer than the `Instant` itself, and is
/// right to some tens of nanoseconds. Who can takes a moment from the start.
///
/// With `--cfg inferometer_off` it is still a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    ticks: u64,
}

impl Moment {
    /// This one.
    #[inline(always)]
    pub fn now() -> Self {
        Moment { ticks: clock::now() }
    }

    /// The time since `earlier`; zero if that was later.
    #[inline]
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// The same in whole nanoseconds, as [`Histogram::record_nanos`](crate::Histogram::record_nanos) takes them.
    #[inline]
    pub fn nanos_since(self, earlier: Moment) -> u64 {
        clock::nanos(self.ticks.saturating_sub(earlier.ticks))
    }

    /// The time since then.
    #[inline]
    pub fn elapsed(self) -> Duration {
        Moment::now().since(self)
    }
}

/// What is later than the clock can tell, after centuries, is the last moment that it can.
impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, time: Duration) -> Moment {
        Moment { ticks: self.ticks.saturating_add(ticks(time)) }
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, time: Duration) {
        *self = *self + time;
    }
}

/// What is before the clock began, usually with the machine, is its first moment.
impl Sub<Duration> for Moment {
    type Output = Moment;

    fn sub(self, time: Duration) -> Moment {
        Moment { ticks: self.ticks.saturating_sub(ticks(time)) }
    }
}

fn ticks(time: Duration) -> u64 {
    clock::ticks(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Self {
        /// Between two readings a thread may have to wait for a processor, but hardly twice in a row. The readings are
        /// further apart then.
        const TRIES: u32 = 3;
        const CLOSE: u64 = 5_000;

        let (now, ticks) = clock::read_both(TRIES, CLOSE);
        let moment = Moment { ticks };
        match now.checked_duration_since(instant) {
            Some(ago) => moment - ago,
            None => moment + instant.duration_since(now),
        }
    }
}
