//! The state of one series on one thread, and the draw.
//!
//! One word counts the events and counts down to the next one that is timed, so that an event costs one addition: its
//! low 43 bits grow by one, its high 20 bits fall by one. When the high part becomes negative the event is the one that
//! was drawn. A fresh word is zero, which makes the first event a drawn one. The scraper reads the low part. The bit
//! between them says whether the drawn event does not measure what it costs: that has to be known before the clock is read.
//!
//! The position in the next block is drawn when the event of this block comes up: as many events go by as this block has
//! left, and then as many as come before the position in the next one. So there is one slow step for each sample.
//!
//! # Why a scrape may read it meanwhile
//!
//! *One word, one writer.* Count and countdown change in one store, and a scrape reads them in one load: it sees the word
//! before an event or after it. The slow step stores a word with the same count, so a scrape cannot tell. (With a count
//! that two cells make up it could see one cell before the step and the other one after it: the model
//! `a_count_kept_in_two_cells_is_seen_torn`.) The low bits of a sum of words are the sum of their low bits, so the scrape
//! adds up the words of all threads first. Nobody but the thread writes, or its load, add and store would lose what comes
//! in between: what a scrape has read it subtracts and does not reset (`a_scrape_that_resets_the_word_loses_events`).
//!
//! *Passed on in mid-block.* All that a thread knows of its block is in cells, and they pass on with its slab. So the
//! next owner goes on where the last one has stopped, as if they were one thread, and there is a sample in that block
//! too. What makes this safe is the lock of the parked slabs (`a_block_passed_on_without_a_lock_is_torn`).
//!
//! *Used again from zero.* What a former series has left in its cells can be subtracted from sums, but not from the state
//! of a block: the new series would go on in the old one's. (`a_series_with_a_baseline_goes_on_in_a_foreign_block`.) So
//! these cells are zeroed, when the last handle of the former series is gone, which is when nobody can write to them.
//! (`cells_zeroed_while_somebody_counts_in_them_count_foreign_events`.)
//!
//! *Shared cells only count.* In the overflow slab the word takes atomic adds of one. It has no countdown and needs none:
//! every event is taken there.

use crate::sync::{AtomicU64, order};

/// How many bits count events. They wrap after 2^43, a hundred days of a million a second; the reader follows that. (The
/// carry then decides once whether a sample measures itself, or shifts one by one event.)
const EVENT_BITS: u32 = 43;

/// The part of the word that counts events.
const EVENTS: u64 = UNMEASURED - 1;

/// Set when the next sample does not measure what it costs.
const UNMEASURED: u64 = 1 << EVENT_BITS;

/// The lowest bit of the part that counts down.
const COUNTDOWN: u64 = UNMEASURED << 1;

/// What an event adds to the word.
pub(crate) const EVENT: u64 = 1_u64.wrapping_sub(COUNTDOWN);

/// The largest weight of a sample: two blocks must fit into the signed countdown.
pub(crate) const MAX_WEIGHT: u32 = 1 << 18;

/// Whether the event that made this word is the one that was drawn.
#[inline(always)]
pub(crate) fn is_drawn(word: u64) -> bool {
    (word as i64) < 0
}

/// Whether the sample that the word counts down to measures what it costs.
#[inline(always)]
pub(crate) fn is_measured(word: u64) -> bool {
    word & UNMEASURED == 0
}

/// The word with a sample that does not.
pub(crate) fn unmeasured(word: u64) -> u64 {
    word | UNMEASURED
}

/// Counts an event in a word whose only writer is this thread. Returns the word, which says whether this is the one that
/// was drawn.
#[inline(always)]
pub(crate) fn count(word: &AtomicU64) -> u64 {
    let counted = word.load(order::CELL).wrapping_add(EVENT);
    word.store(counted, order::CELL);
    counted
}

/// How many events a word, or a sum of words, has counted; modulo 2^43.
pub(crate) fn events(words: u64) -> u64 {
    words & EVENTS
}

/// How many events are between `before` and `now`, both counted modulo 2^43.
pub(crate) fn events_between(before: u64, now: u64) -> u64 {
    now.wrapping_sub(before) & EVENTS
}

/// The block that a thread is in. In one word: see [`Block::from_bits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// How many events the block has: the weight of its sample. 0 before the first event, which is a block by itself.
    pub(crate) weight: u32,
    /// How many events come after the drawn one.
    pub(crate) rest: u32,
    /// How many events ago, when the drawn one comes up, the last one was drawn. 0 when there was none.
    pub(crate) gap: u32,
}

