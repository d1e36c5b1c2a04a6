//! Checks every byte of a log and changes nothing: no file is made, no lock is held that keeps the
//! writer from anything. The log may be open for writing meanwhile.

use std::path::Path;
use std::sync::Arc;

use crate::directory::{find_active, load_identity, load_meta, ActiveDirectory, Identity};
use crate::error::{Cause, Error, Result};
use crate::format::{file_name, IdentityRecord, MAX_EVENT_ID};
use crate::segment::{Damage, DamageKind, MAX_DAMAGES};
use crate::storage::{read_small, PosixStorage, Storage};

use super::log_files::{How, LogFiles};
use super::verify_segment::{verify_segment, Known, SegmentReport};

/// How often a segment that looks damaged is checked: its writer may be at work on it.
const LOOKS: u32 = 5;

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
    /// Files that recovery has kept aside.
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
    /// What `wal_meta.dat` says is durable, 0 = nothing known.
    pub durable_event_id: u64,
    /// How many things are wrong.
    pub damage_count: u64,
    /// The first of them.
    pub damages: Vec<Damage>,
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

    fn add(&mut self, damage: Damage) {
        self.damage_count += 1;
        if self.damages.len() < MAX_DAMAGES {
            self.damages.push(damage);
        }
    }
}

/// Checks the log in a directory.
pub fn verify(directory: &Path) -> Result<VerifyReport> {
    verify_with(Arc::new(PosixStorage::for_reading()), directory)
}

fn verify_with(storage: Arc<dyn Storage>, directory: &Path) -> Result<VerifyReport> {
    let files = LogFiles::open(storage, directory, How::Salvage)?;
    let (report, known) = (VerifyReport::default(), Known::default());
    let mut verifier = Verifier { files, report, last_index: None, known };
    verifier.run()?;
    Ok(verifier.report)
}

struct Verifier {
    files: LogFiles,
    report: VerifyReport,
    /// The last segment with events.
    last_index: Option<u32>,
    known: Known,
}

impl Verifier {
    fn run(&mut self) -> Result<()> {
        self.count_names()?;
        self.check_meta();
        self.check_identity();
        for index in self.files.indexes()? {
            if let Some(found) = self.confirmed(index) {
                self.take(index, found);
            }
        }
        let durable_id = self.report.durable_event_id;
        if self.known.floor < durable_id {
            let path = self.files.wal.path_of(file_name::META);
            let what = "events that were durable are gone";
            let mut damage = Damage::of_file(DamageKind::DurableLost, &path, what);
            damage.event_ids = (self.known.floor + 1, durable_id);
            self.report.add(damage);
        }
        Ok(())
    }

    fn count_names(&mut self) -> Result<()> {
        for name in self.files.wal.list()? {
            let ours = [file_name::LOCK, file_name::META, file_name::IDENTITY, ".", ".."];
            if name.ends_with(".corrupt") || name.contains(".corrupt.") {
                self.report.kept_aside_files += 1;
            } else if file_name::parse(&name).is_none() && !ours.contains(&&*name) {
                self.report.foreign_files += 1;
            }
        }
        Ok(())
    }

    fn check_meta(&mut self) {
        /// The C++ recorder's record, which counts as missing.
        const FOREIGN_SIZE: usize = 16;
        let read = load_meta(&*self.files.wal).and_then(|meta| {
            let bytes = read_small(&*self.files.wal, file_name::META, 64)?.unwrap_or_default();
            Ok((meta, bytes.len()))
        });
        match read {
            Ok((None, _) | (Some(None), FOREIGN_SIZE)) => {}
            Ok((Some(None), _)) => self.add_file(DamageKind::Meta, file_name::META, None),
            Ok((Some(Some(state)), size)) => {
                self.report.bytes += size as u64;
                self.report.durable_event_id = state.last_event_id.min(MAX_EVENT_ID);
            }
            Err(error) => self.add_file(DamageKind::Unreadable, file_name::META, Some(error)),
        }
    }

    fn check_identity(&mut self) {
        match load_identity(&*self.files.wal) {
            Ok(Identity::Missing) => {}
            Ok(Identity::Unreadable) => {
                self.add_file(DamageKind::Identity, file_name::IDENTITY, None);
            }
            Ok(Identity::Known(record)) => {
                self.report.bytes += record.encode().len() as u64;
                self.check_active(&record);
            }
            Err(error) => self.add_file(DamageKind::Unreadable, file_name::IDENTITY, Some(error)),
        }
    }

    /// Whether the active directory of a log that was not shut down is there.
    fn check_active(&mut self, record: &IdentityRecord) {
        let files = &self.files;
        let active = find_active(&*files.storage, &*files.wal, record);
        let found = active.and_then(|active| {
            let there = match active {
                Some(ActiveDirectory::Ours(_)) => true,
                Some(ActiveDirectory::Gone | ActiveDirectory::Unattributable) => false,
                Some(ActiveDirectory::Foreign) | None => return Ok(None),
            };
            // Was the log shut down meanwhile?
            let same = load_identity(&*files.wal)? == Identity::Known(record.clone());
            Ok((there || same).then_some(there))
        });
        let (what, error) = match found {
            Ok(there) => {
                self.known.in_memory = there == Some(true);
                if there != Some(false) {
                    return;
                }
                ("the active directory of a log that was not shut down is gone", None)
            }
            // Another user's memory is not ours to read.
            Err(error) if error.cause() == Some(Cause::Permission) => return,
            Err(error) => ("the active directory cannot be read", Some(error)),
        };
        let damage = Damage::of_file(DamageKind::Active, Path::new(&record.active_path), what);
        self.report.add(Damage { error, ..damage });
    }

    fn add_file(&mut self, kind: DamageKind, name: &str, error: Option<Error>) {
        let what = if error.is_some() { "cannot be read" } else { "the record is not valid" };
        let damage = Damage::of_file(kind, &self.files.wal.path_of(name), what);
        self.report.add(Damage { error, ..damage });
    }

    /// Verifies a segment until two looks at it agree on what is wrong. `None` when retention has
    /// removed it meanwhile.
    fn confirmed(&self, index: u32) -> Option<SegmentReport> {
        let mut found = verify_segment(&self.files, index, self.known)?;
        for _ in 1..LOOKS {
            if found.damage_count == 0 && !found.moved {
                break;
            }
            self.files.pause();
            let again = verify_segment(&self.files, index, self.known)?;
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
        let counts = has_events || found.damage_count > 0;
        if let Some(before) = self.last_index.filter(|_| counts) {
            debug_assert!(before < index, "segments are verified in order");
            if index - before > 1 {
                let path = self.files.path_of(before + 1);
                let what = format!("missing, though segment {index} is there");
                let kind = DamageKind::MissingSegment;
                let mut damage = Damage::of_segment(kind, before + 1, &path, &what);
                let last = seen.first_event_id.saturating_sub(1);
                if self.known.floor < last {
                    damage.event_ids = (self.known.floor + 1, last);
                }
                self.report.add(damage);
            }
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
        if counts {
            self.last_index = Some(index);
        }
        self.known.floor = self.known.floor.max(found.last_event_id);
        self.known.ended |= found.ends;
        self.report.damage_count += found.damage_count - found.damages.len() as u64;
        found.damages.into_iter().for_each(|damage| self.report.add(damage));
    }
}
