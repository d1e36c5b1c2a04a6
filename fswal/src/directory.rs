//! What state a log is in: live by its control file, else by what it left.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flashstrike_wal::directory::{
    find_active, is_open_for_writing, load_identity, load_meta, metrics_of, ActiveDirectory,
    Ground, Identity, Inventory,
};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::{file_name, IdentityRecord};
use flashstrike_wal::keep::WalDirectory;
use flashstrike_wal::storage::{Directory, Links, PosixStorage, Storage};
use flashstrike_wal::telemetry::{MetricsSnapshot, STATE_FAILED};
use serde::Serialize;

use crate::failure::{Failure, Outcome};

/// How the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A process has it open and appends.
    Live,
    /// A process has it open, and it has failed.
    Failed,
    /// It was shut down: everything is on disk.
    ShutDown,
    /// Its process died, and its newest events wait in the active directory.
    Crashed,
    /// Its process died, and the active directory with the newest events is not where it should be.
    MemoryLost,
    /// Its process died, and this user cannot read the active directory.
    MemoryUnreadable,
    /// The machine was restarted under it: the disk alone has the log.
    Rebooted,
    /// It is a copy of a log's directory that was not opened yet.
    Copy,
    /// Segments without an identity: the C++ recorder's, or `wal_identity` is gone or damaged.
    Unidentified,
}

impl State {
    pub fn words(self) -> &'static str {
        match self {
            State::Live => "live",
            State::Failed => "FAILED: takes no more events",
            State::ShutDown => "shut down cleanly",
            State::Crashed => "not shut down; its newest events wait in memory",
            State::MemoryLost => "not shut down, and the memory with its newest events is not here",
            State::MemoryUnreadable => "not shut down, and its memory cannot be read by this user",
            State::Rebooted => "not shut down, and the machine was restarted since",
            State::Copy => "a copy that was never opened",
            State::Unidentified => "without an identity",
        }
    }
}

/// A log's directory, and what was found in it.
pub struct Log {
    pub path: PathBuf,
    pub storage: Arc<PosixStorage>,
    pub wal: Arc<dyn Directory>,
    pub inventory: Inventory,
    pub identity: Option<IdentityRecord>,
    pub state: State,
    /// The counters of a log that is open, or whose process died in this boot.
    pub metrics: Option<MetricsSnapshot>,
    /// The active directory, where there is one that can be read.
    pub active: Option<Arc<dyn Directory>>,
    /// Why the counters or the active directory could not be read.
    pub trouble: Option<Error>,
}

impl Log {
    /// Looks at the log in a directory. Fails if there is none.
    pub fn look(path: &Path) -> Outcome<Log> {
        let storage = Arc::new(PosixStorage::for_reading());
        let wal = open(&*storage, path)?;
        let inventory = Inventory::of(&*wal)?;
        let found = load_identity(&*wal)?;
        if found == Identity::Missing && inventory.is_empty() {
            let message = format!("{}: there is no log here", path.display());
            return Err(Failure::usage(message)
                .next("name the directory that the engine passes to fs_wal_open"));
        }
        let identity = match found {
            Identity::Known(record) => Some(record),
            Identity::Missing | Identity::Unreadable => None,
        };
        let mut log = Log {
            path: path.to_owned(),
            storage,
            wal,
            inventory,
            identity,
            state: State::Unidentified,
            metrics: None,
            active: None,
            trouble: None,
        };
        log.find_state()?;
        Ok(log)
    }

    fn find_state(&mut self) -> Outcome<()> {
        let Some(identity) = self.identity.clone() else { return Ok(()) };
        if Ground::of(&identity, &self.wal.status()?) != Ground::Same {
            self.state = State::Copy;
            return Ok(());
        }
        if identity.clean {
            self.state = State::ShutDown;
            return Ok(());
        }
        match find_active(&*self.storage, &*self.wal, &identity) {
            Ok(Some(ActiveDirectory::Ours(active))) => self.active = Some(active),
            Ok(Some(_)) => self.state = State::MemoryLost,
            Ok(None) => self.state = State::Rebooted,
            Err(error) => {
                self.state = State::MemoryUnreadable;
                self.trouble = Some(error);
            }
        }
        if self.active.is_some() {
            match metrics_of(&*self.storage, &self.path) {
                Ok(metrics) => self.metrics = Some(metrics),
                Err(error) => self.trouble = Some(error),
            }
            self.state = State::Crashed;
        }
        if self.is_open()? {
            let failed = self.metrics.is_some_and(|metrics| metrics.state == STATE_FAILED as u32);
            self.state = if failed { State::Failed } else { State::Live };
        }
        Ok(())
    }

