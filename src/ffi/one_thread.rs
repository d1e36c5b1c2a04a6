//! What an opaque pointer points at that is for one thread at a time, and for one process: a
//! snapshot, a hold.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Cause, Error, Result};

use super::argument::{self, refused};
use super::cancel::HeldOff;
use super::guard::guard_or;
use super::last_error;
use super::signals;
use super::status::Status;

const OPEN: u32 = 0x6b52_5346;
/// Open, but a panic has left the value in an unknown state.
const BROKEN: u32 = 0x7952_5346;

/// A value and whether it can be used.
pub(super) struct OneThread<T> {
    state: AtomicU32,
    /// The process that has opened it: a forked child must not touch what is the parent's.
    process: u32,
    value: UnsafeCell<T>,
}

/// An opaque type of C that holds such a value.
pub(super) trait Handle: Sized {
    /// What the arguments are called.
    const NAME: &'static str;
    /// What it holds.
    type Value;
    /// Wraps it.
    fn new(inner: OneThread<Self::Value>) -> Self;
    /// What is wrapped.
    fn inner(&self) -> &OneThread<Self::Value>;
}

/// A pointer to give to C.
pub(super) fn give<H: Handle>(value: H::Value) -> *mut H {
    let (state, process) = (AtomicU32::new(OPEN), std::process::id());
    let inner = OneThread { state, process, value: UnsafeCell::new(value) };
    Box::into_raw(Box::new(H::new(inner)))
}

/// A call on such a value.
///
/// # Safety
/// `pointer` is NULL or one that [`give`] has made and that was not freed, and no other thread is
/// in a call on it.
pub(super) unsafe fn with<H: Handle>(
    pointer: *const H,
    call: impl FnOnce(&mut H::Value) -> Result<()>,
) -> Status {
    // SAFETY: the caller's promise.
    let handle = match unsafe { borrow(pointer) } {
        Ok(handle) => handle,
        Err(error) => return last_error::record(&error),
    };
    if handle.state.load(Ordering::Relaxed) == BROKEN {
        let name = H::NAME;
        let message = format!("the {name} has met a defect of the library before: close it");
        return last_error::record(&Error::new(Cause::Internal, message));
    }
    let (_held_off, _blocked) = (HeldOff::new(), signals::Blocked::new());
    // SAFETY: the caller promises that no other call uses the value now.
    let value = unsafe { &mut *handle.value.get() };
    guard_or(|| call(value), |_panic| handle.state.store(BROKEN, Ordering::Relaxed))
}

/// Frees such a value. What cannot be freed is told, and stays.
///
/// # Safety
/// As for [`with`]; and no call is made on it any more.
pub(super) unsafe fn free<H: Handle>(pointer: *mut H) -> Status {
    let (_held_off, _blocked) = (HeldOff::new(), signals::Blocked::new());
    guard_or(
        || {
            // SAFETY: the caller's promise. It is borrowed to look at its state only, and then
            // freed as the box it came from.
            let handle = unsafe {
                borrow(pointer)?;
                Box::from_raw(pointer)
            };
            handle.inner().state.store(0, Ordering::Relaxed);
            drop(handle);
            Ok(())
        },
        |_panic| (),
    )
}

/// # Safety
/// As for [`with`].
unsafe fn borrow<'a, H: Handle + 'a>(pointer: *const H) -> Result<&'a OneThread<H::Value>> {
    let name = H::NAME;
    // SAFETY: the caller's promise.
    let handle: &'a H = unsafe { argument::borrow(pointer, name) }?;
    let inner = handle.inner();
    if !matches!(inner.state.load(Ordering::Relaxed), OPEN | BROKEN) {
        return Err(refused(format!("{name} is not open: it was closed, or never was one")));
    }
    if inner.process != std::process::id() {
        let message = format!("the {name} belongs to the parent of this forked process");
        return Err(Error::new(Cause::Closed, message));
    }
    Ok(inner)
}
