//! The calls on snapshots.

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::keep::{SnapshotReader, SnapshotWriter, WalDirectory};
use crate::storage::PosixStorage;

use super::argument::{self, refused};
use super::guard::guard;
use super::one_thread::{free, give, with, Handle, OneThread};
use super::sized::{self, CStruct};
use super::status::{Status, FS_WAL_ERR_CLOSED, FS_WAL_ERR_WOULD_BLOCK};
use super::{fork, last_error, signals};

/// A snapshot that is being written or read. `fs_wal_snapshot_create` or `fs_wal_snapshot_open`
/// makes it; `fs_wal_snapshot_commit` or `fs_wal_snapshot_close` frees it.
///
/// One thread at a time. In a forked child calls on it return `FS_WAL_ERR_CLOSED`.
pub struct WalSnapshot(OneThread<Snapshot>);

impl Handle for WalSnapshot {
    const NAME: &'static str = "snapshot";
    type Value = Snapshot;

    fn new(inner: OneThread<Snapshot>) -> Self {
        WalSnapshot(inner)
    }

    fn inner(&self) -> &OneThread<Snapshot> {
        &self.0
    }
}

pub enum Snapshot {
    Writing(Box<SnapshotWriter>),
    Reading(SnapshotReader),
}

/// What a snapshot says of itself.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct WalSnapshotInfo {
    /// Set it to `sizeof(fs_wal_snapshot_info)`. On return: bytes written.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The state is that after this event: recovery goes on with the next one.
    pub event_id: u64,
    /// When the snapshot was begun: wall clock, nanoseconds since 1970.
    pub created_ns: u64,
    /// Bytes of the state.
    pub size: u64,
    /// How many newer snapshots are not good and were passed over. When it is not 0,
    /// `fs_wal_last_error` says what is wrong with the newest of them.
    pub passed_over: u32,
    /// 0.
    pub reserved2: u32,
}

// SAFETY: repr(C), `struct_size` first, integers only.
unsafe impl CStruct for WalSnapshotInfo {}

/// # Safety
/// As for [`with`].
unsafe fn with_writer(
    snapshot: *mut WalSnapshot,
    call: impl FnOnce(&mut SnapshotWriter) -> Result<()>,
) -> Status {
    let call = |snapshot: &mut Snapshot| match snapshot {
        Snapshot::Writing(writer) => call(writer),
        Snapshot::Reading(_) => Err(refused("snapshot was opened to be read".to_owned())),
    };
    // SAFETY: the caller's promise.
    unsafe { with(snapshot, call) }
}

/// Opens a WAL directory for whoever keeps something of it.
///
/// # Safety
/// `dir` is NULL or a C string.
pub(super) unsafe fn directory(dir: *const c_char) -> Result<WalDirectory> {
    // SAFETY: the caller's promise.
    keeping(unsafe { argument::path(dir, "dir") }?)
}

/// The same, of a path.
pub(super) fn keeping(dir: &Path) -> Result<WalDirectory> {
    // Its descriptors are closed in forked children, which must not keep anything locked.
    fork::install()?;
    WalDirectory::open(Arc::new(PosixStorage::for_writing()), dir)
}

/// Begins a snapshot: the engine's state after the event `event_id` and before the next one. By
/// directory, so that any process of the log's own user can take it, beside the engine: a standby
/// that follows the log, or a forked child. The log may be open or not. Nothing is visible until
/// `fs_wal_snapshot_commit`.
///
/// On success `*out` is a snapshot that the caller owns: fill it with `fs_wal_snapshot_write`.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NOT_FOUND` (no directory, or no log in it),
/// `FS_WAL_ERR_LOCKED` (somebody is writing a snapshot of this event), `FS_WAL_ERR_CORRUPT`
/// (`wal_identity` is damaged), `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NO_SPACE` or
/// `FS_WAL_ERR_IO`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_snapshot_create(
    dir: *const c_char,
    event_id: u64,
    out: *mut *mut WalSnapshot,
) -> Status {
    // SAFETY: the header asks for a C string and for a pointer that can be written.
    guard(|| unsafe {
        argument::check(out, "out")?;
        let directory = directory(dir)?;
        argument::set(out, "out", || {
            let _blocked = signals::Blocked::new();
            let writer = Box::new(SnapshotWriter::create(directory, event_id)?);
            Ok(give(Snapshot::Writing(writer)))
        })
    })
}

/// Adds `n` bytes to the state. They are compressed and written as the log's own cold files are,
/// past the page cache, in small pieces. `bytes` may be NULL when `n` is 0. After a failure the
/// snapshot cannot be committed: close it.
///
/// Threads: one at a time. Returns a common status, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_NO_SPACE`,
/// `FS_WAL_ERR_PERMISSION` or `FS_WAL_ERR_IO`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_snapshot_write(
    snapshot: *mut WalSnapshot,
    bytes: *const c_void,
    n: usize,
) -> Status {
    // SAFETY: the header asks for an open snapshot, for one thread at a time, and for `n` bytes
    // that can be read.
    unsafe {
        with_writer(snapshot, |writer| {
            writer.write(argument::slice(bytes.cast::<u8>(), n, "bytes")?)
        })
    }
}

