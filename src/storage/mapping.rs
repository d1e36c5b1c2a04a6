//! A mapped file, shared between threads and processes.
//!
//! Everything but [`Mapping::as_mut_ptr`] is safe: bytes are moved as relaxed 64-bit atomics, so a
//! concurrent writer can give stale bytes but never undefined behaviour. What makes a read current
//! is the acquire load that precedes it: of a published position, or of an event's id.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use memmap2::{MmapOptions, MmapRaw};

const WORD: usize = 8;
const PAGE: usize = 4096;
/// Pages that [`Mapping::look_ahead`] reads in: twice what a million events a second fill in a sync.
const PAGES_AHEAD: usize = 8;

/// A mapping of the first bytes of a file; unmapped when the last one of that memory is dropped.
#[derive(Debug)]
pub struct Mapping {
    map: Arc<MmapRaw>,
    writable: bool,
    locked: bool,
}

impl Mapping {
    /// Maps `size` bytes. A writable mapping has every page present, is locked in memory where
    /// the system allows it, and is not inherited by forked children.
    pub(super) fn new(file: BorrowedFd<'_>, size: u64, writable: bool) -> io::Result<Self> {
        let len = usize::try_from(size).map_err(io::Error::other)?;
        let mut options = MmapOptions::new();
        options.len(len);
        if !writable {
            let map = options.map_raw_read_only(file.as_raw_fd())?;
            return Ok(Mapping { map: Arc::new(map), writable, locked: false });
        }
        let map = options.populate().map_raw(file.as_raw_fd())?;
        let mut mapping = Mapping { map: Arc::new(map), writable, locked: false };
        mapping.touch();
        mapping.locked = mapping.map.lock().is_ok();
        mapping.map.advise(memmap2::Advice::DontFork)?;
        Ok(mapping)
    }

    /// Memory that is no file's, zeroed: what a simulated file in memory consists of.
    pub(super) fn anonymous(size: u64) -> io::Result<Self> {
        let len = usize::try_from(size).map_err(io::Error::other)?;
        let map = MmapOptions::new().len(len).map_anon()?;
        Ok(Mapping { map: Arc::new(map.into()), writable: true, locked: true })
    }

    /// The same memory once more.
    pub(super) fn share(&self, writable: bool) -> Self {
        Mapping { map: Arc::clone(&self.map), writable, locked: self.locked }
    }

    /// Bytes mapped.
    pub fn size(&self) -> usize {
        self.map.len()
    }

    /// Whether the pages are locked in memory.
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// Start of the mapping, for the one writer of it. Valid as long as the mapping lives.
    pub fn as_mut_ptr(&self) -> *mut u8 {
        assert!(self.writable, "a mapping for reading has no writer");
        self.map.as_mut_ptr()
    }

    /// The 64-bit word at `offset`, with acquire ordering: the bytes stored before it was stored
    /// with release ordering are visible to what follows.
    pub fn load_word(&self, offset: usize) -> u64 {
        u64::from_le(self.word(offset).load(Ordering::Acquire))
    }

    /// Copies `buffer.len()` bytes from `offset` on; both multiples of 8.
    pub fn load(&self, offset: usize, buffer: &mut [u8]) {
        let words = self.words(offset, buffer.len());
        for (word, bytes) in words.iter().zip(buffer.chunks_exact_mut(WORD)) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
    }

    /// Copies `bytes` to `offset`; both multiples of 8. For the thread that owns that range.
    pub fn store(&self, offset: usize, bytes: &[u8]) {
        assert!(self.writable, "a mapping for reading is never written");
        let words = self.words(offset, bytes.len());
        for (word, bytes) in words.iter().zip(bytes.chunks_exact(WORD)) {
            let mut value = [0; WORD];
            value.copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(value), Ordering::Relaxed);
        }
    }

    /// Reads in the pages the writer comes to next, when it is at `offset`: of a virtual machine's
    /// memory the host may have taken what was not used for a while, and whoever is there first then
    /// waits 150 µs (docs/performance.md). From the page after the next on, since the lines before
    /// are those the writer has fetched to write. The word in the middle of a page is an event's
    /// id or begins a header: both are stored as atomics, so reading them early is no race.
    pub fn look_ahead(&self, offset: usize) {
        let page = offset / PAGE + 2;
        for at in (page..page + PAGES_AHEAD).map(|page| page * PAGE + PAGE / 2) {
            if at + WORD <= self.size() {
                std::hint::black_box(self.load_word(at));
            }
        }
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        &self.words(offset, WORD)[0]
    }

    fn words(&self, offset: usize, len: usize) -> &[AtomicU64] {
        assert!(offset % WORD == 0 && len % WORD == 0, "offset {offset}, length {len}");
        let end = offset.checked_add(len);
        assert!(end.is_some_and(|end| end <= self.size()), "{offset}+{len} past the mapping");
        // All access through these words is atomic; stores happen only where `writable` was asserted.
        // The one non-atomic access to the same memory is the hot writer's, to bytes past the
        // published position, which readers use only after an acquire load has published them.
        // SAFETY: the range was just checked to lie in the mapping, which lives as long as the
        // borrow of self and is page aligned: the words are mapped and aligned.
        unsafe {
            let start = self.map.as_ptr().add(offset).cast::<AtomicU64>();
            std::slice::from_raw_parts(start, len / WORD)
        }
    }

    /// Writes to every page, so that not even the first store to one can fault.
    fn touch(&self) {
        for offset in (0..self.size() - WORD).step_by(PAGE) {
            self.word(offset).fetch_or(0, Ordering::Relaxed);
        }
    }
}
