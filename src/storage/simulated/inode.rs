//! The content of a file: on disk, what was synced and what was written since; in memory, bytes.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use super::super::Mapping;
use super::random::Random;

/// Bytes that a disk writes all or none of.
pub const SECTOR_SIZE: usize = 512;

/// Which unsynced writes survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    None,
    All,
    /// Of each sector, any state it was in since the last sync.
    Sectors,
}

#[derive(Debug)]
pub enum Inode {
    Disk(DiskFile),
    /// In memory, never mapped.
    Bytes(Vec<u8>),
    /// In memory, mapped.
    Mapped(Mapping),
}

#[derive(Debug, Default)]
pub struct DiskFile {
    /// The page cache: what reads see.
    now: Vec<u8>,
    /// The content of the device.
    stable: Vec<u8>,
    /// Writes since the last sync, in order. An empty one makes the file longer.
    pending: Vec<(usize, Vec<u8>)>,
}

impl Inode {
    pub fn size(&self) -> usize {
        match self {
            Inode::Disk(file) => file.now.len(),
            Inode::Bytes(bytes) => bytes.len(),
            Inode::Mapped(mapping) => mapping.size(),
        }
    }

    /// Reads until the buffer is full or the file ends. Returns how many bytes were read.
    pub fn read(&self, buffer: &mut [u8], offset: usize) -> usize {
        let len = self.size().saturating_sub(offset).min(buffer.len());
        if len == 0 {
            return 0;
        }
        let buffer = &mut buffer[..len];
        match self {
            Inode::Disk(file) => buffer.copy_from_slice(&file.now[offset..offset + len]),
            Inode::Bytes(bytes) => buffer.copy_from_slice(&bytes[offset..offset + len]),
            Inode::Mapped(mapping) => mapping.load(offset, buffer),
        }
        len
    }

    /// Writes, and makes the file longer if necessary. A mapped one must be long enough.
    pub fn write(&mut self, bytes: &[u8], offset: usize) {
        debug_assert!(!matches!(self, Inode::Mapped(map) if offset + bytes.len() > map.size()));
        match self {
            Inode::Disk(file) => file.write(bytes, offset),
            Inode::Bytes(content) => put(content, bytes, offset),
            Inode::Mapped(mapping) => mapping.store(offset, bytes),
        }
    }

    /// Makes the file at least this long.
    pub fn grow(&mut self, size: usize) {
        if size > self.size() {
            self.write(&[], size);
        }
    }

    /// Maps the first `size` bytes of a file in memory.
    pub fn map(&mut self, size: u64, writable: bool) -> io::Result<Mapping> {
        if let Inode::Bytes(bytes) = self {
            let mapping = Mapping::anonymous(size)?;
            mapping.store(0, bytes);
            *self = Inode::Mapped(mapping);
        }
        match self {
            Inode::Mapped(mapping) if mapping.size() as u64 == size => Ok(mapping.share(writable)),
            _ => Err(io::Error::from_raw_os_error(libc::ENODEV)),
        }
    }
}

