//! Eventfds: one end for somebody who waits in `epoll`, the other to wake them.
//!
//! Both ends are descriptors of one eventfd, and a program may close either: its own when it wants
//! no more, ours when it closes what is not its own, as daemons do. The numbers may then lead to
//! the program's own eventfds, into which nothing must be written. So ours bear a mark, a signal
//! number that the kernel keeps with the eventfd and never uses, since nobody asks it to send one.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::event::{eventfd, EventfdFlags};
use rustix::io::{fcntl_dupfd_cloexec, write, Errno};

use super::calls::retry;
use super::descriptors::Descriptor;
use super::standard::{open_above_standard, FIRST};
use crate::error::{Error, Result};

/// The last of the real-time signals.
const MARK: libc::c_int = 64;
/// As in fcntl(2); the libc crate lacks them.
const F_SETSIG: libc::c_int = 10;
const F_GETSIG: libc::c_int = 11;

/// The end that wakes. The other one was given away, and is closed by whoever has it.
#[derive(Debug)]
pub struct EventFd {
    own: Descriptor,
    given: RawFd,
}

impl EventFd {
    /// Makes a new one, and the end to give away: non-blocking, closed by `exec`, not yet readable.
    pub fn make() -> Result<(OwnedFd, EventFd)> {
        let failed = |errno: Errno| Error::io("make an eventfd", &errno.into());
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        let given = open_above_standard(|| eventfd(0, flags)).map_err(failed)?;
        mark(given.as_raw_fd()).map_err(failed)?;
        let copy = || fcntl_dupfd_cloexec(&given, FIRST);
        let own = Descriptor::open(true, copy).map_err(failed)?;
        let event = EventFd { own, given: given.as_raw_fd() };
        Ok((given, event))
    }

    /// Makes the other end readable. `false` if that was closed: this end is of no use any more.
    pub fn tell(&self) -> bool {
        let is_there = is_marked(self.given) && self.is_own();
        if is_there {
            // A count that is full is readable, too.
            let _ = retry(|| write(&self.own, &1_u64.to_ne_bytes()));
        }
        is_there
    }

    /// Whether the same number was given away for both, so for one of them it was closed.
    pub fn has_number_of(&self, other: &EventFd) -> bool {
        self.given == other.given
    }

    fn is_own(&self) -> bool {
        is_marked(self.own.as_fd().as_raw_fd())
    }
}

impl Drop for EventFd {
    /// A number that is another file's now is that file's to close.
    fn drop(&mut self) {
        if !self.is_own() {
            self.own.forget();
        }
    }
}

fn mark(fd: RawFd) -> rustix::io::Result<()> {
    // SAFETY: sets a number in whatever the descriptor leads to, and touches no memory.
    match unsafe { libc::fcntl(fd, F_SETSIG, MARK) } {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// Whether a number, which may lead anywhere or nowhere, leads to an eventfd of ours.
fn is_marked(fd: RawFd) -> bool {
    // SAFETY: asks for a number, and touches no memory.
    unsafe { libc::fcntl(fd, F_GETSIG) == MARK }
}
