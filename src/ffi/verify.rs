//! The call that verifies a log.

use std::ffi::c_char;

use crate::replay::{verify, Damage, DamageKind, Newest, VerifyReport, MAX_DAMAGES};

use super::argument;
use super::guard::guard;
use super::sized::{self, CStruct};
use super::status::Status;
use super::text::fixed_text;

/// A file, or a part of one, cannot be read; `os_errno` says why.
pub const FS_WAL_DAMAGE_UNREADABLE: u32 = 1;
/// The LZ4 frame of a cold segment is damaged. The event ids are those of the events lost with it.
pub const FS_WAL_DAMAGE_FRAME: u32 = 2;
/// A cold segment has more bytes after its frame.
pub const FS_WAL_DAMAGE_TRAILING: u32 = 3;
/// A segment header is not valid, or contradicts the blocks. The events may all be right.
pub const FS_WAL_DAMAGE_SEGMENT_HEADER: u32 = 4;
/// The file's name says one segment, its header another.
pub const FS_WAL_DAMAGE_MISNAMED: u32 = 5;
/// A block header is not valid, or is another block's.
pub const FS_WAL_DAMAGE_BLOCK_HEADER: u32 = 6;
/// The events of a block do not match its checksum.
pub const FS_WAL_DAMAGE_BLOCK: u32 = 7;
/// A block is right by itself but does not continue the chain of checksums.
pub const FS_WAL_DAMAGE_CHAIN: u32 = 8;
/// Event ids do not rise.
pub const FS_WAL_DAMAGE_ORDER: u32 = 9;
/// The file ends before the events that its header counts.
pub const FS_WAL_DAMAGE_TRUNCATED: u32 = 10;
/// The hot and the cold file of a segment differ.
pub const FS_WAL_DAMAGE_TWINS: u32 = 11;
/// A segment between two others is missing.
pub const FS_WAL_DAMAGE_MISSING_SEGMENT: u32 = 12;
/// Events that were durable are gone.
pub const FS_WAL_DAMAGE_DURABLE_LOST: u32 = 13;
/// `wal_meta.dat` is not valid.
pub const FS_WAL_DAMAGE_META: u32 = 14;
/// `wal_identity` is not valid.
pub const FS_WAL_DAMAGE_IDENTITY: u32 = 15;
/// The log was not shut down, and its active directory is gone or holds other events.
pub const FS_WAL_DAMAGE_ACTIVE: u32 = 16;

/// Not known where the newest events are: `wal_identity` is missing or damaged. (The C++ recorder
/// writes none, and keeps nothing outside the directory.)
pub const FS_WAL_NEWEST_NOT_KNOWN: u32 = 0;
/// The log was shut down: all of it is in its directory.
pub const FS_WAL_NEWEST_ON_DISK: u32 = 1;
/// The log is open, or its process died: they are in its active directory, which was read.
pub const FS_WAL_NEWEST_IN_MEMORY: u32 = 2;
/// The same, but this user may not read the active directory. Events behind `last_event_id` may be
/// missing here.
pub const FS_WAL_NEWEST_DENIED: u32 = 3;
/// The directory is a copy, made while the log was open or after its process died. The newest
/// events are with the original; those behind `last_event_id` may be missing here.
pub const FS_WAL_NEWEST_ELSEWHERE: u32 = 4;
/// The log was not shut down and its active directory is not here: it was in the memory of another
/// boot, or cannot be seen from this container. Events behind `last_event_id` may be missing.
pub const FS_WAL_NEWEST_NOT_HERE: u32 = 5;

/// One thing that is wrong with a log: what, and where.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct WalDamage {
    /// One of `FS_WAL_DAMAGE_`.
    pub kind: u32,
    /// Index of the segment concerned. Valid when `has_segment_index` is 1.
    pub segment_index: u32,
    /// Byte offset, in the segment, of the block, header or event concerned. In a cold segment it
    /// counts decompressed bytes.
    pub offset: u64,
    /// The same place as a byte offset in the file. In a cold segment: of its LZ4 block.
    pub file_offset: u64,
    /// First event id that cannot be trusted, 0 = none.
    pub first_event_id: u64,
    /// Last event id that cannot be trusted; 0 with a `first_event_id` = not known.
    pub last_event_id: u64,
    /// The operating system's error number (`errno`), 0 when there is none.
    pub os_errno: i32,
    /// 1 when `segment_index` is known, else 0.
    pub has_segment_index: u32,
    /// Name of the file, without its directory, NUL-terminated.
    pub file: [c_char; 64],
}

