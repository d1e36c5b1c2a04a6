//! All holds and snapshots of a log, as retention sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::directory::{load_identity, Identity};
use crate::error::{Cause, Error, Result};
use crate::format::file_name::{self, FileName};
use crate::storage::{rename_if_there, Directory, Open};

use super::hold::good_record;
use super::lock::HoldsLock;
use super::snapshot::check_belongs;
use super::snapshot_reader::{header_of, is_its_own};

/// For what events are kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptFor {
    /// For the owner of this hold.
    Hold(String),
    /// For the snapshot of this event.
    Snapshot(u64),
}

/// What keeps events, and from which one on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// For what.
    pub of: KeptFor,
    /// Nothing at or above this event may be deleted; 1 = it cannot be read, and keeps everything.
    pub event_id: u64,
}

impl Keeper {
    /// Its file, as in the WAL directory.
    pub fn name(&self) -> String {
        match &self.of {
            KeptFor::Hold(name) => format!("{}/{name}", file_name::HOLDS),
            KeptFor::Snapshot(event_id) => file_name::snapshot(*event_id),
        }
    }
}

/// The event ids of the snapshots in a directory, rising. Asked before every deletion.
fn snapshots(wal: &dyn Directory) -> Result<BTreeSet<u64>> {
    let names = wal.list()?.into_iter();
    let ids = names.filter_map(|name| match file_name::parse(&name) {
        Some(FileName::Snapshot(event_id)) => Some(event_id),
        _ => None,
    });
    Ok(ids.collect())
}

/// The holds and snapshots of a log that is open for writing.
#[derive(Debug)]
pub struct Keepers {
    wal: Arc<dyn Directory>,
    holds: Arc<dyn Directory>,
    /// How many snapshots are kept, the newest.
    max_snapshots: usize,
    /// What each hold said when it was last made durable.
    synced: BTreeMap<String, u64>,
}

/// What there is at one moment.
#[derive(Debug, Default)]
pub struct Seen {
    /// What keeps events, in no order.
    pub keepers: Vec<Keeper>,
    /// Snapshots that are more than are to be kept.
    pub expired: Vec<u64>,
    /// What cannot be read, and why.
    pub unreadable: Vec<Error>,
}

impl Seen {
    /// What holds the most.
    pub fn lowest(&self) -> Option<&Keeper> {
        self.keepers.iter().min_by(|one, other| one.event_id.cmp(&other.event_id))
    }

    /// The event from which on nothing may be deleted; 0 = none.
    pub fn floor(&self) -> u64 {
        self.lowest().map_or(0, |lowest| lowest.event_id)
    }
}

impl Keepers {
    /// Those of a log that has this directory for its holds.
    pub fn new(wal: Arc<dyn Directory>, holds: Arc<dyn Directory>, max_snapshots: u32) -> Self {
        let max_snapshots = max_snapshots as usize;
        Keepers { wal, holds, max_snapshots, synced: BTreeMap::new() }
    }

    /// The lock under which nobody publishes, unless somebody has it.
    pub fn try_lock(&self) -> Result<HoldsLock> {
        HoldsLock::try_take(&*self.holds)
    }

    /// The same lock. Waits for it, and fails with [`Cause::Locked`] after ten seconds.
    pub fn lock(&self) -> Result<HoldsLock> {
        HoldsLock::take(&*self.holds)
    }

    /// Whether that lock still keeps others out. Somebody may have removed its file: then others
    /// make and lock a new one, and publish.
    pub fn is_locked_by(&self, lock: &HoldsLock) -> Result<bool> {
        lock.is_in_place(&*self.holds)
    }

