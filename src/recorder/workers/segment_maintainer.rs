//! Worker: closes full segments, hands expired ones to the freezer, and deletes or reuses what
//! retention gives up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::Inventory;
use crate::error::Result;
use crate::format::{file_name, Layout, SegmentHeader};
use crate::segment::closed_header;
use crate::storage::Open;

use super::disk_use::DiskUse;
use super::retention::{self, Expiry, Kept, Policy};
use super::worker::Worker;
use crate::recorder::clock::now_ns;
use crate::recorder::log::Log;
use crate::recorder::segment::{Finished, Frozen, SpareFile};
use crate::recorder::threads::Step;

/// Time until a failed freeze or removal is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How long a shutdown goes on compressing and deleting. Without it, a log that is open for moments
/// only would never get to either. What is left is the next open's work.
const LONGEST_ENDING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct SegmentMaintainer {
    log: Arc<Log>,
    kept: Kept,
    disk_use: DiskUse,
    retry_at: Option<Instant>,
    /// When it was asked to stop.
    stopping_since: Option<Instant>,
}

impl Worker for SegmentMaintainer {
    fn step(&mut self, stopping: bool) -> Result<Step> {
        if stopping {
            self.stopping_since.get_or_insert_with(Instant::now);
        }
        let in_time = self.stopping_since.is_none_or(|since| since.elapsed() < LONGEST_ENDING);
        self.retry_at = self.retry_at.filter(|at| *at > Instant::now());
        let busy = self.close_finished()? | self.free_frozen()? | (in_time && self.retain()?);
        let hot = self.kept.hot.len() + usize::from(self.kept.active);
        self.log.counts.set_segments(hot, self.kept.cold.len());
        self.disk_use.publish(&self.log, &self.kept);
        if busy {
            return Ok(Step::Busy);
        }
        if stopping && (self.kept.freezing.is_empty() || !in_time) {
            debug_assert!(self.log.queues.to_close.is_empty(), "the persister has ended before");
            return Ok(Step::Done);
        }
        if let Some(since) = self.stopping_since {
            // The freezer raises the signal; if it takes too long, it is left to stop by itself.
            return Ok(Step::RestFor(LONGEST_ENDING.saturating_sub(since.elapsed())));
        }
        // All other work raises the signal: a full segment, one that counts as hot now, one that is
        // frozen, a new retention floor.
        Ok(self
            .retry_at
            .map_or(Step::Rest, |at| Step::RestFor(at.saturating_duration_since(Instant::now()))))
    }
}

impl SegmentMaintainer {
    /// Begins with the segments that recovery left; `active` is still open.
    pub fn new(log: Arc<Log>, inventory: &Inventory, active: Option<u32>) -> Self {
        let Inventory { mut hot, cold, .. } = inventory.clone();
        hot.retain(|index| Some(*index) != active);
        let kept = Kept { hot, cold, ..Kept::default() };
        let disk_use = DiskUse::default();
        SegmentMaintainer { log, kept, disk_use, retry_at: None, stopping_since: None }
    }

    fn close_finished(&mut self) -> Result<bool> {
        let mut busy = false;
        while let Some(finished) = self.log.queues.to_close.pop() {
            let header = &finished.header;
            debug_assert!(header.last_event_id <= self.log.durable().last_event_id);
            debug_assert!(self.kept.hot.last().is_none_or(|last| *last < header.segment_index));
            self.log.counters().close.of(|| close(&finished))?;
            self.kept.hot.insert(header.segment_index);
            busy = true;
        }
        Ok(busy)
    }

    /// Records what the freezer has done, and removes the hot files that have a cold one now.
    fn free_frozen(&mut self) -> Result<bool> {
        let mut busy = false;
        while let Some(Frozen { index, done }) = self.log.queues.to_free.pop() {
            busy = true;
            let asked_for = self.kept.freezing.remove(&index);
            debug_assert!(asked_for && self.kept.hot.contains(&index));
            if done {
                let is_new = self.kept.cold.insert(index);
                debug_assert!(is_new);
                let spare = self.remove_hot(index)?;
                self.make_removal_durable(spare)?;
                self.kept.hot.remove(&index);
            } else {
                self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
            }
        }
        Ok(busy)
    }

