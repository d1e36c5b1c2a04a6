//! Which file holds a segment right now. The writer closes, recycles and freezes segments while
//! readers look for them, so whatever is found is checked with the lock held, and looked for again
//! when it has changed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crate::directory::{load_identity, load_meta, Identity, Inventory};
use crate::error::{Cause, Error, Place, Result};
use crate::format::file_name::{self, FileName};
use crate::format::{MetaState, SegmentHeader};
use crate::segment::{
    closed, hold, misnamed, read_header, Cursor, Damage, DamageKind, HeaderState, Site,
};
use crate::storage::{Directory, File, Links, Open, Storage};

/// How often a file that the writer is changing is looked for before it is reported locked. What
/// the writer does to one takes it a few syncs at most.
const TRIES: u32 = 200;
const RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// A segment that is being read.
pub struct Segment {
    pub index: u32,
    pub cursor: Cursor,
    pub(super) found: FoundAs,
}

/// What was there when the segment was found. As long as it is still so, it is read from where it
/// was found.
#[derive(Default, Clone)]
pub(super) struct FoundAs {
    pub(super) header: Option<(Arc<dyn File>, Option<SegmentHeader>)>,
    pub(super) identity: Option<Identity>,
    /// The disk file, held, of a segment that is read in the active directory: it goes on there.
    pub(super) disk: Option<Arc<dyn File>>,
}

/// One look for a segment.
pub(super) enum Found {
    Here(Box<Segment>),
    Nowhere,
    /// The writer is changing it.
    Moving,
}

/// How segments are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As far as they are right.
    Checked,
    /// The same, without the checksums of events.
    Unverified,
    /// Around whatever is wrong.
    Salvage,
}

/// A log's files as a reader sees them.
#[derive(Debug)]
pub struct LogFiles {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) wal: Arc<dyn Directory>,
    how: How,
    /// Whether the active directory was met and may not be read.
    denied: AtomicBool,
    /// Memory is mapped, to see in it what comes.
    pub(super) follows: bool,
    /// For whoever makes a log of all that is left: where the active directory is looked for, too,
    /// if not where the log says. What is sealed on disk is then taken before what is in memory.
    pub(super) memory_parent: Option<PathBuf>,
}

impl LogFiles {
    /// Opens a WAL directory for reading.
    pub fn open(storage: Arc<dyn Storage>, path: &Path, how: How) -> Result<Self> {
        let not_found = |what| {
            let message = format!("{}: {what}", path.display());
            Error::new(Cause::NotFound, message)
        };
        let Some(wal) = storage.open_directory(path, Links::Follow)? else {
            let is_link = storage.open_directory(path, Links::Refuse).is_err();
            return Err(not_found(match is_link {
                true => "a symbolic link to a directory that is not there",
                false => "there is no such directory",
            }));
        };
        if !holds_a_log(&*wal)? {
            return Err(not_found(
                "there is no log here: no wal_identity, no wal_meta.dat, no segment",
            ));
        }
        let denied = AtomicBool::new(false);
        Ok(LogFiles { storage, wal, how, denied, follows: false, memory_parent: None })
    }

    /// Whether the active directory was met and may not be read: what is in it only is not given.
    pub fn was_denied(&self) -> bool {
        self.denied.load(Ordering::Relaxed)
    }

    /// What it means that events are not on disk, and why it may be no damage: they may be in the
    /// active directory.
    pub(super) fn cause_of_lack(&self) -> (Cause, &'static str) {
        match self.was_denied() {
            true => (Cause::Permission, "; this user may not read the active directory"),
            false => (Cause::Corrupt, ""),
        }
    }

    pub(super) fn note_denied(&self) {
        self.denied.store(true, Ordering::Relaxed);
    }

    /// How it is read.
    pub fn how(&self) -> How {
        self.how
    }

    /// Indexes of the segments there are, rising.
    pub fn indexes(&self) -> Result<Vec<u32>> {
        let inventory = Inventory::of(&*self.wal)?;
        let mut indexes = inventory.indexes();
        indexes.extend(self.only_in_memory(&inventory));
        Ok(indexes.into_iter().collect())
    }

