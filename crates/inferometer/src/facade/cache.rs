//! Finding a handle by its key, without a lock and without an allocation.
//!
//! The macros of `metrics` ask for their handle at each call. Each thread has handles of its own, in a table for each
//! kind, so that not even the reference count of a handle is shared. As in the cache of labels, an entry can be in
//! one of two places, and a global generation moves when series are removed: a thread that sees it lets go of all its
//! handles at its next miss, so that a removed series is not held for ever.

use super::handles::Handle;
use crate::label::cache::generation;
use crate::storage;
use metrics::Key;
use std::cell::RefCell;
use std::ptr;

/// A kind of handle that threads keep.
pub(super) trait Cached: Clone + Sized + 'static {
    fn table(cache: &Cache) -> &Table<Self>;
    fn table_mut(cache: &mut Cache) -> &mut Table<Self>;
}

/// What one thread keeps.
pub(super) struct Cache {
    generation: u64,
    counters: Table<metrics::Counter>,
    gauges: Table<metrics::Gauge>,
    histograms: Table<metrics::Histogram>,
}

/// Its length is a power of two, or zero.
pub(super) struct Table<H>(Vec<Option<Entry<H>>>);

struct Entry<H> {
    recorder: u64,
    key: Key,
    handle: H,
}

const FEWEST: usize = 16;
const MOST: usize = 4_096;
/// How many bytes of text the key of an entry may have. More is looked up in the registry each time.
const MOST_TEXT: usize = 512;

thread_local! {
    static CACHE: RefCell<Cache> = const {
        RefCell::new(Cache {
            generation: 0,
            counters: Table(Vec::new()),
            gauges: Table(Vec::new()),
            histograms: Table(Vec::new()),
        })
    };
}

macro_rules! cached {
    ($handle:ty, $table:ident) => {
        impl Cached for $handle {
            #[inline(always)]
            fn table(cache: &Cache) -> &Table<Self> {
                &cache.$table
            }

            fn table_mut(cache: &mut Cache) -> &mut Table<Self> {
                &mut cache.$table
            }
        }
    };
}

cached!(metrics::Counter, counters);
cached!(metrics::Gauge, gauges);
cached!(metrics::Histogram, histograms);

/// The handle of a recorder for a key: this thread's, or what `make` makes, which is asked on a miss.
#[inline(always)]
pub(super) fn get<H: Handle + Cached>(recorder: u64, key: &Key, make: impl FnOnce() -> H) -> H {
    let hit = CACHE.try_with(|cache| {
        let cache = cache.try_borrow().ok()?;
        H::table(&cache).get(recorder, key).filter(|_| cache.generation == generation()).cloned()
    });
    match hit {
        Ok(Some(handle)) => handle,
        // The cache of a thread that ends is gone.
        Ok(None) | Err(_) => miss(recorder, key, make),
    }
}

#[cold]
#[inline(never)]
fn miss<H: Handle + Cached>(recorder: u64, key: &Key, make: impl FnOnce() -> H) -> H {
    let _mark = match storage::enter() {
        storage::Entry::Open(mark) => mark,
        storage::Entry::Ended => return make(),
        storage::Entry::Nested => {
            // In an allocator or a signal handler, which must not make anything.
            storage::drop_record();
            return H::noop();
        }
    };
    // Before the handle is made: should its series be removed meanwhile, the next look-up sees that.
    let generation = generation();
    let handle = make();
    let text = key.name().len() + key.labels().map(|label| label.key().len() + label.value().len()).sum::<usize>();
    if text <= MOST_TEXT {
        let entry = Entry { recorder, key: key.to_retained(), handle: handle.clone() };
        // Without the cache, the handle is as good.
        let _ = CACHE.try_with(|cache| {
            if let Ok(mut cache) = cache.try_borrow_mut() {
                cache.flush(generation);
                H::table_mut(&mut cache).insert(entry);
            }
        });
    }
    handle
}

impl Cache {
    /// Lets go of all handles when series were removed since they were made.
    fn flush(&mut self, generation: u64) {
        if self.generation != generation {
            self.counters.0.fill_with(|| None);
            self.gauges.0.fill_with(|| None);
            self.histograms.0.fill_with(|| None);
            self.generation = generation;
        }
    }
}

impl<H> Table<H> {
    #[inline(always)]
    fn get(&self, recorder: u64, key: &Key) -> Option<&H> {
        let (own, beside) = self.places(key);
        let at = |place: usize| {
            let entry = self.0.get(place)?.as_ref()?;
            (entry.recorder == recorder && same(&entry.key, key)).then_some(&entry.handle)
        };
        at(own).or_else(|| at(beside))
    }

    /// The two places where a key can be.
    #[inline(always)]
    fn places(&self, key: &Key) -> (usize, usize) {
        let own = key.get_hash() as usize & self.0.len().wrapping_sub(1);
        (own, own ^ 1)
    }

    fn insert(&mut self, entry: Entry<H>) {
        if self.0.is_empty() {
            self.resize(FEWEST);
        }
        // More room parts those that would take turns missing, up to a limit.
        while self.free_place(&entry).is_none() && self.0.len() < MOST {
            self.resize(self.0.len() * 2);
        }
        self.put(entry);
    }

    /// Where the entry can go without driving another one out.
    fn free_place(&self, entry: &Entry<H>) -> Option<usize> {
        let (own, beside) = self.places(&entry.key);
        [own, beside].into_iter().find(|&place| self.0[place].is_none())
    }

    fn put(&mut self, entry: Entry<H>) {
        let place = self.free_place(&entry).unwrap_or(self.places(&entry.key).0);
        self.0[place] = Some(entry);
    }

    fn resize(&mut self, entries: usize) {
        let mut larger = Vec::new();
        larger.resize_with(entries, || None);
        for entry in std::mem::replace(&mut self.0, larger).into_iter().flatten() {
            self.put(entry);
        }
    }
}

/// Whether two keys are equal. That of a literal call site is the same memory each time, which need not be read.
#[inline(always)]
fn same(a: &Key, b: &Key) -> bool {
    let same_memory = ptr::eq(a.name(), b.name()) && ptr::eq(a.labels().as_slice(), b.labels().as_slice());
    a.get_hash() == b.get_hash() && (same_memory || a == b)
}
