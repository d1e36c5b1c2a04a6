//! Worker: keeps the ring of prepared segments full. A prepared segment is a mapped file with every
//! page present, and a disk file whose space is allocated and written, both with a valid header.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::error::{Cause, Error, Result};
use crate::format::{file_name, Layout, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, EVENT_SIZE, SEGMENT_HEADER_SIZE};
use crate::storage::{create, write_zeros, Directory, File, Mapping};

use super::worker::Worker;
use crate::recorder::clock::now_ns;
use crate::recorder::log::{Log, Signals};
use crate::recorder::segment::{ActiveFile, Segment, SpareFile};
use crate::recorder::threads::{Signal, Step};

const RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// How often the link to the active directory is looked at when there is nothing else to do: nobody
/// says when it goes. Nor does the writer say when it leaves a mapped file for good, which it may
/// do after the persister has given that back.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of a new file that are written before they are synced while there is time. The disk does one
/// request after the other, and what the persister syncs is behind this: with 4 MiB at once behind
/// 3 ms of it (docs/performance.md).
const PACE: u64 = 128 * 1024;
/// Header, first block's header, first slot: what makes a file begin without events.
const CLEARED_SIZE: usize = SEGMENT_HEADER_SIZE + BLOCK_HEADER_SIZE + EVENT_SIZE;

/// The preparer's own state: no other thread touches it.
#[derive(Debug)]
pub struct SegmentPreparer {
    log: Arc<Log>,
    /// Index of the next segment; `None` when they are used up.
    next_index: Option<u32>,
    /// Mapped files that exist.
    mapped: usize,
    /// Persisted files to be used again. One that the writer still stands in waits here.
    reusable: Vec<Arc<ActiveFile>>,
    /// A mapped file that is ready for the next index while its disk file is not.
    half: Option<ActiveFile>,
}

impl Worker for SegmentPreparer {
    const NAME: &'static str = "wal-preparer";

    fn signal(signals: &Signals) -> &Arc<Signal> {
        &signals.preparer
    }

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
                self.watch_active_directory()?;
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
    /// Begins with this index. `mapped` files exist already.
    pub fn new(log: Arc<Log>, next_index: Option<u32>, mapped: usize) -> Self {
        SegmentPreparer { log, next_index, mapped, reusable: Vec::new(), half: None }
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
        let Some(active) = self.ready_active(index)? else { return Ok(false) };
        // Kept until the disk file is ready too, which may take several tries.
        self.half = Some(active);
        let log = Arc::clone(&self.log);
        log.counters().prepare.of(|| self.complete(index))?;
        self.next_index = index.checked_add(1);
        Ok(true)
    }

    /// Gives the mapped file its disk file and the writer both.
    fn complete(&mut self, index: u32) -> Result<()> {
        let created_ts_ns = now_ns();
        let disk = self.ready_disk(index, created_ts_ns)?;
        let Some(active) = self.half.take() else { return Ok(()) };
        let segment =
            Segment { index, layout: self.layout(), created_ts_ns, active: Arc::new(active), disk };
        // The ring has room: nobody else fills it.
        self.log.queues.prepared.push(segment).map_err(|_| {
            Error::new(Cause::Internal, "defect: the ring prepared_segments overflowed")
        })
    }

    /// A mapped file that begins without events, named for `index`. `None` when all that may exist
    /// are in use.
    fn ready_active(&mut self, index: u32) -> Result<Option<ActiveFile>> {
        if let Some(half) = self.half.take() {
            return Ok(Some(half));
        }
        let directory = Arc::clone(&self.log.active);
        let name = file_name::hot(index);
        let temporary = file_name::temporary(&name);
        if let Some(mut active) = self.take_reusable() {
            if active.mapping.size() as u64 == self.layout().file_size()
                && active.file.try_lock_exclusive()?
            {
                directory.rename(&active.name, &temporary)?;
                active.mapping.store(0, &cleared(index, now_ns()));
                active.file.unlock()?;
                directory.rename(&temporary, &name)?;
                active.name = name;
                return Ok(Some(active));
            }
            // Of another size, or a reader has it open.
            directory.remove(&active.name)?;
            self.mapped -= 1;
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
            // Full, but one of those in use is on its way back.
            Err(error) if error.cause() == Some(Cause::NoSpace) && self.mapped > 1 => {
                return Ok(None)
            }
            made => made?,
        };
        self.log.notices.memory(active.mapping.is_locked());
        self.mapped += 1;
        Ok(Some(active))
    }

