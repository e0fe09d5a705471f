//! Words that many threads write and that are read as a whole, without anybody waiting.
//!
//! # The protocol
//!
//! A *sequence* stands in front of the words. It is odd while somebody writes, and each write moves it on by two. A
//! writer takes the lock by compare-exchange, from the even number that it saw to the odd one after it; when that
//! fails, somebody else writes, and this write is given up. A reader notes the sequence, copies the words, and looks at
//! the sequence again: if it is the same even number, nobody wrote meanwhile.
//!
//! # Why no reader sees a mixture
//!
//! The words are written while they are read, so they are atomics, relaxed ones. What has to hold is: *a reader that
//! copied a word of some write sees a different sequence at one of its two looks, unless it copied all words of that
//! write and none of a later one.* (See Boehm, "Can seqlocks get along with programming language memory models?",
//! MSPC 2012.)
//!
//! - *Not too old.* The writer stores the even number with Release after the words, and the reader's first look is an
//!   Acquire. So a reader that sees the number of a write sees its words, or later ones. (Relaxed here: the model
//!   `an_exemplar_published_relaxed_is_seen_torn`.)
//! - *Not too new.* Between taking the lock and storing the first word the writer has a Release fence, and between
//!   copying the last word and the second look the reader has an Acquire fence. If a copied word is that of a later
//!   write, then these fences synchronise, so the taking of that write's lock happens before the second look, which sees
//!   its odd number or a later one. A Release on the compare-exchange, or an Acquire on the second look, would not do:
//!   they order what stands before the one and after the other, and the words stand after and before. (Without a fence:
//!   the models `an_exemplar_written_without_a_fence_is_seen_torn` and `an_exemplar_read_without_a_fence_is_seen_torn`.)
//! - *One writer at a time.* The compare-exchange succeeds from the even number only, and no number comes twice. What
//!   the last writer stored happens before what the next one does, since a writer reads the even number with Acquire.
//!   (Two that do not exclude each other: `two_writers_that_do_not_exclude_each_other_tear_an_exemplar`.)
//!
//! # Forks
//!
//! The child of a fork may find the lock taken by a thread that does not exist there. So the upper half of the sequence
//! is the number of forks at the time of the write: of another one than today's, the words count as never written, and
//! the lock as free.

use crate::sync::{AtomicU64, order};

/// How often a reader begins anew when somebody writes. A write takes some tens of nanoseconds.
const TRIES: usize = if cfg!(loom) { 2 } else { 8 };

/// See the module.
#[derive(Debug)]
pub(crate) struct SeqLock<const WORDS: usize> {
    sequence: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// The right to try a write, from the sequence that was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    seen: u64,
    epoch: u32,
    /// The odd number that says that the lock is taken.
    taken: u32,
}

