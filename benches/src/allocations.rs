//! An allocator that counts, for binaries that ask how much a library allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with counts for each thread. Make it the `#[global_allocator]`.
#[derive(Debug)]
pub struct Counting;

/// What this thread has allocated so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocations {
    /// How often it asked for memory.
    pub count: u64,
    /// The bytes that it asked for and did not give back.
    pub bytes: i64,
}

thread_local! {
    // Without a destructor, so that it works in an allocator.
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

impl Allocations {
    /// What this thread has allocated so far. Zero where [`Counting`] is not the allocator.
    pub fn now() -> Self {
        Allocations { count: COUNT.get(), bytes: BYTES.get() }
    }

    /// What this thread has allocated since then.
    pub fn since(then: Self) -> Self {
        let now = Self::now();
        Allocations { count: now.count - then.count, bytes: now.bytes - then.bytes }
    }
}

fn count(allocations: u64, bytes: i64) {
    COUNT.set(COUNT.get() + allocations);
    BYTES.set(BYTES.get() + bytes);
}

// SAFETY: all calls go to the system's allocator as they come.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(memory, layout, size) }
    }
}