    fn find_in_memory(&self, index: u32, floor: u64) -> Result<Found> {
        if let Some(found) = self.find_retired(index, floor) {
            return Ok(found);
        }
        if self.is_only_in_memory(index)? {
            let identity = load_identity(&*self.wal)?;
            if let Some(memory) = self.active_segment(&identity, index)? {
                let found = FoundAs { identity: Some(identity), ..FoundAs::default() };
                return Ok(here(index, Cursor::memory(self.site(index), memory, floor), found));
            }
        }
        Ok(Found::Nowhere)
    }

    /// The path of a hot segment, for messages.
    pub fn path_of(&self, index: u32) -> PathBuf {
        self.wal.path_of(&file_name::hot(index))
    }

    /// The highest id that meta says is durable; 0 = nothing known.
    pub fn durable_id(&self) -> Result<u64> {
        Ok(self.meta()?.map_or(0, |state| state.last_event_id))
    }

    /// Opens a segment whose events must be above `floor`; `None` when it is nowhere.
    pub fn open_segment(&self, index: u32, floor: u64) -> Result<Option<Box<Segment>>> {
        self.settled(index, || self.find(index, floor))
    }

    /// The same, without waiting for a writer that changes its file.
    pub fn look_for_segment(&self, index: u32, floor: u64) -> Result<Option<Box<Segment>>> {
        match self.find(index, floor)? {
            Found::Here(segment) => Ok(Some(segment)),
            Found::Nowhere | Found::Moving => Ok(None),
        }
    }

    /// Goes on in the disk file of a segment whose active file has become another segment's.
    /// Retention may have removed its name meanwhile.
    pub fn on_disk(&self, segment: &Segment, floor: u64) -> Result<Option<Box<Segment>>> {
        let Some(disk) = &segment.found.disk else { return Ok(None) };
        let is_closed = closed(read_header(&**disk)?, segment.index).is_some();
        if !is_closed && disk.links()? == 0 {
            // An open has removed it as unused, and made another one for this index.
            return self.open_segment(segment.index, floor);
        }
        self.settled(segment.index, || self.find_in(segment.index, Arc::clone(disk), floor))
    }

    fn settled(
        &self,
        index: u32,
        mut find: impl FnMut() -> Result<Found>,
    ) -> Result<Option<Box<Segment>>> {
        for _ in 0..TRIES {
            match find()? {
                Found::Here(segment) => return Ok(Some(segment)),
                Found::Nowhere => return Ok(None),
                Found::Moving => self.pause(),
            }
        }
        let path = self.path_of(index);
        let message = format!("{}: another process holds it locked", path.display());
        let place = Place { segment_index: Some(index), ..Place::default() };
        Err(Error::new(Cause::Locked, message).at(place))
    }

    /// Gives the writer time to finish what it is doing to a file.
    pub fn pause(&self) {
        std::thread::sleep(RETRY_INTERVAL);
    }

    /// Whether everything is as it was when the segment was found.
    pub fn is_unchanged(&self, segment: &Segment) -> Result<bool> {
        self.is_as_found(&segment.found)
    }

    /// The same, of a segment that was found so.
    pub(super) fn is_as_found(&self, found: &FoundAs) -> Result<bool> {
        if let Some((file, header)) = &found.header {
            if read_header(&**file)? != *header {
                return Ok(false);
            }
        }
        match &found.identity {
            Some(identity) => Ok(load_identity(&*self.wal)? == *identity),
            None => Ok(true),
        }
    }

    fn find(&self, index: u32, floor: u64) -> Result<Found> {
        let name = file_name::hot(index);
        let Some(file) = self.wal.open(&name, Open::Read)? else {
            if let Some(file) = self.wal.open(&file_name::cold(index), Open::Read)? {
                return self.cold(index, file, floor);
            }
            let nowhere = self.wal.open(&name, Open::Read)?.is_none();
            return if nowhere { self.find_in_memory(index, floor) } else { Ok(Found::Moving) };
        };
        if !hold(&*self.wal, &name, &*file)? {
            return Ok(Found::Moving);
        }
        match self.cold_instead(index, &*file) {
            Ok(Some(cold)) => self.cold(index, cold, floor),
            Err(error) if self.how != How::Salvage => Err(error),
            _ => self.find_in(index, file, floor),
        }
    }

