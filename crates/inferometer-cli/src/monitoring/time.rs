//! Times in rules and configurations, which `--time-scale` divides.

use serde::{Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// Makes all times, and is the only place where they are divided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    scale: u32,
}

impl Clock {
    pub(crate) fn new(scale: u32) -> Self {
        Clock { scale }
    }

    pub(crate) fn time(self, time: Duration) -> Time {
        Time(time / self.scale)
    }

    pub(crate) fn seconds(self, n: u64) -> Time {
        self.time(Duration::from_secs(n))
    }

    pub(crate) fn minutes(self, n: u64) -> Time {
        self.seconds(60 * n)
    }

    pub(crate) fn hours(self, n: u64) -> Time {
        self.minutes(60 * n)
    }

    pub(crate) fn days(self, n: u64) -> Time {
        self.hours(24 * n)
    }
}

/// A window, a `for`, an interval: as it is written, so divided already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(Duration);

impl Time {
    /// In seconds, where an expression compares with it.
    pub(crate) fn as_secs(self) -> f64 {
        self.0.as_secs_f64()
    }
}

impl fmt::Display for Time {
    /// As a whole number of one unit, which all of Prometheus, promtool and Alertmanager read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u128, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        let milliseconds = self.0.as_millis();
        let unit = UNITS.into_iter().find(|(unit, _)| milliseconds > 0 && milliseconds.is_multiple_of(*unit));
        let (unit, suffix) = unit.unwrap_or((1, "ms"));
        write!(f, "{}{suffix}", milliseconds / unit)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_one_unit_and_divided_once() {
        let texts = |scale| {
            let clock = Clock::new(scale);
            [clock.seconds(15), clock.minutes(5), clock.minutes(90), clock.hours(6), clock.days(3)]
                .map(|time| time.to_string())
        };
        assert_eq!(texts(1), ["15s", "5m", "90m", "6h", "3d"]);
        assert_eq!(texts(30), ["500ms", "10s", "3m", "12m", "144m"]);
    }
}
