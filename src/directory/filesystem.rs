//! Which filesystems a log may be on (G12). That a store never fails for lack of space rests on
//! preallocation; where that does not hold, a log is opened only if the caller allows it.

use crate::error::{Cause, Error, Result};
use crate::storage::Directory;

/// What a filesystem is to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A local one that keeps what it has allocated.
    Disk,
    /// Memory. A WAL directory in it is never durable.
    Memory,
    /// A layer over another one, which does the work and cannot be asked.
    Layer,
    /// Copy-on-write or log-structured: what is written again needs new space.
    Copying,
    /// Of another machine, or served by a process.
    Remote,
    /// Without a journal: a power cut may take names and whole files with it.
    Unjournaled,
}

use Kind::{Copying, Disk, Layer, Memory, Remote, Unjournaled};

/// Filesystems by the magic number of `statfs(2)`. One that is not here is taken for a disk's.
const KNOWN: [(u64, &str, Kind); 34] = [
    (0xEF53, "ext2/ext3/ext4", Disk),
    (0x5846_5342, "xfs", Disk),
    (0x3153_464A, "jfs", Disk),
    (0x5265_4973, "reiserfs", Disk),
    (0xF15F, "ecryptfs", Layer),
    (0x794C_7630, "overlay", Layer),
    (0x6175_6673, "aufs", Layer),
    (0x0102_1994, "tmpfs", Memory),
    (0x8584_58F6, "ramfs", Memory),
    (0x9123_683E, "btrfs", Copying),
    (0x2FC1_2FC1, "zfs", Copying),
    (0xCA45_1A4E, "bcachefs", Copying),
    (0xF2F5_2010, "f2fs", Copying),
    (0x3434, "nilfs", Copying),
    (0x2405_1905, "ubifs", Copying),
    (0x72B6, "jffs2", Copying),
    (0x6969, "nfs", Remote),
    (0x517B, "smb", Remote),
    (0xFF53_4D42, "cifs", Remote),
    (0xFE53_4D42, "smb2", Remote),
    (0x00C3_6400, "ceph", Remote),
    (0x5346_414F, "afs", Remote),
    (0x6B41_4653, "afs", Remote),
    (0x7375_7245, "coda", Remote),
    (0x0102_1997, "9p", Remote),
    (0x7461_636F, "ocfs2", Remote),
    (0x0116_1970, "gfs2", Remote),
    (0x0BD0_0BD0, "lustre", Remote),
    (0x4750_4653, "gpfs", Remote),
    (0x786F_4256, "vboxsf", Remote),
    (0x6573_5546, "fuse", Remote),
    (0x4D44, "vfat", Unjournaled),
    (0x2011_BAB0, "exfat", Unjournaled),
    (0x4244, "hfs", Unjournaled),
];

/// What a directory is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The WAL directory.
    Wal,
    /// The active directory.
    Active,
}

fn find(magic: u64) -> Option<(&'static str, Kind)> {
    KNOWN.iter().find(|known| known.0 == magic).map(|known| (known.1, known.2))
}

/// The name of a filesystem by its magic number; "unknown" if it has none here.
pub fn filesystem_name(magic: u64) -> &'static str {
    find(magic).map_or("unknown", |(name, _)| name)
}

/// Whether a filesystem is memory: what is in it does not outlive a boot.
pub fn is_memory(magic: u64) -> bool {
    find(magic).is_some_and(|(_, kind)| kind == Memory)
}

/// Why a log should not be on such a filesystem.
fn objection(kind: Kind) -> Option<&'static str> {
    match kind {
        Disk | Memory | Layer => None,
        Copying | Remote => Some("where space cannot be reserved"),
        Unjournaled => Some("where a power cut may take whole files"),
    }
}

/// Refuses a filesystem on which the promises do not hold, unless any is `allowed`.
pub fn check_filesystem(directory: &dyn Directory, allowed: bool) -> Result<()> {
    let Some((name, kind)) = find(directory.status()?.filesystem) else { return Ok(()) };
    let Some(why) = objection(kind).filter(|_| !allowed) else { return Ok(()) };
    let path = directory.path().display();
    let message = format!(
        "{path}: the filesystem is {name}, {why}; \
         FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM opens it all the same"
    );
    Err(Error::new(Cause::Unsupported, message))
}

/// What the user should know about the filesystem of a directory that was let through.
pub fn filesystem_note(directory: &dyn Directory, purpose: Use) -> Result<Option<String>> {
    let found = find(directory.status()?.filesystem);
    let note = found.and_then(|(name, kind)| note(name, kind, purpose));
    Ok(note.map(|note| format!("{}: {note}", directory.path().display())))
}

fn note(name: &str, kind: Kind, purpose: Use) -> Option<String> {
    match (purpose, kind) {
        (Use::Wal, Memory) => {
            Some("the WAL directory is in memory: it is never durable".to_owned())
        }
        (Use::Wal, Layer) => Some(format!(
            "the filesystem is {name}: what lies beneath, and whether it syncs, cannot be seen"
        )),
        (Use::Active, Disk | Layer) => Some(format!(
            "the active directory is on {name}, not in memory: appends may wait for the disk"
        )),
        (_, Copying | Remote | Unjournaled) => {
            objection(kind).map(|why| format!("the filesystem is {name}, {why}, and was allowed"))
        }
        (Use::Wal, Disk) | (Use::Active, Memory) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g12_every_filesystem_has_one_entry_and_a_decision() {
        let mut magics: Vec<u64> = KNOWN.iter().map(|known| known.0).collect();
        magics.sort_unstable();
        magics.dedup();
        assert_eq!(magics.len(), KNOWN.len());
        let refused = |name: &str| {
            let known = KNOWN.iter().find(|known| known.1 == name).expect(name);
            objection(known.2).is_some()
        };
        for name in ["ext2/ext3/ext4", "xfs", "tmpfs", "ramfs", "overlay"] {
            assert!(!refused(name), "{name} is allowed");
        }
        for name in ["btrfs", "zfs", "nfs", "cifs", "9p", "fuse", "vfat", "exfat"] {
            assert!(refused(name), "{name} is refused");
        }
        assert_eq!(filesystem_name(0xEF53), "ext2/ext3/ext4");
        assert_eq!(filesystem_name(0x1234_5678), "unknown");
        assert!(KNOWN.iter().all(|known| known.1.len() < 16), "a name fits into the report");
    }

    #[test]
    fn g12_memory_is_noted_where_it_should_not_be_and_a_disk_likewise() {
        assert_eq!(note("ext4", Disk, Use::Wal), None);
        assert_eq!(note("tmpfs", Memory, Use::Active), None);
        assert!(note("tmpfs", Memory, Use::Wal).unwrap().ends_with("it is never durable"));
        assert!(note("ext4", Disk, Use::Active).unwrap().contains("on ext4, not in memory"));
        for purpose in [Use::Wal, Use::Active] {
            assert!(note("btrfs", Copying, purpose).unwrap().ends_with("and was allowed"));
            assert!(note("overlay", Layer, purpose).unwrap().contains("overlay"));
        }
    }
}
