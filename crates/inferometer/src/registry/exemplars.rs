//! The exemplars of a series: for each span of buckets, an observation of the last time together with its labels.
//!
//! Their memory is made at the first one, since most histograms never have any. Each stands in a sequence lock of its
//! own, so that a record never waits, for a scrape or for another record: see [`SeqLock`].

use super::memory::EXEMPLAR_BYTES;
use super::name;
use crate::clock;
use crate::grid::Grid;
use crate::self_metrics;
use crate::storage::{self, Entry, OnceBox, SeqLock, Turn};
use crate::sync::{AtomicU64, order};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How many characters the names and the values of an exemplar's labels may have together: what OpenMetrics allows.
const MOST_CHARACTERS: usize = 128;

/// How many bytes that can be, with the two separators of each label: a character has four bytes at most, but each
/// label has a name, whose characters have one.
const MOST_BYTES: usize = 4 * MOST_CHARACTERS;

/// How old an exemplar must be before another one takes its place. Nobody looks at more than one a scrape, and so the
/// clock and the labels are all that most records with an exemplar cost.
const INTERVAL: Duration = Duration::from_secs(1);

/// Ends each name and each value: a byte that no UTF-8 text has.
const SEPARATOR: u8 = 0xff;

// What the words are.
/// When it was taken, in milliseconds since the memory was made.
const TAKEN_AT: usize = 0;
/// How often the series had been started again (upper half), and the number of bytes of the labels.
const RESTARTS_AND_LENGTH: usize = 1;
/// The observation, as the grid knows it.
const KEY: usize = 2;
/// The wall clock's time, in nanoseconds since 1970.
const TIME: usize = 3;
const LABELS: usize = 4;
const WORDS: usize = LABELS + MOST_BYTES / size_of::<u64>();

type Words = [AtomicU64; WORDS];

/// The exemplars of all members of a series.
#[derive(Debug)]
pub(crate) struct Exemplars {
    members: Box<[OnceBox<Member>]>,
    /// How often the series was started again: what was taken before then is not of this series.
    restarts: AtomicU32,
}

#[derive(Debug)]
struct Member {
    /// What the times of the exemplars count from.
    since: Instant,
    /// One for each span of the grid.
    places: Box<[SeqLock<WORDS>]>,
}

impl Member {
    fn new(places: Box<[SeqLock<WORDS>]>) -> Self {
        EXEMPLAR_BYTES.add(size_of_val(&*places));
        Member { since: Instant::now(), places }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        EXEMPLAR_BYTES.subtract(size_of_val(&*self.places));
    }
}

/// Where an observation belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed<'a> {
    pub(super) grid: &'a Grid,
    pub(super) epoch: usize,
    pub(super) member: usize,
    pub(super) bucket: usize,
    pub(super) key: u64,
}

/// A copy of an exemplar, for a scrape.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) member: usize,
    /// The bucket that holds it.
    pub(crate) bucket: usize,
    pub(crate) key: u64,
    nanos: u64,
    length: usize,
    bytes: [u8; MOST_BYTES],
}

/// Whether these can be an exemplar's labels. Does not allocate.
pub(crate) fn are_allowed(labels: &[(&str, &str)]) -> bool {
    let texts = || labels.iter().flat_map(|&(name, value)| [name, value]);
    let bytes: usize = texts().map(str::len).sum();
    // There are at least as many bytes as characters.
    let short = bytes <= MOST_CHARACTERS
        || bytes <= MOST_BYTES && texts().map(|text| text.chars().count()).sum::<usize>() <= MOST_CHARACTERS;
    short && name::check_label_pairs(labels).is_ok()
}

impl Exemplars {
    pub(super) fn new(members: usize) -> Self {
        Exemplars { members: (0..members).map(|_| OnceBox::new()).collect(), restarts: AtomicU32::new(0) }
    }

    /// The series starts again, without those it has.
    pub(super) fn forget(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }

    /// Whether an exemplar of this observation would be kept now.
    #[cfg(feature = "tracing")]
    pub(super) fn is_due(&self, observed: Observed<'_>) -> bool {
        match self.members.get(observed.member).map(OnceBox::get) {
            Some(Some(member)) => self.turn(member, observed).is_some(),
            // There are none yet.
            Some(None) => true,
            None => false,
        }
    }

    /// Keeps an exemplar of this observation, unless its place has one that is too young, or somebody writes there. The
    /// labels must be allowed. It is counted as dropped when it cannot get its memory.
    pub(super) fn keep(&self, observed: Observed<'_>, labels: &[(&str, &str)]) {
        let Some(cell) = self.members.get(observed.member) else { return };
        let Some(member) = cell.get().or_else(|| make(cell, observed.grid)) else {
            return self_metrics::count_dropped_exemplar();
        };
        if let Some(turn) = self.turn(member, observed) {
            turn.write(observed.key, labels);
        }
    }

