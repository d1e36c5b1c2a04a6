//! Worker: closes full segments, hands expired ones to the freezers, and deletes or reuses what
//! retention gives up (`letting_go`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::Inventory;
use crate::error::{Error, Result};
use crate::format::{file_name, SegmentHeader};
use crate::segment::DamageKind;
use crate::storage::now_ns;

use super::disk_use::DiskUse;
use super::ends::last_event_id;
use super::held::Held;
use super::removal::{make_removal_durable, remove_hot};
use super::retention::{self, Expiry, Kept, Policy};
use super::retry::{Retry, PUBLISHING_TIME, RETRY_INTERVAL};
use super::stock::take_stock;
use super::worker::Worker;
use crate::recorder::log::Log;
use crate::recorder::segment::{Finished, Frozen, Outcome};
use crate::recorder::threads::Step;

/// How long a shutdown goes on compressing and deleting. Without it, a log that is open for moments
/// only would never get to either. What is left is the next open's work.
const LONGEST_ENDING: Duration = Duration::from_secs(1);
/// How often it is looked whether all segments are still there.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct SegmentMaintainer {
    pub(super) log: Arc<Log>,
    pub(super) kept: Kept,
    pub(super) held: Held,
    pub(super) disk_use: DiskUse,
    pub(super) retry: Retry,
    /// When it was asked to stop.
    stopping_since: Option<Instant>,
    looked_at: Instant,
    /// Segments with a second file that was reported.
    doubled: BTreeSet<u32>,
    /// Hot files that a cold one has replaced, and that could not be removed yet.
    replaced: BTreeSet<u32>,
    /// Segments that were counted as damaged.
    counted: BTreeSet<u32>,
}

impl Worker for SegmentMaintainer {
    fn step(&mut self, stopping: bool) -> Result<Step> {
        if stopping && self.stopping_since.is_none() {
            self.stopping_since = Some(Instant::now());
            // What was to be tried again later is tried a last time.
            self.retry.forget();
        }
        let in_time = self.stopping_since.is_none_or(|since| since.elapsed() < LONGEST_ENDING);
        self.retry.expire();
        self.look();
        let busy = self.close_finished()? | self.free_frozen()? | (in_time && self.retain()?);
        let hot = self.kept.hot.len() + usize::from(self.kept.active);
        self.log.counts.set_segments(hot, self.kept.cold.len());
        self.disk_use.publish(&self.log, &self.kept);
        if busy {
            return Ok(Step::Busy);
        }
        let soon = self.retry.left().filter(|left| *left <= PUBLISHING_TIME);
        if stopping && (!in_time || self.kept.freezing.is_empty() && soon.is_none()) {
            debug_assert!(self.log.queues.to_close.is_empty(), "the persister has ended before");
            return Ok(Step::Done);
        }
        if let Some(since) = self.stopping_since {
            // A freezer raises the signal; if it takes too long, it is left to stop by itself.
            let left = LONGEST_ENDING.saturating_sub(since.elapsed());
            return Ok(Step::RestFor(soon.unwrap_or(left)));
        }
        // All other work raises the signal: a full segment, one that counts as hot now, one that is
        // frozen, a new retention floor.
        Ok(self.retry.left().map_or(Step::RestUntilTick(LOOK_INTERVAL), Step::RestFor))
    }
}

