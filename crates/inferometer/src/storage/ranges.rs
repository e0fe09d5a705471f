//! Which slots are taken: hands out contiguous ranges and takes them back.

use super::slot::{CHUNKS, Slot, nominal_cells};
use std::collections::BTreeMap;

/// What a range looks like inside. A range is reused only for the same shape, because a cell that once held the bits
/// of a float makes no sense as an integer, nor the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    /// How many cells.
    pub(crate) cells: u32,
    /// Cells 0, `float_every`, 2 `float_every` and so on hold the bits of an `f64`; 0 where none does.
    pub(crate) float_every: u32,
}

/// A range that was given out.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) slot: Slot,
    /// Whether a former series may have left values in it.
    pub(crate) used: bool,
    /// The chunk that this range opened, with its size in cells.
    pub(crate) opened: Option<(usize, usize)>,
}

#[derive(Debug)]
pub(crate) struct Ranges {
    chunks: usize,
    fill: usize,
    size: usize,
    /// What was left at the end of a chunk when the next range did not fit any more.
    tails: Vec<(Slot, usize)>,
    returned: BTreeMap<Shape, Vec<Slot>>,
}

impl Ranges {
    pub(crate) const fn new() -> Self {
        Ranges { chunks: 0, fill: 0, size: 0, tails: Vec::new(), returned: BTreeMap::new() }
    }

    /// A range of this shape, or `None` when all chunks are in use.
    pub(crate) fn take(&mut self, shape: Shape) -> Option<Range> {
        if let Some(slot) = self.returned.get_mut(&shape).and_then(Vec::pop) {
            return Some(Range { slot, used: true, opened: None });
        }
        let wanted = shape.cells as usize;
        if let Some(at) = self.tails.iter().position(|&(_, cells)| cells >= wanted) {
            let (slot, cells) = self.tails[at];
            if cells == wanted {
                self.tails.swap_remove(at);
            } else {
                self.tails[at] = (slot.add(wanted), cells - wanted);
            }
            return Some(Range { slot, used: false, opened: None });
        }
        let mut opened = None;
        if self.fill + wanted > self.size {
            // A series never straddles a chunk; one that is larger than the next chunk would be gets it all.
            let size = nominal_cells(self.chunks).max(wanted.next_multiple_of(16));
            if self.chunks == CHUNKS || size >= 1 << 27 {
                return None;
            }
            if self.fill < self.size {
                self.tails.push((Slot::new(self.chunks - 1, self.fill), self.size - self.fill));
            }
            opened = Some((self.chunks, size));
            self.chunks += 1;
            self.size = size;
            self.fill = 0;
        }
        let slot = Slot::new(self.chunks - 1, self.fill);
        self.fill += wanted;
        Some(Range { slot, used: false, opened })
    }

    /// Takes a range back. Nobody may be able to write to it any more.
    pub(crate) fn give_back(&mut self, slot: Slot, shape: Shape) {
        self.returned.entry(shape).or_default().push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ints(cells: u32) -> Shape {
        Shape { cells, float_every: 0 }
    }

    #[test]
    fn ranges_never_overlap_nor_straddle_a_chunk() {
        let mut ranges = Ranges::new();
        let mut sizes = std::collections::HashMap::new();
        let mut taken: Vec<(Slot, usize)> = Vec::new();
        for i in 0..4_000 {
            let cells = [1, 1, 2, 17, 300, 9_000][i % 6];
            let range = ranges.take(ints(cells as u32)).unwrap();
            if let Some((chunk, size)) = range.opened {
                sizes.insert(chunk, size);
            }
            assert!(range.slot.offset() + cells <= sizes[&range.slot.chunk()]);
            taken.push((range.slot, cells));
        }
        taken.sort_by_key(|(slot, _)| slot.bits());
        for pair in taken.windows(2) {
            let [(a, cells), (b, _)] = pair else { unreachable!() };
            assert!(a.chunk() != b.chunk() || a.offset() + cells <= b.offset());
        }
    }

    #[test]
    fn a_returned_range_is_reused_for_its_shape_only() {
        let mut ranges = Ranges::new();
        let first = ranges.take(ints(20)).unwrap().slot;
        ranges.give_back(first, ints(20));
        let float = ranges.take(Shape { cells: 20, float_every: 20 }).unwrap();
        assert!(float.slot != first && !float.used);
        let again = ranges.take(ints(20)).unwrap();
        assert!(again.slot == first && again.used);
    }

    #[test]
    fn when_all_chunks_are_in_use_there_is_no_range() {
        let mut ranges = Ranges::new();
        for _ in 0..CHUNKS {
            assert!(ranges.take(ints((1 << 27) - 16)).is_some());
        }
        assert!(ranges.take(ints((1 << 27) - 16)).is_none());
        assert!(ranges.take(ints(1 << 27)).is_none());
    }
}
