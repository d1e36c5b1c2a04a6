//! A log's WAL directory, as whoever comes to it from any process sees it: whose it is, what is
//! durable, and where it begins.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::directory::{find_active, load_identity, load_meta};
use crate::directory::{ActiveDirectory, ControlView, Identity, Inventory};
use crate::error::{Cause, Error, Place, Result};
use crate::format::{file_name, IdentityRecord, MAX_EVENT_ID};
use crate::segment::{closed_header, first_slot};
use crate::storage::{Directory, Links, Open, Storage};

/// How often a listing that the writer changes meanwhile is made again: a segment that turns cold
/// is in none of two places for a moment, as a listing sees it.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(1);

/// A WAL directory, opened by its path.
#[derive(Debug, Clone)]
pub struct WalDirectory {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) wal: Arc<dyn Directory>,
}

/// Where a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beginning {
    /// The first event there is; 0 = none yet.
    pub first_event_id: u64,
    /// Nothing was ever deleted before it.
    pub is_whole: bool,
}

impl Beginning {
    /// Fails with the events that are gone, of those from `event_id` on.
    pub fn check_reaches(&self, event_id: u64, what: &str) -> Result<()> {
        if self.is_whole || self.first_event_id <= event_id {
            return Ok(());
        }
        let last = self.first_event_id - 1;
        let message = format!(
            "{what}: events {event_id} to {last} are gone, the oldest one left is {}",
            self.first_event_id
        );
        let place = Place { event_ids: Some((event_id, last)), ..Place::default() };
        Err(Error::new(Cause::Gap, message).at(place))
    }
}

impl WalDirectory {
    /// Opens the directory of a log.
    pub fn open(storage: Arc<dyn Storage>, path: &Path) -> Result<Self> {
        let wal = storage.open_directory(path, Links::Follow)?.ok_or_else(|| {
            Error::new(Cause::NotFound, format!("{}: there is no such directory", path.display()))
        })?;
        Ok(WalDirectory { storage, wal })
    }

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.wal.path_of(name)
    }

    /// Whose log it is, and in which generation.
    pub(super) fn identity(&self) -> Result<IdentityRecord> {
        let path = self.path_of(file_name::IDENTITY);
        let (cause, what) = match load_identity(&*self.wal)? {
            Identity::Known(record) => return Ok(record),
            Identity::Missing => {
                (Cause::NotFound, "is missing: there is no log that was opened for writing")
            }
            Identity::Unreadable => {
                (Cause::Corrupt, "is damaged: open the log for writing, which makes it anew")
            }
        };
        Err(Error::new(cause, format!("{} {what}", path.display())))
    }

    /// The directory of the holds.
    pub(super) fn holds(&self) -> Result<Arc<dyn Directory>> {
        let path = self.path_of(file_name::HOLDS);
        self.storage.open_directory(&path, Links::Refuse)?.ok_or_else(|| {
            let path = path.display();
            let message = format!("{path} is missing: open the log for writing, which makes it");
            Error::new(Cause::NotFound, message)
        })
    }

    /// Whether an event is known to be durable: by the watermark of the log that is open, or by the
    /// record of it in the directory, which may be late, and is never early.
    pub(super) fn is_durable(&self, event_id: u64) -> Result<bool> {
        let known = load_meta(&*self.wal)?.flatten().map_or(0, |state| state.last_event_id);
        Ok(known >= event_id || self.watermark() >= event_id)
    }

    /// The watermark in the active directory; 0 = it cannot be read, or is another generation's.
    fn watermark(&self) -> u64 {
        let look = || -> Result<Option<u64>> {
            let Identity::Known(identity) = load_identity(&*self.wal)? else { return Ok(None) };
            let found = find_active(&*self.storage, &*self.wal, &identity)?;
            let Some(ActiveDirectory::Ours(active)) = found else { return Ok(None) };
            let Some(control) = ControlView::open(&*active)? else { return Ok(None) };
            let is_this =
                (control.log_id(), control.generation()) == (identity.id, identity.generation);
            Ok(is_this.then(|| control.durable().last_event_id))
        };
        look().ok().flatten().unwrap_or(0)
    }

    /// Where the log begins: with the oldest segment there is.
    pub(super) fn beginning(&self) -> Result<Beginning> {
        self.beginning_of(|indexes| indexes.first().copied())
    }

    /// The same, of what can be read to the end: behind the last segment that is missing.
    pub(super) fn unbroken_beginning(&self) -> Result<Beginning> {
        self.beginning_of(|indexes| {
            let mut newest_first = indexes.iter().rev().copied();
            let mut first = newest_first.next()?;
            for index in newest_first {
                if index + 1 != first {
                    break;
                }
                first = index;
            }
            Some(first)
        })
    }

    fn beginning_of(&self, first_of: impl Fn(&[u32]) -> Option<u32>) -> Result<Beginning> {
        let mut found = self.look_for_beginning(&first_of)?;
        for _ in 0..LOOKS {
            // Seen twice, it was not a listing of two moments.
            let again = self.look_for_beginning(&first_of)?;
            if again == found && again.is_some() {
                break;
            }
            found = again;
            std::thread::sleep(PAUSE);
        }
        // A directory without segments is that of a new log.
        Ok(found.unwrap_or(Beginning { first_event_id: 0, is_whole: true }))
    }

    /// `None` when there is no segment, or one went while it was looked at.
    fn look_for_beginning(
        &self,
        first_of: impl Fn(&[u32]) -> Option<u32>,
    ) -> Result<Option<Beginning>> {
        let inventory = Inventory::of(&*self.wal)?;
        let indexes: Vec<u32> = inventory.indexes().into_iter().collect();
        let Some(first) = first_of(&indexes) else { return Ok(None) };
        for &index in indexes.iter().skip_while(|index| **index < first) {
            match self.first_event_of(index, &inventory)? {
                Some(0) => {}
                Some(id) => {
                    return Ok(Some(Beginning { first_event_id: id, is_whole: first == 0 }));
                }
                None => return Ok(None),
            }
        }
        Ok(Some(Beginning { first_event_id: 0, is_whole: first == 0 }))
    }

    /// The first event of a segment; 0 = it has none yet, or that cannot be read; `None` = it is
    /// gone.
    fn first_event_of(&self, index: u32, inventory: &Inventory) -> Result<Option<u64>> {
        let is_hot = inventory.hot.contains(&index);
        let header = match closed_header(&*self.wal, index, is_hot) {
            Err(error) if error.cause() == Some(Cause::Corrupt) => None,
            header => header?,
        };
        if let Some(header) = header.filter(|header| header.event_count > 0) {
            return Ok(Some(header.first_event_id));
        }
        let Some(file) = self.wal.open(&file_name::of(index, !is_hot), Open::Read)? else {
            return Ok(None);
        };
        if !is_hot {
            return Ok(Some(0));
        }
        // It is not closed yet: what is durable is on disk.
        first_slot(&*file).map(|id| Some(if id <= MAX_EVENT_ID { id } else { 0 }))
    }
}
