//! Worker: closes full segments, hands expired ones to the freezers, and deletes or reuses what
//! retention gives up.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use crate::directory::Inventory;
use crate::error::{Error, Result};
use crate::format::{file_name, Layout, SegmentHeader};
use crate::storage::{move_aside, FileStatus, Open};

use super::disk_use::DiskUse;
use super::ends::{is_damaged, last_event_id};
use super::retention::{self, Expiry, Kept, Policy};
use super::stock::take_stock;
use super::worker::Worker;
use crate::recorder::clock::now_ns;
use crate::recorder::log::Log;
use crate::recorder::segment::{Finished, Frozen, Outcome, SpareFile};
use crate::recorder::threads::Step;

/// Time until a failed freeze or removal is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How long a shutdown goes on compressing and deleting. Without it, a log that is open for moments
/// only would never get to either. What is left is the next open's work.
const LONGEST_ENDING: Duration = Duration::from_secs(1);
/// How often it is looked whether all segments are still there.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct SegmentMaintainer {
    log: Arc<Log>,
    kept: Kept,
    disk_use: DiskUse,
    retry_at: Option<Instant>,
    /// When it was asked to stop.
    stopping_since: Option<Instant>,
    looked_at: Instant,
    /// Segments with a second file that was reported.
    doubled: BTreeSet<u32>,
    /// Hot files that a cold one has replaced, and that could not be removed yet.
    replaced: BTreeSet<u32>,
    /// Segments that were counted as damaged.
    counted: BTreeSet<u32>,
    /// What could not be done and was told last.
    trouble: Option<String>,
}

impl Worker for SegmentMaintainer {
    fn step(&mut self, stopping: bool) -> Result<Step> {
        if stopping {
            self.stopping_since.get_or_insert_with(Instant::now);
        }
        let in_time = self.stopping_since.is_none_or(|since| since.elapsed() < LONGEST_ENDING);
        self.retry_at = self.retry_at.filter(|at| *at > Instant::now());
        self.look();
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
            // A freezer raises the signal; if it takes too long, it is left to stop by itself.
            return Ok(Step::RestFor(LONGEST_ENDING.saturating_sub(since.elapsed())));
        }
        // All other work raises the signal: a full segment, one that counts as hot now, one that is
        // frozen, a new retention floor.
        Ok(self.retry_at.map_or(Step::RestUntilTick(LOOK_INTERVAL), |at| {
            Step::RestFor(at.saturating_duration_since(Instant::now()))
        }))
    }
}

impl SegmentMaintainer {
    /// Begins with the segments that recovery left; `active` is still open.
    pub fn new(log: Arc<Log>, inventory: &Inventory, active: Option<u32>) -> Self {
        let Inventory { mut hot, cold, .. } = inventory.clone();
        hot.retain(|index| Some(*index) != active);
        let kept = Kept { hot, cold, ..Kept::default() };
        SegmentMaintainer {
            log,
            kept,
            disk_use: DiskUse::default(),
            retry_at: None,
            looked_at: Instant::now(),
            doubled: BTreeSet::new(),
            replaced: BTreeSet::new(),
            counted: BTreeSet::new(),
            trouble: None,
            stopping_since: None,
        }
    }

    /// Looks every few seconds.
    fn look(&mut self) {
        if self.looked_at.elapsed() >= LOOK_INTERVAL {
            self.look_now();
        }
    }

    /// Notices what somebody else has done to the files of older segments. The log goes on: what is
    /// lost is lost, and has to be said.
    fn look_now(&mut self) {
        self.looked_at = Instant::now();
        let there = match Inventory::of(&*self.log.wal) {
            Ok(there) => there,
            Err(error) => return self.try_again("the segments there are", &error),
        };
        let was_cold = self.kept.cold.clone();
        let changes = take_stock(&mut self.kept, &there);
        // Whose cold file is gone again is a hot segment.
        self.replaced.retain(|index| self.kept.cold.contains(index));
        for index in changes.missing {
            self.log.counters().missing_segments.add(1);
            let path = self.log.wal.path_of(&file_name::of(index, was_cold.contains(&index)));
            let message = format!(
                "{}: the segment was removed under the log: its events are lost",
                path.display()
            );
            self.log.config.log.error(&message);
        }
        for (index, name) in self.disk_use.take_cut(&self.log) {
            self.count_damaged(index);
            let path = self.log.wal.path_of(&name);
            let message = format!("{}: was cut short under the log", path.display());
            self.log.config.log.error(&message);
        }
        let path = self.log.wal.path().display();
        let warn = |what: String| self.log.config.log.warn(&format!("{path}: {what}"));
        for index in changes.converted {
            warn(format!("somebody else has compressed or decompressed segment {index}"));
        }
        for index in changes.doubled {
            if !self.replaced.contains(&index) && self.doubled.insert(index) {
                let (hot, cold) = (file_name::hot(index), file_name::cold(index));
                warn(format!("{hot} and {cold} are the same segment: one is not of this log"));
            }
        }
    }