    fn turn<'a>(&self, member: &'a Member, observed: Observed<'_>) -> Option<PlaceTurn<'a>> {
        let place = member.places.get(observed.grid.span(observed.bucket))?;
        let taken_at = millis(member.since.elapsed());
        let restarts = self.restarts.load(Relaxed);
        let turn = place.turn(observed.epoch as u32, |words| {
            let (of, _) = unpack(words[RESTARTS_AND_LENGTH].load(order::CELL));
            // A writer that has not seen the last restart leaves what came after it alone.
            of < restarts
                || of == restarts && taken_at.saturating_sub(words[TAKEN_AT].load(order::CELL)) >= millis(INTERVAL)
        })?;
        Some(PlaceTurn { place, turn, taken_at, restarts })
    }

    /// Copies all there are, by member and then by value.
    pub(crate) fn read(&self, grid: &Grid, epoch: usize, into: &mut Vec<Kept>) {
        let restarts = self.restarts.load(Relaxed);
        for (number, member) in self.members.iter().enumerate() {
            let Some(member) = member.get() else { continue };
            // Room for all, so that nothing is allocated later, when there are more.
            into.reserve(member.places.len());
            for place in &member.places {
                if let Some((of, kept)) = place.read(epoch as u32, |words| copy(words, number))
                    && of == restarts
                {
                    into.push(Kept { bucket: grid.search(kept.key), ..kept });
                }
            }
        }
    }
}

/// The memory for a member's exemplars; `None` when there is none to be had, or when this comes from an allocator or a
/// signal handler inside a cold path.
#[cold]
fn make<'a>(cell: &'a OnceBox<Member>, grid: &Grid) -> Option<&'a Member> {
    let _mark = match storage::enter() {
        Entry::Nested => return None,
        mark => mark,
    };
    let mut places = Vec::new();
    places.try_reserve_exact(grid.spans()).ok()?;
    places.extend((0..grid.spans()).map(|_| SeqLock::new()));
    Some(cell.get_or_set(Box::new(Member::new(places.into()))))
}

/// A place whose exemplar is old enough, and the right to try a write there.
struct PlaceTurn<'a> {
    place: &'a SeqLock<WORDS>,
    turn: Turn,
    taken_at: u64,
    restarts: u32,
}

impl PlaceTurn<'_> {
    /// Puts an exemplar there, unless somebody else has meanwhile.
    fn write(self, key: u64, labels: &[(&str, &str)]) {
        let mut bytes = [0; MOST_BYTES];
        let mut length = 0;
        for text in labels.iter().flat_map(|&(name, value)| [name, value]) {
            let (text, end) = (text.as_bytes(), length + text.len());
            let (Some(into), true) = (bytes.get_mut(length..end), end < MOST_BYTES) else { return };
            into.copy_from_slice(text);
            bytes[end] = SEPARATOR;
            length = end + 1;
        }
        let now = clock::since_1970();
        self.place.write(self.turn, |words| {
            words[TAKEN_AT].store(self.taken_at, order::CELL);
            words[RESTARTS_AND_LENGTH].store(pack(self.restarts, length), order::CELL);
            words[KEY].store(key, order::CELL);
            words[TIME].store(now.as_nanos() as u64, order::CELL);
            let (chunks, _) = bytes[..length.next_multiple_of(size_of::<u64>())].as_chunks();
            for (word, chunk) in words[LABELS..].iter().zip(chunks) {
                word.store(u64::from_le_bytes(*chunk), order::CELL);
            }
        });
    }
}

/// A copy of what is written there, and the restarts that it knew of. It may be a mixture, which will be thrown away.
fn copy(words: &Words, member: usize) -> (u32, Kept) {
    let load = |at: usize| words[at].load(order::CELL);
    let (restarts, length) = unpack(load(RESTARTS_AND_LENGTH));
    let length = length.min(MOST_BYTES);
    let mut kept = Kept { member, bucket: 0, key: load(KEY), nanos: load(TIME), length, bytes: [0; MOST_BYTES] };
    let (chunks, _) = kept.bytes.as_chunks_mut();
    for (chunk, word) in chunks.iter_mut().zip(&words[LABELS..]).take(length.div_ceil(size_of::<u64>())) {
        *chunk = word.load(order::CELL).to_le_bytes();
    }
    (restarts, kept)
}

