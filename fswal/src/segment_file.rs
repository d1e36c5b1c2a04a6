//! Segment files of a directory that is being made: copied, or written event by event.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use flashstrike_wal::format::{
    file_name, BlockHeader, Layout, MetaState, RequestEvent, SegmentHeader, EVENTS_PER_BLOCK,
    EVENT_SIZE,
};
use flashstrike_wal::storage::{self, now_ns};

use crate::failure::{Failure, Outcome};

/// Makes a file, readable as the library's own are.
pub fn create(path: &Path) -> Outcome<File> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o640).open(path);
    Ok(made.map_err(|error| {
        std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    })?)
}

/// Copies a file and syncs the copy. What is zeros becomes a hole.
pub fn copy(from: &dyn storage::File, to: &Path, tell: &mut dyn FnMut(u64)) -> Outcome<()> {
    const PIECE: usize = 1024 * 1024;
    let (file, size) = (create(to)?, from.size()?);
    file.set_len(size)?;
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    while offset < size {
        let read = from.read_at(&mut piece, offset)?;
        if read == 0 {
            let message = format!("{}: its source was cut while it was copied", to.display());
            return Err(Failure::wrong(message).next("somebody changes the log's files: find who"));
        }
        if piece[..read].iter().any(|byte| *byte != 0) {
            file.write_all_at(&piece[..read], offset)?;
        }
        offset += read as u64;
        tell(read as u64);
    }
    Ok(file.sync_data()?)
}

/// Writes events into segments, each closed when it is full. Before a segment's stamps say that
/// what is before it is durable, it is.
pub struct SegmentWriter<'a> {
    directory: &'a Path,
    layout: Layout,
    index: u32,
    /// Sealed blocks and the events of the next one.
    blocks: Vec<u8>,
    events: Vec<u8>,
    header: SegmentHeader,
    /// The last event of the segment before, which is synced.
    floor: u64,
    end: MetaState,
}

impl<'a> SegmentWriter<'a> {
    /// Begins with this segment, behind the place `before`.
    pub fn new(directory: &'a Path, index: u32, layout: Layout, before: MetaState) -> Self {
        SegmentWriter {
            directory,
            layout,
            index,
            blocks: Vec::new(),
            events: Vec::new(),
            header: SegmentHeader::open(index, now_ns()),
            floor: before.last_event_id,
            end: before,
        }
    }

    pub fn add(&mut self, event: &RequestEvent) -> Outcome<()> {
        if self.header.event_count == 0 {
            self.header.first_event_id = event.event_id;
        }
        self.header.event_count += 1;
        self.header.last_event_id = event.event_id;
        self.events.extend_from_slice(&event.encode());
        if self.events.len() == EVENTS_PER_BLOCK * EVENT_SIZE {
            self.seal();
        }
        if self.header.event_count == self.layout.capacity() {
            self.close()?;
        }
        Ok(())
    }

    /// Closes the last segment, and gives the place behind the last event.
    pub fn finish(mut self) -> Outcome<MetaState> {
        if self.header.event_count > 0 {
            self.close()?;
        }
        Ok(self.end)
    }

    fn seal(&mut self) {
        let (block, chained) = (self.header.block_count, self.header.last_chained_checksum);
        let seal = BlockHeader::seal(block, &self.events, chained, self.floor);
        self.blocks.extend_from_slice(&seal.encode());
        self.blocks.append(&mut self.events);
        self.header.block_count += 1;
        self.header.last_chained_checksum = seal.chained_checksum;
    }

    fn close(&mut self) -> Outcome<()> {
        if !self.events.is_empty() {
            self.seal();
        }
        self.header.closed_ts_ns = now_ns();
        let mut file = create(&self.directory.join(file_name::hot(self.index)))?;
        file.set_len(self.layout.file_size())?;
        file.write_all(&self.header.encode())?;
        file.write_all(&self.blocks)?;
        file.sync_data()?;
        self.end = place_behind(&self.header);
        self.floor = self.end.last_event_id;
        self.blocks.clear();
        self.index = self.index.checked_add(1).ok_or_else(|| {
            Failure::wrong("there are no segment indexes left").next("begin a new log")
        })?;
        self.header = SegmentHeader::open(self.index, now_ns());
        Ok(())
    }
}

/// The place behind the last event of a closed segment.
pub fn place_behind(header: &SegmentHeader) -> MetaState {
    MetaState {
        last_segment_index: header.segment_index,
        last_offset: Layout::end_offset(header.event_count),
        last_event_id: header.last_event_id,
    }
}
