//! Deletes what retention gives up, unless somebody needs it, and sets aside what is not as it was.

use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use crate::error::Result;
use crate::format::file_name;
use crate::segment::DamageKind;
use crate::storage::move_aside;

use super::ends::{is_damaged, last_event_id};
use super::held::{Entered, Excess};
use super::removal::{make_removal_durable, remove_hot};
use super::retention;
use super::retry::PUBLISHING_TIME;
use super::segment_maintainer::SegmentMaintainer;

/// What became of a segment that retention gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LetGo {
    Gone,
    /// It has to wait.
    Waits,
    /// A hold or a snapshot needs it: the lowest of them stands here.
    Held(u64),
}

/// What is held while a segment is let go: nobody publishes, and the floor does not move.
struct Guard<'a> {
    entered: Entered,
    _floor: MutexGuard<'a, u64>,
}

impl SegmentMaintainer {
    /// Deletes these segments, as far as nothing needs them. Returns whether there is more to do.
    pub(super) fn delete(&mut self, indexes: &[u32]) -> Result<bool> {
        for (n, &index) in indexes.iter().enumerate() {
            match self.let_go(index)? {
                LetGo::Gone => {}
                LetGo::Waits => return Ok(n > 0),
                LetGo::Held(floor) => {
                    let bytes = self.disk_use.bytes_of(&indexes[n..]);
                    let last = indexes.last().copied();
                    let last_event_id =
                        last.and_then(|last| last_event_id(&self.log, &self.kept, last));
                    let excess = Excess { bytes, floor, last_event_id };
                    let gave_up = self.held.keep(&self.log, excess);
                    return Ok(n > 0 || self.unless_failed(gave_up));
                }
            }
        }
        let gave_up = self.held.keep(&self.log, Excess::default());
        Ok(self.unless_failed(gave_up) || !indexes.is_empty())
    }

    fn unless_failed(&mut self, gave_up: Result<bool>) -> bool {
        gave_up.unwrap_or_else(|error| {
            self.try_again("holds and snapshots", &error);
            false
        })
    }

    /// Deletes a segment, or sets it aside if it is not what it was; unless the floor was lowered
    /// to it since this was planned, or something holds it. Neither can change while the name is
    /// removed.
    fn let_go(&mut self, index: u32) -> Result<LetGo> {
        let log = Arc::clone(&self.log);
        let entered = match self.held.enter(&log) {
            Ok(Some(entered)) => entered,
            Ok(None) => {
                self.retry.after(PUBLISHING_TIME);
                return Ok(LetGo::Waits);
            }
            Err(error) => {
                self.try_again(&format!("segment {index} stays for now"), &error);
                return Ok(LetGo::Waits);
            }
        };
        let floor = log.retention_floor();
        let last = || last_event_id(&log, &self.kept, index);
        if !retention::is_below(*floor, last) {
            return Ok(LetGo::Waits);
        }
        if !retention::is_below(entered.floor(), last) {
            return Ok(LetGo::Held(entered.floor()));
        }
        let guard = Guard { entered, _floor: floor };
        let is_gone = self.let_go_guarded(index, guard)?;
        Ok(if is_gone { LetGo::Gone } else { LetGo::Waits })
    }

    /// The same, when nothing needs it any more. Returns whether it is gone.
    fn let_go_guarded(&mut self, index: u32, guard: Guard<'_>) -> Result<bool> {
        let log = Arc::clone(&self.log);
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
                return Ok(
                    self.set_aside(&other, why, guard)? && self.let_go(index)? == LetGo::Gone
                );
            }
            // Somebody has compressed, decompressed or removed it.
            Ok((false, _)) => {
                drop(guard);
                self.look_now();
                return Ok(false);
            }
            Err(error) => {
                drop(guard);
                self.try_again(&format!("the {kind} segment {index} stays for now"), &error);
                return Ok(false);
            }
        }
        if is_damaged(&log, &self.kept, index) {
            self.count_damaged(index, DamageKind::SegmentHeader);
            let why = "the segment has expired, and is damaged";
            let is_aside = self.set_aside(&name, why, guard)?;
            if is_aside {
                self.forget(index);
            }
            return Ok(is_aside);
        }
        if !self.is_inside(&guard) {
            return Ok(false);
        }
        let begin = Instant::now();
        let removed = match is_cold {
            true => log.wal.remove(&name).map(|_| None),
            false => remove_hot(&log, index, self.may_reuse()),
        };
        drop(guard);
        let spare = match removed {
            Ok(spare) => spare,
            Err(error) => {
                // It is only kept longer than it has to be.
                self.try_again(&format!("the {kind} segment {index} stays for now"), &error);
                return Ok(false);
            }
        };
        // In the order of their indexes even after a power cut: no hole.
        make_removal_durable(&log, spare)?;
        self.forget(index);
        log.counters().maintainer.segments_deleted.add(1);
        log.counters().maintainer.deletion.add(begin.elapsed());
        log.config.log.info(&format!("retention has deleted the {kind} segment {index}"));
        Ok(true)
    }

    /// Whether what the guard has seen of holds and snapshots still counts. If not it is looked
    /// again.
    fn is_inside(&mut self, guard: &Guard<'_>) -> bool {
        match self.held.is_inside(&guard.entered) {
            Ok(true) => return true,
            Ok(false) => self.retry.after(PUBLISHING_TIME),
            Err(error) => self.try_again("holds and snapshots", &error),
        }
        false
    }

    /// Renames a file so that it is not of the log any more: what is not as it was is never
    /// deleted. Returns whether it could be. The guard is held for the renaming only.
    fn set_aside(&mut self, name: &str, why: &str, guard: Guard<'_>) -> Result<bool> {
        let log = Arc::clone(&self.log);
        let path = log.wal.path_of(name);
        let moved = move_aside(&*log.wal, name);
        drop(guard);
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
}