    /// What there is. With the lock held, nothing is added until it is given back.
    pub fn look(&mut self) -> Result<Seen> {
        let mut seen = Seen::default();
        self.check_in_place()?;
        let names = self.holds.list()?;
        for name in names.into_iter().filter(|name| file_name::is_hold(name)) {
            self.look_at_hold(name, &mut seen);
        }
        self.synced.retain(|name, _| {
            seen.keepers.iter().any(|keeper| matches!(&keeper.of, KeptFor::Hold(of) if of == name))
        });
        self.look_at_snapshots(&mut seen)?;
        Ok(seen)
    }

    /// Holds are found by name: what was removed or replaced under the log does not say what
    /// others have published since.
    fn check_in_place(&self) -> Result<()> {
        let own = self.holds.status()?;
        let named = self.wal.status_of(file_name::HOLDS)?;
        if own.links > 0 && named.map(|named| named.inode) == Some((own.dev, own.ino)) {
            return Ok(());
        }
        let path = self.holds.path().display();
        let message = format!(
            "{path}: was removed or replaced under the log: what is held is not known, and nothing \
             is deleted until it is put back or the log is opened again"
        );
        Err(Error::new(Cause::Io, message))
    }

    fn look_at_hold(&mut self, name: String, seen: &mut Seen) {
        let event_id = match self.event_of(&name) {
            Ok(Some(event_id)) => event_id,
            // Removed since it was listed.
            Ok(None) => return,
            Err(error) => {
                seen.unreadable.push(error);
                1
            }
        };
        seen.keepers.push(Keeper { of: KeptFor::Hold(name), event_id });
    }

    /// Where a hold stands, durably: what is deleted by it must not be held again after a power
    /// cut. Nothing is synced that was not moved.
    fn event_of(&mut self, name: &str) -> Result<Option<u64>> {
        let Some(file) = self.holds.open(name, Open::Read)? else { return Ok(None) };
        let record = good_record(&*self.holds, name, &*file)?;
        if self.synced.get(name) != Some(&record.event_id) {
            file.sync()?;
            self.synced.insert(name.to_owned(), record.event_id);
        }
        Ok(Some(record.event_id))
    }

    /// Of the snapshots of this log, by their headers, the newest are kept. Others are left alone,
    /// and keep nothing.
    fn look_at_snapshots(&self, seen: &mut Seen) -> Result<()> {
        let snapshots = snapshots(&*self.wal)?;
        if snapshots.is_empty() {
            return Ok(());
        }
        let identity = match load_identity(&*self.wal)? {
            Identity::Known(identity) => Some(identity),
            Identity::Missing | Identity::Unreadable => None,
        };
        let mut kept = 0;
        for event_id in snapshots.into_iter().rev() {
            let belongs = header_of(&*self.wal, event_id).and_then(|header| {
                let Some(header) = header else { return Ok(false) };
                let path = self.wal.path_of(&file_name::snapshot(event_id));
                let what = path.display().to_string();
                let check = identity.as_ref().map(|log| check_belongs(&header, log, &what));
                check.unwrap_or(Ok(())).map(|()| true)
            });
            match belongs {
                Ok(true) if kept == self.max_snapshots => seen.expired.push(event_id),
                Ok(true) => {
                    kept += 1;
                    seen.keepers.push(Keeper { of: KeptFor::Snapshot(event_id), event_id });
                }
                Ok(false) => {}
                Err(error) if is_its_own(&error) => seen.unreadable.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes a snapshot. Durably, before anything is deleted that follows it.
    pub fn remove_snapshot(&self, event_id: u64) -> Result<()> {
        self.wal.remove(&file_name::snapshot(event_id))?;
        self.wal.sync()
    }

    /// Gives up what keeps events: it is renamed, and keeps nothing any more. With the lock held.
    pub fn break_it(&self, keeper: &Keeper) -> Result<()> {
        let (directory, name) = match &keeper.of {
            KeptFor::Hold(name) => (&self.holds, name.clone()),
            KeptFor::Snapshot(event_id) => (&self.wal, file_name::snapshot(*event_id)),
        };
        rename_if_there(&**directory, &name, &file_name::broken(&name))?;
        directory.sync()
    }
}
