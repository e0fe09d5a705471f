//! From a registry to bytes.
//!
//! [`Encoder`] goes through a registry once and hands each series to a [dialect], which knows how a format writes it. What
//! does not change between scrapes is in a [cache].

mod cache;
mod dialect;
mod names;
mod pass;
mod protobuf;
mod text;

pub(crate) use names::Names;
pub(crate) use pass::{Encoder, PastLimit};
pub(crate) use protobuf::Protobuf;
pub(crate) use text::{OpenMetrics, Text};
