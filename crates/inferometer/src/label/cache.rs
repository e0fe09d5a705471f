//! Finding a series by its labels' content, without a lock and without an allocation.
//!
//! Each thread has a table, keyed by the family's tag and the text of the open labels, which is compared in full. An
//! entry owns a reference to its series, so what is found can be recorded into. When series are removed, a global
//! generation moves; a thread that sees it let go of all its entries at its next look-up. So a removed series is held
//! at most until each thread has looked something up or has ended.
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

/// What a look-up found, in plain values. Belongs to one thread.
#[derive(Clone, Copy)]
pub(crate) struct Loan {
    /// The first cell of the series; unregistered when it has none.
    pub(crate) slot: Slot,
    /// Null when there is no series.
    pub(crate) series: *const Series,
    pub(crate) held: Held,
}

/// What keeps a series alive that was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// The thread's cache. The borrower calls [`give_back`] in the end.
    Cache,
    /// A count of its `Arc`, which is the borrower's. So it is for what is not cached: texts that are too long, and
    /// threads that are ending.
    Borrower,
    /// Something that outlives the borrower.
    Others,
}

const TEXT: usize = 96;
const FEWEST: usize = 64;
const MOST: usize = 4_096;

#[repr(align(128))]
struct Entry {
    tag: u32,
    hash: u32,
    slot: Slot,
    /// Null in an entry that is not in use.
    series: *const Series,
    /// The lengths of the texts, a byte each.
    lengths: u64,
    text: [u8; TEXT],
}

impl Entry {
    const EMPTY: Entry = Entry {
        tag: u32::MAX, // no family's
        hash: 0,
        slot: Slot::UNREGISTERED,
        series: ptr::null(),
        lengths: 0,
        text: [0; TEXT],
    };

    fn is_used(&self) -> bool {
        !self.series.is_null()
    }
}

struct Table([Entry; 1]);

// SAFETY: the only table that is shared is the empty one, which is never written and has no series.
unsafe impl Sync for Table {}

static EMPTY: Table = Table([Entry::EMPTY]);

thread_local! {
    // What a hit touches. Const-initialised cells without a destructor, so that access is one instruction. (One struct
    // in one thread-local would need a closure, which is not inlined when it is as large as a look-up: 20 ns instead of
    // 4.)
    static ENTRIES: Cell<*const Entry> = const { Cell::new(EMPTY.0.as_ptr()) };
    static MASK: Cell<usize> = const { Cell::new(0) };
    static SEEN: Cell<u64> = const { Cell::new(0) };
    // How many loans were ever made, and given back. Two counts, because one that goes up and down again within a
    // record makes each record wait for its own store twice.
    static LENT: Cell<u64> = const { Cell::new(0) };
    static RETURNED: Cell<u64> = const { Cell::new(0) };

    static COLD: RefCell<Cold> = const { RefCell::new(Cold { table: Vec::new(), limbo: Vec::new() }) };
}

/// This thread's look-ups use this table from now on. Its length is a power of two.
fn show(table: &[Entry]) {
    ENTRIES.set(table.as_ptr());
    MASK.set(table.len() - 1);
}

fn nothing_is_lent() -> bool {
    LENT.get() == RETURNED.get()
}

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Makes every thread let go of its entries at its next look-up.
pub(crate) fn invalidate() {
    GENERATION.fetch_add(1, Release);
}

/// What [`invalidate`] moves, for caches of other things that hold series.
#[cfg(feature = "metrics")]
pub(crate) fn generation() -> u64 {
    GENERATION.load(Acquire)
}

/// The series for these texts, found in this thread's cache or by `resolve`, which is asked on a miss.
#[inline(always)]
pub(crate) fn look_up<T: Texts + ?Sized>(tag: u32, texts: &T, resolve: impl FnOnce() -> Option<Arc<Series>>) -> Loan {
    match probe(tag, Key::of(tag, texts), texts, 0) {
        Some((slot, series)) => Loan { slot, series, held: Held::Cache },
        None => {
            let (series, held) = miss(tag, texts, resolve);
            // SAFETY: validity: `miss` gives null or a series that is held. Aliasing: a series is shared.
            let slot = unsafe { series.as_ref() }.map_or(Slot::REFUSED, slot_of);
            Loan { slot, series, held }
        }
    }
}