/// Makes the snapshot durable and gives it its name, or leaves nothing of it. The file is then
/// `SNAP.<event id>.fss`. The writer of the log deletes older ones (`fs_wal_config.max_snapshots`),
/// and no event that follows the oldest one that is left. Nothing can be added after the first
/// call.
///
/// While the event is not known to be durable, it returns `FS_WAL_ERR_WOULD_BLOCK`: call it again,
/// or close the snapshot. A snapshot is never ahead of its log. Who may not read the log's active
/// directory learns a fifth of a second later that an event is durable.
///
/// It frees the snapshot, whatever it returns, except with `FS_WAL_ERR_WOULD_BLOCK`,
/// `FS_WAL_ERR_CLOSED`, and `FS_WAL_ERR_INVALID_ARGUMENT`.
///
/// Threads: one at a time. Returns a common status, `FS_WAL_ERR_CLOSED`,
/// `FS_WAL_ERR_WOULD_BLOCK`, `FS_WAL_ERR_CORRUPT` (the log was cut since, and events that led to
/// this state were taken back, whatever has their ids now; or it is another log), `FS_WAL_ERR_GAP`
/// (events that follow are gone already: set a hold before), `FS_WAL_ERR_LOCKED` (somebody holds
/// `wal_holds/.lock` for ten seconds), `FS_WAL_ERR_NOT_FOUND` (the log is gone),
/// `FS_WAL_ERR_NO_SPACE`, `FS_WAL_ERR_PERMISSION` or `FS_WAL_ERR_IO`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_snapshot_commit(snapshot: *mut WalSnapshot) -> Status {
    let mut is_tried = false;
    // SAFETY: the header asks for an open snapshot and for one thread at a time.
    let status = unsafe {
        with_writer(snapshot, |writer| {
            is_tried = true;
            writer.commit()
        })
    };
    if is_tried && status != FS_WAL_ERR_WOULD_BLOCK {
        // SAFETY: it is open, as the call has shown; the header says that it is freed.
        unsafe { free(snapshot) };
    }
    debug_assert!(!is_tried || status != FS_WAL_ERR_CLOSED);
    status
}

/// Opens the newest good snapshot of the log in `dir` whose event is at or below `at_most` (0: the
/// newest). Every byte of it is checked first. Passed over are: one that is damaged, one of another
/// log, one whose events were taken back, one of what was done after this log was copied or after
/// the backup that it was restored from, and one of which events that follow are gone. Those that
/// were passed over are counted in `info->passed_over`, and `fs_wal_last_error` and
/// `fs_wal_last_error_detail` say why of the newest, although `FS_WAL_OK` is returned.
///
/// To recover: open it, restore the state, `fs_wal_reader_seek` to the event behind `event_id`,
/// replay. Beside a live writer, set a hold first, or retention may delete meanwhile.
///
/// `info` may be NULL. On success `*out` is a snapshot that the caller owns and gives to
/// `fs_wal_snapshot_close`.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NOT_FOUND` (there is no snapshot there, or no
/// log), `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NO_SPACE` (descriptors or memory); when there are
/// snapshots and none is good, what is wrong with the newest: `FS_WAL_ERR_CORRUPT`,
/// `FS_WAL_ERR_GAP` or `FS_WAL_ERR_IO`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_snapshot_open(
    dir: *const c_char,
    at_most: u64,
    info: *mut WalSnapshotInfo,
    out: *mut *mut WalSnapshot,
) -> Status {
    // SAFETY: the header asks for a C string, for NULL or a struct as long as it says, and for a
    // pointer that can be written.
    guard(|| unsafe {
        argument::check(out, "out")?;
        if !info.is_null() {
            sized::check_size(info, "info", u32::MAX)?;
        }
        let (reader, passed_over) = SnapshotReader::open(&directory(dir)?, at_most)?;
        if !info.is_null() {
            sized::write(info, "info", as_c(&reader))?;
        }
        out.write(give(Snapshot::Reading(reader)));
        if let Some(error) = passed_over {
            last_error::record(&error);
        }
        Ok(())
    })
}

fn as_c(reader: &SnapshotReader) -> WalSnapshotInfo {
    let info = reader.info();
    WalSnapshotInfo {
        event_id: info.event_id,
        created_ns: info.created_ns,
        size: info.size,
        passed_over: info.passed_over,
        ..CStruct::zeroed()
    }
}

/// Reads the next bytes of the state into the `n` bytes at `buf`, and sets `*got` to how many there
/// were: `n`, or fewer at the end. When all is read it returns `FS_WAL_END`.
///
/// Threads: one at a time. Returns a common status, `FS_WAL_ERR_CLOSED`, `FS_WAL_END`,
/// `FS_WAL_ERR_CORRUPT` (the file was changed since it was opened) or `FS_WAL_ERR_IO`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_snapshot_read(
    snapshot: *mut WalSnapshot,
    buf: *mut c_void,
    n: usize,
    got: *mut usize,
) -> Status {
    let call = |snapshot: &mut Snapshot| {
        let Snapshot::Reading(reader) = snapshot else {
            return Err(refused("snapshot is being written".to_owned()));
        };
        // SAFETY: the header asks for `n` bytes that can be written, and for a size.
        unsafe {
            argument::check(got, "got")?;
            let buffer = argument::slice_mut(buf.cast::<u8>(), n, "buf")?;
            argument::set(got, "got", || reader.read(buffer))
        }
    };
    // SAFETY: the header asks for an open snapshot and for one thread at a time.
    unsafe { with(snapshot, call) }
}

/// Closes and frees a snapshot. Of one that is being written nothing is left. `snapshot` may be
/// NULL. Threads: one at a time; it is the last call on the snapshot.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_snapshot_close(snapshot: *mut WalSnapshot) {
    if !snapshot.is_null() {
        // SAFETY: the header asks for an open snapshot that is not used any more.
        unsafe { free(snapshot) };
    }
}
