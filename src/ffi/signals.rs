//! Keeps the process's signals away from the library's work (see "SIGNALS" in the header).
//!
//! Worker threads inherit the signal mask of the thread that opens, so a program's handlers never
//! run on them. A write past `RLIMIT_FSIZE` raises SIGXFSZ on the thread that writes, which by
//! default ends the process. When the signal is blocked, the write fails with an error instead.

use std::mem::zeroed;
use std::ptr;

use libc::{sigset_t, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGPROF, SIGSEGV, SIGSYS, SIGTRAP};

/// Never blocked: a blocked fault would end the process without running its handler, and a
/// profiler must see the workers too.
const LET_THROUGH: [libc::c_int; 8] =
    [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF];

/// All other signals are blocked on this thread, until dropped.
pub(super) struct Blocked {
    before: sigset_t,
}

impl Blocked {
    /// Blocks them.
    pub(super) fn new() -> Self {
        // SAFETY: any bytes are a signal set. `sigfillset` puts all signals into the first, from
        // which signals that exist are taken; `pthread_sigmask` changes this thread's mask alone
        // and fills the second. None can fail with arguments like these.
        unsafe {
            let (mut all, mut before): (sigset_t, sigset_t) = zeroed();
            libc::sigfillset(&mut all);
            for signal in LET_THROUGH {
                libc::sigdelset(&mut all, signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &all, &mut before);
            Blocked { before }
        }
    }
}

impl Drop for Blocked {
    /// Takes away a pending SIGXFSZ first: the write that raised it has already returned an error.
    fn drop(&mut self) {
        // SAFETY: any bytes are a signal set, and a time of zeros is no time: `sigtimedwait` takes
        // a pending signal of its set, if there is one. The mask put back is the one found.
        unsafe {
            if libc::sigismember(&self.before, libc::SIGXFSZ) == 0 {
                let mut own = zeroed();
                libc::sigemptyset(&mut own);
                libc::sigaddset(&mut own, libc::SIGXFSZ);
                libc::sigtimedwait(&own, ptr::null_mut(), &zeroed());
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_blocked(signal: libc::c_int) -> bool {
        // SAFETY: any bytes are a signal set; with no new mask the call only fills `now`.
        unsafe {
            let mut now = zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &mut now);
            libc::sigismember(&now, signal) == 1
        }
    }

    #[test]
    fn workers_inherit_the_mask_and_the_caller_gets_its_own_back() {
        assert!(!is_blocked(libc::SIGTERM));
        let blocked = Blocked::new();
        assert!(is_blocked(libc::SIGTERM) && is_blocked(libc::SIGXFSZ));
        assert!(!is_blocked(libc::SIGSEGV) && !is_blocked(libc::SIGPROF));
        let worker = std::thread::spawn(|| is_blocked(libc::SIGTERM));
        assert!(worker.join().unwrap());
        drop(blocked);
        assert!(!is_blocked(libc::SIGTERM) && !is_blocked(libc::SIGXFSZ));
    }

    #[test]
    fn a_pending_sigxfsz_is_taken_away() {
        let blocked = Blocked::new();
        // SAFETY: directed at this thread, where it is blocked.
        let sent = unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGXFSZ) };
        assert_eq!(sent, 0);
        drop(blocked);
        assert!(!is_blocked(libc::SIGXFSZ), "and the process is still here");
    }
}
