//! Worker: closes full segments, has the oldest ones compressed, and removes or reuses what
//! retention lets go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::Inventory;
use crate::error::Result;
use crate::format::{file_name, Layout, SegmentHeader};
use crate::segment::closed_header;
use crate::storage::Open;

use super::retention::{self, Action, Kept, Policy};
use super::worker::Worker;
use crate::recorder::clock::now_ns;
use crate::recorder::log::{Log, Signals};
use crate::recorder::segment::{Finished, Frozen, SpareFile};
use crate::recorder::threads::{Signal, Step};

/// How long a failed freeze or removal is left alone.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The maintainer's own state: no other thread touches it.
#[derive(Debug)]
pub struct SegmentMaintainer {
    log: Arc<Log>,
    kept: Kept,
    policy: Policy,
    retry_at: Option<Instant>,
    stopping: bool,
}

impl Worker for SegmentMaintainer {
    const NAME: &'static str = "wal-maintainer";

    fn signal(signals: &Signals) -> &Arc<Signal> {
        &signals.maintainer
    }

    fn step(&mut self, stopping: bool) -> Result<Step> {
        self.stopping = stopping;
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.retry_at = None;
        }
        let busy = self.close_finished()? | self.free_frozen()? | self.retain()?;
        self.publish_counts();
        if busy {
            return Ok(Step::Busy);
        }
        if stopping && self.kept.freezing.is_empty() {
            return Ok(Step::Done);
        }
        // Everything else that there could be to do comes with the signal: a full segment, one that
        // counts as hot now, one that is frozen, another floor.
        Ok(self
            .retry_at
            .map_or(Step::Rest, |at| Step::RestFor(at.saturating_duration_since(Instant::now()))))
    }
}

impl SegmentMaintainer {
    /// Begins with the segments recovery left, `active` among them still open.
    pub fn new(log: Arc<Log>, inventory: &Inventory, active: Option<u32>) -> Self {
        let config = &log.config;
        let policy = Policy {
            max_hot: config.max_segments,
            max_cold: config.cold_limit(),
            floor: config.retention_floor,
        };
        let mut hot = inventory.hot.clone();
        if let Some(index) = active {
            hot.remove(&index);
        }
        let kept = Kept { hot, cold: inventory.cold.clone(), ..Kept::default() };
        SegmentMaintainer { log, kept, policy, retry_at: None, stopping: false }
    }

    fn close_finished(&mut self) -> Result<bool> {
        let mut busy = false;
        while let Some(finished) = self.log.queues.to_close.pop() {
            self.log.counters().close.of(|| close(&finished))?;
            self.kept.hot.insert(finished.header.segment_index);
            busy = true;
        }
        Ok(busy)
    }

    /// Takes note of what the freezer has done, and lets go of hot files that are cold now.
    fn free_frozen(&mut self) -> Result<bool> {
        let mut busy = false;
        while let Some(Frozen { index, done }) = self.log.queues.to_free.pop() {
            busy = true;
            self.kept.freezing.remove(&index);
            if done {
                self.kept.cold.insert(index);
                self.let_go_of_hot(index)?;
            } else {
                self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
            }
        }
        Ok(busy)
    }

    /// Does what retention asks for.
    fn retain(&mut self) -> Result<bool> {
        // The segment being filled counts besides, unless it is closed already, from its first
        // durable event on: before that a power cut would leave nothing but the older ones.
        let durable = self.log.durable();
        self.kept.active =
            durable.last_event_id > 0 && !self.kept.contains(durable.last_segment_index);
        self.policy.floor = *self.log.retention_floor();
        let actions = retention::plan(&self.kept, self.policy, |index| self.last_event_id(index));
        let mut busy = false;
        for action in actions {
            match action {
                Action::Freeze(index) => {
                    if !self.start_freezing(index) {
                        break;
                    }
                }
                Action::DeleteCold(index) | Action::DeleteHot(index) => {
                    if !self.delete(index)? {
                        break;
                    }
                }
            }
            busy = true;
        }
        Ok(busy)
    }

    /// Deletes a segment for good. Not if the floor has come down to it since that was planned: the
    /// floor stays where it is while the name is removed.
    fn delete(&mut self, index: u32) -> Result<bool> {
        if self.retry_at.is_some() {
            return Ok(false);
        }
        let log = Arc::clone(&self.log);
        let floor = log.retention_floor();
        if !retention::is_below(*floor, || self.last_event_id(index)) {
            return Ok(false);
        }
        let is_cold = self.kept.cold.contains(&index);
        let removed = if is_cold {
            log.wal.remove(&file_name::cold(index)).map(|_| None)
        } else {
            self.remove_hot(index)
        };
        drop(floor);
        let kind = if is_cold { "cold" } else { "hot" };
        let spare = match removed {
            Ok(spare) => spare,
            // The segment is kept for longer than it must be: nothing is lost.
            Err(error) => {
                let message = format!("the {kind} segment {index} cannot be deleted yet: {error}");
                log.sink().warn(&message);
                self.retry_at = Some(Instant::now() + RETRY_INTERVAL);
                return Ok(false);
            }
        };
        // In the order of their indexes even after a power cut: no hole.
        self.make_removal_durable(spare)?;
        self.kept.cold.remove(&index);
        self.kept.hot.remove(&index);
        log.counters().segments_deleted.add(1);
        log.sink().info(&format!("retention has deleted the {kind} segment {index}"));
        Ok(true)
    }

    /// The last event id of a closed segment, if it can be read.
    fn last_event_id(&self, index: u32) -> Option<u64> {
        let is_hot = self.kept.hot.contains(&index);
        let header = closed_header(&*self.log.wal, index, is_hot).ok().flatten();
        header.map(|header| header.last_event_id)
    }

    /// Hands a segment to the freezer, unless its ring is full or the last failure is too fresh.
    fn start_freezing(&mut self, index: u32) -> bool {
        if self.retry_at.is_some() {
            return false;
        }
        if self.log.queues.to_freeze.push(index).is_err() {
            return false;
        }
        self.kept.freezing.insert(index);
        true
    }

    /// A hot file that is cold by now.
    fn let_go_of_hot(&mut self, index: u32) -> Result<()> {
        let spare = self.remove_hot(index)?;
        self.make_removal_durable(spare)?;
        self.kept.hot.remove(&index);
        Ok(())
    }

    /// Takes the name of a hot file that is not needed any more, and the file too, unless somebody
    /// can use it for another life.
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

    /// After a power cut the old name must not stand for new content: only then is the file given
    /// to be used again.
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

    /// The file locked for another life, if it has the right size and no reader has it open.
    fn reusable(&self, name: &str) -> Result<Option<SpareFile>> {
        if self.stopping || self.log.queues.spare_files.is_full() {
            return Ok(None);
        }
        // A file that cannot be opened can still be removed.
        let Ok(Some(file)) = self.log.wal.open(name, Open::Write) else { return Ok(None) };
        let size = Layout { blocks: self.log.config.num_blocks }.file_size();
        let usable = file.size()? == size && file.try_lock_exclusive()?;
        Ok(usable.then(|| SpareFile { name: file_name::temporary(name), file }))
    }

    fn publish_counts(&self) {
        let hot = self.kept.hot.len() + usize::from(self.kept.active);
        self.log.counts.set_segments(hot, self.kept.cold.len());
    }
}

/// Writes the final header of a segment whose events and block headers are durable.
pub fn close(finished: &Finished) -> Result<()> {
    let header = SegmentHeader { closed_ts_ns: now_ns(), ..finished.header };
    finished.disk.write_at(&header.encode(), 0)?;
    finished.disk.sync()
}
