//! What the macros expand to. Not for users: it changes without notice.

pub use crate::instrument::DynamicSite;
pub use crate::registry::{DECLARATIONS, Declaration, Declared};
pub use linkme;

use crate::grid::check_bounds;
use crate::registry::{Kind, Registry, name};
use crate::unit::Unit;

/// Refuses at compile time what [`Registry`] would refuse at run time.
#[track_caller]
pub const fn assert_metric(metric: &str, labels: &[&str]) {
    if let Err(error) = name::check_metric_name(metric) {
        panic!("{}", error.message());
    }
    assert_labels(labels);
}

/// The same for the labels of a `#[derive(LabelSet)]`.
#[track_caller]
pub const fn assert_labels(labels: &[&str]) {
    if let Err(error) = name::check_label_names(labels) {
        panic!("{}", error.message());
    }
}

/// The same for a `#[metric]`.
#[track_caller]
pub const fn assert_declared(metric: &str, kind: Kind, unit: Option<Unit>, bounds: &[f64]) {
    if let Err(error) = name::check_declared(metric, kind, unit) {
        panic!("{}", error.message());
    }
    if let Err(error) = check_bounds(bounds) {
        panic!("{}", error.message());
    }
}

/// For the `describe_*` macros.
pub fn describe(name: &str, unit: Option<Unit>, description: &str) {
    if cfg!(inferometer_off) {
        return;
    }
    if let Err(error) = Registry::global().describe(name, unit, description) {
        log::warn!("a description is ignored: {error}");
    }
}

/// The kind of a static's type, for `#[metric]`.
pub trait DeclaredKind {
    /// The kind.
    const KIND: Kind;
}

impl<I: crate::Instrument> DeclaredKind for I {
    const KIND: Kind = I::KIND;
}

impl<L: crate::LabelSet, I: crate::Instrument> DeclaredKind for crate::Family<L, I> {
    const KIND: Kind = I::KIND;
}
