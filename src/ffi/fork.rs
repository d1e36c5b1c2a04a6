//! Handles forks (G9): in the child, the logs that were open belong to the parent.
//!
//! In the child every call on such a handle returns `FS_WAL_ERR_CLOSED`, and its descriptors are
//! closed, so that a child that outlives its parent does not keep the log locked. The fork handlers
//! hold the locks of all lists of the process from just before the fork to just after it, so that
//! the child finds them whole and free. No thread holds one of them while it opens, closes or waits
//! for anything, so no fork waits for a disk. One is the list of the threads that logs share. The
//! child has no such threads, so its list is emptied, and a log of its own starts new ones.
//!
//! A child made by `_Fork` or `clone` runs no handlers. It finds the handle's first page empty
//! (`room`), so calls return `FS_WAL_ERR_CLOSED` there too, but its descriptors stay open until it
//! executes a program or ends. A child of `vfork` uses its parent's memory, and is its parent.

use std::cell::RefCell;
use std::ffi::c_int;
use std::io;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::error::{Error, Result};
use crate::recorder::{lanes, Lanes, Log};
use crate::storage::descriptors;

use super::room;

type Logs = Vec<Arc<Log>>;

static OPEN_LOGS: Mutex<Logs> = Mutex::new(Vec::new());

fn open_logs() -> MutexGuard<'static, Logs> {
    OPEN_LOGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs the fork handlers. Called before the first log of the process is opened.
pub(super) fn install() -> Result<()> {
    static INSTALLED: OnceLock<c_int> = OnceLock::new();
    let errno = *INSTALLED.get_or_init(|| {
        // SAFETY: the three are functions that stay where they are as long as the library is
        // loaded, and do not unwind.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) }
    });
    match errno {
        0 => Ok(()),
        errno => Err(Error::io("pthread_atfork", &io::Error::from_raw_os_error(errno))),
    }
}

/// From now on a fork makes the child's copy of this log unusable.
pub(super) fn register(log: &Arc<Log>) {
    open_logs().push(Arc::clone(log));
}

/// The log is shut down: forks need not care for it any more.
pub(super) fn unregister(log: &Arc<Log>) {
    open_logs().retain(|open| !Arc::ptr_eq(open, log));
}

struct Held {
    logs: MutexGuard<'static, Logs>,
    lanes: Lanes,
    _rooms: MutexGuard<'static, room::Free>,
    descriptors: descriptors::Fork,
}

thread_local! {
    /// Filled from `prepare` to `parent` or `child`, which run on the thread that forks, in both
    /// processes. Never dropped by the thread's end, so that a thread may fork while it ends.
    static HELD: RefCell<ManuallyDrop<Option<Held>>> =
        const { RefCell::new(ManuallyDrop::new(None)) };
}

fn take_held() -> Option<Held> {
    HELD.with(|held| held.borrow_mut().take())
}

extern "C" fn prepare() {
    let held = Held {
        logs: open_logs(),
        lanes: lanes(),
        _rooms: room::free(),
        descriptors: descriptors::begin_fork(),
    };
    HELD.with(|slot| slot.borrow_mut().replace(held));
}

extern "C" fn parent() {
    drop(take_held());
}

extern "C" fn child() {
    let Some(Held { mut logs, mut lanes, _rooms, mut descriptors }) = take_held() else { return };
    for log in logs.drain(..) {
        log.poison().mark_forked();
        // Its threads and files are the parent's: nothing of them is undone here.
        std::mem::forget(log);
    }
    lanes.forget_in_child();
    for fd in descriptors.take_in_child() {
        // SAFETY: the list names descriptors that the parent's logs owned at the moment of the
        // fork; their owners in this process never close them again (`descriptors`).
        unsafe { libc::close(fd) };
    }
}
