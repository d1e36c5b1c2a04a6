//! The boundary of the library: turns results and panics into status codes.

use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::error::{Cause, Error, Result};

use super::cancel::HeldOff;
use super::last_error;
use super::status::{Status, FS_WAL_OK};

/// Runs the body of an `extern "C"` function. A failure becomes its code and this thread's last
/// error. A panic becomes [`Cause::Internal`], is passed to `on_panic`, and goes no further.
///
/// Unwind safety is asserted: what the body left half done is behind a latch that `on_panic`
/// closes, or was local to the body.
///
/// Without a failure this costs an inlined call and a test of its result. The tables that catch a
/// panic are read only when there is one.
#[inline(always)]
pub(super) fn guard_or(body: impl FnOnce() -> Result<()>, on_panic: impl FnOnce(&Error)) -> Status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => FS_WAL_OK,
        Ok(Err(error)) => last_error::record(&error),
        Err(payload) => panicked(payload, on_panic),
    }
}

/// [`guard_or`], of a body that leaves nothing half done, and may open, close or wait.
pub(super) fn guard(body: impl FnOnce() -> Result<()>) -> Status {
    let _held_off = HeldOff::new();
    guard_or(body, |_panic| ())
}

#[cold]
#[inline(never)]
fn panicked(payload: Box<dyn Any + Send>, on_panic: impl FnOnce(&Error)) -> Status {
    let words = payload.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| payload.downcast_ref::<&'static str>().copied());
    let words = words.unwrap_or("a panic without a message");
    let error = Error::new(Cause::Internal, format!("defect in the library: {words}"));
    // Dropping a value of unknown type could panic again, outside of any guard.
    std::mem::forget(payload);
    // What made the body panic may do it again here.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| on_panic(&error))) {
        std::mem::forget(again);
    }
    last_error::record(&error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::status::{FS_WAL_ERR_INTERNAL, FS_WAL_ERR_NOT_FOUND};

    fn after_panic(body: impl FnOnce() -> Result<()>) -> (Status, String) {
        let mut seen = String::new();
        let status = guard_or(body, |panic| seen = panic.to_string());
        (status, seen)
    }

    #[test]
    fn a_panic_becomes_a_code_and_keeps_its_words() {
        let (status, seen) = after_panic(|| panic!("at block {}", 3));
        assert_eq!(
            (status, seen.as_str()),
            (FS_WAL_ERR_INTERNAL, "defect in the library: at block 3")
        );
        let (status, seen) = after_panic(|| panic!("plain"));
        assert_eq!((status, seen.as_str()), (FS_WAL_ERR_INTERNAL, "defect in the library: plain"));
    }

    #[test]
    fn a_panic_about_a_panic_goes_no_further() {
        let status = guard_or(|| panic!("first"), |_| panic!("second"));
        assert_eq!(status, FS_WAL_ERR_INTERNAL);
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_not_dropped() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let (status, seen) = after_panic(|| std::panic::panic_any(Bomb));
        assert_eq!(status, FS_WAL_ERR_INTERNAL);
        assert!(seen.ends_with("a panic without a message"), "{seen}");
    }

    #[test]
    fn an_error_is_not_a_panic() {
        let (status, seen) = after_panic(|| Err(Error::new(Cause::NotFound, "x")));
        assert_eq!((status, seen.as_str()), (FS_WAL_ERR_NOT_FOUND, ""));
        assert_eq!(after_panic(|| Ok(())), (FS_WAL_OK, String::new()));
    }
}
