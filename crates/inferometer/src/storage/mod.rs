//! Where the numbers are: the lock-free part, and why it is right.
//!
//! # The picture
//!
//! ```text
//!  thread A                     thread B                        overflow (one for all)
//!  ┌ table ──────────────┐      ┌ table ──────────────┐         ┌ slab ───────────────┐
//!  │ 0 1 2 ... 30 (null) │      │ 0 1 2 ... 30 (null) │         │ 0 1 2 ... 30        │
//!  └─┼─┼─────────────────┘      └─┼───────────────────┘         └─┼─┼─────────────────┘
//!    │ └────► chunk 1 of A        │                               │ └─► chunk 1
//!    └──────► chunk 0 of A        └────► chunk 0 of B             └───► chunk 0
//! ```
//!
//! A *cell* is a 64-bit word. A *chunk* is an array of cells. A *slab* is a table of chunks, and each thread that
//! records has one, of which it is the only writer. A series owns a [`Slot`], a chunk number and an offset, which is
//! the same in every slab. To record is to load the thread's cell, add, and store. To scrape is to add up the cell over
//! all slabs. A cell only grows (wrapping), and nobody resets one while it is in use.
//!
//! The thread's table stands in thread-local storage, where it costs one instruction to reach. The [`Slab`] mirrors it
//! for the scraper.
//!
//! # One test guards every cold path
//!
//! Entry 31 of each table is null for ever, and an instrument without a slot points there. So the test for null fails
//! for a series that is not registered, for a thread that has no slab yet, and for a chunk that this thread never
//! touched. All three end in [`touch`], which sorts them out. So a thread's table may say null where its slab has the
//! chunk; a scrape makes use of that to find out what a record costs: see [`probe`].
//!
//! # Why nothing is lost, counted twice, or torn
//!
//! *One writer.* The load, add and store of a record are three steps, so two writers of one cell would lose adds. A
//! cell is written by the thread that owns its slab only. Ownership passes from one thread to the next through the
//! mutex of the list of parked slabs ([`Pool::park`], [`Pool::adopt`]): what the last owner wrote happens before what
//! the next one reads. (Were it passed by a relaxed flag, the next owner could read an old value and add to that: the
//! model `a_slab_passed_on_without_a_lock_loses_records` shows it.) A thread that ends clears its table *before* it
//! parks its slab, so a record made in a later destructor finds no chunk and goes to the overflow slab with an atomic
//! add.
//!
//! *No torn reads.* A cell is read with one load, and a histogram's count is the sum of its buckets, so there is no
//! second word that could disagree.
//!
//! *Never down.* A cell grows in its modification order, and a reader that has seen one value never sees an earlier one
//! (read-read coherence). The scrapes of a registry are ordered by a mutex, so this holds from one scrape to the next
//! as well, whichever threads they run on. Totals inherit it: the list of slabs only grows, a new slab starts at zero,
//! and a parked slab keeps its values for the thread that inherits it, so nothing is folded or moved when a thread
//! ends.
//!
//! *Fresh memory is seen as zeros.* A chunk is zeroed, then its pointer is stored with Release; the scraper loads it
//! with Acquire. So do the nodes of the list of slabs. (The model `a_chunk_published_relaxed_is_seen_unzeroed` shows
//! what Release is for.)
//!
//! *Bounded.* Slabs are inherited, so there are never more than there were threads alive at once, and a thread has only
//! the chunks that it touched.
//!
//! # Slots are reused when nobody can write to them any more
//!
//! A [`Lease`] is the right to write to a range of cells. It lives in an `Arc` together with its series; every handle,
//! every entry in a thread's label cache and the directory own a count. When the last count goes, the lease gives its
//! range back, and the next series of the same shape may have it. `Arc` orders this: each owner's decrement is a
//! Release, and the last one's is followed by an Acquire, so all records through the old series happen before its range
//! is given back, and the allocator's mutex passes that on to the next series. That one reads what the cells hold, over
//! all slabs, as its [`Baseline`], before anybody can know it, and subtracts it from then on. Nobody needs to zero
//! cells that belong to other threads, which could not be done without a race while somebody records.
//!
//! A call site with a literal name keeps its slot in a static, and no one can tell when it is last used. So it pins its
//! series for ever.
//!
//! # Some cells are no sums
//!
//! The sampler of a timed series keeps the state of each thread in cells: see [`crate::sampling::block`]. All but its
//! counts go up and down, and only their thread reads them. There is nothing to subtract from such a state, so these
//! ranges are zeroed in all slabs before they are used again ([`Pool::lease_zeroed`]). At that moment nobody can write
//! to them: the last handle of the former series is gone, and nobody knows the new one.
//!
//! # Exemplars stand beside the cells
//!
//! A record with an exemplar is a record, and then perhaps a write to a [`SeqLock`] that the series has for the range of
//! buckets. It is the one thing here that many threads write, so it says for itself why it is right. The scraper reads
//! the exemplars of a series before its cells, so the observation of an exemplar that it sees is counted in what it
//! reads.
//!
//! # What this asks of the platform
//!
//! 64-bit atomics, and thread-locals whose const-initialised part works until the thread's very end. A signal handler
//! that interrupts a record between its load and its store, and records to the same cell, loses its own add: it should
//! use the overflow slab ([`overflow`]). A stackful coroutine that moves to another thread in the middle of a record
//! would write to a foreign slab; nothing in Rust's own `async` does that.

mod lease;
#[cfg(all(test, loom))]
pub(crate) mod models;
mod once_box;
mod pool;
#[cfg(not(loom))]
pub(crate) mod probe;
mod ranges;
#[cfg(not(loom))]
pub(crate) mod recorders;
mod seqlock;
mod slab;
mod slot;
#[cfg(not(loom))]
mod thread;

pub(crate) use lease::{Baseline, Lease};
pub(crate) use once_box::OnceBox;
pub(crate) use pool::Pool;
pub(crate) use ranges::{Ranges, Shape};
pub(crate) use seqlock::{SeqLock, Turn};
pub(crate) use slab::{Slab, cell};
pub(crate) use slot::Slot;
#[cfg(not(loom))]
pub(crate) use thread::{
    Cells, DROPPED, Entry, add_own, add_own_f64, chunk, drop_record, enter, overflow, own_slab, own_table, touch,
};

/// The storage of the process.
#[cfg(not(loom))]
pub(crate) static POOL: Pool = Pool::new();