    /// A persisted mapped file that nobody else refers to any more.
    fn take_reusable(&mut self) -> Option<ActiveFile> {
        while let Some(active) = self.log.queues.active_to_reuse.pop() {
            self.reusable.push(active);
        }
        let free = self.reusable.iter().position(|active| Arc::strong_count(active) == 1)?;
        Arc::into_inner(self.reusable.swap_remove(free))
    }

    /// A disk file of full size, named for `index`, with everything about it durable.
    fn ready_disk(&mut self, index: u32, created_ts_ns: u64) -> Result<Arc<dyn File>> {
        let wal = Arc::clone(&self.log.wal);
        let name = file_name::hot(index);
        let temporary = file_name::temporary(&name);
        let file = match self.log.queues.spare_files.pop() {
            Some(SpareFile { name: spare, file }) => {
                wal.rename(&spare, &temporary)?;
                self.log.counters().segments_recycled.add(1);
                file
            }
            None => {
                wal.remove(&temporary)?;
                let file = create(&*wal, &temporary)?;
                // The writer that has no other segment ready waits for this one.
                let pace = if !self.log.queues.prepared.is_empty() {
                    PACE
                } else {
                    self.layout().file_size()
                };
                if let Err(error) = pre_write(&*file, self.layout(), pace) {
                    let _ = wal.remove(&temporary);
                    return Err(error);
                }
                self.log.counters().segments_created.add(1);
                file
            }
        };
        file.write_at(&cleared(index, created_ts_ns), 0)?;
        file.sync()?;
        // Before it has its name: whoever opens that finds the lock free.
        file.unlock()?;
        wal.rename(&temporary, &name)?;
        self.log.sync_names()?;
        Ok(file)
    }

    fn layout(&self) -> Layout {
        Layout { blocks: self.log.config.num_blocks }
    }

    /// Somebody who removes the active directory takes the events after a crash with it.
    fn watch_active_directory(&self) -> Result<()> {
        let gone = match self.log.active.status() {
            Ok(status) => status.links == 0,
            Err(_) => false,
        };
        if !gone {
            return Ok(());
        }
        let path = self.log.active.path().display();
        let message = format!("the active directory {path} was removed under the log");
        Err(Error::new(Cause::Io, message))
    }
}

/// The beginning of a file without events. A recycled file's old first event is cleared so that
/// the file cannot be taken for one in use.
fn cleared(index: u32, created_ts_ns: u64) -> [u8; CLEARED_SIZE] {
    let mut bytes = [0; CLEARED_SIZE];
    let header = SegmentHeader::open(index, created_ts_ns).encode();
    bytes[..SEGMENT_HEADER_SIZE].copy_from_slice(&header);
    bytes
}

/// Allocates a file and writes all of it, so that a later sync is one flush of data; in pieces of
/// `pace` bytes, between which processor and disk are the persister's.
fn pre_write(file: &dyn File, layout: Layout, pace: u64) -> Result<()> {
    let size = layout.file_size();
    file.allocate(size)?;
    let mut from = 0;
    while from < size {
        let to = size.min(from + pace);
        write_zeros(file, from, to)?;
        file.sync()?;
        from = to;
    }
    Ok(())
}

/// Makes a mapped file, allocated and every page present, and has it filled before it gets its
/// name: recovery never sees one that is half filled.
pub fn create_active(
    directory: &dyn Directory,
    index: u32,
    layout: Layout,
    config: &Config,
    fill: impl FnOnce(&Mapping) -> Result<()>,
) -> Result<ActiveFile> {
    let size = layout.file_size();
    let name = file_name::hot(index);
    let temporary = file_name::temporary(&name);
    directory.remove(&temporary)?;
    let file = create(directory, &temporary)?;
    let made = file.allocate(size).and_then(|()| file.map(size, true));
    let mapping = made.map_err(|error| {
        let _ = directory.remove(&temporary);
        explain_active(error, directory, config.active_set_size())
    })?;
    fill(&mapping)?;
    directory.rename(&temporary, &name)?;
    Ok(ActiveFile { mapping, file, name })
}

/// A full active directory is a matter of configuration more often than not: says which field.
fn explain_active(error: Error, directory: &dyn Directory, needed: u64) -> Error {
    if error.cause() != Some(Cause::NoSpace) {
        return error;
    }
    let path = directory.path().display();
    Error::with_errno(
        Cause::NoSpace,
        format!("active_dir: the active set needs {needed} bytes in {path}: {error}"),
        error.errno(),
    )
}
