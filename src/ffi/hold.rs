//! The calls on holds.

use std::ffi::{c_char, CStr};

use crate::error::Result;
use crate::keep::Hold;

use super::argument::{self, refused};
use super::guard::guard;
use super::one_thread::{free, give, with, Handle, OneThread};
use super::signals;
use super::snapshot::directory;
use super::status::Status;

/// A hold, as the one who has it open sees it. `fs_wal_hold_open` makes it and `fs_wal_hold_close`
/// frees it; the hold itself stays.
///
/// One thread at a time. In a forked child calls on it return `FS_WAL_ERR_CLOSED`.
pub struct WalHold(OneThread<Hold>);

impl Handle for WalHold {
    const NAME: &'static str = "hold";
    type Value = Hold;

    fn new(inner: OneThread<Hold>) -> Self {
        WalHold(inner)
    }

    fn inner(&self) -> &OneThread<Hold> {
        &self.0
    }
}

/// The name of a hold.
///
/// # Safety
/// `name` is NULL or a C string.
pub(super) unsafe fn hold_name<'a>(name: *const c_char, argument: &str) -> Result<&'a str> {
    argument::check(name, argument)?;
    // SAFETY: not NULL; that it ends in a NUL is the caller's promise.
    let text = unsafe { CStr::from_ptr(name) };
    text.to_str().map_err(|_| refused(format!("{argument} is {text:?}: it must be ASCII")))
}

/// Opens the hold `name` of the log in `dir`: a retention floor of its own that lasts, for whoever
/// needs events longer than the limits keep them: a backup, a standby, an archive, a slow reader.
/// Once this has returned `FS_WAL_OK`, no event at or above its id is deleted, whatever the limits
/// say, also when nobody has it open, and when the log is opened anew.
///
/// A hold that there is stands where it stood, whatever `event_id` is. A new one begins at
/// `event_id`; 0 is the oldest event there is. Names are 1 to 64 of A-Z, a-z, 0-9, `_` and `-`. It
/// is a file in `wal_holds`, which `fs_wal_open` makes; only the log's own user can set it.
///
/// With `fs_wal_config.max_held_bytes` the log breaks the lowest of holds and snapshots when too
/// much is kept. Then calls on it return `FS_WAL_ERR_GAP` with the events that are gone, and so
/// does this one, until `fs_wal_hold_remove` was called.
///
/// On success `*out` is a hold that the caller owns and gives to `fs_wal_hold_close`.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NOT_FOUND` (no log that this library has had
/// open for writing), `FS_WAL_ERR_LOCKED` (it is open elsewhere; or `wal_holds/.lock` is locked for
/// ten seconds), `FS_WAL_ERR_GAP` (events from `event_id` on are gone, and nothing is held:
/// `fs_wal_last_error_detail` has them; or the hold was broken), `FS_WAL_ERR_CORRUPT` (its file is
/// damaged; or the log was cut below it, and events below it were taken back: remove it and begin
/// anew), `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NO_SPACE` or `FS_WAL_ERR_IO`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_hold_open(
    dir: *const c_char,
    name: *const c_char,
    event_id: u64,
    out: *mut *mut WalHold,
) -> Status {
    // SAFETY: the header asks for C strings and for a pointer that can be written.
    guard(|| unsafe {
        argument::check(out, "out")?;
        let (directory, name) = (directory(dir)?, hold_name(name, "name")?);
        argument::set(out, "out", || {
            let _blocked = signals::Blocked::new();
            Ok(give(Hold::open(directory, name, event_id)?))
        })
    })
}

/// Moves the hold: everything below `event_id` may go. It never goes back: an id that it has passed
/// leaves it where it is. Nothing is synced for it, so after a power cut it may stand where it
/// stood before, and holds more; never below events that were deleted.
///
/// Threads: one at a time. Returns a common status, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_GAP` (it was
/// broken), `FS_WAL_ERR_NOT_FOUND` (somebody has removed it), `FS_WAL_ERR_CORRUPT` (the log was cut
/// below it), `FS_WAL_ERR_LOCKED` (`wal_holds/.lock` is locked for ten seconds),
/// `FS_WAL_ERR_PERMISSION`, `FS_WAL_ERR_NO_SPACE` or `FS_WAL_ERR_IO`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_hold_move(hold: *mut WalHold, event_id: u64) -> Status {
    // SAFETY: the header asks for an open hold and for one thread at a time.
    unsafe { with(hold, |hold| hold.move_to(event_id)) }
}

/// Where the hold stands: nothing at or above `*event_id` is deleted.
///
/// Threads: one at a time. Returns a common status, `FS_WAL_ERR_CLOSED`, `FS_WAL_ERR_GAP` (it was
/// broken), `FS_WAL_ERR_NOT_FOUND` (somebody has removed it) or `FS_WAL_ERR_IO`.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn fs_wal_hold_get(hold: *const WalHold, event_id: *mut u64) -> Status {
    // SAFETY: the header asks for an open hold, for one thread at a time, and for a number that can
    // be written.
    unsafe { with(hold, |hold| argument::set(event_id, "event_id", || hold.event_id())) }
}

/// Closes the hold and frees the handle. The hold stays, and holds. `hold` may be NULL. Threads:
/// one at a time; it is the last call on the handle.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_hold_close(hold: *mut WalHold) {
    if !hold.is_null() {
        // SAFETY: the header asks for an open hold that is not used any more.
        unsafe { free(hold) };
    }
}

/// Removes the hold `name`, broken or not, if nobody has it open. What it held may go from now on.
///
/// Threads: any. Returns a common status, `FS_WAL_ERR_NOT_FOUND` (there is none),
/// `FS_WAL_ERR_LOCKED` (it is open; or `wal_holds/.lock` is locked for ten seconds),
/// `FS_WAL_ERR_PERMISSION` or `FS_WAL_ERR_IO`.
#[no_mangle]
pub unsafe extern "C" fn fs_wal_hold_remove(dir: *const c_char, name: *const c_char) -> Status {
    // SAFETY: the header asks for C strings.
    guard(|| unsafe {
        let (directory, name) = (directory(dir)?, hold_name(name, "name")?);
        let _blocked = signals::Blocked::new();
        Hold::remove(&directory, name)
    })
}
