//! What counters and up-down counters have in common: a slot, and how it is found.

use super::measured::measured;
use super::{Instrument, Owner, calibration, owner};
use crate::registry::{Declaration, RegisterError, Registry, Series};
use crate::sampling::costs;
use crate::storage::{self, Slot};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The slot of an instrument that has `CELLS` cells.
#[derive(Debug)]
pub(super) struct Anchor<const CELLS: usize> {
    /// Relaxed throughout: what it points to is found through the thread's own table.
    slot: AtomicU32,
    owner: Owner,
}

impl<const CELLS: usize> Anchor<CELLS> {
    /// For an instrument that records nowhere.
    #[inline(always)]
    pub(super) const fn detached() -> Self {
        Anchor { slot: AtomicU32::new(Slot::REFUSED.bits()), owner: Owner::NOWHERE }
    }

    pub(super) const fn declared(declaration: &'static Declaration) -> Self {
        Anchor { slot: AtomicU32::new(Slot::UNREGISTERED.bits()), owner: Owner::declared(declaration) }
    }

    /// For a member of the series whose first cell is `first`.
    #[inline(always)]
    pub(super) fn of_member(first: Slot, member: usize, owner: Owner) -> Self {
        Anchor { slot: AtomicU32::new(first.add(member * CELLS).bits()), owner }
    }

    pub(super) fn owner(&self) -> &Owner {
        &self.owner
    }

    #[inline(always)]
    pub(super) fn slot(&self) -> Slot {
        Slot::from_bits(self.slot.load(Relaxed))
    }

    /// The record path: adds `n` to one of the cells. The last cell takes what is more than one, so that the number of
    /// calls can be told from the cells; for a constant 1 that folds away.
    #[inline(always)]
    pub(super) fn add<I: Instrument>(&self, cell: usize, n: u64) {
        if cfg!(inferometer_off) {
            return;
        }
        let slot = self.slot();
        let chunk = storage::chunk(slot);
        if chunk.is_null() {
            // Only a static may be without a slot. The other case takes plain values: see `Owner`.
            let slot = if self.owner.is_declared() { self.registered_slot::<I>() } else { slot };
            return add_cold(slot, cell, CELLS - 1, n);
        }
        storage::add_own(storage::cell(chunk, slot.offset() + cell), n);
        if n != 1 {
            storage::add_own(storage::cell(chunk, slot.offset() + CELLS - 1), n.wrapping_sub(1));
        }
    }

    /// Registers a static, unless that has been done.
    pub(super) fn register<I: Instrument>(&self, registry: &Registry) -> Result<(), RegisterError> {
        if let Some((series, member)) = self.owner.series_in::<I>(Some(registry))? {
            self.pin(series, member);
        }
        Ok(())
    }

    /// The slot, found if need be.
    #[cold]
    #[inline(never)]
    fn registered_slot<I: Instrument>(&self) -> Slot {
        let slot = self.slot();
        if slot.is_registered() {
            return slot;
        }
        match self.owner.resolve::<I>(slot) {
            Ok((series, member)) => self.pin(series, member),
            Err(slot) => {
                self.slot.store(slot.bits(), Relaxed);
                slot
            }
        }
    }

    fn pin(&self, series: Arc<Series>, member: usize) -> Slot {
        let slot = owner::pin(series).slot().unwrap_or(Slot::REFUSED).add(member * CELLS);
        self.slot.store(slot.bits(), Relaxed);
        slot
    }
}

/// The cold path of a record to cell `at` of a slot, whose cell `excess` takes what is more than one.
///
/// It takes plain values and, by its calling convention, does not unwind: else a handle that was only borrowed for this
/// record would have to stand in memory, to be dropped. (Nothing in it panics.)
#[cold]
#[inline(never)]
extern "C" fn add_cold(slot: Slot, at: usize, excess: usize, n: u64) {
    let Some(cells) = storage::touch(slot) else { return storage::drop_record() };
    measured(&costs::ADD, cells, calibration::cells(), |cells| {
        cells.add(at, n);
        if n != 1 {
            cells.add(excess, n.wrapping_sub(1));
        }
    });
}