impl DiskFile {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        put(&mut self.now, bytes, offset);
        debug_assert!(self.stable.len() <= self.now.len());
        self.pending.push((offset, bytes.to_vec()));
    }

    /// Brings everything that was written to the device.
    pub fn sync(&mut self) {
        self.stable.resize(self.now.len(), 0);
        for (offset, bytes) in self.pending.drain(..) {
            let range = offset..offset + bytes.len();
            self.stable[range.clone()].copy_from_slice(&self.now[range]);
        }
    }

    /// Brings what was written to these bytes to the device. Other writes stay pending.
    pub fn sync_range(&mut self, range: Range<usize>) {
        let inside = |offset: &usize, len| range.start <= *offset && *offset + len <= range.end;
        self.pending.retain(|(offset, bytes)| bytes.is_empty() || !inside(offset, bytes.len()));
        put(&mut self.stable, &self.now[range.clone()], range.start);
        // What is left of earlier writes to them is what they are now.
        for (offset, bytes) in &mut self.pending {
            let shared = (*offset).max(range.start)..(*offset + bytes.len()).min(range.end);
            if !shared.is_empty() {
                bytes[shared.start - *offset..shared.end - *offset]
                    .copy_from_slice(&self.now[shared]);
            }
        }
    }

    /// A sync that fails: a part is on the device now, and the rest never will be, although reads
    /// still see it. The next sync does not write it again.
    pub fn fail_sync(&mut self, random: &mut Random) {
        self.settle(Survival::Sectors, random);
    }

    /// The power fails.
    pub fn cut_power(&mut self, survival: Survival, random: &mut Random) {
        self.settle(survival, random);
        self.now.clone_from(&self.stable);
    }

    /// Brings the pending writes to the device that chance decides on, and forgets the others.
    fn settle(&mut self, survival: Survival, random: &mut Random) {
        if survival == Survival::All {
            return self.sync();
        }
        let pending = std::mem::take(&mut self.pending);
        if survival == Survival::None {
            return;
        }
        for (sector, writes) in by_sector(&pending) {
            // The device has the sector as it was after this many writes to it.
            let kept = random.below(writes.len() as u64 + 1) as usize;
            for &write in &writes[..kept] {
                let (offset, bytes) = &pending[write];
                let range = overlap(sector, *offset, bytes.len());
                debug_assert!(!range.is_empty());
                put(
                    &mut self.stable,
                    &bytes[range.start - offset..range.end - offset],
                    range.start,
                );
            }
        }
        for (offset, bytes) in &pending {
            if bytes.is_empty() && random.coin() {
                put(&mut self.stable, &[], *offset);
            }
        }
    }
}

/// Which writes touch each sector, in order.
fn by_sector(pending: &[(usize, Vec<u8>)]) -> BTreeMap<usize, Vec<usize>> {
    let mut sectors: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (n, (offset, bytes)) in pending.iter().enumerate() {
        let last = (offset + bytes.len()).div_ceil(SECTOR_SIZE);
        if !bytes.is_empty() {
            for sector in offset / SECTOR_SIZE..last {
                sectors.entry(sector).or_default().push(n);
            }
        }
    }
    sectors
}

fn overlap(sector: usize, offset: usize, len: usize) -> Range<usize> {
    let start = sector * SECTOR_SIZE;
    offset.max(start)..(offset + len).min(start + SECTOR_SIZE)
}

/// Copies bytes into a file's content, which gets longer if necessary.
fn put(content: &mut Vec<u8>, bytes: &[u8], offset: usize) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> DiskFile {
        let mut file = DiskFile::default();
        file.write(&[1; 2048], 0);
        file.sync();
        file.write(&[2; 1024], 512);
        file.write(&[3; 64], 1000);
        file.write(&[4; 100], 2048);
        file
    }

    #[test]
    fn a_sector_is_in_a_state_it_once_was_in() {
        let mut seen = [0; 3];
        for seed in 0..200 {
            let mut file = file();
            file.cut_power(Survival::Sectors, &mut Random::new(seed));
            assert_eq!(file.now, file.stable);
            let sector = &file.now[512..1024];
            // As it was at the sync, after the first write, after both.
            let states: [fn(usize) -> u8; 3] =
                [|_| 1, |_| 2, |at| if (1000..1024).contains(&at) { 3 } else { 2 }];
            let is = |state: &fn(usize) -> u8| (0..512).all(|n| sector[n] == state(512 + n));
            let state = states.iter().position(is).expect("a state it never was in");
            seen[state] += 1;
            assert!(file.now[..512].iter().all(|byte| *byte == 1), "untouched");
        }
        assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
    }

    #[test]
    fn what_is_synced_stays_and_what_is_not_can_go() {
        let mut kept = file();
        kept.sync();
        kept.cut_power(Survival::None, &mut Random::new(1));
        assert_eq!((kept.now[512], kept.now[1000], kept.now.len()), (2, 3, 2148));
        let mut lost = file();
        lost.cut_power(Survival::None, &mut Random::new(1));
        assert_eq!(lost.now, [1; 2048]);
        let mut all = file();
        all.cut_power(Survival::All, &mut Random::new(1));
        assert_eq!(all.now, kept.now);
    }

    #[test]
    fn a_failed_sync_is_not_made_good_by_the_next_one() {
        let lost = (0..50).filter(|seed| {
            let mut file = file();
            file.fail_sync(&mut Random::new(*seed));
            assert_eq!(file.now[1000], 3, "reads see it");
            file.sync();
            file.cut_power(Survival::All, &mut Random::new(0));
            file.now[1000] != 3
        });
        assert!(lost.count() > 10);
    }
}
