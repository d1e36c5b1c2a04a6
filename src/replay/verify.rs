//! Checks every byte of a log and changes nothing: no file is made, no lock is held that keeps the
//! writer from anything. The log may be open for writing meanwhile.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::directory::{load_identity, load_meta, Ground, Identity};
use crate::error::{Error, Result};
use crate::format::{file_name, MAX_EVENT_ID};
use crate::segment::{Damage, DamageKind, MAX_DAMAGES};
use crate::storage::{PosixStorage, Storage};

use super::log_files::{How, LogFiles};
use super::verify_segment::{verify_segment, Known, SegmentReport};

/// How often a segment that looks damaged is checked: its writer may be at work on it.
pub(super) const LOOKS: u32 = 5;
/// How often the directory is listed while its newest events are not found: a fast writer goes on,
/// and an id that was never appended is never found.
const LISTINGS: u32 = 20;

/// What was checked, and what is wrong.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// Closed segments in hot files.
    pub hot_segments: u32,
    /// Segments in cold files.
    pub cold_segments: u32,
    /// Hot segments that are not closed; those that hold no events yet too.
    pub open_segments: u32,
    /// Files of other names.
    pub foreign_files: u32,
    /// Files that recovery has kept aside, and snapshots that retention has given up.
    pub kept_aside_files: u32,
    /// Blocks with events that are right.
    pub blocks: u64,
    /// Events in them. One that is in a hot and a cold file counts once.
    pub events: u64,
    /// Bytes read.
    pub bytes: u64,
    /// First event of the log, 0 = none.
    pub first_event_id: u64,
    /// Last event of the log, 0 = none.
    pub last_event_id: u64,
    /// D: the highest id that `wal_meta.dat` or a block header says is durable, 0 = nothing known.
    pub durable_event_id: u64,
    /// How many things are wrong.
    pub damage_count: u64,
    /// The first of them.
    pub damages: Vec<Damage>,
    /// Last event that the WAL directory alone gives, 0 = none.
    pub on_disk_event_id: u64,
    /// Where the newest events are.
    pub newest: Newest,
    /// The directory is a copy of the one that its identity was given to.
    pub is_copy: bool,
    /// The active directory of a log that was not shut down, else empty.
    pub active_path: String,
}

/// Where the newest events of a log are: what `verify` cannot know from the WAL directory alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Newest {
    /// `wal_identity` is missing or damaged.
    #[default]
    NotKnown,
    /// The log was shut down: all of it is in the WAL directory.
    OnDisk,
    /// It is open, or its process died: they are in its active directory, which was read.
    InMemory,
    /// The same, but this user may not read that directory.
    Denied,
    /// They are in the active directory of the log that this one is a copy of.
    Elsewhere,
    /// The active directory is not here: they were in another boot's memory, or in memory that
    /// cannot be seen from here.
    NotHere,
}

impl Newest {
    /// Whether events that were appended may be missing behind the last one found.
    pub fn may_be_missing(self) -> bool {
        matches!(self, Newest::Denied | Newest::Elsewhere | Newest::NotHere)
    }
}

impl VerifyReport {
    /// Nothing is wrong, or the first damage and how many there are. That something could not be
    /// read is an error of its own as long as nothing was found to be damaged.
    pub fn result(&self) -> Result<()> {
        let damaged = self.damages.iter().find(|damage| damage.error.is_none());
        let Some(first) = damaged.or(self.damages.first()) else { return Ok(()) };
        Err(match first.to_error() {
            Error::Failure(mut failure) if self.damage_count > 1 => {
                failure.message += &format!("; {} things are wrong in all", self.damage_count);
                Error::Failure(failure)
            }
            error => error,
        })
    }

    pub(super) fn add(&mut self, damage: Damage) {
        self.damage_count += 1;
        if self.damages.len() < MAX_DAMAGES {
            self.damages.push(damage);
        }
    }
}

/// Checks the log in a directory.
pub fn verify(directory: &Path) -> Result<VerifyReport> {
    verify_telling(directory, &mut |_| {})
}

/// The same, and tells what was found so far each time a segment was checked.
pub fn verify_telling(
    directory: &Path,
    tell: &mut dyn FnMut(&VerifyReport),
) -> Result<VerifyReport> {
    verify_with(Arc::new(PosixStorage::for_reading()), directory, tell)
}

fn verify_with(
    storage: Arc<dyn Storage>,
    directory: &Path,
    tell: &mut dyn FnMut(&VerifyReport),
) -> Result<VerifyReport> {
    let files = LogFiles::open(storage, directory, How::Salvage)?;
    let (report, known) = (VerifyReport::default(), Known::default());
    let (looked_at, last_index) = (BTreeSet::new(), None);
    let mut verifier =
        Verifier { files, report, looked_at, last_index, known, unreadable_end: false };
    verifier.run(tell)?;
    Ok(verifier.report)
}