    /// Each segment once, however often and by whomever it is found damaged.
    fn count_damaged(&mut self, index: u32) {
        if self.counted.insert(index) {
            self.log.counters().damaged_segments.add(1);
        }
    }

    fn forget(&mut self, index: u32) {
        self.kept.hot.remove(&index);
        self.kept.damaged.remove(&index);
        self.kept.cold.remove(&index);
        self.counted.remove(&index);
        self.doubled.remove(&index);
        self.replaced.remove(&index);
    }

    /// What could not be done now is tried again, and told once. The log is whole meanwhile.
    fn try_again(&mut self, what: &str, error: &Error) {
        let message = format!("{what}: {error}");
        if self.trouble.as_ref() != Some(&message) {
            self.log.config.log.warn(&message);
            self.trouble = Some(message);
        }
        self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
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

    /// Records what the freezers have done, and removes the hot files that have a cold one now.
    fn free_frozen(&mut self) -> Result<bool> {
        let mut busy = false;
        while let Some(Frozen { index, outcome }) = self.log.queues.to_free.pop() {
            busy = true;
            let asked_for = self.kept.freezing.remove(&index);
            debug_assert!(asked_for && self.kept.hot.contains(&index));
            match outcome {
                Outcome::Done => {
                    let is_new = self.kept.cold.insert(index);
                    debug_assert!(is_new);
                    self.kept.hot.remove(&index);
                    self.replaced.insert(index);
                    self.remove_replaced(index)?;
                }
                Outcome::Failed => self.retry_at = Some(Instant::now() + RETRY_INTERVAL),
                Outcome::Damaged => {
                    self.kept.damaged.insert(index);
                    self.count_damaged(index);
                }
                Outcome::Missing => self.look_now(),
            }
        }
        Ok(busy)
    }

    /// Removes the hot file of a segment that has a cold one now, if that is still there.
    fn remove_replaced(&mut self, index: u32) -> Result<()> {
        let removed = self.is_there(&file_name::cold(index)).and_then(|is_cold| match is_cold {
            true => self.remove_hot(index).map(Some),
            false => Ok(None),
        });
        match removed {
            Ok(Some(spare)) => {
                self.replaced.remove(&index);
                self.make_removal_durable(spare)?;
            }
            Ok(None) => self.look_now(),
            Err(error) => {
                let what = format!("segment {index} is compressed, its hot file stays for now");
                self.try_again(&what, &error);
            }
        }
        Ok(())
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
        for index in self.replaced.clone() {
            self.remove_replaced(index)?;
        }
        let (mut busy, mut holds_up) = (false, false);
        for expiry in
            retention::plan(&self.kept, policy, |index| last_event_id(&self.log, &self.kept, index))
        {
            busy |= match expiry {
                Expiry::Freeze(index) => self.start_freezing(index),
                Expiry::DeleteCold(index) | Expiry::DeleteHot(index) | Expiry::SetAside(index) => {
                    // One that has to wait holds up those behind it: there must be no hole.
                    holds_up = holds_up || !self.let_go(index)?;
                    !holds_up
                }
            };
        }
        Ok(busy)
    }

    /// Deletes a segment, or sets it aside if it is not what it was; unless the floor was lowered
    /// to it since this was planned. The floor cannot change while the name is removed.
    fn let_go(&mut self, index: u32) -> Result<bool> {
        let log = Arc::clone(&self.log);
        let floor = log.retention_floor();
        if !retention::is_below(*floor, || last_event_id(&log, &self.kept, index)) {
            return Ok(false);
        }
        let is_cold = self.kept.cold.contains(&index);
        debug_assert!(is_cold || self.kept.cold.range(..index).next().is_none(), "a hole");
        debug_assert!(!self.kept.freezing.contains(&index));
        let (name, other) = (file_name::of(index, is_cold), file_name::of(index, !is_cold));
        let kind = if is_cold { "cold" } else { "hot" };
        match self.is_there(&name).and_then(|is| Ok((is, self.is_there(&other)?))) {
            Ok((true, false)) => {}
            // A second file, left behind, would be a segment with a hole behind it.
            Ok((true, true)) => {
                let why = "it is not of this log, which has the segment in another file";
                return Ok(self.set_aside(&other, why, floor)? && self.let_go(index)?);
            }
            // Somebody has compressed, decompressed or removed it.
            Ok((false, _)) => {
                drop(floor);
                self.look_now();
                return Ok(false);
            }
            Err(error) => {
                drop(floor);
                self.try_again(&format!("the {kind} segment {index} stays for now"), &error);
                return Ok(false);
            }
        }
        if is_damaged(&log, &self.kept, index) {
            self.count_damaged(index);
            let why = "the segment has expired, and is damaged";
            let is_aside = self.set_aside(&name, why, floor)?;
            if is_aside {
                self.forget(index);
            }
            return Ok(is_aside);
        }
        let removed =
            if is_cold { log.wal.remove(&name).map(|_| None) } else { self.remove_hot(index) };
        drop(floor);
        let spare = match removed {
            Ok(spare) => spare,
            Err(error) => {
                // It is only kept longer than it has to be.
                self.try_again(&format!("the {kind} segment {index} stays for now"), &error);
                return Ok(false);
            }
        };
        // In the order of their indexes even after a power cut: no hole.
        self.make_removal_durable(spare)?;
        self.forget(index);
        log.counters().segments_deleted.add(1);
        log.config.log.info(&format!("retention has deleted the {kind} segment {index}"));
        Ok(true)
    }

    fn is_there(&self, name: &str) -> Result<bool> {
        Ok(self.log.wal.status_of(name)?.is_some())
    }

    /// Renames a file so that it is not of the log any more: what is not as it was is never
    /// deleted. Returns whether it could be. The floor is held for the renaming only.
    fn set_aside(&mut self, name: &str, why: &str, floor: MutexGuard<'_, u64>) -> Result<bool> {
        let log = Arc::clone(&self.log);
        let path = log.wal.path_of(name);
        let moved = move_aside(&*log.wal, name);
        drop(floor);
        match moved {
            Ok(aside) => {
                log.config.log.error(&format!("{}: {why}: it is {aside} now", path.display()));
                log.sync_names().map(|()| true)
            }
            Err(error) => {
                self.try_again(&format!("{}: {why}, and stays for now", path.display()), &error);
                Ok(false)
            }
        }
    }

    /// Hands a segment to the freezers, unless their ring is full, or somebody has taken its file
    /// away since this was planned.
    fn start_freezing(&mut self, index: u32) -> bool {
        debug_assert!(!self.kept.freezing.contains(&index));
        self.kept.hot.contains(&index)
            && self.log.queues.to_freeze.push(index).is_ok()
            && self.kept.freezing.insert(index)
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
                // If it stays, the next open removes it.
                let _ = log.wal.remove(&spare.name);
            }
        }
        Ok(())
    }

    /// The file, locked for reuse, if it has the right size, no other name, and no reader.
    fn reusable(&self, name: &str) -> Result<Option<SpareFile>> {
        if self.stopping_since.is_some() || self.log.queues.spare_files.is_full() {
            return Ok(None);
        }
        // A file that cannot be opened or locked can still be removed.
        let Ok(Some(file)) = self.log.wal.open(name, Open::Write) else { return Ok(None) };
        if !matches!(file.try_lock_exclusive(), Ok(true)) {
            return Ok(None);
        }
        // Another name is a snapshot's: whatever is written here would be written there.
        let size = Layout { blocks: self.log.config.num_blocks }.file_size();
        let alone = FileStatus { inode: file.inode()?, links: 1, size };
        let usable = self.log.wal.status_of(name)? == Some(alone);
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