    /// Whether a process has it open. Who may not look at the lock goes by the writer's heartbeat.
    fn is_open(&self) -> Outcome<bool> {
        const SILENCE: Duration = Duration::from_secs(1);
        match is_open_for_writing(&*self.wal) {
            Err(error) if error.cause() == Some(Cause::Permission) => Ok(self
                .metrics
                .is_some_and(|metrics| u128::from(metrics.heartbeat_age_ns) < SILENCE.as_nanos())),
            open => Ok(open?),
        }
    }

    /// Whether this library has written it: another recorder makes no lock file.
    pub fn is_ours(&self) -> bool {
        self.identity.is_some() || !matches!(self.wal.status_of(file_name::LOCK), Ok(None))
    }

    /// Bytes of its segments' files.
    pub fn segment_bytes(&self) -> Outcome<u64> {
        let hot = self.inventory.hot.iter().map(|&index| file_name::hot(index));
        let cold = self.inventory.cold.iter().map(|&index| file_name::cold(index));
        self.bytes_of(hot.chain(cold))
    }

    /// Bytes of its snapshots' files.
    pub fn snapshot_bytes(&self) -> Outcome<u64> {
        self.bytes_of(self.inventory.snapshots.iter().map(|&id| file_name::snapshot(id)))
    }

    /// Bytes of what recovery has kept aside.
    pub fn kept_aside_bytes(&self) -> Outcome<u64> {
        self.bytes_of(self.kept_aside()?.into_iter())
    }

    fn bytes_of(&self, names: impl Iterator<Item = String>) -> Outcome<u64> {
        let mut sum = 0;
        for name in names {
            // One that went meanwhile takes no room.
            sum += self.wal.status_of(&name)?.map_or(0, |status| status.size);
        }
        Ok(sum)
    }

    /// Files that recovery has kept aside, sorted.
    pub fn kept_aside(&self) -> Outcome<Vec<String>> {
        let mut names = self.wal.list()?;
        names.retain(|name| name.ends_with(".corrupt") || name.contains(".corrupt."));
        names.sort();
        Ok(names)
    }

    /// The durable id as far as it is known without reading segments.
    pub fn known_durable(&self) -> u64 {
        let meta = load_meta(&*self.wal).ok().flatten().flatten();
        let on_disk = meta.map_or(0, |meta| meta.last_event_id);
        self.metrics.map_or(on_disk, |metrics| metrics.durable_event_id.max(on_disk))
    }
}

/// Opens a WAL directory.
pub fn open(storage: &dyn Storage, path: &Path) -> Outcome<Arc<dyn Directory>> {
    let missing = || {
        let message = format!("{}: there is no such directory", path.display());
        Failure::usage(message).next("check the path; is the volume mounted?")
    };
    if path.is_file() {
        let message = format!("{}: is a file; a log is a directory", path.display());
        return Err(Failure::usage(message).next("name the directory that the file is in"));
    }
    storage.open_directory(path, Links::Follow)?.ok_or_else(missing)
}

/// A file that is made in the log's own directory would be a foreign one there, or take a
/// segment's place.
pub fn refuse_within(dir: &Path, file: &Path) -> Outcome<()> {
    let parent = match file.canonicalize() {
        Ok(there) => there.parent().map(Path::to_owned),
        Err(_) => {
            let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
            parent.unwrap_or(Path::new(".")).canonicalize().ok()
        }
    };
    match (dir.canonicalize(), parent) {
        (Ok(dir), Some(parent)) if parent.starts_with(&dir) => {
            let message = format!("{}: is in the log's own directory", file.display());
            Err(Failure::usage(message).next("name a place outside of it"))
        }
        _ => Ok(()),
    }
}

/// A WAL directory in which holds and snapshots are to be made, moved or removed.
pub fn writable(dir: &Path) -> Outcome<WalDirectory> {
    Ok(WalDirectory::open(Arc::new(PosixStorage::for_writing()), dir)?)
}
