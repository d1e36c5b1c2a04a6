//! A hold, as its owner has it. The file is locked by the handle that has it open, and written over
//! in place, in one sector, so that whatever happens the old record or the new one is there.

use std::sync::Arc;

use crate::error::{Cause, Error, Place, Result};
use crate::format::{file_name, HoldRecord, HOLD_RECORD_SIZE, MAX_EVENT_ID};
use crate::storage::{create_temporary, now_ns, Directory, File, Open};

use super::lock::HoldsLock;
use super::snapshot::{check_not_taken_back, leads_to};
use super::wal_directory::WalDirectory;

/// A hold: nothing at or above its event is deleted. Dropped, it stays.
#[derive(Debug)]
pub struct Hold {
    directory: WalDirectory,
    holds: Arc<dyn Directory>,
    name: String,
    /// Locked: one handle a name.
    file: Arc<dyn File>,
    record: HoldRecord,
}

impl Hold {
    /// Opens the hold of this name where it stands. If there is none it is made, at `event_id`, or
    /// if that is 0, at the oldest event there is.
    pub fn open(directory: WalDirectory, name: &str, event_id: u64) -> Result<Self> {
        check_name(name)?;
        check_id(event_id)?;
        let holds = directory.holds()?;
        let mut is_new = false;
        loop {
            let lock = HoldsLock::take(&*holds)?;
            let hold = match holds.open(name, Open::Write)? {
                Some(file) => Self::existing(directory.clone(), Arc::clone(&holds), name, file)?,
                None => {
                    is_new = true;
                    Self::new(directory.clone(), Arc::clone(&holds), name, event_id)?
                }
            };
            if is_new {
                hold.check_all_is_left()?;
            }
            // Else somebody may have deleted meanwhile, under another lock file of this name.
            if lock.is_in_place(&*holds)? {
                return Ok(hold);
            }
        }
    }

    fn existing(
        directory: WalDirectory,
        holds: Arc<dyn Directory>,
        name: &str,
        file: Arc<dyn File>,
    ) -> Result<Self> {
        lock_file(&*holds, name, &*file)?;
        let record = good_record(&*holds, name, &*file)?;
        let hold = Hold { directory, holds, name: name.to_owned(), file, record };
        hold.check_not_taken_back()?;
        Ok(hold)
    }

    fn new(
        directory: WalDirectory,
        holds: Arc<dyn Directory>,
        name: &str,
        event_id: u64,
    ) -> Result<Self> {
        let broken = file_name::broken(name);
        if let Some(file) = holds.open(&broken, Open::Read)? {
            return Err(was_broken(&directory, &*holds, name, read_record(&*file)?));
        }
        let beginning = directory.beginning()?;
        let what = format!("hold {name}");
        let event_id = match event_id {
            0 => beginning.first_event_id.max(1),
            event_id => beginning.check_reaches(event_id, &what).map(|()| event_id)?,
        };
        let generation = directory.identity()?.generation;
        let record = HoldRecord { event_id, generation, updated_ns: now_ns() };
        let temporary = file_name::temporary(name);
        let file = create_temporary(&*holds, &temporary)?;
        lock_file(&*holds, &temporary, &*file)?;
        file.write_at(record.encode().as_bytes(), 0)?;
        file.sync()?;
        holds.rename(&temporary, name)?;
        holds.sync()?;
        Ok(Hold { directory, holds, name: name.to_owned(), file, record })
    }

    /// Where it stands. Fails with [`Cause::Gap`] once retention has broken it.
    pub fn event_id(&self) -> Result<u64> {
        self.check_in_place()?;
        Ok(self.record.event_id)
    }

    /// Lets everything below `event_id` go. It never goes back: to move it to where it has been is
    /// to leave it where it is.
    pub fn move_to(&mut self, event_id: u64) -> Result<()> {
        if event_id == 0 {
            let message = "event_id is 0: a hold stands at an event";
            return Err(Error::new(Cause::InvalidArgument, message));
        }
        check_id(event_id)?;
        // Retention breaks a hold with the lock held, and reads it with the lock held.
        let _lock = HoldsLock::take(&*self.holds)?;
        self.check_in_place()?;
        if event_id <= self.record.event_id {
            return Ok(());
        }
        self.check_not_taken_back()?;
        let generation = self.directory.identity()?.generation;
        let record = HoldRecord { event_id, generation, updated_ns: now_ns() };
        self.file.write_at(record.encode().as_bytes(), 0)?;
        self.record = record;
        Ok(())
    }

