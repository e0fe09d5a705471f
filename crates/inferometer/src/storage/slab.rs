//! One thread's cells, as the scraper sees them.

use super::slot::{CHUNKS, Slot};
use crate::sync::{AtomicPtr, AtomicU64, order};
use std::ptr;

/// A table of chunks of cells. A thread that records keeps a copy of the table in thread-local storage; this one is
/// for the scraper. Slabs and chunks are never freed: threads inherit them, so there are at most as many as there were
/// ever threads alive at once.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Slab {
    chunks: [AtomicPtr<AtomicU64>; CHUNKS],
}

impl Slab {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Slab { chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS] }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Slab { chunks: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())) }
    }

    /// The chunk's first cell, or null when nobody has touched the chunk in this slab.
    pub(crate) fn chunk(&self, index: usize) -> *const AtomicU64 {
        self.chunks[index].load(order::OBSERVE)
    }

    /// Makes sure that the chunk exists and returns it; null when memory is exhausted.
    ///
    /// Only the slab's owner may call this (for the overflow slab: whoever holds the allocator's lock), so nobody else
    /// can publish a chunk at the same time.
    pub(crate) fn ensure_chunk(&self, index: usize, cells: usize) -> *const AtomicU64 {
        let present = self.chunk(index);
        if !present.is_null() {
            return present;
        }
        let fresh = zeroed_cells(cells);
        if !fresh.is_null() {
            self.chunks[index].store(fresh, order::publish());
        }
        fresh
    }

    /// Adds the values of `into.len()` cells from `slot` on to `into`, wrapping. A chunk that was never touched counts
    /// as zeros.
    pub(crate) fn accumulate(&self, slot: Slot, into: &mut [u64]) {
        let chunk = self.chunk(slot.chunk());
        if chunk.is_null() {
            return;
        }
        for (i, sum) in into.iter_mut().enumerate() {
            *sum = sum.wrapping_add(cell(chunk, slot.offset() + i).load(order::CELL));
        }
    }

    /// Sets cells to zero that nobody writes to meanwhile.
    pub(crate) fn zero(&self, slot: Slot, cells: usize) {
        let chunk = self.chunk(slot.chunk());
        if !chunk.is_null() {
            (0..cells).for_each(|i| cell(chunk, slot.offset() + i).store(0, order::CELL));
        }
    }

    /// The value of one cell.
    pub(crate) fn value(&self, slot: Slot) -> u64 {
        let chunk = self.chunk(slot.chunk());
        if chunk.is_null() { 0 } else { cell(chunk, slot.offset()).load(order::CELL) }
    }
}

/// The cell at `offset` of a chunk that is not null.
#[inline(always)]
pub(crate) fn cell<'a>(chunk: *const AtomicU64, offset: usize) -> &'a AtomicU64 {
    // SAFETY: validity: a slot's offset lies inside its chunk, because the allocator gives out no range past the size
    // with which every slab allocates that chunk. Aliasing: no memory is touched yet.
    let cell = unsafe { chunk.add(offset) };
    // SAFETY: validity: as above, and chunks are never freed. Aliasing: cells are atomics and are only ever reached
    // through shared references.
    unsafe { &*cell }
}

/// Zeroed memory for `cells` cells that starts on a line of its own, or null. Large chunks come straight from the
/// kernel as zero pages, so what is never touched costs no memory.
#[cfg(not(loom))]
fn zeroed_cells(cells: usize) -> *mut AtomicU64 {
    use std::alloc::{Layout, alloc_zeroed};

    const LINE: usize = 128;
    // The allocator would write the zeros itself were it asked for more than its own alignment, and so touch all pages.
    // So the line is found by hand; chunks are never freed, so nobody needs the start.
    let Ok(layout) = Layout::array::<AtomicU64>(cells + LINE / size_of::<AtomicU64>()) else {
        return ptr::null_mut();
    };
    // SAFETY: validity: the layout's size is not zero. Aliasing: the memory is fresh.
    let start: *mut AtomicU64 = unsafe { alloc_zeroed(layout).cast() };
    if start.is_null() {
        return start;
    }
    // SAFETY: validity: less than a line, and the memory has one line more than the cells need. Aliasing: fresh. An
    // all-zero u64 is a valid atomic.
    unsafe { start.add(start.align_offset(LINE)) }
}

#[cfg(loom)]
fn zeroed_cells(cells: usize) -> *mut AtomicU64 {
    let cells: Box<[AtomicU64]> = (0..cells).map(|_| AtomicU64::new(0)).collect();
    Box::leak(cells).as_mut_ptr()
}
