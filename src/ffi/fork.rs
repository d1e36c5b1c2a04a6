//! What becomes of open logs in a forked child: their calls fail, and their descriptors are closed,
//! so that a child neither writes to a log nor keeps it locked.

use std::cell::RefCell;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

use crate::error::{Error, Result};
use crate::recorder::Log;
use crate::storage::descriptors;

type Logs = Vec<Weak<Log>>;

static LOGS: Mutex<Logs> = Mutex::new(Vec::new());

struct Held {
    logs: MutexGuard<'static, Logs>,
    descriptors: descriptors::List,
}

thread_local! {
    /// Both locks, from before a fork until after it: the child then finds lists that are whole and
    /// locks that it holds itself.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// Makes the log known to the fork handlers.
pub fn register(log: &Arc<Log>) -> Result<()> {
    install_handlers()?;
    let mut logs = lock();
    logs.retain(|log| log.strong_count() > 0);
    logs.push(Arc::downgrade(log));
    Ok(())
}

fn lock() -> MutexGuard<'static, Logs> {
    LOGS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn install_handlers() -> Result<()> {
    static ONCE: Once = Once::new();
    static FAILED: Mutex<i32> = Mutex::new(0);
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    ONCE.call_once(|| {
        // SAFETY: the handlers are functions of this library, which stays loaded as long as it has
        // threads; they allocate nothing and take only locks that `before` has made their own.
        *failed = unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
    match *failed {
        0 => Ok(()),
        errno => Err(Error::io("pthread_atfork", &std::io::Error::from_raw_os_error(errno))),
    }
}

extern "C" fn before() {
    let logs = lock();
    let descriptors = descriptors::list();
    let held = Held { logs, descriptors };
    let _ = HELD.try_with(|slot| *slot.borrow_mut() = Some(held));
}

extern "C" fn in_parent() {
    let _ = HELD.try_with(|slot| slot.borrow_mut().take());
}

extern "C" fn in_child() {
    let Ok(Some(mut held)) = HELD.try_with(|slot| slot.borrow_mut().take()) else { return };
    for log in held.logs.iter().filter_map(Weak::upgrade) {
        log.poison().mark_forked();
        // The child leaks its copy of the log: dropping it would join threads that are not here.
        std::mem::forget(log);
    }
    held.logs.clear();
    for fd in descriptors::take_in_child(&mut held.descriptors) {
        close(fd);
    }
}

fn close(fd: RawFd) {
    // SAFETY: the descriptor was on the list, so it is open and owned by a `Descriptor`; that one
    // belongs to the parent's process image and is told by its fork count not to close it again.
    unsafe { libc::close(fd) };
}