impl SegmentMaintainer {
    /// Begins with the segments that recovery left; `active` is still open.
    pub fn new(log: Arc<Log>, inventory: &Inventory, active: Option<u32>, held: Held) -> Self {
        let Inventory { mut hot, cold, .. } = inventory.clone();
        hot.retain(|index| Some(*index) != active);
        let kept = Kept { hot, cold, ..Kept::default() };
        SegmentMaintainer {
            log,
            kept,
            held,
            disk_use: DiskUse::default(),
            retry: Retry::default(),
            looked_at: Instant::now(),
            doubled: BTreeSet::new(),
            replaced: BTreeSet::new(),
            counted: BTreeSet::new(),
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
    pub(super) fn look_now(&mut self) {
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
            self.log.counters().maintainer.missing_segments.add(1);
            self.log.counters().integrity_failures[DamageKind::MissingSegment as usize].add(1);
            let path = self.log.wal.path_of(&file_name::of(index, was_cold.contains(&index)));
            let message = format!(
                "{}: the segment was removed under the log: its events are lost",
                path.display()
            );
            self.log.config.log.error(&message);
        }
        for (index, name) in self.disk_use.take_cut(&self.log) {
            self.count_damaged(index, DamageKind::Truncated);
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
    pub(super) fn count_damaged(&mut self, index: u32, kind: DamageKind) {
        if self.counted.insert(index) {
            self.log.counters().maintainer.damaged_segments.add(1);
            self.log.counters().integrity_failures[kind as usize].add(1);
        }
    }

    pub(super) fn forget(&mut self, index: u32) {
        self.kept.hot.remove(&index);
        self.kept.damaged.remove(&index);
        self.kept.cold.remove(&index);
        self.counted.remove(&index);
        self.doubled.remove(&index);
        self.replaced.remove(&index);
    }

    /// What could not be done now is tried again, and told once. The log is whole meanwhile.
    pub(super) fn try_again(&mut self, what: &str, error: &Error) {
        self.retry.again(&self.log.config.log, format!("{what}: {error}"));
    }

    fn close_finished(&mut self) -> Result<bool> {
        let mut busy = false;
        while let Some(finished) = self.log.queues.to_close.pop() {
            let header = &finished.header;
            debug_assert!(header.last_event_id <= self.log.durable().last_event_id);
            debug_assert!(self.kept.hot.last().is_none_or(|last| *last < header.segment_index));
            let counters = self.log.counters();
            counters.maintainer.close.and(&counters.histograms.close, || close(&finished))?;
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
                Outcome::Failed => self.retry.after(RETRY_INTERVAL),
                Outcome::Damaged(kind) => {
                    self.kept.damaged.insert(index);
                    self.count_damaged(index, kind);
                }
                Outcome::Missing => self.look_now(),
            }
        }
        Ok(busy)
    }

    /// Removes the hot file of a segment that has a cold one now, if that is still there.
    fn remove_replaced(&mut self, index: u32) -> Result<()> {
        let removed = self.is_there(&file_name::cold(index)).and_then(|is_cold| match is_cold {
            true => remove_hot(&self.log, index, self.may_reuse()).map(Some),
            false => Ok(None),
        });
        match removed {
            Ok(Some(spare)) => {
                self.replaced.remove(&index);
                make_removal_durable(&self.log, spare)?;
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
        if self.retry.left().is_some() {
            return Ok(false);
        }
        for index in self.replaced.clone() {
            self.remove_replaced(index)?;
        }
        if let Err(error) = self.held.look(&self.log) {
            self.try_again("holds and snapshots", &error);
        }
        let plan = retention::plan(&self.kept, policy, |index| {
            last_event_id(&self.log, &self.kept, index)
        });
        let mut busy = false;
        // One that has to wait holds up those behind it: there must be no hole.
        let mut deletions = Vec::new();
        for expiry in plan {
            match expiry {
                Expiry::Freeze(index) => busy |= self.start_freezing(index),
                Expiry::DeleteCold(index) | Expiry::DeleteHot(index) | Expiry::SetAside(index) => {
                    deletions.push(index);
                }
            }
        }
        Ok(busy | self.delete(&deletions)?)
    }

    pub(super) fn may_reuse(&self) -> bool {
        self.stopping_since.is_none()
    }

    pub(super) fn is_there(&self, name: &str) -> Result<bool> {
        Ok(self.log.wal.status_of(name)?.is_some())
    }

    /// Hands a segment to the freezers, unless their ring is full, or somebody has taken its file
    /// away since this was planned.
    fn start_freezing(&mut self, index: u32) -> bool {
        debug_assert!(!self.kept.freezing.contains(&index));
        self.kept.hot.contains(&index)
            && self.log.queues.to_freeze.push(index).is_ok()
            && self.kept.freezing.insert(index)
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
