//! From a registry to bytes.
//!
//! [`Encoder`] goes through a registry and hands each series to a [dialect], which knows how a format writes it. What
//! does not change between scrapes is in a [cache].

mod cache;
mod dialect;
mod encoder;
mod names;
mod pass;
mod profiled;
mod protobuf;
mod taken;
mod text;

pub(crate) use encoder::{Encoder, PastLimit};
pub(crate) use names::Names;

pub(crate) use protobuf::Protobuf;
pub(crate) use text::{OpenMetrics, Text};
