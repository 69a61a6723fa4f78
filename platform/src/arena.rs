//! The heap of the program: memory that is handed out once.
//!
//! The agent allocates once, when it starts: the list of events that mio fills. So nothing needs to
//! be given back, and an allocator that mostly does not take it back is a few hundred bytes of code,
//! where the C library's is nine thousand. What was allocated last can grow in place and is taken
//! back.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::libc;

/// Memory is asked of the system in pieces of at least this size; a page of it becomes resident
/// when it is used.
const PIECE_BYTES: usize = 16 * 1024;

/// Times that memory was asked for.
static ALLOCATIONS: AtomicU32 = AtomicU32::new(0);

/// How often memory was asked for since the start of the program; it wraps.
pub fn allocations() -> u32 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// An allocator for a program of one thread.
#[derive(Debug)]
pub struct Arena {
    /// The free rest of the newest piece: from, to.
    free: Cell<usize>,
    end: Cell<usize>,
}

// SAFETY: who made it has promised that there is one thread.
unsafe impl Sync for Arena {}

impl Arena {
    /// An arena that has no memory yet.
    ///
    /// # Safety
    /// As long as it is used, the program has one thread.
    pub const unsafe fn new() -> Self {
        Self { free: Cell::new(0), end: Cell::new(0) }
    }

    /// Gets a new piece with room for `bytes`; what was left of the one before is not used.
    fn refill(&self, bytes: usize) -> Option<()> {
        let len = bytes.max(PIECE_BYTES);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new anonymous mapping at an address of the system's choice touches no memory
        // that is in use.
        let piece = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
        if piece == libc::MAP_FAILED {
            return None;
        }
        let start = piece.expose_provenance();
        self.free.set(start);
        self.end.set(start + len);
        Some(())
    }

    /// There is one thread: nothing comes between the two.
    fn count() {
        ALLOCATIONS.store(ALLOCATIONS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    fn take(&self, layout: Layout) -> Option<usize> {
        let start = self.free.get().next_multiple_of(layout.align());
        let end = start.checked_add(layout.size())?;
        if end > self.end.get() {
            return None;
        }
        self.free.set(end);
        Some(start)
    }
}

// SAFETY: `take` hands out ranges of mapped memory that lie in the free part of a piece, and then
// are no longer in it, so that no two allocations that live at the same time overlap. A range is
// put back only by its owner, and only if it is the last one. They are aligned as asked, and of
// the size asked for.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        let taken = self.take(layout).or_else(|| {
            self.refill(layout.size().checked_add(layout.align())?)?;
            self.take(layout)
        });
        taken.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if memory.addr() + layout.size() == self.free.get() {
            self.free.set(memory.addr());
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let start = memory.addr();
        let is_last = start + layout.size() == self.free.get();
        if is_last && bytes <= self.end.get() - start {
            Self::count();
            self.free.set(start + bytes);
            return memory;
        }
        // SAFETY: the caller promises that `bytes`, rounded up to the alignment, does not overflow.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(bytes, layout.align())) };
        if !new.is_null() {
            // SAFETY: both are at least as long as the shorter one, and the new one is fresh.
            unsafe { ptr::copy_nonoverlapping(memory, new, layout.size().min(bytes)) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn ranges_are_aligned_and_apart() {
        // SAFETY: this thread alone has it.
        let arena = unsafe { Arena::new() };
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for i in 0..2_000_usize {
            let layout = layout(i * 7 % 900 + 1, 1 << (i % 8));
            // SAFETY: the size is not 0.
            let memory = unsafe { arena.alloc(layout) };
            assert!(!memory.is_null());
            // SAFETY: that many bytes were allocated here.
            unsafe { memory.write_bytes(i as u8, layout.size()) };
            assert_eq!(memory.addr() % layout.align(), 0);
            ranges.push((memory.addr(), memory.addr() + layout.size()));
        }
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    }

    #[test]
    fn one_larger_than_a_piece_gets_a_piece_of_its_own() {
        // SAFETY: this thread alone has it.
        let arena = unsafe { Arena::new() };
        let layout = layout(3 * PIECE_BYTES, 4096);
        // SAFETY: the size is not 0, and that many bytes are written.
        unsafe {
            let memory = arena.alloc(layout);
            assert!(!memory.is_null());
            memory.write_bytes(1, layout.size());
        }
    }

    #[test]
    fn the_last_one_grows_in_place_and_is_taken_back() {
        // SAFETY: this thread alone has it.
        let arena = unsafe { Arena::new() };
        // SAFETY: sizes are not 0, layouts are those of the allocations.
        unsafe {
            let first = arena.alloc(layout(100, 8));
            first.write_bytes(7, 100);
            let grown = arena.realloc(first, layout(100, 8), 200);
            assert_eq!(grown, first);
            let second = arena.alloc(layout(50, 8));
            let moved = arena.realloc(grown, layout(200, 8), 300);
            assert_ne!(moved, grown);
            assert!(std::slice::from_raw_parts(moved, 100).iter().all(|byte| *byte == 7));
            arena.dealloc(moved, layout(300, 8));
            assert_eq!(arena.alloc(layout(300, 8)), moved);
            arena.dealloc(second, layout(50, 8));
            assert_ne!(arena.alloc(layout(50, 8)), second, "not the last one");
        }
    }
}
