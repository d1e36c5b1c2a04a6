//! What followers in other processes tell of themselves, and the bugs that they may have.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::Mutex;

use flashstrike_wal::error::{Cause, Error, Result};
use flashstrike_wal::format::{file_name, IdentityRecord};
use flashstrike_wal::storage::{File, Links, Mapping, Open, PosixStorage, Storage};

use super::flow::Shared;
use super::read_only::Meddler;

/// It follows.
pub const FOLLOWS: u64 = 1;
/// It has seen the last event.
pub const GONE: u64 = 2;
/// It has said that what it saw was taken back.
pub const TAKEN_BACK: u64 = 4;
/// It may meet gaps.
pub const TELLS_GAPS: u64 = 8;

/// Where the id of the watermark is in `wal_control` (`fs_wal_control`).
const DURABLE_AT: usize = 640;

/// A follower's progress, in a file that it shares.
pub struct Progress(Shared);

impl Progress {
    pub fn open(path: &Path) -> Self {
        Progress(Shared::open(path))
    }

    /// What it does.
    pub fn state(&self) -> &AtomicU64 {
        self.0.word(0)
    }

    /// The last event it has seen.
    pub fn shown(&self) -> &AtomicU64 {
        self.0.word(8)
    }

    /// How many it has seen.
    pub fn count(&self) -> &AtomicU64 {
        self.0.word(16)
    }

    /// The gaps it has met.
    pub fn gaps(&self) -> &AtomicU64 {
        self.0.word(24)
    }

    /// The first event that it says was taken back.
    pub fn first_lost(&self) -> &AtomicU64 {
        self.0.word(32)
    }

    /// The last event there will be, once that is known.
    pub fn end(&self) -> &AtomicU64 {
        self.0.word(40)
    }

    /// The life of the log in which the last event it has seen was appended.
    pub fn life(&self) -> &AtomicU64 {
        self.0.word(48)
    }

    /// In the writer's record: the last event of the log when this life began.
    pub fn kept(writer: &Shared, life: u32) -> &AtomicU64 {
        writer.word(128 + life as usize % 256)
    }

    /// In the writer's record: 1 = shut down.
    pub fn told(writer: &Shared) -> &AtomicU64 {
        writer.word(64)
    }
}

/// A bug of a follower, planted in what it reads. Such a follower maps nothing: it looks with
/// `pread`, by the same rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blind {
    /// It does not look whether the file is still its segment's after the copy.
    ToReuse,
    /// It does not know of cuts.
    ToCuts,
    /// It takes everything for durable.
    ToTheWatermark,
}

impl Blind {
    pub fn named(name: &str) -> Option<Self> {
        let all = [Blind::ToReuse, Blind::ToCuts, Blind::ToTheWatermark];
        all.into_iter().find(|bug| bug.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Blind::ToReuse => "follower-does-not-check-the-copy",
            Blind::ToCuts => "follower-ignores-cuts",
            Blind::ToTheWatermark => "follower-shows-before-durable",
        }
    }
}

/// A storage that makes a follower blind.
#[derive(Debug)]
pub struct Blindfold {
    bug: Blind,
    /// The index words of files, as they were when a segment was looked for.
    headers: Mutex<BTreeMap<(u64, u64), [u8; 8]>>,
}

impl Blindfold {
    pub fn new(bug: Blind) -> Self {
        Blindfold { bug, headers: Mutex::default() }
    }

    /// The header stays what it was when the segment was opened.
    fn hide_reuse(&self, file: &dyn File, buffer: &mut [u8]) -> Result<()> {
        let mut headers = self.headers.lock().unwrap();
        let inode = file.inode()?;
        match (buffer.len(), headers.get(&inode)) {
            (8, Some(before)) => buffer.copy_from_slice(before),
            _ => drop(headers.insert(inode, buffer[..8].try_into().unwrap())),
        }
        Ok(())
    }
}

impl Meddler for Blindfold {
    fn is_about(&self, name: &str) -> bool {
        match self.bug {
            Blind::ToReuse => name.starts_with("FS."),
            Blind::ToCuts => name == file_name::IDENTITY,
            Blind::ToTheWatermark => name == file_name::CONTROL,
        }
    }

    fn read_at(&self, file: &dyn File, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let read = file.read_at(buffer, offset)?;
        match self.bug {
            Blind::ToReuse if offset == 0 && read >= 8 => self.hide_reuse(file, buffer)?,
            Blind::ToReuse => {}
            Blind::ToCuts => {
                if let Some(record) = IdentityRecord::decode(&buffer[..read]) {
                    let text = IdentityRecord { cuts: Vec::new(), ..record }.encode();
                    buffer[..text.len()].copy_from_slice(text.as_bytes());
                    return Ok(text.len());
                }
            }
            Blind::ToTheWatermark => {}
        }
        Ok(read)
    }

    fn map(&self, file: &dyn File, size: u64) -> Result<Mapping> {
        match self.bug {
            Blind::ToTheWatermark => {
                let mut bytes = vec![0; size as usize];
                file.read_at(&mut bytes, 0)?;
                bytes[DURABLE_AT..DURABLE_AT + 8].copy_from_slice(&(u64::MAX - 1).to_le_bytes());
                map_copy(&bytes)
            }
            _ => Err(Error::new(Cause::Unsupported, "a follower with a bug maps nothing")),
        }
    }
}

/// A mapping of these bytes, which nobody changes.
fn map_copy(bytes: &[u8]) -> Result<Mapping> {
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    std::fs::write(place.path().join("copy"), bytes).unwrap();
    let directory = PosixStorage::for_reading().open_directory(place.path(), Links::Refuse)?;
    let file = directory.unwrap().open("copy", Open::Read)?;
    file.unwrap().map(bytes.len() as u64, false)
}
