//! Finding a series by its labels' content, without a lock and without an allocation.
//!
//! Each thread has a table, keyed by the family's tag and the text of the open labels, which is compared in full. An
//! entry owns a reference to its series, so what is found can be recorded into. When series are removed, a global
//! generation moves; a thread that sees it let go of all its entries at its next look-up. So a removed series is held at
//! most until each thread has looked something up or has ended.
//!
//! What a look-up returns borrows the entry's reference. A count of such loans keeps the references of flushed and
//! evicted entries alive, in `limbo`, while there is one.

use crate::registry::Series;
use crate::storage::{self, Slot};
use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

/// Texts that are looked up: label values, and names and label names where those are not literals.
pub(crate) trait Texts {
    fn each<'s>(&'s self, visit: impl FnMut(&'s str));
}

impl Texts for [&str] {
    #[inline(always)]
    fn each<'s>(&'s self, visit: impl FnMut(&'s str)) {
        self.iter().copied().for_each(visit);
    }
}

/// What a look-up found.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    /// The first cell of the series; unregistered when it has none.
    pub(crate) slot: Slot,
    /// Valid as long as the loan is.
    pub(crate) series: *const Series,
}

/// Keeps what was found alive; belongs to one thread. Whoever holds it calls [`give_back`] in the end.
pub(crate) enum Loan {
    /// From this thread's cache.
    Cached(Found),
    /// Not cached: too long, or the thread is ending.
    Owned(Arc<Series>),
}

const TEXT: usize = 96;
const FEWEST: usize = 64;
const MOST: usize = 4_096;

#[repr(align(128))]
struct Entry {
    /// Never 0 in an entry that is in use.
    tag: u32,
    hash: u32,
    slot: Slot,
    series: *const Series,
    /// The lengths of the texts, a byte each.
    lengths: u64,
    text: [u8; TEXT],
}

impl Entry {
    const EMPTY: Entry = Entry {
        tag: 0,
        hash: 0,
        slot: Slot::UNREGISTERED,
        series: ptr::null(),
        lengths: u64::MAX, // longer than any key, so that tag 0 finds nothing either
        text: [0; TEXT],
    };
}

struct Table([Entry; 1]);

// SAFETY: the only table that is shared is the empty one, which is never written and has no series.
unsafe impl Sync for Table {}

static EMPTY: Table = Table([Entry::EMPTY]);

/// What a hit touches. No destructor, so that access is one instruction.
struct Hot {
    entries: Cell<*const Entry>,
    mask: Cell<usize>,
    seen: Cell<u64>,
    loans: Cell<usize>,
}

impl Hot {
    /// Look-ups use this table from now on. Its length is a power of two.
    fn show(&self, table: &[Entry]) {
        self.entries.set(table.as_ptr());
        self.mask.set(table.len() - 1);
    }
}

thread_local! {
    static HOT: Hot = const {
        Hot { entries: Cell::new(EMPTY.0.as_ptr()), mask: Cell::new(0), seen: Cell::new(0), loans: Cell::new(0) }
    };
    static COLD: RefCell<Cold> = const { RefCell::new(Cold { table: Vec::new(), limbo: Vec::new() }) };
}

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Makes every thread let go of its entries at its next look-up.
pub(crate) fn invalidate() {
    GENERATION.fetch_add(1, Release);
}

/// The series for these texts, found in this thread's cache or by `resolve`, which is asked on a miss.
#[inline(always)]
pub(crate) fn look_up<T: Texts + ?Sized>(
    tag: u32,
    texts: &T,
    resolve: impl FnOnce() -> Option<Arc<Series>>,
) -> Option<Loan> {
    let key = Key::of(tag, texts);
    match probe(tag, key, texts, 0) {
        Some(found) => Some(Loan::Cached(found)),
        None => miss(tag, key, texts, resolve),
    }
}

/// Looks at one of the two places where an entry can be: its own (0), or the one beside it (1).
#[inline(always)]
fn probe<T: Texts + ?Sized>(tag: u32, key: Key, texts: &T, beside: usize) -> Option<Found> {
    HOT.with(|hot| {
        let place = (key.hash as usize ^ beside) & hot.mask.get();
        // SAFETY: validity: `entries` points to `mask + 1` entries. Aliasing: no memory is touched yet.
        let entry = unsafe { hot.entries.get().add(place) };
        // SAFETY: validity: they live until `entries` changes, and it changes on this thread only. Aliasing: they are
        // written by this thread's cold path only, which no reference outlives.
        let entry = unsafe { &*entry };
        let same = entry.tag == tag
            && entry.lengths == key.lengths
            && same_texts(&entry.text, texts)
            && GENERATION.load(Relaxed) == hot.seen.get();
        same.then(|| {
            hot.loans.set(hot.loans.get() + 1);
            Found { slot: entry.slot, series: entry.series }
        })
    })
}