const WEIGHT_BITS: u32 = 19;
const REST_BITS: u32 = 18;
const GAP_BITS: u32 = 20;

impl Block {
    /// A word of zeros is the state before the first event.
    pub(crate) fn from_bits(bits: u64) -> Self {
        let part = |shift: u32, width: u32| (bits >> shift) as u32 & ((1 << width) - 1);
        Block {
            weight: part(0, WEIGHT_BITS),
            rest: part(WEIGHT_BITS, REST_BITS),
            gap: part(WEIGHT_BITS + REST_BITS, GAP_BITS),
        }
    }

    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.weight) | u64::from(self.rest) << WEIGHT_BITS | u64::from(self.gap) << (WEIGHT_BITS + REST_BITS)
    }

    /// How many events the sample of this block stands for.
    pub(crate) fn weight(self) -> u32 {
        self.weight.max(1)
    }

    /// The next block, which has `weight` events, and the word with which the countdown to its drawn event begins, which
    /// is one that measures itself. `word` is the one that the present event made.
    pub(crate) fn next(self, word: u64, weight: u32, random: u64) -> (Block, u64) {
        let weight = weight.clamp(1, MAX_WEIGHT);
        let position = ((u128::from(random) * u128::from(weight)) >> 64) as u32;
        let until = self.rest + position;
        let block = Block { weight, rest: weight - 1 - position, gap: until + 1 };
        (block, (word & EVENTS) | (u64::from(until) * COUNTDOWN))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sample_that_does_not_measure_itself_comes_up_and_is_counted_like_another() {
        let (_, next) = Block::default().next(EVENT, 300, 1 << 63);
        let mut words = [next, unmeasured(next)];
        for at in 2.. {
            words = words.map(|word| EVENT.wrapping_add(word));
            let [one, other] = words;
            assert_eq!([events(one), events(other)], [at, at]);
            assert!(is_measured(one) && !is_measured(other));
            assert_eq!(is_drawn(one), is_drawn(other));
            if is_drawn(one) {
                return assert_eq!(at, 152);
            }
        }
    }

    proptest! {
        #[test]
        fn a_block_survives_its_word(weight in 0..=MAX_WEIGHT, rest in 0..MAX_WEIGHT, gap in 0_u32..1 << 19) {
            let block = Block { weight, rest, gap };
            prop_assert_eq!(Block::from_bits(block.to_bits()), block);
        }

        #[test]
        fn each_block_has_one_sample_and_all_events_are_counted(weights in prop::collection::vec(1_u32..300, 1..40), seed: u64) {
            let mut random = seed;
            let (mut word, mut block) = (0, Block::default());
            let mut drawn = Vec::new();
            let mut at = 0_u64;
            let mut next = weights.iter();
            let mut ends = vec![1];
            loop {
                word = EVENT.wrapping_add(word);
                if is_drawn(word) {
                    drawn.push((at, block.weight()));
                    let Some(&weight) = next.next() else { break };
                    ends.push(ends.last().unwrap() + u64::from(weight));
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (block, word) = block.next(word, weight, random);
                }
                at += 1;
                prop_assert_eq!(word & EVENTS, at);
            }
            // The first event is a block; after it, one sample in each block, with the block's weight.
            prop_assert_eq!(drawn.len(), ends.len());
            for (i, &(at, weight)) in drawn.iter().enumerate() {
                let begin = if i == 0 { 0 } else { ends[i - 1] };
                prop_assert!((begin..ends[i]).contains(&at));
                prop_assert_eq!(u64::from(weight), ends[i] - begin);
            }
        }
    }

    #[test]
    fn the_longest_blocks_fit_into_the_countdown() {
        let block = Block { weight: MAX_WEIGHT, rest: MAX_WEIGHT - 1, ..Block::default() };
        let (next, word) = block.next(5, MAX_WEIGHT, u64::MAX);
        assert_eq!(next.gap, 2 * MAX_WEIGHT - 1);
        assert!(!is_drawn(word));
        assert_eq!(word & EVENTS, 5);
        assert_eq!(Block::from_bits(next.to_bits()), next);
    }

    #[test]
    fn events_are_followed_over_the_wrap() {
        assert_eq!(events_between(EVENTS - 1, 3), 5);
    }
}
