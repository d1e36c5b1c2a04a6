//! Keeps the process's signals away from the library's work (see "SIGNALS" in the header).
//!
//! Worker threads inherit the signal mask of the thread that opens, so a program's handlers never
//! run on them. A write past `RLIMIT_FSIZE` raises SIGXFSZ on the thread that writes, which by
//! default ends the process. When the signal is blocked, the write fails with an error instead.

use std::mem::MaybeUninit;
use std::ptr;

/// Never blocked: a blocked fault would end the process without running its handler, and a
/// profiler must see the workers too.
const LET_THROUGH: [libc::c_int; 8] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGSYS,
    libc::SIGPROF,
];

/// All other signals are blocked on this thread, until dropped.
pub(super) struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    /// Blocks them.
    pub(super) fn new() -> Self {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `sigfillset` makes a whole set of the first, from which signals that exist are
        // taken; `pthread_sigmask` changes this thread's mask alone and fills the second. None can
        // fail with arguments like these.
        let before = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            for signal in LET_THROUGH {
                libc::sigdelset(all.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
            before.assume_init()
        };
        Blocked { before }
    }
}

impl Drop for Blocked {
    /// Takes away a pending SIGXFSZ first: the write that raised it has already returned an error.
    fn drop(&mut self) {
        let mut own = MaybeUninit::<libc::sigset_t>::uninit();
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `sigemptyset` makes a whole set of `own`; `sigtimedwait` with no time takes a
        // pending signal of that set, if there is one; the mask put back is the one found.
        unsafe {
            if libc::sigismember(&self.before, libc::SIGXFSZ) == 0 {
                libc::sigemptyset(own.as_mut_ptr());
                libc::sigaddset(own.as_mut_ptr(), libc::SIGXFSZ);
                libc::sigtimedwait(own.as_ptr(), ptr::null_mut(), &at_once);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_blocked(signal: libc::c_int) -> bool {
        let mut now = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: with no new mask the call only fills `now`.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), now.as_mut_ptr());
            libc::sigismember(now.as_ptr(), signal) == 1
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
