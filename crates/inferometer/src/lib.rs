//! Metrics that an inference engine can afford.
#![cfg_attr(loom, allow(dead_code, unused_imports))]

mod grid;
mod storage;
mod sync;
#[cfg(not(loom))]
mod instrument;
#[cfg(not(loom))]
mod label;
#[cfg(not(loom))]
mod macros;
#[cfg(not(loom))]
mod registry;
#[cfg(not(loom))]
mod self_metrics;
#[cfg(not(loom))]
mod snapshot;
mod unit;
#[cfg(not(loom))]
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

extern crate self as inferometer;

pub use grid::{Buckets, BucketsError, Domain};
pub use inferometer_derive::{LabelSet, LabelValue, metric};
pub use instrument::{
    Counter, Family, Gauge, Histogram, Instrument, IntoF64, Local, Observation, SignalSafe, UpDownCounter,
    counter_fn, gauge_fn,
};
pub use label::{LabelSet, LabelValue};
pub use macros::Level;
pub use registry::{Kind, Matcher, NameError, RegisterError, Registry};
pub use snapshot::{
    FamilySnapshot, FamilyView, HistogramSnapshot, HistogramSum, HistogramView, NativeView, Sample,
    SeriesId, SeriesSnapshot, SeriesView, Snapshot, Value, Visitor,
};
pub use unit::Unit;
