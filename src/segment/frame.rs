//! The content of a cold segment's LZ4 frame. A damaged LZ4 block costs what it holds; decoding
//! goes on with the next one, and what is wrong is reported as a [`Fault`].
//!
//! The blocks of a frame are a chain of lengths, so a wrong length hides everything behind it. In
//! the frames of this library every block has a checksum; there the next block is where a length
//! and a checksum fit together. The checksums of the events decide what of the content is good; the
//! checksums of the frame only show that something is wrong.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh32::Xxh32;

use crate::error::{Error, Result};
use crate::format::{FrameHeader, FrameKind, SegmentHeader, MAX_FRAME_HEADER_SIZE};
use crate::format::{BLOCK_SIZE, MAX_BLOCKS, SEGMENT_HEADER_SIZE};
use crate::storage::File;

/// How far back a block may refer.
pub(super) const HISTORY: usize = 64 * 1024;
pub(super) const RAW: u32 = 1 << 31;
pub(super) const WORD: u64 = 4;
/// No segment is longer; a frame that is, is not one.
pub(super) const MAX_CONTENT: u64 =
    SEGMENT_HEADER_SIZE as u64 + MAX_BLOCKS as u64 * BLOCK_SIZE as u64;

/// Something wrong with a frame.
#[derive(Debug, Clone)]
pub struct Fault {
    pub file_offset: u64,
    /// What of the content may be wrong for it.
    pub content: Range<u64>,
    pub what: String,
    /// Whether it is bytes behind the frame, which harm nothing in it.
    pub trailing: bool,
    /// Why it could not be read.
    pub error: Option<Error>,
}

/// The content of a frame, front to back.
pub struct FrameContent {
    pub(super) file: Arc<dyn File>,
    pub(super) file_size: u64,
    pub(super) header: FrameHeader,
    /// The frame has no header that can be trusted.
    is_guessed: bool,
    /// The next LZ4 block in the file, and where its content begins.
    pub(super) at: u64,
    pub(super) produced: u64,
    pub(super) checksum: Xxh32,
    /// Nothing was lost or passed over so far: the content's size and checksum mean something.
    pub(super) whole: bool,
    pub(super) ended: bool,
    /// Its first `filled` bytes are the newest content, up to `produced`. Never shrinks, so that it
    /// is not zeroed again for every block.
    pub(super) window: Vec<u8>,
    pub(super) filled: usize,
    pub(super) packed: Vec<u8>,
    /// Blocks to come that are damaged so that nothing can be decoded of them.
    pub(super) hidden: u64,
    /// Bytes hashed so far in search of blocks.
    pub(super) searched: usize,
    /// Where the LZ4 blocks of the window begin, in the content and in the file.
    pub(super) places: VecDeque<(u64, u64)>,
    pub(super) faults: VecDeque<Fault>,
    /// Where its blocks begin in the file, as far as somebody asked.
    pub(super) block_places: Vec<u64>,
    /// What begins behind the frame.
    follows: Option<FrameKind>,
}

impl FrameContent {
    /// The frame in a file. A valid frame header is believed.
    pub fn open(file: Arc<dyn File>) -> Result<Self> {
        Self::open_with(file, false)
    }

    /// The frame in a file that may be damaged: also doubts a header that is a single bit away from
    /// this library's.
    pub fn open_doubting(file: Arc<dyn File>) -> Result<Self> {
        Self::open_with(file, true)
    }

