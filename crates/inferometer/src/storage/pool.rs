//! All slabs of the process, and the slots that are taken in them.

use super::lease::{Baseline, Lease};
use super::ranges::{Ranges, Shape};
use super::slab::Slab;
use super::slot::{CHUNKS, Slot};
use crate::sync::{AtomicPtr, AtomicU64, AtomicUsize, Mutex, MutexGuard, lock, order};
use std::ptr;

/// The slabs, the parked ones among them, and the allocator of slots. There is one for the process; the models make
/// their own.
#[derive(Debug)]
pub(crate) struct Pool {
    /// The newest node of a list that only grows.
    newest: AtomicPtr<Node>,
    /// Slabs whose thread has ended, values and all. The lock is what makes the next owner see the last one's records.
    parked: Mutex<Vec<&'static Slab>>,
    ranges: Mutex<Ranges>,
    /// The size of each chunk that is open, in cells.
    sizes: [AtomicUsize; CHUNKS],
    /// Where records go that have no slab: atomic adds, shared by all threads.
    overflow: Slab,
    /// Counts forks: a child's cells start at zero, so older baselines do not apply.
    epoch: AtomicUsize,
}

#[derive(Debug)]
struct Node {
    slab: Slab,
    older: *const Node,
}

/// No slots are left, or no memory for their overflow cells.
#[derive(Debug)]
pub(crate) struct StorageFull;

