//! Finding the bucket of a value in two compares.
//!
//! Written as a float, a value's exponent and top four mantissa bits name one of 16 cells for each doubling. At most
//! two bounds may lie inside such a cell, so an entry of the table holds the index of the cell's lowest bucket and two
//! bounds to compare with:
//!
//! ```text
//! entry = [ bound0 << 16 | base , bound1 << 16 | 0xffff ]
//! index = base + (key << 16 > entry[0]) + (key << 16 > entry[1])
//! ```
//!
//! The key is the value itself for integers below 2^48, and the low 48 bits of a float, whose high 16 bits have
//! chosen the entry already. A shifted key ends in 16 zero bits, so the base in the low bits of an entry does not
//! change the outcome of `>`.

/// An entry of the table.
pub(crate) type Entry = [u64; 2];

/// The part of a float's bits that chooses the entry: sign, exponent, four bits of the mantissa.
pub(crate) const KEY_BITS: u32 = 48;

/// Integers must be below this.
pub(crate) const LIMIT: u64 = 1 << KEY_BITS;

/// No bound: no 48-bit key is greater.
const NONE: u64 = u64::MAX << 16;

/// The number of the entry that an integer falls into, before the table's first entry is subtracted.
#[inline(always)]
pub(crate) fn position_of_integer(value: u64) -> u32 {
    // Through i64, which one instruction converts; what does not fit becomes negative and thus out of range.
    position_of_float((value as i64 as f64).to_bits())
}

/// The same for the bits of a float.
#[inline(always)]
pub(crate) fn position_of_float(bits: u64) -> u32 {
    (bits >> KEY_BITS) as u32
}

/// The bucket of a key in its entry.
#[inline(always)]
pub(crate) fn index_in(entry: &Entry, key: u64) -> usize {
    let shifted = key << 16;
    entry[0] as u16 as usize + usize::from(shifted > entry[0]) + usize::from(shifted > entry[1])
}

/// What the keys of a grid are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Keys {
    /// Integers below 2^48.
    Integers,
    /// The bits of positive floats.
    Floats,
}

impl Keys {
    /// The smallest key that falls into the entry at `position` or a later one.
    fn first_key(self, position: u32) -> u64 {
        let bits = u64::from(position) << KEY_BITS;
        match self {
            Keys::Floats => bits,
            Keys::Integers => f64::from_bits(bits).ceil() as u64,
        }
    }
}

/// The entries for positions from `first` on, for bounds in ascending order. `None` when more than two bounds fall into
/// one entry, or when there are too many buckets for 16 bits.
pub(crate) fn build(keys: Keys, bounds: &[u64], first: u32, entries: usize) -> Option<Box<[Entry]>> {
    if bounds.len() >= usize::from(u16::MAX) {
        return None;
    }
    let mut below = 0;
    (first..)
        .take(entries)
        .map(|position| {
            let (start, end) = (keys.first_key(position), keys.first_key(position + 1));
            // A bound is inclusive: the entry's lowest key is above all bounds that are smaller than it.
            while below < bounds.len() && bounds[below] < start {
                below += 1;
            }
            // A bound that is the entry's last key separates it from the next entry only.
            let inside = bounds[below..].iter().take_while(|&&bound| bound < end.saturating_sub(1)).count();
            if inside > 2 {
                return None;
            }
            let packed = |i: usize| if i < inside { bounds[below + i] << 16 } else { NONE };
            Some([packed(0) | below as u64, packed(1) | 0xffff])
        })
        .collect()
}