/// Ends a loan from the cache.
#[inline(always)]
pub(crate) fn give_back() {
    HOT.with(|hot| hot.loans.set(hot.loans.get() - 1));
}

#[derive(Clone, Copy)]
struct Key {
    hash: u32,
    lengths: u64,
    /// All the texts together, in bytes.
    size: usize,
}

impl Key {
    #[inline(always)]
    fn of<T: Texts + ?Sized>(tag: u32, texts: &T) -> Key {
        let (mut mixed, mut lengths, mut size, mut count) = (u64::from(tag), 0_u64, 0, 0);
        texts.each(|text| {
            mixed = mix(mixed.rotate_left(26) ^ fold(text.as_bytes()));
            lengths = lengths << 8 | text.len().min(0xff) as u64;
            size += text.len();
            count += 1;
        });
        if count > 8 {
            size = usize::MAX; // the lengths of so many do not fit
        }
        Key { hash: mixed as u32, lengths, size }
    }
}

/// Lets every bit of the word count in every bit of the result: both halves of a product with an odd constant, 2^64
/// divided by the golden ratio.
#[inline(always)]
fn mix(word: u64) -> u64 {
    let product = u128::from(word) * 0x9E37_79B9_7F4A_7C15;
    product as u64 ^ (product >> 64) as u64
}

/// Folds a text into a word. All of it counts: names of models often differ in the middle only.
#[inline(always)]
fn fold(text: &[u8]) -> u64 {
    const WORD: usize = size_of::<u64>();
    if let Some(tail) = text.last_chunk::<WORD>() {
        let mut folded = u64::from_le_bytes(*tail);
        for word in text.chunks_exact(WORD) {
            let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
            folded = folded.rotate_left(11).wrapping_add(word);
        }
        return folded;
    }
    if let (Some(head), Some(tail)) = (text.first_chunk(), text.last_chunk()) {
        return u64::from(u32::from_le_bytes(*head)) << 32 | u64::from(u32::from_le_bytes(*tail));
    }
    text.iter().fold(text.len() as u64, |all, &byte| all << 8 | u64::from(byte))
}

/// Whether the entry's text is these texts, one after the other; their lengths are known to be the same.
#[inline(always)]
fn same_texts<T: Texts + ?Sized>(entry: &[u8; TEXT], texts: &T) -> bool {
    let (mut rest, mut same) = (&entry[..], true);
    texts.each(|text| {
        // Lengths of 255 and more look the same, so an entry may be shorter than the text.
        same &= match rest.split_at_checked(text.len()) {
            Some((own, next)) => {
                rest = next;
                same_bytes(own, text.as_bytes())
            }
            None => false,
        };
    });
    same
}

/// Compares texts of equal length in words. (A call to `memcmp` costs more than the rest of a look-up.)
#[inline(always)]
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    const WORD: usize = size_of::<u64>();
    if let (Some(a_tail), Some(b_tail)) = (a.last_chunk::<WORD>(), b.last_chunk::<WORD>()) {
        let mut same = a_tail == b_tail;
        for (a, b) in a.chunks_exact(WORD).zip(b.chunks_exact(WORD)) {
            same &= a == b;
        }
        return same;
    }
    const HALF: usize = size_of::<u32>();
    if let (Some(a_tail), Some(b_tail)) = (a.last_chunk::<HALF>(), b.last_chunk::<HALF>()) {
        return a_tail == b_tail && a.first_chunk::<HALF>() == b.first_chunk::<HALF>();
    }
    a.iter().zip(b).all(|(a, b)| a == b)
}

