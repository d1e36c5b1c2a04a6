//! A mapped file, shared between threads and processes.
//!
//! Everything but writing through [`Mapping::as_mut_ptr`] is safe: bytes are copied as relaxed
//! 64-bit atomics, so a concurrent store can make a read stale but never undefined. What makes a
//! read current is an acquire load before it: of a published position or of an event's id.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use memmap2::{MmapOptions, MmapRaw};

use super::pair::load_rising;

const WORD: usize = 8;
const PAGE: usize = 4096;
/// Pages that [`Mapping::look_ahead`] touches: twice what a million events a second fill while a
/// sync lasts.
const PAGES_AHEAD: usize = 8;

/// `TMPFS_MAGIC`.
const TMPFS: u64 = 0x0102_1994;

/// Whether other processes may map files of a filesystem with this magic number, to follow a log.
/// What is cut under a mapping ends the process that looks there. So such files are never cut, and
/// where memory cannot come back in another way, nobody maps them.
pub fn may_be_mapped(filesystem: u64) -> bool {
    filesystem == TMPFS
}

/// A mapping of the first bytes of a file, unmapped when the last share of it is dropped.
#[derive(Debug)]
pub struct Mapping {
    map: Arc<MmapRaw>,
    writable: bool,
    locked: bool,
}

impl Mapping {
    /// Maps `size` bytes, and touches none.
    pub(super) fn new(file: BorrowedFd<'_>, size: u64, writable: bool) -> io::Result<Self> {
        let len = usize::try_from(size).map_err(io::Error::other)?;
        debug_assert!(!writable || len >= WORD);
        let mut options = MmapOptions::new();
        options.len(len);
        if !writable {
            let map = options.map_raw_read_only(file.as_raw_fd())?;
            return Ok(Mapping { map: Arc::new(map), writable, locked: false });
        }
        let map = options.populate().map_raw(file.as_raw_fd())?;
        Ok(Mapping { map: Arc::new(map), writable, locked: false })
    }

    /// Makes every page of a writable mapping present, locks it in memory where the system allows
    /// it, and keeps it from forked children.
    pub(super) fn make_present(&mut self) -> io::Result<()> {
        self.touch();
        self.locked = self.map.lock().is_ok();
        self.map.advise(memmap2::Advice::DontFork)
    }

    /// Zeroed memory without a file: the content of a simulated file in memory.
    pub(super) fn anonymous(size: u64) -> io::Result<Self> {
        let len = usize::try_from(size).map_err(io::Error::other)?;
        let map = MmapOptions::new().len(len).map_anon()?;
        Ok(Mapping { map: Arc::new(map.into()), writable: true, locked: true })
    }

    /// Another mapping of the same memory.
    pub(super) fn share(&self, writable: bool) -> Self {
        debug_assert!(self.writable || !writable);
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

    /// Start of the mapping, for its only writer. Valid as long as the mapping lives.
    pub fn as_mut_ptr(&self) -> *mut u8 {
        assert!(self.writable, "a mapping for reading has no writer");
        self.map.as_mut_ptr()
    }

    /// The 64-bit word at `offset`, loaded with acquire ordering. If it was stored with release
    /// ordering, everything stored before it is visible after this.
    pub fn load_word(&self, offset: usize) -> u64 {
        u64::from_le(self.word(offset).load(Ordering::Acquire))
    }

    /// The pair of words at `offset`, a multiple of 16, as they were stored together last. Only for
    /// one whose first word rises with every store.
    pub fn load_pair(&self, offset: usize) -> (u64, u64) {
        let words: &[AtomicU64; 2] = self.words(offset, 2 * WORD).try_into().expect("two words");
        load_rising(words)
    }

    /// Copies bytes from `offset` on to `buffer`. Offset and length are multiples of 8.
    pub fn load(&self, offset: usize, buffer: &mut [u8]) {
        let words = self.words(offset, buffer.len());
        for (word, bytes) in words.iter().zip(buffer.chunks_exact_mut(WORD)) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
    }

    /// Copies `bytes` to `offset`. Offset and length are multiples of 8. For the thread that owns
    /// that range.
    pub fn store(&self, offset: usize, bytes: &[u8]) {
        assert!(self.writable, "a mapping for reading is never written");
        let words = self.words(offset, bytes.len());
        for (word, bytes) in words.iter().zip(bytes.chunks_exact(WORD)) {
            let mut value = [0; WORD];
            value.copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(value), Ordering::Relaxed);
        }
    }

    /// Touches the pages that the writer needs next, when it is at `offset`. The host of a virtual
    /// machine may have taken memory that was not used for a while, and the first access to it
    /// then takes 150 µs (docs/experiments/latency.md). Begins after the next page, whose lines
    /// the writer has fetched already. The word in the middle of a page is an event's id or begins
    /// a header. Both are stored as atomics, so loading them early is no data race.
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
        // SAFETY: the range was just checked to lie in the mapping, and the mapping is not unmapped
        // while `self` is borrowed. It begins at a page and `offset` is a multiple of 8, so the
        // words are aligned. Any bytes are a valid word. A shared reference to atomics allows
        // others to store meanwhile, and so does the kernel when another process maps the file.
        // `store` and `touch` write, in writable mappings only. The hot writer's plain stores to
        // bytes 8 to 63 of an event are no data race: whoever loads those bytes has seen the
        // event's id or the published position with an acquire load, after which they do not
        // change.
        unsafe {
            let start = self.map.as_ptr().add(offset).cast::<AtomicU64>();
            std::slice::from_raw_parts(start, len / WORD)
        }
    }

    /// Writes to every page, so that the first store of the writer to a page does not fault.
    fn touch(&self) {
        for offset in (0..self.size() - WORD).step_by(PAGE) {
            self.word(offset).fetch_or(0, Ordering::Relaxed);
        }
    }
}