impl<const WORDS: usize> SeqLock<WORDS> {
    pub(crate) fn new() -> Self {
        SeqLock { sequence: AtomicU64::new(0), words: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// A turn to write, unless somebody is writing, or `due` looks at the words that are there and says no. (When `due`
    /// saw a mixture, the write will fail.)
    pub(crate) fn turn(&self, epoch: u32, due: impl FnOnce(&[AtomicU64; WORDS]) -> bool) -> Option<Turn> {
        let seen = self.sequence.load(order::OBSERVE);
        let number = number_in(seen, epoch);
        let free = number == 0 || number.is_multiple_of(2) && due(&self.words);
        free.then_some(Turn { seen, epoch, taken: number.wrapping_add(1) })
    }

    /// Stores all words, unless somebody else has written, or writes, since the turn was given.
    pub(crate) fn write(&self, turn: Turn, store: impl FnOnce(&[AtomicU64; WORDS])) -> bool {
        let taken = self.take(turn);
        if taken {
            order::fence_after_taking();
            store(&self.words);
            self.sequence.store(join(turn.epoch, turn.taken.wrapping_add(1)), order::publish());
        }
        taken
    }

    fn take(&self, turn: Turn) -> bool {
        let taken = join(turn.epoch, turn.taken);
        #[cfg(loom)]
        if crate::sync::weaken::has(crate::sync::weaken::Weakness::TakingByStore) {
            self.sequence.store(taken, order::CELL);
            return true;
        }
        self.sequence.compare_exchange(turn.seen, taken, order::OBSERVE, order::CELL).is_ok()
    }

    /// What `copy` makes of the words, which may be a mixture that is thrown away. `None` when nothing was written
    /// since the last fork, or when there is always somebody writing.
    pub(crate) fn read<R>(&self, epoch: u32, mut copy: impl FnMut(&[AtomicU64; WORDS]) -> R) -> Option<R> {
        for _ in 0..TRIES {
            let seen = self.sequence.load(order::OBSERVE);
            let number = number_in(seen, epoch);
            if number == 0 {
                return None;
            }
            if number.is_multiple_of(2) {
                let copied = copy(&self.words);
                order::fence_before_second_look();
                if self.sequence.load(order::CELL) == seen {
                    return Some(copied);
                }
            }
        }
        None
    }
}

/// The number of a sequence; 0, as at the beginning, when it is that of another epoch.
fn number_in(sequence: u64, epoch: u32) -> u32 {
    if (sequence >> 32) as u32 == epoch { sequence as u32 } else { 0 }
}

fn join(epoch: u32, number: u32) -> u64 {
    u64::from(epoch) << 32 | u64::from(number)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::thread;

    const WORDS: usize = 9;

    fn write(lock: &SeqLock<WORDS>, epoch: u32, number: u64) -> bool {
        let store = |words: &[AtomicU64; WORDS]| {
            for (i, word) in words.iter().enumerate() {
                word.store(number.wrapping_mul(i as u64 + 1), Relaxed);
            }
        };
        lock.turn(epoch, |_| true).is_some_and(|turn| lock.write(turn, store))
    }

    fn read(lock: &SeqLock<WORDS>, epoch: u32) -> Option<u64> {
        let words = lock.read(epoch, |words| std::array::from_fn::<u64, WORDS, _>(|i| words[i].load(Relaxed)))?;
        let whole = (0..WORDS).all(|i| words[i] == words[0].wrapping_mul(i as u64 + 1));
        assert!(whole, "a mixture: {words:?}");
        Some(words[0])
    }

    #[test]
    fn words_are_read_as_they_were_written_and_nothing_else() {
        let lock = SeqLock::<WORDS>::new();
        assert_eq!(read(&lock, 0), None);
        assert!(write(&lock, 0, 7));
        assert_eq!(read(&lock, 0), Some(7));
        assert!(lock.turn(0, |_| false).is_none());
        assert!(write(&lock, 0, 8));
        assert_eq!(read(&lock, 0), Some(8));
    }

    #[test]
    fn a_turn_is_good_for_one_write() {
        let lock = SeqLock::<WORDS>::new();
        let (first, second) = (lock.turn(0, |_| true).unwrap(), lock.turn(0, |_| true).unwrap());
        assert!(lock.write(first, |_| {}));
        assert!(!lock.write(second, |_| unreachable!("somebody else has written")));
        assert!(!lock.write(first, |_| unreachable!("the turn is over")));
    }

    #[test]
    fn while_somebody_writes_there_is_no_turn_and_nothing_to_read() {
        let lock = SeqLock::<WORDS>::new();
        assert!(write(&lock, 0, 1));
        let turn = lock.turn(0, |_| true).unwrap();
        lock.write(turn, |_| {
            assert!(lock.turn(0, |_| true).is_none());
            assert_eq!(read(&lock, 0), None);
        });
        assert!(read(&lock, 0).is_some());
    }

    #[test]
    fn after_a_fork_the_lock_is_free_and_empty_even_if_it_was_taken() {
        let lock = SeqLock::<WORDS>::new();
        assert!(write(&lock, 0, 1));
        let turn = lock.turn(0, |_| true).unwrap();
        lock.write(turn, |_| {
            // What the child sees whose parent had a thread right here.
            assert_eq!(read(&lock, 1), None);
            assert!(write(&lock, 1, 2));
            assert_eq!(read(&lock, 1), Some(2));
            assert!(write(&lock, 1, 3));
            assert_eq!(read(&lock, 1), Some(3));
        });
    }

    #[test]
    fn a_thousand_writes_of_several_threads_are_read_whole() {
        const WRITES: u64 = if cfg!(debug_assertions) { 20_000 } else { 500_000 };
        let (lock, done) = (SeqLock::<WORDS>::new(), AtomicBool::new(false));
        thread::scope(|scope| {
            let writers: Vec<_> = (0..3_u64)
                .map(|writer| {
                    let lock = &lock;
                    scope.spawn(move || (0..WRITES).filter(|i| write(lock, 0, i << 2 | writer)).count())
                })
                .collect();
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while !done.load(Relaxed) {
                    seen += usize::from(read(&lock, 0).is_some());
                }
                seen
            });
            let written: usize = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
            done.store(true, Relaxed);
            assert!(written > 0);
            // Somebody always writes: the reader may have found little, but nothing that was wrong.
            let _ = reader.join().unwrap();
        });
        assert!(read(&lock, 0).is_some());
    }
}
