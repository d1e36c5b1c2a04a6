//! What verify checks besides the segments: `wal_meta.dat`, `wal_identity`, and whether the active
//! directory that the newest events should be in is there.

use std::path::Path;

use crate::directory::{
    find_active, is_open_for_writing, load_identity, load_meta, ActiveDirectory, Ground, Identity,
};
use crate::error::Error;
use crate::format::{file_name, IdentityRecord, MAX_EVENT_ID};
use crate::segment::{Damage, DamageKind};
use crate::storage::read_small;

use super::verify::{Newest, Verifier, LOOKS};

impl Verifier {
    pub(super) fn check_meta(&mut self) {
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

    pub(super) fn check_identity(&mut self) {
        match load_identity(&*self.files.wal) {
            Ok(Identity::Missing) => {}
            Ok(Identity::Unreadable) => {
                self.add_file(DamageKind::Identity, file_name::IDENTITY, None);
            }
            Ok(Identity::Known(record)) => {
                self.report.bytes += record.encode().len() as u64;
                self.check_newest(record);
            }
            Err(error) => self.add_file(DamageKind::Unreadable, file_name::IDENTITY, Some(error)),
        }
    }

    /// Where the newest events are, and whether the active directory that should have them is
    /// there.
    fn check_newest(&mut self, mut record: IdentityRecord) {
        for _ in 0..LOOKS {
            let found = self.find_newest(&record);
            let report = &mut self.report;
            report.active_path.clear();
            if !record.clean {
                report.active_path.push_str(&record.active_path);
            }
            let damage = match found {
                Ok(newest) => {
                    report.newest = newest;
                    self.known.in_memory = newest == Newest::InMemory;
                    return;
                }
                Err(damage) => damage,
            };
            // Was the log shut down meanwhile?
            match load_identity(&*self.files.wal) {
                Ok(Identity::Known(now)) if now != record => record = now,
                _ => {
                    report.newest = Newest::NotHere;
                    return report.add(damage);
                }
            }
        }
    }

    fn find_newest(&mut self, record: &IdentityRecord) -> std::result::Result<Newest, Damage> {
        let (storage, wal) = (&*self.files.storage, &*self.files.wal);
        let damage = |what, error| {
            let path = Path::new(&record.active_path);
            Damage { error, ..Damage::of_file(DamageKind::Active, path, what) }
        };
        let failed = |error| damage("the active directory cannot be read", Some(error));
        let ground = wal.status().map(|here| Ground::of(record, &here)).map_err(failed)?;
        self.report.is_copy = ground == Ground::Other;
        if record.clean {
            return Ok(Newest::OnDisk);
        }
        match find_active(storage, wal, record) {
            Ok(Some(ActiveDirectory::Ours(_))) => Ok(Newest::InMemory),
            // Its writer lives: the directory is where we do not see it, in another container.
            Ok(Some(ActiveDirectory::Gone)) if is_open_for_writing(wal).unwrap_or(false) => {
                Ok(Newest::NotHere)
            }
            Ok(Some(ActiveDirectory::Gone | ActiveDirectory::Unattributable)) => {
                Err(damage("the active directory of a log that was not shut down is gone", None))
            }
            Ok(Some(ActiveDirectory::Foreign)) => Ok(Newest::NotHere),
            Ok(None) if ground != Ground::Same => Ok(Newest::Elsewhere),
            Ok(None) => Ok(Newest::NotHere),
            // Another user's memory is not ours to read.
            Err(error) if self.files.is_denied(&error).unwrap_or(false) => Ok(Newest::Denied),
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) fn add_file(&mut self, kind: DamageKind, name: &str, error: Option<Error>) {
        let what = if error.is_some() { "cannot be read" } else { "the record is not valid" };
        let damage = Damage::of_file(kind, &self.files.wal.path_of(name), what);
        self.report.add(Damage { error, ..damage });
    }
}
