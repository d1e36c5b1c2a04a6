//! What the library asks the system about a file.

use std::os::fd::AsFd;

use rustix::fs::{makedev, statx, AtFlags, FileType, Statx, StatxFlags};
use rustix::io::Result;

use super::traits::FileStatus;

/// Everything but the times. Once somebody has asked for the times of a file, the kernel (6.13 and
/// later) gives the next write to it a time of its own, with an entry in the journal: the
/// persister, which looks at its file around each write, then waited 30 to 60 µs more for it
/// (docs/experiments/durable.md).
const ASKED: StatxFlags = StatxFlags::TYPE
    .union(StatxFlags::MODE)
    .union(StatxFlags::NLINK)
    .union(StatxFlags::UID)
    .union(StatxFlags::INO)
    .union(StatxFlags::SIZE);

pub struct Stat(Statx);

impl Stat {
    /// Of an open file.
    pub fn of(fd: impl AsFd) -> Result<Self> {
        statx(fd, "", AtFlags::EMPTY_PATH, ASKED).map(Stat)
    }

    /// Of a name in an open directory; of a symbolic link itself, not of what it leads to.
    pub fn of_name(directory: impl AsFd, name: &str) -> Result<Self> {
        statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, ASKED).map(Stat)
    }

    pub fn dev(&self) -> u64 {
        makedev(self.0.stx_dev_major, self.0.stx_dev_minor)
    }

    pub fn ino(&self) -> u64 {
        self.0.stx_ino
    }

    pub fn uid(&self) -> u32 {
        self.0.stx_uid
    }

    pub fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.0.stx_mode.into())
    }

    /// Permissions, and the bits beside them.
    pub fn permissions(&self) -> u32 {
        u32::from(self.0.stx_mode) & 0o7777
    }

    pub fn file(&self) -> FileStatus {
        FileStatus {
            inode: (self.dev(), self.ino()),
            links: self.0.stx_nlink.into(),
            size: self.0.stx_size,
        }
    }
}