    fn open_with(file: Arc<dyn File>, doubts: bool) -> Result<Self> {
        let file_size = file.size()?;
        let mut bytes = [0; MAX_FRAME_HEADER_SIZE];
        let read = file.read_at(&mut bytes, 0)?;
        let mut frame = FrameContent {
            file,
            file_size,
            header: FrameHeader::guessed(true),
            is_guessed: false,
            at: 0,
            produced: 0,
            checksum: Xxh32::new(0),
            whole: true,
            ended: false,
            window: Vec::new(),
            filled: 0,
            packed: Vec::new(),
            hidden: 0,
            searched: 0,
            places: VecDeque::new(),
            faults: VecDeque::new(),
            block_places: Vec::new(),
            follows: None,
        };
        let decode = if doubts { FrameHeader::decode_doubting } else { FrameHeader::decode };
        match (decode(&bytes[..read]), FrameKind::of(&bytes[..read])) {
            (Some(header), _) => frame.header = header,
            (None, Some(kind @ (FrameKind::Legacy | FrameKind::Skippable))) => {
                frame.give_up(&format!("it begins with {kind}, which is not read"), None);
            }
            (None, _) => {
                frame.fault(0, 0, "the frame's header is not valid", None);
                let begin = frame.header.len;
                let block_checksums =
                    frame.is_block(begin) || doubts && frame.next_right_block(begin)?.is_some();
                frame.header = FrameHeader::guessed(block_checksums);
                frame.is_guessed = true;
            }
        }
        frame.at = frame.header.len;
        Ok(frame)
    }

    /// The segment header that the content begins with, to be read first. `None` when it or the
    /// frame around it is damaged; what the disk cannot read is an error.
    pub fn segment_header(&mut self) -> Result<Option<SegmentHeader>> {
        let header = self.header_despite_faults();
        match self.faults.iter().find_map(|fault| fault.error.clone()) {
            Some(error) => Err(error),
            None => Ok(header.filter(|_| self.faults.is_empty())),
        }
    }

    /// The same, if it is valid whatever is wrong with the frame.
    pub fn header_despite_faults(&mut self) -> Option<SegmentHeader> {
        let mut bytes = [0; SEGMENT_HEADER_SIZE];
        let read = self.read_at(&mut bytes, 0);
        SegmentHeader::decode(&bytes).filter(|_| read == bytes.len())
    }

    /// Bytes of the content, as the frame says.
    pub fn content_size(&self) -> Option<u64> {
        self.header.content_size
    }

    /// Whether there is no content at all, by what was read so far.
    pub fn holds_nothing(&self) -> bool {
        self.ended && self.produced == 0
    }

    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// The next thing wrong with the frame, of what was read so far.
    pub fn take_fault(&mut self) -> Option<Fault> {
        self.faults.pop_front()
    }

    /// The same, if what it concerns begins before `end` of the content.
    pub fn take_fault_before(&mut self, end: u64) -> Option<Fault> {
        let is_before = self.faults.front().is_some_and(|fault| fault.content.start < end);
        is_before.then(|| self.faults.pop_front()).flatten()
    }

    /// Reads content at `offset`, which never lies before that of the call before. Returns the
    /// bytes read: fewer only where the content ends. What could not be decoded reads as anything.
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> usize {
        debug_assert!(self.window_start() <= offset, "content is read front to back");
        let end = offset + buffer.len() as u64;
        while !self.ended && self.produced < end {
            self.forget_before(offset);
            self.next_block();
        }
        let start = offset.saturating_sub(self.window_start()) as usize;
        let there = self.window[..self.filled].get(start..).unwrap_or_default();
        let read = there.len().min(buffer.len());
        buffer[..read].copy_from_slice(&there[..read]);
        if let (true, Some(kind)) = (read < buffer.len(), self.follows.take()) {
            let what = format!("it goes on in {kind}, and only the first frame is read");
            self.give_up(&what, None);
        }
        read
    }

    /// Reads what is left, for the checksums' sake.
    pub fn read_rest(&mut self) {
        while !self.ended {
            self.forget_before(self.produced);
            self.next_block();
        }
    }

    /// Drops the content before `offset` that no later block can refer to.
    fn forget_before(&mut self, offset: u64) {
        let keep_from = offset.min(self.produced.saturating_sub(HISTORY as u64));
        let gone = keep_from.saturating_sub(self.window_start()) as usize;
        let gone = gone.min(self.filled);
        self.window.copy_within(gone..self.filled, 0);
        self.filled -= gone;
    }

