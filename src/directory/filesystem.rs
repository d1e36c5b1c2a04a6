//! Which filesystems a log may be on (G12). The promise that a store never fails for lack of space
//! rests on preallocation; where that does not hold, opening is refused unless it is asked for.

use crate::error::{Cause, Error, Result};
use crate::storage::{Directory, DirectoryStatus};

/// Memory: allowed for a WAL directory too, which is then never durable.
const TMPFS: u64 = 0x0102_1994;

/// Copy-on-write, log-structured and network filesystems, by the magic number of `statfs(2)`.
const REFUSED: [(u64, &str); 14] = [
    (0x9123_683E, "btrfs"),
    (0x2FC1_2FC1, "zfs"),
    (0xCA45_1A4E, "bcachefs"),
    (0xF2F5_2010, "f2fs"),
    (0x3434, "nilfs"),
    (0x6969, "nfs"),
    (0x517B, "smb"),
    (0xFF53_4D42, "cifs"),
    (0xFE53_4D42, "smb2"),
    (0x00C3_6400, "ceph"),
    (0x5346_414F, "afs"),
    (0x0102_1997, "9p"),
    (0x7461_636F, "ocfs2"),
    (0x6573_5546, "fuse"),
];

/// Refuses a filesystem on which preallocation does not hold, unless any is `allowed`.
pub fn check_filesystem(directory: &dyn Directory, allowed: bool) -> Result<()> {
    let DirectoryStatus { filesystem, .. } = directory.status()?;
    match refused_name(filesystem) {
        Some(name) if !allowed => {
            let path = directory.path().display();
            let message = format!(
                "{path}: the filesystem is {name}, where space cannot be reserved; \
                 FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM opens it all the same"
            );
            Err(Error::new(Cause::Unsupported, message))
        }
        _ => Ok(()),
    }
}

/// Whether a directory is in memory: nothing in it survives a power cut.
pub fn is_memory(directory: &dyn Directory) -> Result<bool> {
    Ok(directory.status()?.filesystem == TMPFS)
}

fn refused_name(filesystem: u64) -> Option<&'static str> {
    REFUSED.iter().find(|(magic, _)| *magic == filesystem).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reserves_space_is_allowed() {
        const EXT4: u64 = 0xEF53;
        const XFS: u64 = 0x5846_5342;
        for allowed in [EXT4, XFS, TMPFS] {
            assert_eq!(refused_name(allowed), None, "{allowed:x}");
        }
        assert_eq!(refused_name(0x9123_683E), Some("btrfs"));
        assert_eq!(refused_name(0x6969), Some("nfs"));
    }
}
