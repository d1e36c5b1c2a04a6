//! Files that events are being written to, and whether their names still lead to them. A file that
//! was removed, replaced or cut short takes writes and syncs without an error.

use std::sync::Arc;

use crate::error::{Cause, Error, Result};
use crate::format::file_name;
use crate::storage::{Directory, File, FileStatus};

use crate::recorder::log::Log;
use crate::recorder::segment::Segment;

/// The active file and the disk file of one segment, as they were when it was prepared.
#[derive(Debug)]
pub struct Watched {
    index: u32,
    active: WatchedFile,
    disk: WatchedFile,
}

impl Watched {
    pub fn new(log: &Log, segment: &Segment) -> Result<Self> {
        let name = file_name::hot(segment.index);
        let size = segment.layout.file_size();
        let watched = |directory: &Arc<dyn Directory>, name: &str, file: &dyn File| {
            let (directory, name) = (Arc::clone(directory), name.to_owned());
            Ok(WatchedFile { directory, name, inode: file.inode()?, size })
        };
        let active = watched(&log.active, &segment.active.name, &*segment.active.file)?;
        let disk = watched(&log.wal, &name, &*segment.disk)?;
        Ok(Watched { index: segment.index, active, disk })
    }

    pub fn index(&self) -> u32 {
        self.index
    }

    /// Fails if a file is no longer what its name says. More links than one are no harm: a
    /// snapshot by hard links shares what is written.
    pub fn check(&self) -> Result<()> {
        self.active.check()?;
        self.disk.check()
    }

    /// The same of the disk file alone, to be asked before a write: the write makes a file that
    /// was cut short as long as it was, with a hole where durable events were.
    pub fn check_disk(&self) -> Result<()> {
        self.disk.check()
    }
}

#[derive(Debug)]
struct WatchedFile {
    directory: Arc<dyn Directory>,
    name: String,
    inode: (u64, u64),
    /// Bytes it has at least.
    size: u64,
}

impl WatchedFile {
    fn check(&self) -> Result<()> {
        let what = match self.directory.status_of(&self.name)? {
            None => {
                check_directory(&*self.directory)?;
                "was removed".to_owned()
            }
            Some(now) if now.inode != self.inode => "was replaced by another file".to_owned(),
            Some(FileStatus { size, .. }) if size < self.size => {
                format!("was cut to {size} of {} bytes", self.size)
            }
            Some(_) => return Ok(()),
        };
        let path = self.directory.path_of(&self.name);
        let message = format!("{} {what} under the log, which was writing to it", path.display());
        Err(Error::new(Cause::Io, message))
    }
}

/// Fails if somebody has removed a directory of the log: a crash would now lose events.
pub fn check_directory(directory: &dyn Directory) -> Result<()> {
    if !directory.status().is_ok_and(|status| status.links == 0) {
        return Ok(());
    }
    let message = format!("the directory {} was removed under the log", directory.path().display());
    Err(Error::new(Cause::Io, message))
}