    /// Where in the file the LZ4 block begins that holds this content, of what was read last.
    pub fn file_offset_of(&self, offset: u64) -> u64 {
        let before = self.places.iter().take_while(|(start, _)| *start <= offset);
        before.last().map_or(0, |(_, at)| *at)
    }

    fn window_start(&self) -> u64 {
        self.produced - self.filled as u64
    }

    fn fault(&mut self, file_offset: u64, len: u64, what: &str, error: Option<Error>) {
        let content = self.produced..self.produced + len;
        let (what, trailing) = (what.to_owned(), false);
        self.faults.push_back(Fault { file_offset, content, what, trailing, error });
    }

    /// The frame ends here, short of its end mark: nothing behind can be read.
    pub(super) fn give_up(&mut self, what: &str, error: Option<Error>) {
        let left = self.header.content_size.unwrap_or(MAX_CONTENT).saturating_sub(self.produced);
        self.fault(self.at, left, what, error);
        self.ended = true;
    }

    /// Decodes one LZ4 block to the end of the window.
    fn next_block(&mut self) {
        if self.produced > MAX_CONTENT {
            return self.give_up("the frame holds more than a segment", None);
        }
        if self.hidden > 0 {
            self.hidden -= 1;
            let len = self.header.block_limit;
            self.add_zeros(self.filled, len);
            self.produced += len as u64;
            return;
        }
        let word = match self.word(self.at) {
            Ok(Some(word)) => word,
            Ok(None) => return self.give_up("the frame is cut short", None),
            Err(error) => return self.give_up("cannot be read", Some(error)),
        };
        let size = self.header.content_size;
        let all_there = size.map_or(!self.is_guessed, |size| size == self.produced);
        if word == 0 && (!self.header.block_checksums || all_there || self.is_end(self.at)) {
            return self.finish();
        }
        let Some(packed) = self.load(word) else { return };
        // Only the last block may hold less than the others.
        let is_full = packed.fault.is_some() && !self.is_end(packed.next);
        let full = (is_full && self.header.block_checksums).then_some(self.header.block_limit);
        let expected = self.expected_len().or(full);
        let start = self.filled;
        let mut fault = packed.fault;
        let readings = if self.header.block_checksums {
            &[packed.raw, !packed.raw][..]
        } else {
            &[packed.raw][..]
        };
        let right = readings.iter().position(|&raw| {
            self.filled = start;
            let decoded = self.decode(raw, fault.is_none());
            decoded.is_some_and(|len| expected.is_none_or(|expected| len == expected))
        });
        match right {
            Some(0) => {}
            Some(_) => fault = fault.or(Some(("the frame's block is marked wrongly", None))),
            None => {
                self.filled = start;
                self.window[start..].fill(0);
                let decoded = self.decode(packed.raw, false);
                if decoded.is_none() || fault.is_some() {
                    self.filled = start + expected.unwrap_or(self.header.block_limit);
                    self.window.resize(self.window.len().max(self.filled), 0);
                }
                fault = fault.or(Some(("a block of the frame cannot be decoded", None)));
            }
        }
        let len = (self.filled - start) as u64;
        self.checksum.update(&self.window[start..self.filled]);
        if let Some((what, error)) = fault {
            self.whole = false;
            let len = len + self.hidden * self.header.block_limit as u64;
            self.fault(self.at, len, what, error);
        }
        let oldest = (self.produced + len) - self.filled as u64;
        while self.places.get(1).is_some_and(|(start, _)| *start <= oldest) {
            self.places.pop_front();
        }
        self.places.push_back((self.produced, self.at));
        self.produced += len;
        self.at = packed.next;
    }

    /// Adds zeros to the window, from `start` of it on.
    fn add_zeros(&mut self, start: usize, len: usize) {
        self.filled = start + len;
        self.window.resize(self.window.len().max(self.filled), 0);
        self.window[start..self.filled].fill(0);
    }

    /// Bytes that this block must hold, where that is known.
    fn expected_len(&self) -> Option<usize> {
        let limit = self.header.block_limit as u64;
        let size = self.header.content_size.filter(|_| self.header.block_checksums)?;
        Some(size.saturating_sub(self.produced).min(limit) as usize)
    }