impl Pool {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Pool {
            newest: AtomicPtr::new(ptr::null_mut()),
            parked: Mutex::new(Vec::new()),
            ranges: Mutex::new(Ranges::new()),
            sizes: [const { AtomicUsize::new(0) }; CHUNKS],
            overflow: Slab::new(),
            epoch: AtomicUsize::new(0),
        }
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Pool {
            newest: AtomicPtr::new(ptr::null_mut()),
            parked: Mutex::new(Vec::new()),
            ranges: Mutex::new(Ranges::new()),
            sizes: std::array::from_fn(|_| AtomicUsize::new(0)),
            overflow: Slab::new(),
            epoch: AtomicUsize::new(0),
        }
    }

    /// A slab for a thread that has none: a parked one if there is one, with the values that are in it.
    pub(crate) fn adopt(&self) -> &'static Slab {
        let mut parked = lock(&self.parked);
        if let Some(slab) = parked.pop() {
            return slab;
        }
        // Under the lock, so that two new nodes cannot both name the same older one.
        let older = self.newest.load(order::OBSERVE);
        let node: &'static Node = Box::leak(Box::new(Node { slab: Slab::new(), older }));
        self.newest.store(ptr::from_ref(node).cast_mut(), order::publish());
        // Room for every slab there is, so that no thread allocates while it ends.
        let slabs = self.slabs().count();
        let room = slabs.saturating_sub(parked.len());
        parked.reserve(room);
        &node.slab
    }

    /// Takes a slab back from a thread that ends. The thread must not write to it any more.
    pub(crate) fn park(&self, slab: &'static Slab) {
        lock(&self.parked).push(slab);
    }

    /// All slabs of threads, newest first; the overflow slab is not among them.
    fn slabs(&self) -> impl Iterator<Item = &'static Slab> {
        let mut next = self.newest.load(order::OBSERVE).cast_const();
        std::iter::from_fn(move || {
            // SAFETY: validity: nodes are leaked, so they live for ever; null ends the list. Aliasing: nobody has a
            // mutable reference to a node once it is published.
            let node = unsafe { next.as_ref() }?;
            next = node.older;
            Some(&node.slab)
        })
    }

    /// A range of cells that nobody else writes to, with what former series left in it.
    pub(crate) fn lease(&'static self, shape: Shape) -> Result<(Lease, Baseline), StorageFull> {
        let mut ranges = lock(&self.ranges);
        let range = ranges.take(shape).ok_or(StorageFull)?;
        if let Some((chunk, cells)) = range.opened {
            self.sizes[chunk].store(cells, order::publish());
        }
        // Late records must not allocate, so their cells are made here, before any thread can learn the slot.
        let chunk = range.slot.chunk();
        if self.overflow.ensure_chunk(chunk, self.chunk_cells(chunk)).is_null() {
            ranges.give_back(range.slot, shape);
            return Err(StorageFull);
        }
        drop(ranges);
        let lease = Lease::new(self, range.slot, shape);
        let baseline = if range.used { lease.mark() } else { Baseline::default() };
        Ok((lease, baseline))
    }

    /// The same with cells that are all zero, for what is more than a sum: the state of a sampler.
    ///
    /// Here the cells of other threads may be written to: what was a range of a former series has no writer, because
    /// its last handle is gone (see the essay), and it has no new one before this returns and the range is made known.
    pub(crate) fn lease_zeroed(&'static self, shape: Shape) -> Result<Lease, StorageFull> {
        let (lease, left_over) = self.lease(shape)?;
        if !left_over.is_empty() {
            for slab in self.slabs().chain([&self.overflow]) {
                slab.zero(lease.slot(), lease.cells());
            }
        }
        Ok(lease)
    }

    pub(super) fn give_back(&self, slot: Slot, shape: Shape) {
        lock(&self.ranges).give_back(slot, shape);
    }

    /// The size of a chunk that is open.
    pub(crate) fn chunk_cells(&self, chunk: usize) -> usize {
        self.sizes[chunk].load(order::OBSERVE)
    }

    pub(crate) fn overflow(&self) -> &Slab {
        &self.overflow
    }

    /// Adds the values of the cells from `slot` on, over all slabs, to `into`, wrapping.
    pub(crate) fn accumulate(&self, slot: Slot, into: &mut [u64]) {
        self.overflow.accumulate(slot, into);
        for slab in self.slabs() {
            slab.accumulate(slot, into);
        }
    }

    /// The sum of one cell over all slabs, wrapping.
    pub(crate) fn total(&self, slot: Slot) -> u64 {
        self.slabs().fold(self.overflow.value(slot), |sum, slab| sum.wrapping_add(slab.value(slot)))
    }

    /// The sum of one cell that holds floats. The order of the slabs is fixed but for new ones at the front that start
    /// at zero, and rounding is monotone, so this never falls while no cell does.
    pub(crate) fn total_f64(&self, slot: Slot) -> f64 {
        let mut sum = f64::from_bits(self.overflow.value(slot));
        for slab in self.slabs() {
            sum += f64::from_bits(slab.value(slot));
        }
        sum
    }

    /// How much memory all cells take, in bytes. Pages that were never touched take none yet.
    pub(crate) fn bytes(&self) -> usize {
        let cells = |slab: &Slab| -> usize {
            let present = (0..CHUNKS).filter(|&index| !slab.chunk(index).is_null());
            present.map(|index| self.chunk_cells(index)).sum()
        };
        let slabs: usize = self.slabs().map(cells).sum();
        (slabs + cells(&self.overflow)) * size_of::<AtomicU64>()
    }

    pub(crate) fn epoch(&self) -> usize {
        self.epoch.load(order::CELL)
    }

    /// Takes the locks, in the order in which code takes them, so that a fork cannot cut a change in half.
    pub(crate) fn hold(&self) -> (MutexGuard<'_, Vec<&'static Slab>>, MutexGuard<'_, Ranges>) {
        let ranges = lock(&self.ranges);
        (lock(&self.parked), ranges)
    }

    /// For the child of a fork, which has one thread and holds the locks: what the parent counted is not the child's,
    /// and the slabs of the threads that did not come along are free.
    pub(crate) fn start_over(&self, parked: &mut Vec<&'static Slab>, own: Option<&'static Slab>) {
        self.epoch.store(self.epoch() + 1, order::CELL);
        parked.clear();
        for slab in self.slabs() {
            if own.is_none_or(|own| !ptr::eq(own, slab)) {
                parked.push(slab); // never past the capacity that `adopt` has reserved
            }
            self.zero(slab);
        }
        self.zero(&self.overflow);
    }

    fn zero(&self, slab: &Slab) {
        for index in 0..CHUNKS {
            slab.zero(Slot::new(index, 0), self.chunk_cells(index));
        }
    }
}
