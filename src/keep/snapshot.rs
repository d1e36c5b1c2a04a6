//! A snapshot while it is written: from any process, beside the log, which never waits for it.
//!
//! It is written under a temporary name, which its writer has locked: an open of the log removes
//! what nobody has. It gets its own name only when the event it is the state of is durable, and
//! when all events behind that are there.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Cause, Error, Place, Result};
use crate::format::cold_frame::Compressor;
use crate::format::SNAPSHOT_HEADER_SIZE;
use crate::format::{file_name, IdentityRecord, SnapshotHeader, MAX_EVENT_ID};
use crate::storage::{create, now_ns, Directory, File, Open, PieceWriter};

use super::lock::HoldsLock;
use super::wal_directory::WalDirectory;

/// Bytes that are written at a time: the log's own writes wait for one such request.
const PIECE: usize = 64 * 1024;
/// How often a temporary file that somebody removes as it is made is made again.
const ATTEMPTS: u32 = 100;

/// A snapshot that is being written. Dropped, nothing of it is left.
pub struct SnapshotWriter {
    directory: WalDirectory,
    header: SnapshotHeader,
    temporary: String,
    file: Arc<dyn File>,
    /// `None` once all of the state is in the file, which is synced then.
    frame: Option<Compressor<PieceWriter>>,
    /// What has failed: a state with a hole in it is none.
    failed: Option<Error>,
}

impl SnapshotWriter {
    /// Begins the snapshot of the state after an event.
    pub fn create(directory: WalDirectory, event_id: u64) -> Result<Self> {
        if event_id == 0 || event_id > MAX_EVENT_ID {
            let message = format!("event_id is {event_id}: no event has it");
            return Err(Error::new(Cause::InvalidArgument, message));
        }
        let identity = directory.identity()?;
        let IdentityRecord { id, generation, .. } = identity;
        let header = SnapshotHeader::begun(event_id, id, generation, now_ns());
        let temporary = file_name::temporary(&file_name::snapshot(event_id));
        let file = begin(&*directory.wal, &temporary)?;
        let path = directory.path_of(&temporary);
        let fail = |error: io::Error| at(&path, &error);
        let mut to = PieceWriter::new(Arc::clone(&file), PIECE);
        to.write_all(&[0; SNAPSHOT_HEADER_SIZE]).map_err(fail)?;
        let frame = Some(Compressor::open_ended(to).map_err(fail)?);
        Ok(SnapshotWriter { directory, header, temporary, file, frame, failed: None })
    }

    /// Adds bytes to the state.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.check()?;
        let Some(frame) = &mut self.frame else {
            let message = "the snapshot is complete: nothing can be added after the first commit";
            return Err(Error::new(Cause::InvalidArgument, message));
        };
        let written = frame.write_all(bytes);
        written.map_err(|error| self.fail(at(&self.path(), &error)))
    }

    /// Gives the snapshot its name, durably, if its event is durable; if not yet,
    /// [`Error::WouldBlock`]. After any other error it is not worth anything.
    pub fn commit(&mut self) -> Result<()> {
        self.check()?;
        self.finish()?;
        let directory = self.directory.clone();
        self.check_identity(&directory.identity()?)?;
        if !directory.is_durable(self.header.event_id)? {
            return Err(Error::WouldBlock);
        }
        let holds = directory.holds()?;
        loop {
            let lock = HoldsLock::take(&*holds)?;
            if let Err(error) = self.publish() {
                self.take_name_back();
                return Err(error);
            }
            // Else somebody may have deleted meanwhile, under another lock file of this name.
            if lock.is_in_place(&*holds)? {
                return Ok(());
            }
        }
    }

    /// Whether it can be committed.
    fn check(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error.clone());
        error
    }

    fn path(&self) -> PathBuf {
        self.directory.path_of(&self.temporary)
    }

    /// Brings all of the state to the disk.
    fn finish(&mut self) -> Result<()> {
        let Some(frame) = self.frame.take() else { return Ok(()) };
        let finished = frame.finish().map_err(|error| at(&self.path(), &error));
        let (digest, to) = finished.map_err(|error| self.fail(error))?;
        self.header.size = digest.size();
        let synced = to.finish_with(&self.header.encode());
        synced.map(drop).map_err(|error| self.fail(error))
    }

    /// Whether the log is still the one whose state this is, with the events that led to it.
    fn check_identity(&self, identity: &IdentityRecord) -> Result<()> {
        check_belongs(&self.header, identity, &self.path().display().to_string())
    }

    /// Gives it its name. Only with the lock held, under which nothing is deleted.
    fn publish(&self) -> Result<()> {
        let wal = &*self.directory.wal;
        let (path, name) = (self.path(), file_name::snapshot(self.header.event_id));
        let what = path.display().to_string();
        check_following(&self.directory, self.header.event_id, &what)?;
        if leads_to(wal, &self.temporary, &*self.file)? {
            wal.rename(&self.temporary, &name)?;
            wal.sync()?;
        } else if !leads_to(wal, &name, &*self.file)? {
            let message = format!("{what}: somebody removed it while it was written");
            return Err(Error::new(Cause::Io, message));
        }
        // Somebody may have removed the lock file, and so have let two in.
        check_following(&self.directory, self.header.event_id, &what)?;
        // An open that takes events back says so first, and then looks for snapshots.
        self.check_identity(&self.directory.identity()?)
    }

    fn take_name_back(&self) {
        let wal = &*self.directory.wal;
        let name = file_name::snapshot(self.header.event_id);
        if leads_to(wal, &name, &*self.file).unwrap_or(false) {
            let _ = wal.remove(&name);
            let _ = wal.sync();
        }
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        let wal = &*self.directory.wal;
        if leads_to(wal, &self.temporary, &*self.file).unwrap_or(false) {
            let _ = wal.remove(&self.temporary);
        }
        let _ = self.file.unlock();
    }
}