    pub(super) fn trailer_len(&self) -> u64 {
        if self.header.content_checksum {
            2 * WORD
        } else {
            WORD
        }
    }

    pub(super) fn word(&self, at: u64) -> Result<Option<u32>> {
        let mut bytes = [0; WORD as usize];
        let read = self.file.read_at(&mut bytes, at)?;
        Ok((read == bytes.len()).then(|| u32::from_le_bytes(bytes)))
    }

    /// At the end mark.
    fn finish(&mut self) {
        self.ended = true;
        let mark = self.at;
        if self.header.content_checksum {
            match self.word(mark + WORD) {
                Ok(Some(word)) if self.whole && word != self.checksum.digest() => {
                    self.fault(mark, 0, "the frame's content checksum does not match", None);
                }
                Ok(Some(_)) => {}
                Ok(None) => self.fault(mark, 0, "the frame is cut short", None),
                Err(error) => self.fault(mark, 0, "cannot be read", Some(error)),
            }
        }
        if self.whole && self.header.content_size.is_some_and(|size| size != self.produced) {
            self.fault(0, 0, "the frame's content size is not that of its content", None);
        }
        let end = mark + self.trailer_len();
        if end < self.file_size {
            let mut what = format!("{} bytes follow the frame", self.file_size - end);
            let mut begin = [0; WORD as usize];
            if self.file.read_at(&mut begin, end).is_ok() {
                self.follows = FrameKind::of(&begin);
            }
            if let Some(kind) = self.follows {
                what += &format!(": {kind}");
            }
            self.fault(end, 0, &what, None);
            if let Some(fault) = self.faults.back_mut() {
                fault.trailing = true;
            }
        }
    }
}

pub(super) fn word_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use xxhash_rust::xxh32::xxh32;

    use super::*;
    use crate::storage::{create, Links, PosixStorage, Storage};

    const BLOCK: usize = 64 * 1024;

    /// A frame of 64 KiB blocks that do not refer to each other and have no checksums: a damaged
    /// one, and one that is stored as it is.
    fn frame(damaged: &[u8], stored: &[u8]) -> Vec<u8> {
        let flags = [0x60, 0x40];
        let mut frame = 0x184D_2204_u32.to_le_bytes().to_vec();
        frame.extend_from_slice(&flags);
        frame.push((xxh32(&flags, 0) >> 8) as u8);
        frame.extend_from_slice(&(damaged.len() as u32).to_le_bytes());
        frame.extend_from_slice(damaged);
        frame.extend_from_slice(&(stored.len() as u32 | RAW).to_le_bytes());
        frame.extend_from_slice(stored);
        frame.extend_from_slice(&[0; 4]);
        frame
    }

    fn content(directory: &Path, frame: &[u8]) -> FrameContent {
        let storage = PosixStorage::for_writing();
        let directory = storage.open_directory(directory, Links::Follow).unwrap().unwrap();
        let file = create(&*directory, "frame").unwrap();
        file.write_at(frame, 0).unwrap();
        FrameContent::open(file).unwrap()
    }

    /// A match of eight bytes, 0 bytes back: the C library takes that for a block of 14 bytes.
    #[test]
    fn a_damaged_block_without_a_checksum_does_not_move_what_follows() {
        let damaged = [0x14, b'a', 0, 0, 0x50, b'b', b'b', b'b', b'b', b'b'];
        let stored: Vec<u8> = (0..BLOCK).map(|n| (n % 251) as u8).collect();
        let temporary = tempfile::tempdir().unwrap();
        let mut content = content(temporary.path(), &frame(&damaged, &stored));
        let mut buffer = vec![0; BLOCK];
        assert_eq!(content.read_at(&mut buffer, BLOCK as u64), BLOCK);
        assert!(buffer == stored, "the block behind the damaged one");
        assert!(content.take_fault().is_some());
    }
}
