//! What the end-to-end tests share: a real engine, real HTTP clients, a reader of what `/metrics` serves, a real
//! Prometheus, and a real browser. Every program that is started here is killed when its handle is dropped.

pub mod browser;
pub mod child;
pub mod client;
pub mod dashboards;
pub mod engine;
pub mod exposition;
pub mod load;
pub mod monitoring;
pub mod open_metrics;
pub mod prometheus;
pub mod promtool;
pub mod skip;
pub mod wait;
pub mod webhook;

use std::path::{Path, PathBuf};

/// The root of the checkout.
pub fn root() -> PathBuf {
    // Cargo sets it when it runs a test.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).parent().map(Path::to_owned).unwrap_or_default()
}

/// The programs in the README compile, and those that end are run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
