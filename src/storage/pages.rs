//! Memory to write from past the page cache.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

use crate::error::{Error, Result};

/// Bytes of a page. Disks take direct writes that begin and end at multiples of their own blocks,
/// of 512 or 4,096 bytes.
pub(crate) const PAGE: usize = 4096;

/// Zeroed memory that begins at a page.
#[derive(Debug)]
pub struct Pages(MmapMut);

impl Pages {
    /// Memory of at least `len` bytes.
    pub fn new(len: usize) -> Result<Self> {
        let pages = MmapMut::map_anon(len.next_multiple_of(PAGE))
            .map_err(|error| Error::io(format_args!("map {len} bytes of memory"), &error))?;
        debug_assert!(pages.as_ptr() as usize % PAGE == 0);
        Ok(Pages(pages))
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
