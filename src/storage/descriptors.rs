//! The descriptors of logs open for writing, so that a forked child can close them.
//!
//! A child that kept them would keep the log locked after its parent's death. The fork handlers
//! (`ffi::fork`) hold the list across `fork()`, which makes it exact: no descriptor is then between
//! being opened and being listed.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

static LISTED: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Counts the forks this process descends from. A descriptor of an older process image was closed
/// in the child, and its number may by now stand for something else.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// The list, locked.
pub type List = MutexGuard<'static, BTreeSet<RawFd>>;

/// Locks the list: no listed descriptor is opened or closed until the guard is dropped.
pub fn list() -> List {
    LISTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In a forked child: empties the list and gives what was on it, to be closed by the caller.
pub fn take_in_child(list: &mut List) -> BTreeSet<RawFd> {
    FORKS.fetch_add(1, Ordering::Relaxed);
    std::mem::take(&mut **list)
}

/// An open descriptor, listed or not.
#[derive(Debug)]
pub struct Descriptor {
    fd: Option<OwnedFd>,
    listed: bool,
    forks: u32,
}

impl Descriptor {
    /// Opens a descriptor, and lists it in the same step if it is to be closed in forked children.
    pub fn open<E>(listed: bool, open: impl FnOnce() -> Result<OwnedFd, E>) -> Result<Self, E> {
        let mut list = list();
        let fd = open()?;
        if listed {
            list.insert(fd.as_raw_fd());
        }
        Ok(Descriptor { fd: Some(fd), listed, forks: FORKS.load(Ordering::Relaxed) })
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("taken by drop only").as_fd()
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let Some(fd) = self.fd.take() else { return };
        if !self.listed {
            return;
        }
        let mut list = list();
        if self.forks == FORKS.load(Ordering::Relaxed) {
            list.remove(&fd.as_raw_fd());
        } else {
            let _closed_at_the_fork = fd.into_raw_fd();
        }
    }
}
