//! Labels: the sets that users declare, and the thread-local cache that finds a series by its labels' content.

pub(crate) mod cache;
mod packed;
mod set;

pub(crate) use packed::{Labels, Packed};
pub use set::{LabelSet, LabelValue};
