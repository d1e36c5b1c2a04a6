//! Memory to write from, and to read into, past the page cache.

use std::ops::{Deref, DerefMut};

/// Bytes of a page. Disks take direct writes that begin and end at multiples of their own blocks,
/// of 512 or 4,096 bytes.
pub(crate) const PAGE: usize = 4096;

/// Zeroed memory that begins at a page. It is taken from the heap: to unmap memory would interrupt
/// the appending thread.
#[derive(Debug)]
pub struct Pages {
    memory: Vec<u8>,
    begin: usize,
    len: usize,
}

impl Pages {
    /// Memory of at least `len` bytes.
    pub fn new(len: usize) -> Self {
        let len = len.next_multiple_of(PAGE);
        let memory = vec![0; len + PAGE];
        let begin = memory.as_ptr().align_offset(PAGE);
        debug_assert!(begin <= PAGE);
        Pages { memory, begin, len }
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.begin..][..self.len]
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.begin..][..self.len]
    }
}