/// What `fs_wal_verify` checked and found.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct WalVerifyReport {
    /// Set it to `sizeof(fs_wal_verify_report_t)`. On return: bytes written.
    pub struct_size: u32,
    /// Hot segments that are closed.
    pub hot_segments: u32,
    /// Cold (compressed) segments.
    pub cold_segments: u32,
    /// Hot segments that are not closed, prepared ones without events included.
    pub open_segments: u32,
    /// Files whose names are not the library's. They are left alone.
    pub foreign_files: u32,
    /// `*.corrupt` files, which recovery kept aside.
    pub kept_aside_files: u32,
    /// Blocks whose events are right.
    pub blocks: u64,
    /// Events that are right, those in the active directory included.
    pub events: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Id of the first event of the log, 0 = none.
    pub first_event_id: u64,
    /// Id of the last event of the log, 0 = none.
    pub last_event_id: u64,
    /// Highest event id that the directory says is durable, 0 = not known: by `wal_meta.dat` and by
    /// block headers. Beside a live log it is up to a fifth of a second old.
    pub durable_event_id: u64,
    /// How many things are wrong: 0 = all is well.
    pub damage_count: u64,
    /// The first of them, in the order of the log. The rest of the array is zero.
    pub damages: [WalDamage; MAX_DAMAGES],
    /// Id of the last event that the directory holds by itself, without the active directory, 0 =
    /// none. Once `fs_wal_sync` has returned it is at least the last id that was appended before.
    pub on_disk_event_id: u64,
    /// Where the newest events are: one of `FS_WAL_NEWEST_`.
    pub newest: u32,
    /// 1 when the directory is a copy of the one in which the log was opened last, else 0.
    pub is_copy: u32,
    /// The active directory of a log that was not shut down, NUL-terminated and cut if it is
    /// longer; empty if the log was shut down.
    pub active_path: [c_char; 256],
}

// SAFETY: repr(C), integers and arrays of bytes only, `struct_size` first.
unsafe impl CStruct for WalVerifyReport {}

/// Checks every byte of the log in directory `dir`, and goes on behind whatever is wrong. It takes
/// as long as reading the directory does, and some megabytes of memory however large the log is.
/// The states in snapshots are not the log: `fs_wal_snapshot_open` checks them.
///
/// Unlike other out-parameters, `*out` is also written when the call fails because of a file, with
/// `FS_WAL_ERR_CORRUPT`, `FS_WAL_ERR_IO`, `FS_WAL_ERR_PERMISSION` or `FS_WAL_ERR_NO_SPACE`: then
/// `damage_count` is not 0, and `fs_wal_last_error` and `fs_wal_last_error_detail` have the first
/// damage.
///
/// Threads: any. Returns `FS_WAL_OK` when all is well; `FS_WAL_ERR_CORRUPT`; `FS_WAL_ERR_IO`,
/// `FS_WAL_ERR_PERMISSION` or `FS_WAL_ERR_NO_SPACE` (descriptors or memory) when what could be read
/// is not damaged; `FS_WAL_ERR_NOT_FOUND` when there is no log in the directory, or no directory;
/// or a common status.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_verify(dir: *const c_char, out: *mut WalVerifyReport) -> Status {
    guard(|| {
        // SAFETY: the header asks for a C string.
        let dir = unsafe { argument::path(dir, "dir") }?;
        // Before the work begins: a report that cannot be written is refused.
        // SAFETY: the header asks for NULL or a struct as long as it says.
        unsafe { sized::check_size(out, "out", u32::MAX) }?;
        let report = verify(dir)?;
        // SAFETY: as above.
        unsafe { sized::write(out, "out", as_c(&report)) }?;
        report.result()
    })
}

fn as_c(report: &VerifyReport) -> WalVerifyReport {
    let mut out = WalVerifyReport {
        hot_segments: report.hot_segments,
        cold_segments: report.cold_segments,
        open_segments: report.open_segments,
        foreign_files: report.foreign_files,
        kept_aside_files: report.kept_aside_files,
        blocks: report.blocks,
        events: report.events,
        bytes: report.bytes,
        first_event_id: report.first_event_id,
        last_event_id: report.last_event_id,
        durable_event_id: report.durable_event_id,
        damage_count: report.damage_count,
        on_disk_event_id: report.on_disk_event_id,
        newest: newest(report.newest),
        is_copy: u32::from(report.is_copy),
        active_path: fixed_text(&report.active_path),
        ..CStruct::zeroed()
    };
    for (to, from) in out.damages.iter_mut().zip(&report.damages) {
        *to = damage(from);
    }
    out
}

fn newest(newest: Newest) -> u32 {
    match newest {
        Newest::NotKnown => FS_WAL_NEWEST_NOT_KNOWN,
        Newest::OnDisk => FS_WAL_NEWEST_ON_DISK,
        Newest::InMemory => FS_WAL_NEWEST_IN_MEMORY,
        Newest::Denied => FS_WAL_NEWEST_DENIED,
        Newest::Elsewhere => FS_WAL_NEWEST_ELSEWHERE,
        Newest::NotHere => FS_WAL_NEWEST_NOT_HERE,
    }
}

