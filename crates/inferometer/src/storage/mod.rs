//! todo essay
mod lease;
mod pool;
mod ranges;
mod slab;
mod slot;
#[cfg(not(loom))]
mod thread;

pub(crate) use lease::{Baseline, Lease};
pub(crate) use pool::Pool;
pub(crate) use ranges::{Ranges, Shape};
pub(crate) use slab::{Slab, cell};
pub(crate) use slot::Slot;
#[cfg(not(loom))]
pub(crate) use thread::{DROPPED, add_own, add_own_f64, chunk, drop_record, enter, overflow, own_slab, touch, Cells, Entry};

/// The storage of the process.
#[cfg(not(loom))]
pub(crate) static POOL: Pool = Pool::new();
