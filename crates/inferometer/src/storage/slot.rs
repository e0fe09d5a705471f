//! Where a series lives: a chunk number and an offset into that chunk, the same in every slab.

/// The table of a slab has this many entries. The last one is null for ever: see [`Slot::UNREGISTERED`].
pub(crate) const TABLE: usize = 32;

/// How many chunks can be in use.
pub(crate) const CHUNKS: usize = TABLE - 1;

const OFFSET_BITS: u32 = 27;

/// A chunk number (5 bits) and an offset in cells (27 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Slot(u32);

impl Slot {
    /// Points into the chunk that is always null. An instrument that has no slot yet thus fails the same null test as
    /// a thread that never touched the chunk, and the hot path needs no second test.
    pub(crate) const UNREGISTERED: Slot = Slot((CHUNKS as u32) << OFFSET_BITS);

    /// What an instrument has that could not be registered: unregistered, and not to be tried again.
    pub(crate) const REFUSED: Slot = Slot(Slot::UNREGISTERED.0 + 1);

    pub(crate) const fn new(chunk: usize, offset: usize) -> Self {
        debug_assert!(chunk < CHUNKS && offset < 1 << OFFSET_BITS);
        Slot((chunk as u32) << OFFSET_BITS | offset as u32)
    }

    #[inline(always)]
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Slot(bits)
    }

    #[inline(always)]
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// At most 31, whatever the bits are.
    #[inline(always)]
    pub(crate) const fn chunk(self) -> usize {
        (self.0 >> OFFSET_BITS) as usize
    }

    #[inline(always)]
    pub(crate) const fn offset(self) -> usize {
        (self.0 & ((1 << OFFSET_BITS) - 1)) as usize
    }

    #[inline(always)]
    pub(crate) const fn is_registered(self) -> bool {
        self.chunk() < CHUNKS
    }

    /// The slot `cells` further on in the same chunk.
    #[inline(always)]
    pub(crate) const fn add(self, cells: usize) -> Self {
        Slot(self.0 + cells as u32)
    }
}

/// The nominal size of chunk `index` in cells: 4 KiB twice, 8 KiB twice, and so on, so that a process with ten
/// metrics pays for one page a thread and one with a million cells still needs no more than 31 chunks.
///
/// In a model each cell costs time, and a few are enough.
pub(crate) const fn nominal_cells(index: usize) -> usize {
    const FIRST: usize = if cfg!(loom) { 4 } else { 512 };
    FIRST << (index / 2)
}
