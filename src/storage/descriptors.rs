//! Opens descriptors, and knows those of logs open for writing, so that a forked child can close
//! them.
//!
//! A child that kept them would keep the log locked after its parent's death. The fork handlers
//! (`ffi::fork`) hold the list across `fork()`. Nothing else may hang while it is locked, or a
//! dead mount would stop every log of the process and `fork()` itself: files are opened and closed
//! without it. So a fork can come between an open and its entry on the list, and then the child has
//! a copy that it does not close. The list counts forks; [`Descriptor::open`] sees that there was
//! one, closes the descriptor and opens another. In the same way a child may keep a descriptor that
//! was taken off the list and is about to be closed. Neither copy keeps anything locked: a lock
//! belongs to the opening that all copies of a descriptor share, is taken after the entry on the
//! list, and is given back explicitly before the descriptor is closed.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::standard::{self, open_above_standard};

static LISTED: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Counts the forks that this process began and those it descends from. Changed with the list
/// locked only. A descriptor from before a fork was closed in the child, and its number may stand
/// for another file by now.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Counts the forks that this process descends from.
static GENERATION: AtomicU64 = AtomicU64::new(0);

type List = MutexGuard<'static, BTreeSet<RawFd>>;

fn list() -> List {
    LISTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fork that is under way, until this is dropped.
pub struct Fork {
    list: List,
    plugs: standard::Locked,
}

/// Begins a fork: no descriptor gets on the list or off it until it has ended.
pub fn begin_fork() -> Fork {
    let list = list();
    FORKS.fetch_add(1, Ordering::Relaxed);
    Fork { list, plugs: standard::lock() }
}

impl Fork {
    /// In the child: empties the list and returns what was on it, for the caller to close.
    pub fn take_in_child(&mut self) -> BTreeSet<RawFd> {
        GENERATION.fetch_add(1, Ordering::Relaxed);
        self.plugs.forget_users();
        std::mem::take(&mut *self.list)
    }
}

/// An open descriptor, listed or not.
#[derive(Debug)]
pub struct Descriptor {
    fd: Option<OwnedFd>,
    listed: bool,
    generation: u64,
}

impl Descriptor {
    /// Opens a descriptor and, if it must be closed in forked children, lists it. `open` may be
    /// called more than once; what it opens must not be locked yet.
    pub fn open(
        listed: bool,
        mut open: impl FnMut() -> Result<OwnedFd, Errno>,
    ) -> Result<Self, Errno> {
        loop {
            let forks = if listed { forks() } else { 0 };
            let fd = open_above_standard(&mut open)?;
            let generation = GENERATION.load(Ordering::Relaxed);
            if !listed || enter(&fd, forks) {
                return Ok(Descriptor { fd: Some(fd), listed, generation });
            }
        }
    }

    /// A new file, which cannot be created twice. So a child that was forked meanwhile keeps a copy
    /// until it ends or executes a program. That keeps nobody out: a file that we created we lock
    /// only to see that no reader has it, for a moment, under a name that nobody else locks.
    pub fn create(
        listed: bool,
        create: impl FnMut() -> Result<OwnedFd, Errno>,
    ) -> Result<Self, Errno> {
        let fd = open_above_standard(create)?;
        let generation = GENERATION.load(Ordering::Relaxed);
        if listed {
            list().insert(fd.as_raw_fd());
        }
        Ok(Descriptor { fd: Some(fd), listed, generation })
    }

    /// Gives the number up without closing it: it is another file's now.
    pub fn forget(&mut self) {
        let Some(fd) = self.fd.take() else { return };
        if self.listed && self.is_own() {
            list().remove(&fd.as_raw_fd());
        }
        let _another_files = fd.into_raw_fd();
    }

    /// Whether it was opened by this process, and not by one that it was forked from.
    pub fn is_own(&self) -> bool {
        self.generation == GENERATION.load(Ordering::Relaxed)
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("taken by drop only").as_fd()
    }
}

impl Drop for Descriptor {
    /// Off the list first: once it is closed, another thread may get its number and list that.
    fn drop(&mut self) {
        let Some(fd) = self.fd.take() else { return };
        if !self.listed {
            return;
        }
        let mut list = list();
        if self.is_own() {
            let listed = list.remove(&fd.as_raw_fd());
            debug_assert!(listed);
            drop(list);
            drop(fd);
        } else {
            let _closed_at_the_fork = fd.into_raw_fd();
        }
    }
}

/// The forks begun so far. Waits for one that is under way.
fn forks() -> u64 {
    let _list = list();
    FORKS.load(Ordering::Relaxed)
}

/// Lists a descriptor that was opened after `forks` were counted, unless there was a fork since.
fn enter(fd: &OwnedFd, forks: u64) -> bool {
    let mut list = list();
    let entered = FORKS.load(Ordering::Relaxed) == forks;
    if entered {
        let new = list.insert(fd.as_raw_fd());
        debug_assert!(new, "its number was free");
    }
    entered
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{openat, Mode, OFlags, CWD};

    fn root() -> Result<OwnedFd, Errno> {
        openat(CWD, "/", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    }

    /// What the fork handlers do in the parent.
    fn fork() {
        drop(begin_fork());
    }

    /// A fork that waited for the list while a file is opened would wait here for ever. One that
    /// comes before the entry on the list makes a second opening necessary.
    #[test]
    fn f37_nothing_is_locked_while_a_file_is_opened_and_a_copy_in_a_child_is_not_used() {
        let mut opened = Vec::new();
        let descriptor = Descriptor::open(true, || {
            let fd = root()?;
            if opened.is_empty() {
                std::thread::spawn(fork).join().unwrap();
            }
            opened.push(fd.as_raw_fd());
            Ok(fd)
        });
        let descriptor = descriptor.unwrap();
        // Tests beside this one do not fork through the handlers, so the second one is good.
        assert_eq!(opened.len(), 2);
        let number = descriptor.as_fd().as_raw_fd();
        assert!(begin_fork().list.contains(&number));
        drop(descriptor);
    }
}
