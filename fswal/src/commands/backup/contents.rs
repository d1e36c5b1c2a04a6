//! What goes into a backup: closed segments as they are, what follows them sealed anew, and the
//! snapshots up to there; then the two records of a log that was shut down, in no directory yet.

use flashstrike_wal::directory::Inventory;
use flashstrike_wal::error::Error;
use flashstrike_wal::format::{
    file_name, IdentityRecord, MetaState, SnapshotHeader, SNAPSHOT_HEADER_SIZE,
};
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::{Open, PosixStorage, Storage};
use indicatif::ProgressBar;

use crate::failure::{Failure, Outcome};
use crate::output::progress_bar;

use super::report::Report;
use super::segment_writer::{place_behind, SegmentWriter};
use super::source::Source;
use super::target::Target;

struct Contents<'a> {
    source: &'a Source,
    target: &'a mut dyn Target,
    report: &'a mut Report,
    /// Behind the last event that the target has.
    end: MetaState,
    bar: ProgressBar,
}

/// Adds all segments and snapshots, and gives the place behind the last event.
pub fn put_events(
    source: &Source,
    target: &mut dyn Target,
    report: &mut Report,
) -> Outcome<MetaState> {
    let template = "{bar:40} {decimal_bytes} of {decimal_total_bytes}, {eta} left";
    let bar = progress_bar(source.size()?, template);
    let end = MetaState::default();
    let mut contents = Contents { source, target, report, end, bar };
    contents.put_segments()?;
    contents.put_snapshots()?;
    contents.bar.finish_and_clear();
    Ok(contents.end)
}

impl Contents<'_> {
    fn put_segments(&mut self) -> Outcome<()> {
        let indexes = self.source.indexes.clone();
        let mut rest = *indexes.start();
        self.target.keep_older(rest, self.report)?;
        for index in indexes {
            if !self.put_closed(index)? {
                break;
            }
            rest = index.saturating_add(1);
        }
        if self.end.last_event_id < self.source.last {
            self.write_rest(rest)?;
        }
        Ok(())
    }

    /// Copies a closed segment, or keeps that of the earlier backup. `false` when the log's rest
    /// begins with it.
    fn put_closed(&mut self, index: u32) -> Outcome<bool> {
        let Some(segment) = self.source.closed_segment(index)? else { return Ok(false) };
        let header = segment.header;
        if header.event_count == 0 || header.last_event_id > self.source.last {
            return Ok(false);
        }
        let size = segment.file.size()?;
        if self.target.keep(&header)? {
            self.bar.inc(size);
            self.report.segments_kept += 1;
        } else {
            let bar = &self.bar;
            self.target.copy(&segment.name, &*segment.file, &mut |n| bar.inc(n))?;
            self.report.segments_copied += 1;
            self.report.bytes_copied += size;
        }
        segment.file.unlock()?;
        self.report.add(header.event_count, header.first_event_id);
        self.end = place_behind(&header);
        Ok(true)
    }

    /// Writes what follows the closed segments, up to the last event, through a reader: out of
    /// files that are not closed, or of memory.
    fn write_rest(&mut self, index: u32) -> Outcome<()> {
        let last = self.source.last;
        let layout = self.source.layout_of(index)?;
        let mut reader = Reader::open(&self.source.log.path, ReaderOptions { verify: true })?;
        reader.seek(self.end.last_event_id + 1)?;
        reader.end_behind(last);
        let mut writer = SegmentWriter::new(self.target, index, layout, self.end);
        loop {
            match reader.next_batch() {
                Ok(events) => {
                    self.report.add(events.len() as u32, events[0].event_id);
                    events.iter().try_for_each(|event| writer.add(event))?;
                }
                Err(Error::End) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.end = writer.finish()?;
        self.report.segments_written += u64::from(self.end.last_segment_index - index) + 1;
        if self.end.last_event_id != last {
            let message = format!("events {} to {last} cannot be read", self.end.last_event_id + 1);
            return Err(Failure::wrong(message).next("`fswal verify DIR` names every damage"));
        }
        Ok(())
    }

    /// Snapshots of the log up to the last event.
    fn put_snapshots(&mut self) -> Outcome<()> {
        let wal = &self.source.log.wal;
        let snapshots = Inventory::of(&**wal)?.snapshots;
        for &event_id in snapshots.range(..=self.source.last) {
            let name = file_name::snapshot(event_id);
            // Expired since it was listed.
            let Some(file) = wal.open(&name, Open::Read)? else { continue };
            let mut head = [0; SNAPSHOT_HEADER_SIZE];
            file.read_at(&mut head, 0)?;
            let header = SnapshotHeader::decode(&head).filter(|header| header.event_id == event_id);
            if !header.is_some_and(|header| self.source.identity.descends_from(header.log_id)) {
                self.report.notes.push(format!("{name} is damaged or another log's: left out"));
                continue;
            }
            self.target.copy(&name, &*file, &mut |_| {})?;
            self.report.snapshots += 1;
            self.report.bytes_copied += file.size()?;
        }
        Ok(())
    }
}

/// Adds `wal_meta.dat` and `wal_identity`. Without them, nothing says that all of it is there.
pub fn put_records(source: &Source, target: &mut dyn Target, end: MetaState) -> Outcome<()> {
    let meta = end.encode();
    target.write(file_name::META, [&meta, &[]], meta.len() as u64)?;
    let id = match target.id() {
        Some(id) => id,
        None => PosixStorage::for_reading().random()?,
    };
    let mut identity = IdentityRecord {
        wal_dev: 0,
        wal_ino: 0,
        clean: true,
        active_path: String::new(),
        wal_path: None,
        ..source.identity.clone()
    };
    match identity.generation {
        // It has no identity of its own.
        0 => identity.id = id,
        _ => identity.rename(id),
    }
    let identity = identity.encode();
    target.write(file_name::IDENTITY, [identity.as_bytes(), &[]], identity.len() as u64)
}