fn slot_of(series: &Series) -> Slot {
    series.slot().unwrap_or(Slot::UNREGISTERED)
}

/// Looks at one of the two places where an entry can be: its own (0), or the one beside it (1).
#[inline(always)]
fn probe<T: Texts + ?Sized>(tag: u32, key: Key, texts: &T, beside: usize) -> Option<(Slot, *const Series)> {
    let place = (key.hash as usize ^ beside) & MASK.get();
    // SAFETY: validity: `ENTRIES` points to `MASK + 1` entries. Aliasing: no memory is touched yet.
    let entry = unsafe { ENTRIES.get().add(place) };
    // SAFETY: validity: they live until `ENTRIES` changes, and it changes on this thread only. Aliasing: they are
    // written by this thread's cold path only, which no reference outlives.
    let entry = unsafe { &*entry };
    let same = entry.tag == tag
        && entry.lengths == key.lengths
        && same_texts(&entry.text, texts)
        && GENERATION.load(Relaxed) == SEEN.get();
    if !same {
        return None;
    }
    LENT.set(LENT.get().wrapping_add(1));
    Some((entry.slot, entry.series))
}

/// Ends a loan from the cache.
#[inline(always)]
pub(crate) fn give_back() {
    RETURNED.set(RETURNED.get().wrapping_add(1));
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
            lengths = (lengths << 8).wrapping_add(text.len() as u64);
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

/// Folds a text into a word. All of it counts: names of models often differ in the middle only. Texts of up to 32 bytes
/// take no loop; longer ones are not inlined, so that a call site stays small.
#[inline(always)]
fn fold(text: &[u8]) -> u64 {
    if text.len() > 4 * WORD {
        fold_long(text)
    } else if text.len() > 2 * WORD {
        let head = join(word_at(text, 0), word_at(text, WORD));
        let tail = join(word_at(text, text.len() - 2 * WORD), word_at(text, text.len() - WORD));
        join(head, tail)
    } else if text.len() >= WORD {
        join(word_at(text, 0), word_at(text, text.len() - WORD))
    } else {
        short_word(text)
    }
}

#[inline(never)]
fn fold_long(text: &[u8]) -> u64 {
    let whole = text.chunks_exact(WORD).map(|word| word_at(word, 0));
    whole.fold(word_at(text, text.len() - WORD), join)
}

#[inline(always)]
fn join(a: u64, b: u64) -> u64 {
    a.rotate_left(23).wrapping_add(b)
}

const WORD: usize = size_of::<u64>();

/// The eight bytes at `at`.
#[inline(always)]
fn word_at(text: &[u8], at: usize) -> u64 {
    text.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u64::from_le_bytes(*word))
}

/// All of a text of less than eight bytes; different for different texts of the same length.
#[inline(always)]
fn short_word(text: &[u8]) -> u64 {
    if let (Some(head), Some(tail)) = (text.first_chunk(), text.last_chunk()) {
        return u64::from(u32::from_le_bytes(*head)) << 32 | u64::from(u32::from_le_bytes(*tail));
    }
    // Three bytes at most: the first, the middle and the last are all of them.
    match (text.first(), text.get(text.len() / 2), text.last()) {
        (Some(&a), Some(&b), Some(&c)) => u64::from(a) << 16 | u64::from(b) << 8 | u64::from(c),
        _ => 0,
    }
}

