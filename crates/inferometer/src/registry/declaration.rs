//! Metrics that are declared in the source: `#[metric]` statics, and macro calls with literal names.

use super::{RegisterError, Registry};
use crate::grid::Buckets;
use crate::sampling::Sampling;
use crate::unit::Unit;
use linkme::distributed_slice;

/// What a declaration says. Made by the macros only.
#[doc(hidden)]
#[derive(Debug)]
pub struct Declaration {
    pub name: &'static str,
    pub help: &'static str,
    pub unit: Option<Unit>,
    /// Labels with constant values.
    pub labels: &'static [(&'static str, &'static str)],
    pub buckets: Option<Buckets>,
    pub max_series: Option<usize>,
    pub sampling: Option<Sampling>,
}

impl Declaration {
    /// The declaration of a macro call.
    pub const fn named(name: &'static str, labels: &'static [(&'static str, &'static str)]) -> Self {
        Declaration { name, help: "", unit: None, labels, buckets: None, max_series: None, sampling: None }
    }
}

/// A static that registers itself when the global registry is first used.
#[doc(hidden)]
pub trait Declared: Sync {
    /// Registers the static in the global registry, which is being made.
    fn register(&self, registry: &Registry) -> Result<(), RegisterError>;
}

/// All `#[metric]` statics of the program, collected by the linker.
#[doc(hidden)]
#[distributed_slice]
pub static DECLARATIONS: [&'static dyn Declared];