pub(super) struct Verifier {
    pub(super) files: LogFiles,
    pub(super) report: VerifyReport,
    looked_at: BTreeSet<u32>,
    /// The last segment with events.
    last_index: Option<u32>,
    pub(super) known: Known,
    /// A file that cannot be read may hold what comes after the last event found.
    unreadable_end: bool,
}

impl Verifier {
    fn run(&mut self, tell: &mut dyn FnMut(&VerifyReport)) -> Result<()> {
        self.count_names()?;
        self.check_durable();
        self.check_identity();
        let durable_id = self.report.durable_event_id;
        for _ in 0..LISTINGS {
            let indexes = self.files.indexes()?;
            let new: Vec<_> =
                indexes.into_iter().filter(|index| !self.looked_at.contains(index)).collect();
            for &index in &new {
                self.look_at(index)?;
                tell(&self.report);
            }
            // Retention may have removed all that was listed, and the durable events with it.
            if new.is_empty() || self.known.floor >= durable_id {
                break;
            }
        }
        if self.known.floor < durable_id && !self.unreadable_end {
            let path = self.files.wal.path_of(file_name::META);
            let what = "events that were durable are gone";
            let mut damage = Damage::of_file(DamageKind::DurableLost, &path, what);
            damage.event_ids = (self.known.floor + 1, durable_id);
            self.report.add(damage);
        }
        self.check_shutdown()
    }

    /// Nothing follows the end that a log was shut down with: where something does, files of
    /// another state were copied over it, and an open refuses it. Asked last, and the identity
    /// before the meta, which a shutdown writes first: whatever was found above is then no later.
    fn check_shutdown(&mut self) -> Result<()> {
        let wal = &*self.files.wal;
        let Ok(Identity::Known(record)) = load_identity(wal) else { return Ok(()) };
        if !record.clean || Ground::of(&record, &wal.status()?) != Ground::Same {
            return Ok(());
        }
        let Ok(Some(Some(end))) = load_meta(wal) else { return Ok(()) };
        if self.report.last_event_id > end.last_event_id {
            let what = "events follow those that it says the log was shut down with";
            let path = wal.path_of(file_name::META);
            let mut damage = Damage::of_file(DamageKind::Meta, &path, what);
            damage.event_ids = (end.last_event_id + 1, self.report.last_event_id);
            self.report.add(damage);
        }
        Ok(())
    }

    /// Verifies a segment, and before it those that its listing has missed: a listing is not a
    /// snapshot, and the writer renames files.
    fn look_at(&mut self, index: u32) -> Result<()> {
        let behind_gap = self.last_index.is_some_and(|before| before + 1 < index);
        let mut indexes = vec![index];
        if behind_gap {
            let between = self.files.indexes()?.into_iter();
            let between = between.filter(|other| Some(*other) > self.last_index && *other < index);
            indexes = between.chain(indexes).collect();
        }
        for index in indexes {
            if !self.looked_at.insert(index) {
                continue;
            }
            if let Some(mut found) = self.confirmed(index) {
                if found.damage_count > 0 && self.has_gone_on() {
                    found = self.confirmed(index).unwrap_or_default();
                }
                self.check_gap(index, &found)?;
                self.take(index, found);
            } else if self.stays_only_in_memory(index)? {
                let what = "its file is gone, and its events are in memory only";
                let path = self.files.path_of(index);
                let kind = DamageKind::MissingSegment;
                self.report.add(Damage::of_segment(kind, index, &path, what));
            }
        }
        Ok(())
    }

    /// Whether the last segment has more events than when it was looked at: a log that was shut
    /// down goes on in it. They count as seen then.
    fn has_gone_on(&mut self) -> bool {
        let before = self.last_index.and_then(|last| self.confirmed_after(last, 0));
        let last = before.filter(|found| found.damage_count == 0).map_or(0, |b| b.last_event_id);
        let has = last > self.known.floor;
        self.known.floor = self.known.floor.max(last);
        has
    }

    /// Whether a segment's file is gone and its events are in memory, and that stays so: while
    /// retention is at work it looks like this for a moment.
    fn stays_only_in_memory(&self, index: u32) -> Result<bool> {
        for _ in 0..LOOKS {
            if !self.files.is_only_in_memory(index)? {
                return Ok(false);
            }
            self.files.pause();
        }
        Ok(true)
    }