#[cold]
#[inline(never)]
fn miss<T: Texts + ?Sized>(
    tag: u32,
    key: Key,
    texts: &T,
    resolve: impl FnOnce() -> Option<Arc<Series>>,
) -> Option<Loan> {
    if let Some(found) = probe(tag, key, texts, 1) {
        return Some(Loan::Cached(found));
    }
    let busy = match storage::enter() {
        storage::Entry::Open(busy) => Some(busy),
        storage::Entry::Ended => None,
        storage::Entry::Nested => {
            storage::drop_record();
            return None;
        }
    };
    let series = resolve()?;
    if tag == 0 || key.size > TEXT || busy.is_none() {
        return Some(Loan::Owned(series));
    }
    let found = COLD.try_with(|cold| {
        let mut cold = cold.try_borrow_mut().ok()?;
        HOT.with(|hot| {
            // While the table changes, an allocator that records finds none.
            hot.show(&EMPTY.0);
            cold.make_room(hot);
            let found = cold.insert(tag, key, texts, &series);
            hot.show(&cold.table);
            hot.loans.set(hot.loans.get() + 1);
            Some(found)
        })
    });
    match found {
        Ok(Some(found)) => Some(Loan::Cached(found)),
        _ => Some(Loan::Owned(series)),
    }
}

/// The side of the cache that owns memory.
struct Cold {
    table: Vec<Entry>,
    /// References that entries gave up while something was on loan.
    limbo: Vec<Arc<Series>>,
}

impl Cold {
    /// Flushes the table when series were removed, and drops what nobody borrows any more.
    fn make_room(&mut self, hot: &Hot) {
        let generation = GENERATION.load(Acquire);
        if hot.seen.get() != generation {
            for entry in &mut self.table {
                self.limbo.extend(take(entry));
            }
            hot.seen.set(generation);
        }
        if hot.loans.get() == 0 {
            self.limbo.clear();
        }
    }

    fn insert<T: Texts + ?Sized>(&mut self, tag: u32, key: Key, texts: &T, series: &Arc<Series>) -> Found {
        if self.table.is_empty() {
            self.resize(FEWEST);
        }
        // Three label sets in two places would take turns missing. More room parts them, up to a limit.
        while self.place(key.hash).tag != 0 && self.table.len() < MOST {
            self.resize(self.table.len() * 2);
        }
        let mut entry = Entry {
            tag,
            hash: key.hash,
            slot: series.lease().map_or(Slot::UNREGISTERED, storage::Lease::slot),
            series: Arc::into_raw(Arc::clone(series)),
            lengths: key.lengths,
            text: [0; TEXT],
        };
        let mut at = 0;
        texts.each(|text| {
            entry.text[at..at + text.len()].copy_from_slice(text.as_bytes());
            at += text.len();
        });
        let found = Found { slot: entry.slot, series: entry.series };
        let mut evicted = std::mem::replace(self.place(key.hash), entry);
        self.limbo.extend(take(&mut evicted));
        found
    }

    /// The place for an entry with this hash: its own, or the one beside it when only that is free.
    fn place(&mut self, hash: u32) -> &mut Entry {
        let own = hash as usize & (self.table.len() - 1);
        let beside = own ^ 1;
        let at = if self.table[own].tag != 0 && self.table[beside].tag == 0 { beside } else { own };
        &mut self.table[at]
    }

    fn resize(&mut self, entries: usize) {
        let mut larger = Vec::new();
        larger.resize_with(entries, || Entry::EMPTY);
        for entry in std::mem::replace(&mut self.table, larger) {
            if entry.tag != 0 {
                let mut evicted = std::mem::replace(self.place(entry.hash), entry);
                self.limbo.extend(take(&mut evicted));
            }
        }
    }
}

/// Empties an entry and returns its reference.
fn take(entry: &mut Entry) -> Option<Arc<Series>> {
    let entry = std::mem::replace(entry, Entry::EMPTY);
    // SAFETY: validity: a pointer that is not null came from `Arc::into_raw` in `insert`, and the entry that had it is
    // gone, so the count is taken back once. Aliasing: an `Arc` is shared.
    (!entry.series.is_null()).then(|| unsafe { Arc::from_raw(entry.series) })
}

impl Drop for Cold {
    fn drop(&mut self) {
        // The thread ends. A look-up after this finds an empty table and resolves anew.
        HOT.with(|hot| {
            hot.show(&EMPTY.0);
            let references = self.table.iter_mut().filter_map(take);
            if hot.loans.get() == 0 {
                references.for_each(drop);
            } else {
                // A handle that was leaked, or lives in another thread-local, still borrows one of them.
                references.for_each(std::mem::forget);
                self.limbo.drain(..).for_each(std::mem::forget);
            }
        });
    }
}