fn damage(damage: &Damage) -> WalDamage {
    WalDamage {
        kind: kind(damage.kind),
        segment_index: damage.segment_index.unwrap_or(0),
        offset: damage.offset,
        file_offset: damage.file_offset,
        first_event_id: damage.event_ids.0,
        last_event_id: damage.event_ids.1,
        os_errno: damage.error.as_ref().map_or(0, |error| error.errno()),
        has_segment_index: u32::from(damage.segment_index.is_some()),
        file: fixed_text(damage.file_name()),
    }
}

fn kind(kind: DamageKind) -> u32 {
    match kind {
        DamageKind::Unreadable => FS_WAL_DAMAGE_UNREADABLE,
        DamageKind::Frame => FS_WAL_DAMAGE_FRAME,
        DamageKind::Trailing => FS_WAL_DAMAGE_TRAILING,
        DamageKind::SegmentHeader => FS_WAL_DAMAGE_SEGMENT_HEADER,
        DamageKind::Misnamed => FS_WAL_DAMAGE_MISNAMED,
        DamageKind::BlockHeader => FS_WAL_DAMAGE_BLOCK_HEADER,
        DamageKind::Block => FS_WAL_DAMAGE_BLOCK,
        DamageKind::Chain => FS_WAL_DAMAGE_CHAIN,
        DamageKind::Order => FS_WAL_DAMAGE_ORDER,
        DamageKind::Truncated => FS_WAL_DAMAGE_TRUNCATED,
        DamageKind::Twins => FS_WAL_DAMAGE_TWINS,
        DamageKind::MissingSegment => FS_WAL_DAMAGE_MISSING_SEGMENT,
        DamageKind::DurableLost => FS_WAL_DAMAGE_DURABLE_LOST,
        DamageKind::Meta => FS_WAL_DAMAGE_META,
        DamageKind::Identity => FS_WAL_DAMAGE_IDENTITY,
        DamageKind::Active => FS_WAL_DAMAGE_ACTIVE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::errors::fs_wal_last_error;
    use crate::ffi::status::*;
    use std::ffi::{CStr, CString};
    use std::fs;
    use std::os::unix::ffi::OsStrExt;

    fn report(size: u32) -> WalVerifyReport {
        WalVerifyReport { struct_size: size, ..CStruct::zeroed() }
    }

    #[test]
    fn a_report_is_written_for_a_damaged_log_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = CString::new(directory.path().as_os_str().as_bytes()).unwrap();
        let mut out = report(size_of::<WalVerifyReport>() as u32);
        // SAFETY: a C string, and a whole struct of the size it says.
        assert_eq!(unsafe { fs_wal_verify(path.as_ptr(), &mut out) }, FS_WAL_ERR_NOT_FOUND);
        assert_eq!(out.damage_count, 0);

        fs::write(directory.path().join("wal_meta.dat"), [7; 24]).unwrap();
        fs::write(directory.path().join("notes"), "").unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { fs_wal_verify(path.as_ptr(), &mut out) }, FS_WAL_ERR_CORRUPT);
        let found = &out.damages[0];
        assert_eq!((out.damage_count, out.foreign_files), (1, 1));
        assert_eq!((found.kind, found.has_segment_index), (FS_WAL_DAMAGE_META, 0));
        assert_eq!(found.file, fixed_text("wal_meta.dat"));
        // SAFETY: the pointer is that of this thread's text, and nothing fails before it is read.
        let text = unsafe { CStr::from_ptr(fs_wal_last_error()) }.to_str().unwrap();
        assert!(text.contains("wal_meta.dat: the record is not valid"), "{text}");
    }

    #[test]
    fn a_report_that_cannot_be_written_is_refused_before_anything_is_read() {
        let mut out = report(7);
        // SAFETY: C strings, and NULL or a struct longer than it says: refused.
        unsafe {
            assert_eq!(fs_wal_verify(c"/none".as_ptr(), &mut out), FS_WAL_ERR_INVALID_ARGUMENT);
            let null = std::ptr::null_mut();
            assert_eq!(fs_wal_verify(c"/none".as_ptr(), null), FS_WAL_ERR_INVALID_ARGUMENT);
            out.struct_size = 8;
            assert_eq!(fs_wal_verify(c"/none".as_ptr(), &mut out), FS_WAL_ERR_NOT_FOUND);
        }
        assert_eq!(out.struct_size, 8);
    }

    #[test]
    fn every_kind_has_a_number_of_its_own() {
        use DamageKind::*;
        let kinds = [
            [Unreadable, Frame, Trailing, SegmentHeader],
            [Misnamed, BlockHeader, Block, Chain],
            [Order, Truncated, Twins, MissingSegment],
            [DurableLost, Meta, Identity, Active],
        ];
        let numbers: std::collections::BTreeSet<u32> =
            kinds.concat().into_iter().map(kind).collect();
        assert!(numbers.into_iter().eq(1..=16));
    }
}
