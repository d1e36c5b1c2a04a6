//! Holds `pthread_cancel` off while a call waits, opens or closes (see "CANCELLATION" in the
//! header).
//!
//! A cancelled thread unwinds from the next call of the C library that is a cancellation point,
//! such as `close`, `nanosleep` or `pthread_join`. Rust ends the process when that unwinds through
//! its frames, and the log would be left half open. A call that does none of these need not hold
//! it off; system calls through `rustix` and futexes are no cancellation points.

use std::ffi::c_int;
use std::ptr;

/// As in `pthread.h`, of glibc and of musl.
const PTHREAD_CANCEL_DISABLE: c_int = 1;

extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

/// Cancellation of this thread waits until this is dropped.
pub(super) struct HeldOff {
    before: c_int,
}

impl HeldOff {
    /// Holds it off.
    pub(super) fn new() -> Self {
        let mut before = PTHREAD_CANCEL_DISABLE;
        // SAFETY: changes the state of this thread alone and fills `before`. It cannot fail: the
        // state is a valid one.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut before) };
        HeldOff { before }
    }
}

impl Drop for HeldOff {
    /// A cancellation that came meanwhile acts at the program's next cancellation point.
    fn drop(&mut self) {
        // SAFETY: as in `new`. NULL: nobody asks for the state that was held.
        unsafe { pthread_setcancelstate(self.before, ptr::null_mut()) };
    }
}
