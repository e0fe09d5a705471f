//! What a call to a driver gave.

use crate::error::{ProbeError, Reason};
use crate::metric::Metric;

/// One value of one GPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// What it is.
    pub metric: Metric,
    /// The values of the metric's own labels, in their order.
    pub labels: &'static [&'static str],
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of a gauge, in the family's unit.
    Gauge(f64),
    /// Of a counter, as the driver has it. (The monitor makes of it one that never falls.)
    Counter(u64),
}

/// What a call gave: values, and what went wrong beside them.
#[derive(Debug, Default)]
pub struct Readings {
    readings: Vec<Reading>,
    failures: Vec<ProbeError>,
    unsupported: Option<ProbeError>,
}

impl Readings {
    /// A gauge's value.
    pub fn gauge(&mut self, metric: Metric, labels: &'static [&'static str], value: f64) {
        self.readings.push(Reading { metric, labels, value: Value::Gauge(value) });
    }

    /// A counter's value.
    pub fn counter(&mut self, metric: Metric, labels: &'static [&'static str], value: u64) {
        self.readings.push(Reading { metric, labels, value: Value::Counter(value) });
    }

    /// Notes that a part of the call failed. That a GPU does not have a value is no failure: see
    /// [`Readings::end`].
    pub fn failed(&mut self, error: ProbeError) {
        if error.reason() == Reason::Unsupported {
            self.unsupported = Some(error);
        } else {
            self.failures.push(error);
        }
    }

    /// Ends a call of several parts.
    ///
    /// # Errors
    /// When nothing was had: what went wrong or, if it is only that the GPU has no such values, that.
    pub fn end(&mut self) -> Result<(), ProbeError> {
        if !self.readings.is_empty() {
            return Ok(());
        }
        self.failures.pop().or(self.unsupported.take()).map_or(Ok(()), Err)
    }

    /// The values.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// What went wrong beside them.
    pub fn failures(&self) -> &[ProbeError] {
        &self.failures
    }
}
