//! Logs made byte by byte, without the recorder, so that a test controls every byte.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use flashstrike_wal::error::{Cause, Error, Failure};
use flashstrike_wal::format::{
    cold_frame, file_name, BlockHeader, IdentityRecord, Layout, MetaState, SegmentHeader,
    BLOCK_HEADER_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE,
};
use flashstrike_wal::replay::{Reader, ReaderOptions};
use lz4::{liblz4::BlockChecksum, BlockMode};
use tempfile::TempDir;

use crate::event;

/// The content of a segment.
#[derive(Clone)]
pub struct Image {
    pub index: u32,
    pub ids: Vec<u64>,
    /// Blocks in the file; may be more than the events need.
    pub blocks: u32,
    /// How many blocks, from the first on, have a header.
    pub sealed_blocks: usize,
    /// The durable id in every block header.
    pub stamp: u64,
    pub closed: bool,
}

impl Image {
    /// A closed segment of exactly these events, in a file with no room for more blocks.
    pub fn closed(index: u32, ids: impl IntoIterator<Item = u64>) -> Self {
        let ids: Vec<u64> = ids.into_iter().collect();
        let blocks = ids.len().div_ceil(EVENTS_PER_BLOCK) as u32;
        Image { index, ids, blocks, sealed_blocks: blocks as usize, stamp: 0, closed: true }
    }

    /// An open segment of four blocks, with all events sealed.
    pub fn open(index: u32, ids: impl IntoIterator<Item = u64>) -> Self {
        Image { closed: false, blocks: 4, ..Image::closed(index, ids) }
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; Layout { blocks: self.blocks }.file_size() as usize];
        let mut chained = 0;
        for (block, ids) in self.ids.chunks(EVENTS_PER_BLOCK).enumerate() {
            let events: Vec<u8> = ids.iter().flat_map(|&id| event(id).encode()).collect();
            let at = Layout::block_offset(block as u32) as usize;
            bytes[at + BLOCK_HEADER_SIZE..][..events.len()].copy_from_slice(&events);
            if block < self.sealed_blocks {
                let header = BlockHeader::seal(block as u32, &events, chained, self.stamp);
                chained = header.chained_checksum;
                bytes[at..][..BLOCK_HEADER_SIZE].copy_from_slice(&header.encode());
            }
        }
        let mut header = SegmentHeader::open(self.index, 1);
        if self.closed {
            header.block_count = self.ids.len().div_ceil(EVENTS_PER_BLOCK) as u32;
            header.event_count = self.ids.len() as u32;
            header.first_event_id = self.ids.first().copied().unwrap_or(0);
            header.last_event_id = self.ids.last().copied().unwrap_or(0);
            header.last_chained_checksum = chained;
            header.closed_ts_ns = 2;
        }
        bytes[..64].copy_from_slice(&header.encode());
        bytes
    }
}

/// A WAL directory under test, and a directory in memory for active directories.
pub struct Log {
    disk: TempDir,
    memory: TempDir,
}

impl Log {
    pub fn new() -> Self {
        let memory = tempfile::Builder::new().prefix("flashstrike-test-").tempdir_in("/dev/shm");
        Log { disk: tempfile::tempdir().unwrap(), memory: memory.unwrap() }
    }

    /// A log of these segments.
    pub fn of(images: &[Image]) -> Self {
        let log = Log::new();
        images.iter().for_each(|image| log.write(image));
        log
    }

    /// Events 1 to 1000: 300 in segment 0, 600 in segment 1 (blocks of 256, 256 and 88), 100 in 2.
    pub fn of_a_thousand() -> Self {
        let log = Log::of(&[
            Image::closed(0, 1..=300),
            Image::closed(1, 301..=900),
            Image::closed(2, 901..=1000),
        ]);
        log.write_meta(1000);
        log
    }

    pub fn path(&self) -> PathBuf {
        self.disk.path().to_owned()
    }

    /// The directory in which active directories are made.
    pub fn memory(&self) -> &Path {
        self.memory.path()
    }

    pub fn hot(&self, index: u32) -> PathBuf {
        self.path().join(file_name::hot(index))
    }

    pub fn cold(&self, index: u32) -> PathBuf {
        self.path().join(file_name::cold(index))
    }

    /// Writes a segment into its file, which may exist.
    pub fn write(&self, image: &Image) {
        let path = self.hot(image.index);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
        file.write_all_at(&image.bytes(), 0).unwrap();
    }

    /// Makes a hot segment cold, as the library does.
    pub fn freeze(&self, index: u32) {
        self.write_frame(index);
        fs::remove_file(self.hot(index)).unwrap();
    }

    /// Makes a cold file of a hot segment and keeps the hot file.
    pub fn write_frame(&self, index: u32) {
        let content = fs::read(self.hot(index)).unwrap();
        let mut frame = Vec::new();
        cold_frame::compress(&mut &content[..], content.len() as u64, &mut frame).unwrap();
        fs::write(self.cold(index), frame).unwrap();
    }

