//! Keeps our files away from the numbers of standard input, output and error.
//!
//! Where a program has closed those, a file of ours under such a number would get what the program
//! prints. To move it to another number once it is open would be too late: another thread may be
//! printing. So while we open anything, closed standard numbers are plugged with a descriptor that
//! can neither be read nor written, as a closed one cannot.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{fcntl_getfl, openat, Mode, OFlags, CWD};
use rustix::io::{fcntl_dupfd_cloexec, fcntl_getfd, Errno};
use rustix::stdio::{stderr, stdin, stdout};

use super::calls::retry;

/// The first number after theirs.
pub const FIRST: RawFd = 3;

/// The plugs, and how many threads are opening something now: the last of them pulls the plugs.
struct Plugs {
    users: usize,
    plugs: Vec<OwnedFd>,
}

static PLUGS: Mutex<Plugs> = Mutex::new(Plugs { users: 0, plugs: Vec::new() });

/// The plugs, locked: for as long as it takes to plug and to unplug, which waits for no disk. The
/// thread that forks holds the lock, so the child finds it free.
pub struct Locked(MutexGuard<'static, Plugs>);

/// Locks the plugs.
pub fn lock() -> Locked {
    Locked(PLUGS.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Locked {
    /// In a forked child: the threads that were opening something are the parent's.
    pub fn forget_users(&mut self) {
        self.0.users = 0;
        self.pull();
    }

    fn plug(&mut self) -> Result<(), Errno> {
        debug_assert!(self.0.users > 0 || self.0.plugs.is_empty());
        for standard in [stdin(), stdout(), stderr()] {
            if fcntl_getfd(standard) == Err(Errno::BADF) {
                let flags = OFlags::PATH | OFlags::CLOEXEC;
                let plug = retry(|| openat(CWD, "/", flags, Mode::empty()))?;
                if plug.as_raw_fd() < FIRST {
                    self.0.plugs.push(plug);
                }
            }
        }
        Ok(())
    }

    fn pull(&mut self) {
        for plug in self.0.plugs.drain(..) {
            // The program may have put a descriptor of its own in its place meanwhile.
            if !fcntl_getfl(&plug).is_ok_and(|flags| flags.contains(OFlags::PATH)) {
                let _not_ours = plug.into_raw_fd();
            }
        }
    }
}

/// Something is being opened, until this is dropped.
struct Opening;

impl Opening {
    fn begin() -> Result<Self, Errno> {
        let mut plugs = lock();
        if let Err(errno) = plugs.plug() {
            if plugs.0.users == 0 {
                plugs.pull();
            }
            return Err(errno);
        }
        plugs.0.users += 1;
        Ok(Opening)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let mut plugs = lock();
        // A forked child has forgotten the openings of before.
        plugs.0.users = plugs.0.users.saturating_sub(1);
        if plugs.0.users == 0 {
            plugs.pull();
        }
    }
}

/// Opens a descriptor that is not standard input, output or error.
pub fn open_above_standard(
    mut open: impl FnMut() -> Result<OwnedFd, Errno>,
) -> Result<OwnedFd, Errno> {
    let _opening = Opening::begin()?;
    let fd = open()?;
    if fd.as_raw_fd() >= FIRST {
        return Ok(fd);
    }
    // The program has closed the number since.
    fcntl_dupfd_cloexec(&fd, FIRST)
}
