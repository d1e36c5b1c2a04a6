//! The content of a disk with a write cache: what was not flushed may be lost with the power.

use std::ops::Range;

use super::flow::Random;

/// What a disk writes whole or not at all.
pub const SECTOR: usize = 512;
/// What the filesystems allocate.
const BLOCK: usize = 4096;

/// A disk in memory. Its size is a multiple of the sector's.
pub struct CachedDisk {
    /// What is read: all writes.
    content: Vec<u8>,
    /// What surely survives a power cut: the writes before the last flush.
    stable: Vec<u8>,
    /// The writes since then, in order: where, and the sectors.
    unflushed: Vec<(usize, Vec<u8>)>,
}

impl CachedDisk {
    pub fn new(size: usize) -> Self {
        CachedDisk { content: vec![0; size], stable: vec![0; size], unflushed: Vec::new() }
    }

    pub fn size(&self) -> usize {
        self.content.len()
    }

    pub fn read(&self, offset: usize, len: usize) -> &[u8] {
        let end = self.size().min(offset + len);
        &self.content[offset.min(end)..end]
    }

    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        self.content[offset..end].copy_from_slice(bytes);
        let begin = offset / SECTOR * SECTOR;
        let sectors = &self.content[begin..end.next_multiple_of(SECTOR)];
        self.unflushed.push((begin, sectors.to_vec()));
    }

    /// Makes all writes so far stable.
    pub fn flush(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.unflushed) {
            self.stable[offset..offset + bytes.len()].copy_from_slice(&bytes);
        }
    }

    /// Cuts the power. Of the writes since the last flush any may survive: later ones without
    /// earlier ones, an overwritten one in place of the last one, some sectors of one without the
    /// others. Returns how many bytes were not flushed.
    pub fn cut(&mut self, random: &mut Random) -> usize {
        const ALL: u64 = 4;
        let kept = random.below(ALL + 1);
        let mut writes = std::mem::take(&mut self.unflushed);
        for n in (1..writes.len()).rev() {
            writes.swap(n, random.below(n as u64 + 1) as usize);
        }
        for (offset, bytes) in &writes {
            let whole = random.one_in(2).then(|| random.below(ALL) < kept);
            for part in self.parts(*offset, bytes) {
                if whole.unwrap_or_else(|| random.below(ALL) < kept) {
                    let written = &bytes[part.start - offset..part.end - offset];
                    self.stable[part].copy_from_slice(written);
                }
            }
        }
        for (offset, bytes) in &writes {
            let survived = *offset..offset + bytes.len();
            self.content[survived.clone()].copy_from_slice(&self.stable[survived]);
        }
        writes.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// The parts of a write, each of which is written whole or not at all: the sectors, but the
    /// whole block where XFS keeps its metadata. It does not recover one that was torn: its log
    /// brings no block up to date whose first sector is already new.
    fn parts(&self, offset: usize, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let (mut at, end) = (offset, offset + bytes.len());
        while at < end {
            let block_end = end.min((at + 1).next_multiple_of(BLOCK));
            let first = &bytes[at - offset..][..SECTOR];
            let part = if self.is_metadata(first) { block_end - at } else { SECTOR };
            parts.extend((at..block_end).step_by(part).map(|at| at..at + part));
            at = block_end;
        }
        parts
    }

    /// Whether the block that begins with this sector is metadata of XFS: that has the id of the
    /// filesystem in it.
    fn is_metadata(&self, sector: &[u8]) -> bool {
        let superblock = &self.content[..SECTOR];
        let id = &superblock[32..48];
        superblock.starts_with(b"XFSB") && sector.windows(id.len()).any(|bytes| bytes == id)
    }
}
