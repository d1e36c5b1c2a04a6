//! Worker: keeps the ring of prepared segments full. A prepared segment is a mapped file with every
//! page present, and a disk file whose space is allocated and written, both with a valid header.

use std::collections::VecDeque;
use std::sync::atomic::{fence, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::error::{Cause, Error, Result};
use crate::format::{file_name, Layout, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, EVENT_SIZE, SEGMENT_HEADER_SIZE};
use crate::storage::{clear_temporary, create_temporary, now_ns, rename_if_there, write_zeros};
use crate::storage::{Directory, File, FileStatus, Mapping};

use super::watched::{check_directory, Watched};
use super::worker::Worker;
use crate::recorder::log::Log;
use crate::recorder::segment::{ActiveFile, Segment};
use crate::recorder::threads::Step;

/// Time until preparing is tried again when there was no space.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// How often an idle preparer looks for what raises no signal: the active directory was removed, or
/// the writer has left a mapped file that the persister had given back before.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of a new file written at a time: between syncs, when the writer is not waiting. The disk
/// does one request after the other, and the persister's syncs wait behind these: 3 ms behind 4 MiB
/// (docs/experiments/durable.md).
const PRE_WRITE_CHUNK: u64 = 128 * 1024;
/// Segment header, first block header, first slot: when they are cleared, a file has no events.
const CLEARED_SIZE: usize = SEGMENT_HEADER_SIZE + BLOCK_HEADER_SIZE + EVENT_SIZE;

#[derive(Debug)]
pub struct SegmentPreparer {
    log: Arc<Log>,
    /// Index of the next segment; `None` when they are used up.
    next_index: Option<u32>,
    /// How many mapped files exist.
    mapped: usize,
    /// Persisted mapped files. One that the writer has not left yet waits here.
    reusable: Vec<Arc<ActiveFile>>,
    /// A mapped file for the next index whose disk file is not ready yet.
    half: Option<ActiveFile>,
    /// The files of the segments that the writer has not entered.
    ahead: VecDeque<Watched>,
}

impl Worker for SegmentPreparer {
    fn step(&mut self, stopping: bool) -> Result<Step> {
        if stopping {
            return Ok(Step::Done);
        }
        match self.prepare_one() {
            Ok(prepared) => {
                self.log.notices.preparation(None);
                if prepared {
                    return Ok(Step::Busy);
                }
                self.watch()?;
                Ok(Step::RestUntilTick(LOOK_INTERVAL))
            }
            Err(error) if error.cause() == Some(Cause::NoSpace) => {
                self.log.notices.preparation(Some(error));
                Ok(Step::RestFor(RETRY_INTERVAL))
            }
            Err(error) => Err(error),
        }
    }
}

impl SegmentPreparer {
    /// Begins with this index, when `mapped` files exist already.
    pub fn new(log: Arc<Log>, next_index: Option<u32>, mapped: usize) -> Self {
        SegmentPreparer {
            log,
            next_index,
            mapped,
            reusable: Vec::new(),
            half: None,
            ahead: VecDeque::new(),
        }
    }

    /// Prepares segments until the ring is full or no more can be mapped.
    pub fn prepare_ahead(&mut self) -> Result<()> {
        while self.prepare_one()? {}
        Ok(())
    }

    /// Prepares a segment if one is wanted and possible. Returns whether it did.
    fn prepare_one(&mut self) -> Result<bool> {
        if self.log.queues.prepared.is_full() {
            return Ok(false);
        }
        let index = self.next_index.ok_or_else(|| {
            Error::new(Cause::NoSpace, "segment indexes are used up: 4294967295 was the last")
        })?;
        let appended = self.log.appended();
        debug_assert!(
            index > appended.last_segment_index || appended.last_event_id == 0,
            "an index is used once"
        );
        let Some(active) = self.ready_active(index)? else { return Ok(false) };
        debug_assert!(self.mapped <= self.log.config.active_set());
        debug_assert_eq!(active.name, file_name::hot(index));
        debug_assert_eq!(active.mapping.size() as u64, self.layout().file_size());
        // Kept until the disk file is ready too, which may take several tries.
        self.half = Some(active);
        let created_ts_ns = now_ns();
        let disk =
            self.log.counters().preparer.prepare.of(|| self.ready_disk(index, created_ts_ns))?;
        let Some(disk) = disk else { return Ok(false) };
        let Some(active) = self.half.take().map(Arc::new) else { return Ok(false) };
        let segment = Segment { index, layout: self.layout(), created_ts_ns, active, disk };
        self.ahead.push_back(Watched::new(&self.log, &segment)?);
        // There is room: nobody else fills the ring.
        self.log.queues.prepared.push(segment).map_err(|_| {
            Error::new(Cause::Internal, "defect: the ring prepared_segments overflowed")
        })?;
        self.next_index = index.checked_add(1);
        Ok(true)
    }

    /// A mapped file without events, named for `index`. `None` when all that may exist are in use.
    fn ready_active(&mut self, index: u32) -> Result<Option<ActiveFile>> {
        if let Some(half) = self.half.take() {
            return Ok(Some(half));
        }
        let directory = Arc::clone(&self.log.active);
        if let Some(mut active) = self.take_reusable() {
            debug_assert!(self.mapped > 0);
            match self.take_over(&mut active, index) {
                Ok(true) => return Ok(Some(active)),
                // Of another size, with another name, or removed by somebody.
                Ok(false) => {
                    self.mapped -= 1;
                    clear_temporary(&*directory, &active.name)?;
                }
                Err(error) => {
                    self.reusable.push(Arc::new(active));
                    return Err(error);
                }
            }
        }
        if self.mapped >= self.log.config.active_set() {
            return Ok(None);
        }
        let clear = |mapping: &Mapping| {
            mapping.store(0, &cleared(index, now_ns()));
            Ok(())
        };
        let made = create_active(&*directory, index, self.layout(), &self.log.config, clear);
        let active = match made {
            // There is no space, but one of those in use will come back.
            Err(error) if error.cause() == Some(Cause::NoSpace) && self.mapped > 1 => {
                return Ok(None)
            }
            made => made?,
        };
        self.log.note_memory(active.mapping.is_locked());
        self.mapped += 1;
        Ok(Some(active))
    }

    /// Makes a mapped file that of the segment `index`. False when it is not to be used again.
    fn take_over(&self, active: &mut ActiveFile, index: u32) -> Result<bool> {
        let directory = &*self.log.active;
        let name = file_name::hot(index);
        let temporary = file_name::temporary(&name);
        let usable = active.mapping.size() as u64 == self.layout().file_size()
            && self.is_alone(directory, &active.name, &*active.file)?;
        if !usable || !rename_if_there(directory, &active.name, &temporary)? {
            return Ok(false);
        }
        // Its name, should there be no room for the other one yet.
        active.name.clone_from(&temporary);
        reuse(&active.mapping, index);
        if !rename_if_there(directory, &temporary, &name)? {
            return Ok(false);
        }
        active.name = name;
        Ok(true)
    }

    /// A persisted mapped file to which nobody else has a reference any more.
    fn take_reusable(&mut self) -> Option<ActiveFile> {
        while let Some(active) = self.log.queues.active_to_reuse.pop() {
            self.reusable.push(active);
        }
        debug_assert!(self.reusable.len() <= self.mapped);
        let free = self.reusable.iter().position(|active| Arc::strong_count(active) == 1)?;
        let active = Arc::into_inner(self.reusable.swap_remove(free));
        debug_assert!(active.is_some(), "nobody can take a reference from here");
        active
    }

    /// A disk file of full size, named for `index`, with everything about it durable. `None` when
    /// the log is shut down meanwhile.
    fn ready_disk(&self, index: u32, created_ts_ns: u64) -> Result<Option<Arc<dyn File>>> {
        let wal = &*self.log.wal;
        let name = file_name::hot(index);
        let temporary = file_name::temporary(&name);
        loop {
            let file = match self.take_spare(&temporary)? {
                Some(file) => file,
                None => match self.make_disk(&temporary)? {
                    Some(file) => file,
                    None => return Ok(None),
                },
            };
            file.write_at(&cleared(index, created_ts_ns), 0)?;
            file.sync()?;
            // Before it gets its name, under which others expect it unlocked.
            file.unlock()?;
            if rename_if_there(wal, &temporary, &name)? {
                self.log.sync_names()?;
                return Ok(Some(file));
            }
        }
    }

    /// A new disk file. `None` when the log is shut down meanwhile.
    fn make_disk(&self, name: &str) -> Result<Option<Arc<dyn File>>> {
        let wal = &*self.log.wal;
        let file = create_temporary(wal, name)?;
        let written = self.pre_write(&*file);
        if !matches!(written, Ok(true)) {
            let _ = wal.remove(name);
        }
        if !written? {
            return Ok(None);
        }
        self.log.counters().preparer.segments_created.add(1);
        Ok(Some(file))
    }

    /// Allocates a file and writes all of it, so that later syncs write data only. Syncs after
    /// every chunk, so that the persister's syncs get their turn; but not if no other segment is
    /// prepared, since the writer may be waiting for this one. False when the log is shut down
    /// meanwhile: a file may be of 4 GiB.
    fn pre_write(&self, file: &dyn File) -> Result<bool> {
        let is_urgent = self.log.queues.prepared.is_empty();
        let size = self.layout().file_size();
        file.allocate(size)?;
        for from in (0..size).step_by(PRE_WRITE_CHUNK as usize) {
            if self.log.signals.preparer.is_stopping() {
                return Ok(false);
            }
            write_zeros(file, from, size.min(from + PRE_WRITE_CHUNK))?;
            if !is_urgent {
                file.sync()?;
            }
        }
        Ok(true)
    }

    /// A disk file to reuse, renamed, that is still what it was when it was left: nobody has
    /// removed, replaced, cut or linked it.
    fn take_spare(&self, name: &str) -> Result<Option<Arc<dyn File>>> {
        let wal = &*self.log.wal;
        while let Some(spare) = self.log.queues.spare_files.pop() {
            if self.is_alone(wal, &spare.name, &*spare.file)?
                && rename_if_there(wal, &spare.name, name)?
            {
                // It may have been restored with holes.
                spare.file.allocate(self.layout().file_size())?;
                self.log.counters().preparer.segments_recycled.add(1);
                return Ok(Some(spare.file));
            }
            clear_temporary(wal, &spare.name)?;
        }
        Ok(None)
    }

    /// Whether a file is whole and has this name and no other. Another one is a snapshot's:
    /// whatever is written here would be written there.
    fn is_alone(&self, directory: &dyn Directory, name: &str, file: &dyn File) -> Result<bool> {
        let size = self.layout().file_size();
        let alone = FileStatus { inode: file.inode()?, links: 1, size };
        Ok(directory.status_of(name)? == Some(alone))
    }

    fn layout(&self) -> Layout {
        Layout { blocks: self.log.config.num_blocks }
    }

    /// Fails if the files of a prepared segment are no longer what their names say, or somebody
    /// has removed the active directory. Nothing is lost with the control file: that is told.
    fn watch(&mut self) -> Result<()> {
        let is_entered = |index, log: &Log| index <= log.appended().last_segment_index;
        while let Some(first) = self.ahead.front() {
            if !is_entered(first.index(), &self.log) {
                break;
            }
            self.ahead.pop_front();
        }
        for watched in &self.ahead {
            // One that the writer has entered meanwhile is the persister's to look at.
            watched.check().or_else(|error| match is_entered(watched.index(), &self.log) {
                true => Ok(()),
                false => Err(error),
            })?;
        }
        check_directory(&*self.log.active)?;
        let is_there = self.log.active.status_of(file_name::CONTROL)?.is_some();
        self.log.notices.control(is_there, &self.log.active.path_of(file_name::CONTROL));
        Ok(())
    }
}

/// The beginning of a file without events. The first event of a recycled file is cleared, so that
/// the file is not taken for one in use.
fn cleared(index: u32, created_ts_ns: u64) -> [u8; CLEARED_SIZE] {
    let mut bytes = [0; CLEARED_SIZE];
    let header = SegmentHeader::open(index, created_ts_ns).encode();
    debug_assert!(SegmentHeader::decode(&header).is_some_and(|read| read.segment_index == index));
    bytes[..SEGMENT_HEADER_SIZE].copy_from_slice(&header);
    bytes
}

/// Makes an active file that of the segment `index`, without events. Readers may stand in it and
/// take no lock. The index goes first and a release fence follows: a reader that copies anything
/// stored later then finds that the segment is not its own any more (`segment::memory`).
fn reuse(mapping: &Mapping, index: u32) {
    const INDEX_WORD: usize = 8;
    let bytes = cleared(index, now_ns());
    let (index_word, rest) = bytes.split_at(INDEX_WORD);
    mapping.store(0, index_word);
    fence(Ordering::Release);
    mapping.store(INDEX_WORD, rest);
}

/// Makes a mapped file with every page present. It is filled before it gets its name, so recovery
/// never sees one that is half filled.
pub fn create_active(
    directory: &dyn Directory,
    index: u32,
    layout: Layout,
    config: &Config,
    fill: impl Fn(&Mapping) -> Result<()>,
) -> Result<ActiveFile> {
    let size = layout.file_size();
    let name = file_name::hot(index);
    let temporary = file_name::temporary(&name);
    loop {
        let file = create_temporary(directory, &temporary)?;
        let made = file.allocate(size).and_then(|()| file.map(size, true));
        let mapping = made.map_err(|error| {
            let _ = directory.remove(&temporary);
            explain_active(error, directory, config.memory_size())
        })?;
        debug_assert_eq!(mapping.size() as u64, size);
        fill(&mapping)?;
        if rename_if_there(directory, &temporary, &name)? {
            return Ok(ActiveFile { mapping, file, name });
        }
    }
}

/// When the active directory is full, the configuration is mostly the reason: names the field.
fn explain_active(error: Error, directory: &dyn Directory, needed: u64) -> Error {
    if error.cause() != Some(Cause::NoSpace) {
        return error;
    }
    let path = directory.path().display();
    let message = format!("active_dir: the active set needs {needed} bytes in {path}: {error}");
    Error::with_errno(Cause::NoSpace, message, error.errno())
}
