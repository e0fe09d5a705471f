//! The recording thread's side: its copy of the table, and how it gets and gives back its slab.

use super::slab::{Slab, cell};
use super::slot::{CHUNKS, Slot, TABLE};
use super::{POOL, probe, recorders};
use crate::sync::{AtomicPtr, AtomicU64, Ordering, order};
use std::cell::Cell;
use std::ptr;

/// What a thread's storage can do at the moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It may get a slab and chunks.
    Open,
    /// It is inside a cold path: a record made now comes from an allocator or a signal handler that interrupted it.
    Busy,
    /// It has given its slab back.
    Ended,
}

thread_local! {
    // Const-initialised and without a destructor, so that access is one instruction and works until the very end.
    static CHUNK_TABLE: ChunkTable = const { [const { AtomicPtr::new(ptr::null_mut()) }; TABLE] };
    static SLAB: Cell<Option<&'static Slab>> = const { Cell::new(None) };
    static LIFE: Cell<Life> = const { Cell::new(Life::Open) };
    // Its destructor gives the slab back. Only the cold path touches it.
    static RETURN: Return = const { Return };
}

/// This thread's copy of its slab's table. An entry may be null although the slab has the chunk, which only sends a
/// record to the cold path: so another thread may clear it, see [`super::probe`].
pub(crate) type ChunkTable = [AtomicPtr<AtomicU64>; TABLE];

struct Return;

impl Drop for Return {
    fn drop(&mut self) {
        // First nobody else can reach the table any more, then no record of this thread the slab. Then somebody else may
        // have that.
        CHUNK_TABLE.with(recorders::leave);
        LIFE.set(Life::Ended);
        clear_table();
        if let Some(slab) = SLAB.take() {
            POOL.park(slab);
        }
    }
}

/// This thread's chunk for `slot`, or null when it has none or the slot is unregistered.
///
/// Valid until the thread ends; must not be kept across a call to code that could end it.
#[inline(always)]
pub(crate) fn chunk(slot: Slot) -> *const AtomicU64 {
    CHUNK_TABLE.with(|table| table[slot.chunk()].load(order::CELL))
}

/// Adds to a cell whose only writer is this thread.
#[inline(always)]
pub(crate) fn add_own(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(order::CELL).wrapping_add(n), order::CELL);
}

/// Adds to a float in a cell whose only writer is this thread.
#[inline(always)]
pub(crate) fn add_own_f64(cell: &AtomicU64, x: f64) {
    cell.store((f64::from_bits(cell.load(order::CELL)) + x).to_bits(), order::CELL);
}

/// Where the cold path of a record may add.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cells {
    /// Cells that only this thread writes.
    Own(*const AtomicU64, usize),
    /// Cells of the overflow slab.
    Shared(*const AtomicU64, usize),
}

impl Cells {
    pub(crate) fn add(self, at: usize, n: u64) {
        match self {
            Cells::Own(chunk, base) => add_own(cell(chunk, base + at), n),
            Cells::Shared(chunk, base) => {
                cell(chunk, base + at).fetch_add(n, order::CELL);
            }
        }
    }

    pub(crate) fn add_f64(self, at: usize, x: f64) {
        match self {
            Cells::Own(chunk, base) => add_own_f64(cell(chunk, base + at), x),
            Cells::Shared(chunk, base) => {
                let add = |bits| Some((f64::from_bits(bits) + x).to_bits());
                // The closure always answers `Some`, so this cannot fail.
                let _ = cell(chunk, base + at).fetch_update(order::CELL, order::CELL, add);
            }
        }
    }
}

/// The cells of a registered slot. Where the thread's table has no chunk for it: makes the chunk, or falls back to the
/// overflow slab where that is impossible. `None` when the slot is unregistered.
#[inline(always)]
pub(crate) fn touch(slot: Slot) -> Option<Cells> {
    let present = chunk(slot);
    if present.is_null() { touch_first(slot) } else { Some(Cells::Own(present, slot.offset())) }
}

#[cold]
#[inline(never)]
fn touch_first(slot: Slot) -> Option<Cells> {
    if !slot.is_registered() {
        return None;
    }
    let own = match enter() {
        Entry::Open(_busy) => own_chunk(slot.chunk()),
        Entry::Nested | Entry::Ended => None,
    };
    match own {
        Some(chunk) => Some(Cells::Own(chunk, slot.offset())),
        None => overflow(slot),
    }
}

/// The cells of a registered slot in the overflow slab. Async-signal-safe: two loads.
pub(crate) fn overflow(slot: Slot) -> Option<Cells> {
    if !slot.is_registered() {
        return None;
    }
    let chunk = POOL.overflow().chunk(slot.chunk());
    (!chunk.is_null()).then(|| Cells::Shared(chunk, slot.offset()))
}

/// What a cold path may do on this thread.
pub(crate) enum Entry {
    /// Anything, as long as the mark is kept.
    Open(Busy),
    /// Nothing that allocates or locks: this is a record from an allocator or a signal handler, inside a cold path.
    Nested,
    /// Locks and allocates, but has no slab of its own any more: the thread is ending.
    Ended,
}

/// Clears a table, so that the next record of its thread takes the cold path.
pub(super) fn clear(table: &ChunkTable) {
    table.iter().take(CHUNKS).for_each(|chunk| chunk.store(ptr::null_mut(), order::CELL));
}

/// Clears this thread's.
pub(super) fn clear_table() {
    CHUNK_TABLE.with(clear);
}

/// Marks this thread as being in a cold path.
pub(crate) fn enter() -> Entry {
    match LIFE.get() {
        Life::Open => {
            LIFE.set(Life::Busy);
            Entry::Open(Busy)
        }
        Life::Busy => Entry::Nested,
        Life::Ended => Entry::Ended,
    }
}

/// The mark; dropping it takes it away.
pub(crate) struct Busy;

impl Drop for Busy {
    fn drop(&mut self) {
        LIFE.set(Life::Open);
    }
}

fn own_chunk(index: usize) -> Option<*const AtomicU64> {
    let slab = match SLAB.get() {
        Some(slab) => slab,
        None => {
            // Registers the destructor. It fails when that has run already.
            RETURN.try_with(|_| ()).ok()?;
            let slab = POOL.adopt();
            SLAB.set(Some(slab));
            CHUNK_TABLE.with(recorders::join);
            slab
        }
    };
    let chunk = slab.ensure_chunk(index, POOL.chunk_cells(index));
    if chunk.is_null() {
        return None; // out of memory: the overflow slab has its cells already
    }
    if !probe::is_under_way() {
        // All there are: an inherited slab comes with the chunks of its former owners.
        CHUNK_TABLE.with(|table| {
            for (index, entry) in table.iter().enumerate().take(CHUNKS) {
                entry.store(slab.chunk(index).cast_mut(), order::CELL);
            }
        });
    }
    Some(chunk)
}

/// This thread's slab, for the child of a fork.
pub(crate) fn own_slab() -> Option<&'static Slab> {
    SLAB.get()
}

/// This thread's table, if it has a slab; for the child of a fork.
#[cfg(unix)]
pub(crate) fn own_table<R>(look: impl FnOnce(Option<&ChunkTable>) -> R) -> R {
    CHUNK_TABLE.with(|table| look(SLAB.get().map(|_| table)))
}

/// Records that were lost because they came before registration, inside an allocator or a signal handler.
pub(crate) static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Counts a record that had no cell to go to.
#[cold]
pub(crate) fn drop_record() {
    DROPPED.fetch_add(1, Ordering::Relaxed);
}
