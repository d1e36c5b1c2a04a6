//! The descriptors of logs open for writing, so that a forked child can close them.
//!
//! A child that kept them would keep the log locked after its parent's death. The fork handlers
//! (`ffi::fork`) hold the list across `fork()`, so no descriptor is open but not yet listed then.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

static LISTED: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Counts the forks this process descends from. A descriptor from before a fork was closed in the
/// child, and its number may stand for another file by now.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// The list, locked.
pub type List = MutexGuard<'static, BTreeSet<RawFd>>;

/// Locks the list: no listed descriptor is opened or closed until the guard is dropped.
pub fn list() -> List {
    LISTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In a forked child: empties the list and returns what was on it, for the caller to close.
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
    /// Opens a descriptor and, if it must be closed in forked children, lists it under one lock.
    pub fn open<E>(listed: bool, open: impl FnOnce() -> Result<OwnedFd, E>) -> Result<Self, E> {
        let mut list = list();
        let fd = open()?;
        if listed {
            let new = list.insert(fd.as_raw_fd());
            debug_assert!(new, "its number was free");
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
            let listed = list.remove(&fd.as_raw_fd());
            debug_assert!(listed);
        } else {
            let _closed_at_the_fork = fd.into_raw_fd();
        }
    }
}