    fn retain(&mut self) -> Result<bool> {
        // The segment being filled counts as hot from its first durable event until it is closed:
        // before that event a power cut would leave only the older segments.
        let durable = self.log.durable();
        self.kept.active =
            durable.last_event_id > 0 && !self.kept.contains(durable.last_segment_index);
        let config = &self.log.config;
        let policy = Policy {
            max_hot: config.max_segments,
            max_cold: config.max_compressed_segments,
            compresses: !config.no_compression,
            floor: *self.log.retention_floor(),
        };
        if self.retry_at.is_some() {
            return Ok(false);
        }
        let mut busy = false;
        for expiry in retention::plan(&self.kept, policy, |index| self.last_event_id(index)) {
            let done = match expiry {
                Expiry::Freeze(index) => self.start_freezing(index),
                Expiry::DeleteCold(index) | Expiry::DeleteHot(index) => self.delete(index)?,
            };
            if !done {
                break;
            }
            busy = true;
        }
        Ok(busy)
    }

    /// Deletes a segment, unless the floor was lowered to it since this was planned. The floor
    /// cannot change while the name is removed.
    fn delete(&mut self, index: u32) -> Result<bool> {
        let log = Arc::clone(&self.log);
        let floor = log.retention_floor();
        if !retention::is_below(*floor, || self.last_event_id(index)) {
            return Ok(false);
        }
        let is_cold = self.kept.cold.contains(&index);
        debug_assert!(is_cold || self.kept.cold.is_empty(), "the log would get a hole");
        debug_assert!(is_cold || self.kept.hot.first() == Some(&index), "the oldest goes first");
        debug_assert!(!self.kept.freezing.contains(&index));
        let removed = if is_cold {
            log.wal.remove(&file_name::cold(index)).map(|_| None)
        } else {
            self.remove_hot(index)
        };
        drop(floor);
        let kind = if is_cold { "cold" } else { "hot" };
        let Ok(spare) = removed.inspect_err(|error| {
            let message = format!("the {kind} segment {index} cannot be deleted yet: {error}");
            log.config.log.warn(&message);
        }) else {
            // It is only kept longer than it has to be.
            self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
            return Ok(false);
        };
        // In the order of their indexes even after a power cut: no hole.
        self.make_removal_durable(spare)?;
        self.kept.cold.remove(&index);
        self.kept.hot.remove(&index);
        log.counters().segments_deleted.add(1);
        log.config.log.info(&format!("retention has deleted the {kind} segment {index}"));
        Ok(true)
    }

    fn last_event_id(&self, index: u32) -> Option<u64> {
        let is_hot = self.kept.hot.contains(&index);
        let header = closed_header(&*self.log.wal, index, is_hot).ok().flatten();
        header.map(|header| header.last_event_id)
    }

    /// Hands a segment to the freezer, unless its ring is full.
    fn start_freezing(&mut self, index: u32) -> bool {
        debug_assert!(self.kept.hot.contains(&index) && !self.kept.freezing.contains(&index));
        self.log.queues.to_freeze.push(index).is_ok() && self.kept.freezing.insert(index)
    }

    /// Removes a hot file that is not needed any more, or renames it if it can be reused.
    fn remove_hot(&self, index: u32) -> Result<Option<SpareFile>> {
        let wal = &self.log.wal;
        let name = file_name::hot(index);
        let spare = self.reusable(&name)?;
        match &spare {
            Some(spare) => wal.rename(&name, &spare.name)?,
            None => drop(wal.remove(&name)?),
        }
        Ok(spare)
    }

    /// Makes the removal durable, and only then offers the file for reuse: after a power cut the
    /// old name must not lead to new content.
    fn make_removal_durable(&self, spare: Option<SpareFile>) -> Result<()> {
        let log = &self.log;
        log.sync_names()?;
        if let Some(spare) = spare {
            if let Err(spare) = log.queues.spare_files.push(spare) {
                log.wal.remove(&spare.name)?;
            }
        }
        Ok(())
    }

    /// The file, locked for reuse, if it has the right size and no reader has it open.
    fn reusable(&self, name: &str) -> Result<Option<SpareFile>> {
        if self.stopping_since.is_some() || self.log.queues.spare_files.is_full() {
            return Ok(None);
        }
        // A file that cannot be opened can still be removed.
        let Ok(Some(file)) = self.log.wal.open(name, Open::Write) else { return Ok(None) };
        let size = Layout { blocks: self.log.config.num_blocks }.file_size();
        let usable = file.size()? == size && file.try_lock_exclusive()?;
        Ok(usable.then(|| SpareFile { name: file_name::temporary(name), file }))
    }
}

/// Writes the final header of a segment whose events and block headers are durable.
pub fn close(finished: &Finished) -> Result<()> {
    let header = SegmentHeader { closed_ts_ns: now_ns(), ..finished.header };
    debug_assert!(!finished.header.is_closed() && header.is_consistent());
    debug_assert!(header.block_count > 0, "an empty segment is removed, not closed");
    finished.disk.write_at(&header.encode(), 0)?;
    finished.disk.sync()
}