/// Makes the temporary file of a snapshot, and locks it. One that is there belongs to somebody who
/// has it locked, or to nobody.
fn begin(wal: &dyn Directory, temporary: &str) -> Result<Arc<dyn File>> {
    for _ in 0..ATTEMPTS {
        if !clear_begun(wal, temporary)? {
            let path = wal.path_of(temporary);
            let message = format!("{}: somebody is writing it", path.display());
            return Err(Error::new(Cause::Locked, message));
        }
        let file = match create(wal, temporary) {
            Err(error) if error.errno() == libc::EEXIST => continue,
            created => created?,
        };
        // Until it is locked it looks as if nobody had it.
        if file.try_lock_exclusive()? && leads_to(wal, temporary, &*file)? {
            return Ok(file);
        }
    }
    let path = wal.path_of(temporary);
    let message = format!("{}: somebody removes it again and again", path.display());
    Err(Error::new(Cause::Io, message))
}

/// Removes a snapshot that was begun, if nobody has it. Returns whether there is none now.
pub(super) fn clear_begun(wal: &dyn Directory, temporary: &str) -> Result<bool> {
    let Some(left) = wal.open(temporary, Open::Write)? else { return Ok(true) };
    if !left.try_lock_exclusive()? {
        return Ok(false);
    }
    if leads_to(wal, temporary, &*left)? {
        wal.remove(temporary)?;
    }
    left.unlock()?;
    Ok(true)
}

/// Whether a name is that of an open file.
pub(super) fn leads_to(directory: &dyn Directory, name: &str, file: &dyn File) -> Result<bool> {
    let now = directory.status_of(name)?;
    Ok(now.map(|status| status.inode) == Some(file.inode()?))
}

/// Fails if a snapshot is of another log than this one and its ancestors, or of events that were
/// taken back since.
pub(super) fn check_belongs(
    header: &SnapshotHeader,
    identity: &IdentityRecord,
    what: &str,
) -> Result<()> {
    let Some(last_generation) = identity.last_generation_of(header.log_id) else {
        let message = format!("{what}: a snapshot of another log, {:032x}", header.log_id);
        return Err(Error::new(Cause::Corrupt, message));
    };
    if header.generation > last_generation {
        let message = format!(
            "{what}: a snapshot of generation {}, and this log has what was done up to generation \
             {last_generation}: it is a copy of before, or was restored from one",
            header.generation
        );
        return Err(Error::new(Cause::Corrupt, message));
    }
    check_not_taken_back(identity, header.generation, header.event_id, what)
}

/// Fails if the log was cut below an event that was seen in this generation.
pub(super) fn check_not_taken_back(
    identity: &IdentityRecord,
    generation: u64,
    event_id: u64,
    what: &str,
) -> Result<()> {
    let is_below = |last: &u64| *last < event_id;
    let later = identity.cuts.iter().filter(|cut| cut.generation > generation);
    let Some(last) = later.map(|cut| cut.last_event_id).filter(is_below).min() else {
        return Ok(());
    };
    let first = last.saturating_add(1);
    let message = format!(
        "{what}: the log was cut behind event {last}: events {first} to {event_id} were taken back"
    );
    let place = Place { event_ids: Some((first, event_id)), ..Place::default() };
    Err(Error::new(Cause::Corrupt, message).at(place))
}

/// Fails if events behind a snapshot are not there any more.
pub(super) fn check_following(directory: &WalDirectory, event_id: u64, what: &str) -> Result<()> {
    // No id above `MAX_EVENT_ID` is an event's.
    directory.unbroken_beginning()?.check_reaches(event_id + 1, what)
}

fn at(path: &std::path::Path, error: &io::Error) -> Error {
    Error::io(format_args!("write {}", path.display()), error)
}
