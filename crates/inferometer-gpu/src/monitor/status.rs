//! How a monitor is.

use crate::error::ProbeError;
use std::fmt;

/// How a monitor's driver is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It has not answered yet.
    Starting,
    /// It answers for all GPUs that are watched.
    Up {
        /// The kind of probe.
        driver: &'static str,
        /// How many GPUs are watched.
        devices: usize,
    },
    /// It is not there, or a GPU does not work. It is asked again, less and less often.
    Down {
        /// The kind of probe, where a driver was found.
        driver: Option<&'static str>,
        /// What is wrong.
        error: ProbeError,
    },
}

impl Status {
    /// Whether all is well.
    pub fn is_up(&self) -> bool {
        matches!(self, Status::Up { .. })
    }

    /// Whether it is worth telling after `before`: messages may differ in details.
    pub(super) fn is_news_after(&self, before: &Status) -> bool {
        match (self, before) {
            (Status::Down { driver, error }, Status::Down { driver: other, error: old }) => {
                driver != other || error.reason() != old.reason()
            }
            _ => self != before,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Starting => f.write_str("no answer yet"),
            Status::Up { driver, devices: 1 } => write!(f, "1 GPU ({driver})"),
            Status::Up { driver, devices } => write!(f, "{devices} GPUs ({driver})"),
            Status::Down { driver: None, error } => write!(f, "no GPU metrics: {error}"),
            Status::Down { driver: Some(driver), error } => write!(f, "GPU trouble ({driver}): {error}"),
        }
    }
}