/// Whether the entry's text is these texts, one after the other; their lengths are known to be the same.
#[inline(always)]
fn same_texts<T: Texts + ?Sized>(entry: &[u8; TEXT], texts: &T) -> bool {
    let (mut rest, mut same) = (&entry[..], true);
    texts.each(|text| {
        // Lengths of 256 and more can look like others, so an entry may be shorter than the text.
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

/// Compares texts of equal length in words: a call to `memcmp` costs more than the rest of a look-up.
#[inline(always)]
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    let differ = |at| word_at(a, at) ^ word_at(b, at);
    let length = a.len();
    if length > 4 * WORD {
        same_long(a, b)
    } else if length > 2 * WORD {
        differ(0) | differ(WORD) | differ(length - 2 * WORD) | differ(length - WORD) == 0
    } else if length >= WORD {
        differ(0) | differ(length - WORD) == 0
    } else {
        short_word(a) == short_word(b)
    }
}

#[inline(never)]
fn same_long(a: &[u8], b: &[u8]) -> bool {
    let differ = |at| word_at(a, at) ^ word_at(b, at);
    let whole = (0..a.len() / WORD).fold(0, |sum, word| sum | differ(word * WORD));
    whole | differ(a.len() - WORD) == 0
}

/// Returns two words, which travel in registers: null when there is no series.
#[cold]
#[inline(never)]
fn miss<T: Texts + ?Sized>(
    tag: u32,
    texts: &T,
    resolve: impl FnOnce() -> Option<Arc<Series>>,
) -> (*const Series, Held) {
    let key = Key::of(tag, texts);
    if let Some((_, series)) = probe(tag, key, texts, 1) {
        return (series, Held::Cache);
    }
    let busy = match storage::enter() {
        storage::Entry::Open(busy) => Some(busy),
        storage::Entry::Ended => None,
        storage::Entry::Nested => {
            storage::drop_record();
            return (ptr::null(), Held::Others);
        }
    };
    let Some(series) = resolve() else { return (ptr::null(), Held::Others) };
    if tag != 0 && key.size <= TEXT && busy.is_some() && insert(tag, key, texts, &series) {
        return (Arc::as_ptr(&series), Held::Cache);
    }
    (Arc::into_raw(series), Held::Borrower)
}

/// Makes an entry and lends it; says whether that was possible.
fn insert<T: Texts + ?Sized>(tag: u32, key: Key, texts: &T, series: &Arc<Series>) -> bool {
    let inserted = COLD.try_with(|cold| {
        let Ok(mut cold) = cold.try_borrow_mut() else { return false };
        // While the table changes, an allocator that records finds none.
        show(&EMPTY.0);
        cold.make_room();
        cold.insert(tag, key, texts, series);
        show(&cold.table);
        LENT.set(LENT.get().wrapping_add(1));
        true
    });
    inserted.unwrap_or(false)
}

/// The side of the cache that owns memory.
struct Cold {
    table: Vec<Entry>,
    /// References that entries gave up while something was on loan.
    limbo: Vec<Arc<Series>>,
}

impl Cold {
    /// Flushes the table when series were removed, and drops what nobody borrows any more.
    fn make_room(&mut self) {
        let generation = GENERATION.load(Acquire);
        if SEEN.get() != generation {
            for entry in &mut self.table {
                self.limbo.extend(take(entry));
            }
            SEEN.set(generation);
        }
        if nothing_is_lent() {
            self.limbo.clear();
        }
    }

    fn insert<T: Texts + ?Sized>(&mut self, tag: u32, key: Key, texts: &T, series: &Arc<Series>) {
        if self.table.is_empty() {
            self.resize(FEWEST);
        }
        // Three label sets in two places would take turns missing. More room parts them, up to a limit.
        while self.place(key.hash).is_used() && self.table.len() < MOST {
            self.resize(self.table.len() * 2);
        }
        let mut entry = Entry {
            tag,
            hash: key.hash,
            slot: slot_of(series),
            series: Arc::into_raw(Arc::clone(series)),
            lengths: key.lengths,
            text: [0; TEXT],
        };
        let mut at = 0;
        texts.each(|text| {
            entry.text[at..at + text.len()].copy_from_slice(text.as_bytes());
            at += text.len();
        });
        let mut evicted = std::mem::replace(self.place(key.hash), entry);
        self.limbo.extend(take(&mut evicted));
    }

    /// The place for an entry with this hash: its own, or the one beside it when only that is free.
    fn place(&mut self, hash: u32) -> &mut Entry {
        let own = hash as usize & (self.table.len() - 1);
        let beside = own ^ 1;
        let at = if self.table[own].is_used() && !self.table[beside].is_used() { beside } else { own };
        &mut self.table[at]
    }

    fn resize(&mut self, entries: usize) {
        let mut larger = Vec::new();
        larger.resize_with(entries, || Entry::EMPTY);
        for entry in std::mem::replace(&mut self.table, larger) {
            if entry.is_used() {
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
        show(&EMPTY.0);
        let references = self.table.iter_mut().filter_map(take);
        if nothing_is_lent() {
            references.for_each(drop);
        } else {
            // A handle that was leaked, or lives in another thread-local, still borrows one of them.
            references.for_each(std::mem::forget);
            self.limbo.drain(..).for_each(std::mem::forget);
        }
    }
}
