//! Our instruments as the facade's handles.

use crate::instrument::{Counter, Gauge, Histogram, Instrument};
use crate::storage;
use metrics::{CounterFn, GaugeFn, HistogramFn};
use std::sync::Arc;

/// A handle of the facade, and what of ours it stands for.
pub(super) trait Handle {
    type Instrument: Instrument;

    fn of(instrument: Self::Instrument) -> Self;

    /// For what could not be registered: it counts its records as dropped.
    fn refused() -> Self;

    /// Without memory behind it.
    fn noop() -> Self;
}

macro_rules! handle {
    ($handle:ty, $instrument:ty) => {
        impl Handle for $handle {
            type Instrument = $instrument;

            fn of(instrument: $instrument) -> Self {
                Self::from_arc(Arc::new(instrument))
            }

            fn refused() -> Self {
                Self::from_arc(Arc::new(Refused))
            }

            fn noop() -> Self {
                Self::noop()
            }
        }
    };
}

handle!(metrics::Counter, Counter);
handle!(metrics::Gauge, Gauge);
handle!(metrics::Histogram, Histogram<f64>);

impl CounterFn for Counter {
    fn increment(&self, n: u64) {
        self.increment(n);
    }

    fn absolute(&self, value: u64) {
        self.absolute(value);
    }
}

impl GaugeFn for Gauge {
    fn increment(&self, by: f64) {
        self.increment(by);
    }

    fn decrement(&self, by: f64) {
        self.decrement(by);
    }

    fn set(&self, value: f64) {
        self.set(value);
    }
}

impl HistogramFn for Histogram<f64> {
    fn record(&self, value: f64) {
        self.record(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.record_n(value, count as u64);
    }
}

struct Refused;

impl CounterFn for Refused {
    fn increment(&self, _: u64) {
        storage::drop_record();
    }

    fn absolute(&self, _: u64) {
        storage::drop_record();
    }
}

impl GaugeFn for Refused {
    fn increment(&self, _: f64) {
        storage::drop_record();
    }

    fn decrement(&self, _: f64) {
        storage::drop_record();
    }

    fn set(&self, _: f64) {
        storage::drop_record();
    }
}

impl HistogramFn for Refused {
    fn record(&self, _: f64) {
        storage::drop_record();
    }

    fn record_many(&self, _: f64, _: usize) {
        storage::drop_record();
    }
}