    /// Makes a hot segment cold, in an LZ4 frame without content size and checksum.
    pub fn freeze_bare(&self, index: u32) {
        self.freeze_as(index, BlockMode::Linked, BlockChecksum::BlockChecksumEnabled);
    }

    /// The same, with such blocks.
    pub fn freeze_as(&self, index: u32, mode: BlockMode, checksums: BlockChecksum) {
        let file = fs::File::create(self.cold(index)).unwrap();
        let mut encoder = lz4::EncoderBuilder::new()
            .checksum(lz4::ContentChecksum::NoChecksum)
            .block_size(lz4::BlockSize::Max64KB)
            .block_mode(mode)
            .block_checksum(checksums)
            .build(file)
            .unwrap();
        encoder.write_all(&fs::read(self.hot(index)).unwrap()).unwrap();
        encoder.finish().1.unwrap();
        fs::remove_file(self.hot(index)).unwrap();
    }

    /// Changes a byte of a hot segment.
    pub fn flip(&self, index: u32, offset: u64) {
        let file = OpenOptions::new().read(true).write(true).open(self.hot(index)).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
    }

    /// Changes the header of a hot segment and corrects its checksum.
    pub fn change_header(&self, index: u32, change: impl FnOnce(&mut SegmentHeader)) {
        let file = OpenOptions::new().read(true).write(true).open(self.hot(index)).unwrap();
        let mut bytes = [0; 64];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let mut header = SegmentHeader::decode(&bytes).unwrap();
        change(&mut header);
        file.write_all_at(&header.encode(), 0).unwrap();
    }

    /// Changes a block header of a hot segment and corrects its checksum.
    pub fn change_block(&self, index: u32, block: u32, change: impl FnOnce(&mut BlockHeader)) {
        let file = OpenOptions::new().read(true).write(true).open(self.hot(index)).unwrap();
        let mut bytes = [0; 64];
        file.read_exact_at(&mut bytes, Layout::block_offset(block)).unwrap();
        let mut header = BlockHeader::decode(&bytes).unwrap();
        change(&mut header);
        file.write_all_at(&header.encode(), Layout::block_offset(block)).unwrap();
    }

    /// Writes a meta file that says everything up to this id is durable.
    pub fn write_meta(&self, last_event_id: u64) {
        let state = MetaState { last_segment_index: 0, last_offset: 0, last_event_id };
        fs::write(self.path().join(file_name::META), state.encode()).unwrap();
    }

    /// Makes this a log that was not shut down in this boot: writes its identity and makes its
    /// active directory.
    pub fn crashed(&self) -> (IdentityRecord, PathBuf) {
        let here = fs::metadata(self.disk.path()).unwrap();
        let active = self.memory.path().join("active");
        fs::create_dir(&active).unwrap();
        fs::set_permissions(&active, fs::Permissions::from_mode(0o700)).unwrap();
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let identity = IdentityRecord {
            id: 7,
            wal_dev: here.dev(),
            wal_ino: here.ino(),
            generation: 3,
            boot_id: boot_id.trim().to_owned(),
            active_path: active.to_str().unwrap().to_owned(),
            clean: false,
            ..IdentityRecord::default()
        };
        fs::write(active.join(file_name::IDENTITY), identity.encode()).unwrap();
        self.write_identity(&identity);
        (identity, active)
    }

    pub fn write_identity(&self, identity: &IdentityRecord) {
        fs::write(self.path().join(file_name::IDENTITY), identity.encode()).unwrap();
    }

    pub fn reader(&self) -> Reader {
        self.reader_with(true)
    }

    pub fn reader_with(&self, verify: bool) -> Reader {
        Reader::open(self.disk.path(), ReaderOptions { verify }).unwrap()
    }
}

/// Reads until the reader returns an error or the end. Every event must be the one of its id.
pub fn read_on(reader: &mut Reader) -> (Vec<u64>, Error) {
    let mut ids = Vec::new();
    loop {
        match reader.next() {
            Ok(found) => {
                assert_eq!(found, event(found.event_id), "event {} was changed", found.event_id);
                ids.push(found.event_id);
            }
            Err(error) => return (ids, error),
        }
    }
}

/// Reads to the end of the log.
pub fn read_to_end(reader: &mut Reader) -> Vec<u64> {
    let (ids, end) = read_on(reader);
    assert!(matches!(end, Error::End), "after {:?}: {end}", ids.last());
    ids
}

/// The failure in an error, which must have this cause.
pub fn failure(error: &Error, cause: Cause) -> &Failure {
    match error {
        Error::Failure(failure) => {
            assert_eq!(failure.cause, cause, "{error}");
            failure
        }
        other => panic!("{other}: not a failure"),
    }
}

/// Offset of the `n`th event of a block in a segment's file.
pub fn event_at(block: u32, n: u64) -> u64 {
    Layout::block_offset(block) + BLOCK_HEADER_SIZE as u64 + n * EVENT_SIZE as u64
}