    /// Removes a hold, broken or not, that nobody has open.
    pub fn remove(directory: &WalDirectory, name: &str) -> Result<()> {
        check_name(name)?;
        let holds = directory.holds()?;
        let _lock = HoldsLock::take(&*holds)?;
        if let Some(file) = holds.open(name, Open::Write)? {
            lock_file(&*holds, name, &*file)?;
        }
        let removed = [holds.remove(name)?, holds.remove(&file_name::broken(name))?];
        if removed == [false, false] {
            let message = format!("{}: there is no such hold", holds.path_of(name).display());
            return Err(Error::new(Cause::NotFound, message));
        }
        holds.sync()
    }

    /// Fails, and takes the hold back, if something was deleted while it was published. That is so
    /// only when somebody has removed the lock file, and so has let two in.
    fn check_all_is_left(&self) -> Result<()> {
        let reaches =
            self.directory.beginning()?.check_reaches(self.record.event_id, &self.words());
        if reaches.is_err() {
            self.holds.remove(&self.name)?;
        }
        reaches
    }

    fn words(&self) -> String {
        format!("hold {}", self.name)
    }

    /// Fails if its name is not its own any more: it was broken, or removed.
    fn check_in_place(&self) -> Result<()> {
        if leads_to(&*self.holds, &self.name, &*self.file)? {
            return Ok(());
        }
        if leads_to(&*self.holds, &file_name::broken(&self.name), &*self.file)? {
            return Err(was_broken(&self.directory, &*self.holds, &self.name, Some(self.record)));
        }
        let path = self.holds.path_of(&self.name);
        let message = format!("{}: somebody has removed the hold", path.display());
        Err(Error::new(Cause::NotFound, message))
    }

    /// Its owner has seen what is below it.
    fn check_not_taken_back(&self) -> Result<()> {
        let HoldRecord { event_id, generation, .. } = self.record;
        let identity = self.directory.identity()?;
        check_not_taken_back(&identity, generation, event_id.saturating_sub(1), &self.words())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// The record in the file of the hold `name`, or that it is damaged.
pub(super) fn good_record(
    holds: &dyn Directory,
    name: &str,
    file: &dyn File,
) -> Result<HoldRecord> {
    read_record(file)?.ok_or_else(|| {
        let path = holds.path_of(name);
        let message = format!("{}: is damaged, and holds everything: remove it", path.display());
        Error::new(Cause::Corrupt, message)
    })
}

/// The record in a hold's file; `None` when it is damaged.
fn read_record(file: &dyn File) -> Result<Option<HoldRecord>> {
    let mut bytes = [0; HOLD_RECORD_SIZE + 1];
    let read = file.read_at(&mut bytes, 0)?;
    Ok(HoldRecord::decode(&bytes[..read]))
}

/// Why a hold that retention has broken cannot be used, with the events that its owner lacks.
fn was_broken(
    directory: &WalDirectory,
    holds: &dyn Directory,
    name: &str,
    record: Option<HoldRecord>,
) -> Error {
    let path = holds.path_of(&file_name::broken(name));
    let from = record.map_or(1, |record| record.event_id);
    let oldest = directory.beginning().map_or(0, |beginning| beginning.first_event_id);
    let (gone, place) = match oldest > from {
        true => (
            format!("events {from} to {} are gone", oldest - 1),
            Place { event_ids: Some((from, oldest - 1)), ..Place::default() },
        ),
        false => (format!("nothing from event {from} on is held any more"), Place::default()),
    };
    let message = format!("{}: the hold was broken: {gone}; remove it", path.display());
    Error::new(Cause::Gap, message).at(place)
}

/// Locks the file of a hold for the one handle that has it.
fn lock_file(holds: &dyn Directory, name: &str, file: &dyn File) -> Result<()> {
    if file.try_lock_exclusive()? {
        return Ok(());
    }
    let message = format!("{}: the hold is open elsewhere", holds.path_of(name).display());
    Err(Error::new(Cause::Locked, message))
}

fn check_name(name: &str) -> Result<()> {
    if file_name::is_hold(name) {
        return Ok(());
    }
    let message = format!("name is {name:?}: it must be 1 to 64 of A-Z, a-z, 0-9, _ and -");
    Err(Error::new(Cause::InvalidArgument, message))
}

fn check_id(event_id: u64) -> Result<()> {
    if event_id <= MAX_EVENT_ID {
        return Ok(());
    }
    let message = format!("event_id is {event_id}: no event has it, ids end at 2^64-2");
    Err(Error::new(Cause::InvalidArgument, message))
}