    /// Reports the segments that are missing before one that counts. Retention takes the oldest
    /// first: if the one before the gap is gone by now, so are those in the gap, and rightly.
    fn check_gap(&mut self, index: u32, found: &SegmentReport) -> Result<()> {
        let Some(mut before) = self.last_index.filter(|_| found.counts()) else { return Ok(()) };
        debug_assert!(before < index, "segments are verified in order");
        // When they were looked at, the log ended before them, and it has gone on since.
        for between in self.looked_at.range(before + 1..index).copied().collect::<Vec<_>>() {
            if let Some(found) = self.confirmed(between) {
                before = if found.counts() { between } else { before };
                self.take(between, found);
            }
        }
        let expired = || Ok(self.files.indexes()?.first() > Some(&before));
        if index - before == 1 || expired()? {
            return Ok(());
        }
        let path = self.files.path_of(before + 1);
        let what = format!("missing, though segment {index} is there");
        let kind = DamageKind::MissingSegment;
        let mut damage = Damage::of_segment(kind, before + 1, &path, &what);
        let last = found.seen.first_event_id.saturating_sub(1);
        if self.known.floor < last {
            damage.event_ids = (self.known.floor + 1, last);
        }
        self.report.add(damage);
        Ok(())
    }

    fn count_names(&mut self) -> Result<()> {
        for name in self.files.wal.list()? {
            let ours = [
                file_name::LOCK,
                file_name::META,
                file_name::IDENTITY,
                file_name::HOLDS,
                file_name::HISTORY,
                ".",
                "..",
            ];
            let is_given_up = name.strip_suffix(file_name::BROKEN_SUFFIX);
            let is_given_up = is_given_up.and_then(file_name::parse);
            if name.ends_with(".corrupt") || name.contains(".corrupt.") || is_given_up.is_some() {
                self.report.kept_aside_files += 1;
            } else if file_name::parse(&name).is_none() && !ours.contains(&&*name) {
                self.report.foreign_files += 1;
            }
        }
        Ok(())
    }

    /// D as recovery reckons it: by meta, and by the stamps of block headers from the newest closed
    /// segment on. To read those of all segments costs a fifth of the time that the rest takes.
    fn check_durable(&mut self) {
        self.check_meta();
        // What cannot be read is reported with its segment.
        let indexes = self.files.indexes().unwrap_or_default();
        let is_closed = |index: &&u32| self.files.is_closed(**index).unwrap_or(false);
        let newest_closed = indexes.iter().rev().find(is_closed).copied().unwrap_or(0);
        let stamped = self.files.durable_id_from(newest_closed).unwrap_or(0).min(MAX_EVENT_ID);
        self.report.durable_event_id = self.report.durable_event_id.max(stamped);
    }

    /// Verifies a segment until two looks at it agree on what is wrong. `None` when retention has
    /// removed it meanwhile.
    fn confirmed(&self, index: u32) -> Option<SegmentReport> {
        self.confirmed_after(index, self.known.floor)
    }

    /// The same, where the segment's events must be above `floor`.
    fn confirmed_after(&self, index: u32, floor: u64) -> Option<SegmentReport> {
        let known = Known { floor, ..self.known };
        let mut found = verify_segment(&self.files, index, known)?;
        for _ in 1..LOOKS {
            if found.damage_count == 0 && !found.moved {
                break;
            }
            self.files.pause();
            let again = verify_segment(&self.files, index, known)?;
            let confirmed = !again.moved && again.agrees_with(&found);
            found = again;
            if confirmed {
                break;
            }
        }
        Some(found)
    }

    /// Adds what was found in a segment to the report.
    fn take(&mut self, index: u32, found: SegmentReport) {
        let seen = found.seen;
        let has_events = seen.events > 0;
        let counts = found.counts();
        if found.unreadable {
            self.unreadable_end = true;
        } else if has_events {
            self.unreadable_end = false;
        }
        let report = &mut self.report;
        report.hot_segments += u32::from(found.hot && !found.open);
        report.open_segments += u32::from(found.open);
        report.cold_segments += u32::from(found.cold);
        report.blocks += seen.blocks;
        report.events += seen.events;
        report.bytes += seen.bytes;
        if report.first_event_id == 0 {
            report.first_event_id = seen.first_event_id;
        }
        if has_events {
            report.last_event_id = found.last_event_id;
        }
        report.on_disk_event_id = report.on_disk_event_id.max(found.last_on_disk);
        if counts {
            self.last_index = Some(index);
        }
        self.known.floor = self.known.floor.max(found.last_event_id);
        self.known.ended |= found.ends;
        self.report.damage_count += found.damage_count - found.damages.len() as u64;
        found.damages.into_iter().for_each(|damage| self.report.add(damage));
    }
}

#[cfg(test)]
mod tests;