impl Kept {
    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut texts = self.bytes[..self.length].split(|&byte| byte == SEPARATOR);
        // Behind the last separator comes nothing, which `split` gives as an empty name without a value.
        std::iter::from_fn(move || Some((text(texts.next()?), text(texts.next()?))))
    }

    pub(crate) fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.nanos)
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn pack(restarts: u32, length: usize) -> u64 {
    u64::from(restarts) << 32 | length as u64
}

fn unpack(word: u64) -> (u32, usize) {
    ((word >> 32) as u32, word as u32 as usize)
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Buckets, Domain};
    use proptest::prelude::*;

    fn observed(grid: &Grid, epoch: usize, key: u64) -> Observed<'_> {
        Observed { grid, epoch, member: 0, bucket: grid.search(key), key }
    }

    /// Puts an exemplar in and takes it out again.
    fn through(labels: &[(&str, &str)]) -> Vec<(String, String)> {
        let grid = Grid::shared(Domain::Integers, &Buckets::DEFAULT);
        let (exemplars, mut kept) = (Exemplars::new(1), Vec::new());
        exemplars.keep(observed(&grid, 0, 100), labels);
        exemplars.read(&grid, 0, &mut kept);
        assert_eq!((kept.len(), kept[0].key, kept[0].member), (1, 100, 0));
        kept[0].labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    proptest! {
        #[test]
        fn labels_come_out_as_they_went_in(labels in prop::collection::btree_map("[a-z]{1,4}", "\\PC{0,30}", 0..8)) {
            let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
            if are_allowed(&labels) {
                let want: Vec<_> = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
                prop_assert_eq!(through(&labels), want);
            }
        }
    }

    #[test]
    fn the_longest_labels_have_room() {
        // Four bytes a character; and as many labels as there can be, which is as many separators.
        let crabs = "\u{1f980}".repeat(MOST_CHARACTERS - 1);
        assert!(are_allowed(&[("a", &crabs)]));
        assert_eq!(through(&[("a", &crabs)]), [("a".to_owned(), crabs)]);

        let letters = || ('a'..='z').chain('A'..='Z');
        let names: Vec<String> =
            letters().map(String::from).chain(letters().map(|letter| format!("_{letter}"))).collect();
        let mut labels: Vec<(&str, &str)> = names.iter().take(90).map(|name| (&**name, "")).collect();
        assert!(are_allowed(&labels));
        assert_eq!(through(&labels).len(), 90);
        labels.push(("z_", ""));
        assert!(!are_allowed(&labels));
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        let name = "trace_id";
        let value = "\u{e9}".repeat(MOST_CHARACTERS - name.len());
        assert!(are_allowed(&[(name, &value)]));
        assert!(!are_allowed(&[(name, &value), ("a", "")]));
        assert!(!are_allowed(&[(name, &"x".repeat(MOST_CHARACTERS))]));
        assert!(are_allowed(&[]));
    }

    #[test]
    fn a_place_is_free_again_after_a_restart_and_after_a_fork() {
        let grid = Grid::shared(Domain::Integers, &Buckets::DEFAULT);
        let exemplars = Exemplars::new(1);
        let keep = |epoch, key| exemplars.keep(observed(&grid, epoch, key), &[]);
        let seen = |epoch| {
            let mut kept = Vec::new();
            exemplars.read(&grid, epoch, &mut kept);
            kept.iter().map(|kept| kept.key).collect::<Vec<_>>()
        };
        assert!(seen(0).is_empty());
        keep(0, 100);
        keep(0, 101); // in the same bucket at the same time
        keep(0, 1);
        assert_eq!(seen(0), [1, 100]);

        exemplars.forget();
        assert!(seen(0).is_empty());
        keep(0, 101);
        assert_eq!(seen(0), [101]);

        assert!(seen(1).is_empty());
        keep(1, 102);
        assert_eq!(seen(1), [102]);
    }

    #[test]
    fn a_writer_that_missed_a_restart_is_not_seen() {
        let grid = Grid::shared(Domain::Integers, &Buckets::DEFAULT);
        let (exemplars, mut kept) = (Exemplars::new(1), Vec::new());
        let member = make(&exemplars.members[0], &grid).unwrap();
        let late = exemplars.turn(member, observed(&grid, 0, 100)).unwrap();
        exemplars.forget();
        late.write(100, &[]);
        exemplars.read(&grid, 0, &mut kept);
        assert!(kept.is_empty());
        exemplars.keep(observed(&grid, 0, 101), &[]);
        exemplars.read(&grid, 0, &mut kept);
        assert_eq!(kept.len(), 1);
    }
}
