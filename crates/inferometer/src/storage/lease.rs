//! A series' claim on its cells.

use super::pool::Pool;
use super::ranges::Shape;
use super::slot::Slot;

/// The right to write to a range of cells and to read it. When it is dropped, the range goes back. Leases are shared
/// through `Arc`, whose count is the whole of the reuse protocol: see the essay in [`crate::storage`].
#[derive(Debug)]
pub(crate) struct Lease {
    pool: &'static Pool,
    slot: Slot,
    shape: Shape,
}

impl Lease {
    pub(super) fn new(pool: &'static Pool, slot: Slot, shape: Shape) -> Self {
        Lease { pool, slot, shape }
    }

    pub(crate) fn slot(&self) -> Slot {
        self.slot
    }

    pub(crate) fn cells(&self) -> usize {
        self.shape.cells as usize
    }

    /// Counts forks: see [`Pool::start_over`].
    pub(crate) fn epoch(&self) -> usize {
        self.pool.epoch()
    }

    /// The sums over all threads of all cells, wrapping, with what former series left in them.
    pub(crate) fn read(&self, into: &mut [u64]) {
        into.fill(0);
        self.pool.accumulate(self.slot, into);
    }

    /// The sum over all threads of cell `at`, wrapping, with what former series left in it.
    pub(crate) fn total(&self, at: usize) -> u64 {
        self.pool.total(self.slot.add(at))
    }

    /// What the cells hold now.
    pub(crate) fn mark(&self) -> Baseline {
        let mut cells = vec![0; self.cells()];
        self.read(&mut cells);
        let float_every = self.shape.float_every as usize;
        let floats = if float_every == 0 {
            Box::default()
        } else {
            (0..self.cells()).step_by(float_every).map(|at| self.pool.total_f64(self.slot.add(at))).collect()
        };
        Baseline { cells: cells.into(), floats, epoch: self.epoch() }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.give_back(self.slot, self.shape);
    }
}

/// What a lease's cells held when a series began, to be subtracted from what they hold later.
#[derive(Debug, Default)]
pub(crate) struct Baseline {
    cells: Box<[u64]>,
    /// The cells that hold floats, as such.
    floats: Box<[f64]>,
    /// A child of a fork starts with zeroed cells, so its parent's baselines do not apply.
    epoch: usize,
}

impl Baseline {
    /// Whether there is nothing to subtract.
    pub(crate) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    fn applies_to(&self, lease: &Lease) -> bool {
        !self.is_empty() && self.epoch == lease.epoch()
    }

    /// The baseline of cell `at`.
    pub(crate) fn value(&self, lease: &Lease, at: usize) -> u64 {
        if self.applies_to(lease) { self.cells[at] } else { 0 }
    }

    /// Turns what the cells hold into what was recorded since.
    pub(crate) fn subtract(&self, lease: &Lease, cells: &mut [u64]) {
        if self.applies_to(lease) {
            for (value, base) in cells.iter_mut().zip(&self.cells) {
                *value = value.wrapping_sub(*base);
            }
        }
    }

    /// The float in cell `at`, since the baseline. The difference is exact only to the last place of what the cell held
    /// before, which a reader can tell from a lost count no better than any float sum.
    pub(crate) fn total_f64(&self, lease: &Lease, at: usize) -> f64 {
        let base = if self.applies_to(lease) { self.floats[at / lease.shape.float_every as usize] } else { 0.0 };
        (lease.pool.total_f64(lease.slot.add(at)) - base).max(0.0)
    }
}