    /// A hot segment whose disk file is held.
    fn find_in(&self, index: u32, file: Arc<dyn File>, floor: u64) -> Result<Found> {
        match self.how {
            How::Salvage => self.find_salvaging(index, file, floor),
            How::Checked | How::Unverified => self.find_strict(index, file, floor),
        }
    }

    fn find_strict(&self, index: u32, file: Arc<dyn File>, floor: u64) -> Result<Found> {
        let header = read_header(&*file)?;
        let site = self.site(index);
        let closed = match (HeaderState::of(header, index), header) {
            (HeaderState::Closed, Some(closed)) => closed,
            (HeaderState::OtherIndex, Some(other)) => {
                return Err(misnamed(&site, &other).to_error());
            }
            _ => return self.find_open(site, file, header, floor),
        };
        if !self.counts_as_closed(index, &*file, header) {
            return self.find_open(site, file, header, floor);
        }
        let cursor = Cursor::hot(site, Arc::clone(&file), closed, floor, self.verifies())?;
        Ok(here(index, cursor, FoundAs { header: Some((file, header)), ..FoundAs::default() }))
    }

    /// A segment whose header counts nothing: in memory if its log is in this boot's, else on disk.
    fn find_open(
        &self,
        site: Site,
        file: Arc<dyn File>,
        header: Option<SegmentHeader>,
        floor: u64,
    ) -> Result<Found> {
        let index = site.index;
        let identity = load_identity(&*self.wal)?;
        if let Some(memory) = self.memory_beside(&*file, &identity, index)? {
            let found = FoundAs { header: None, identity: Some(identity), disk: Some(file) };
            return Ok(here(index, Cursor::memory(site, memory, floor), found));
        }
        let durable_id = self.durable_id_from(index)?;
        let closed_later = index.checked_add(1).map_or(Ok(false), |next| self.is_closed(next))?;
        // Closed, or opened again by another process, while we looked elsewhere?
        if read_header(&*file)? != header || load_identity(&*self.wal)? != identity {
            return Ok(Found::Moving);
        }
        if closed_later {
            // Segments are closed in their order.
            let what = "the header is not that of a closed segment, though the next one is closed";
            let kind = DamageKind::SegmentHeader;
            return Err(Damage::at(&site, kind, 0, (0, 0), what).to_error());
        }
        let cursor = Cursor::open(site, Arc::clone(&file), durable_id, floor)?;
        let found = FoundAs { header: Some((file, header)), identity: Some(identity), disk: None };
        Ok(here(index, cursor, found))
    }

    pub(super) fn cold(&self, index: u32, file: Arc<dyn File>, floor: u64) -> Result<Found> {
        let cursor = match self.how {
            How::Salvage => self.salvage_cold(index, file, floor)?,
            _ => Cursor::cold(self.cold_site(index), file, floor, self.verifies())?,
        };
        Ok(here(index, cursor, FoundAs::default()))
    }

    fn verifies(&self) -> bool {
        self.how == How::Checked
    }

    pub(super) fn meta(&self) -> Result<Option<MetaState>> {
        Ok(load_meta(&*self.wal)?.flatten())
    }

    /// A hot segment, for messages.
    pub(super) fn site(&self, index: u32) -> Site {
        Site { index, name: self.path_of(index).display().to_string() }
    }

    pub(super) fn cold_site(&self, index: u32) -> Site {
        Site { index, name: self.wal.path_of(&file_name::cold(index)).display().to_string() }
    }
}

pub(super) fn here(index: u32, cursor: Cursor, found: FoundAs) -> Found {
    Found::Here(Box::new(Segment { index, cursor, found }))
}

fn holds_a_log(directory: &dyn Directory) -> Result<bool> {
    let is_ours = |name: &String| match file_name::parse(name) {
        Some(FileName::Hot(_) | FileName::Cold(_)) => true,
        _ => [file_name::META, file_name::IDENTITY].contains(&name.as_str()),
    };
    Ok(directory.list()?.iter().any(is_ours))
}
