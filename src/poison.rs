//! The one-way failure latch: it keeps the first cause, and every later call returns that.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::OnceLock;

use crate::error::{Cause, Error, Result};

const RUNNING: u8 = 0;
const POISONED: u8 = 1;
const CLOSED: u8 = 2;
const FORKED: u8 = 3;

/// Whether a log still takes calls, and if not, why.
///
/// In a cache line of its own: every call but an append reads `state`, and nothing writes to the
/// line while the log is healthy.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Poison {
    state: AtomicU8,
    cause: OnceLock<Error>,
}

impl Poison {
    /// Whether the log takes calls.
    pub fn is_running(&self) -> bool {
        self.state.load(Ordering::Relaxed) == RUNNING
    }

    /// Records the first failure; later ones change nothing.
    pub fn poison(&self, error: &Error) {
        debug_assert!(
            error.cause() != Some(Cause::Poisoned) || self.cause.get().is_some(),
            "a log that has not failed returns no such error"
        );
        // The cause is set first, so that whoever sees the state finds it.
        let _ = self.cause.set(error.as_poisoned());
        let _ =
            self.state.compare_exchange(RUNNING, POISONED, Ordering::Release, Ordering::Relaxed);
    }

    /// From now on calls return [`Cause::Closed`]. A poisoned log stays poisoned.
    pub fn close(&self) {
        let _ = self.state.compare_exchange(RUNNING, CLOSED, Ordering::Release, Ordering::Relaxed);
    }

    /// In a forked child: calls return [`Cause::Closed`], since the log is the parent's.
    pub fn mark_forked(&self) {
        self.state.store(FORKED, Ordering::Release);
    }

    /// Whether this is a forked child's copy of the log.
    pub fn is_forked(&self) -> bool {
        self.state.load(Ordering::Acquire) == FORKED
    }

    /// The first failure, if there was one.
    pub fn cause(&self) -> Option<&Error> {
        self.cause.get()
    }

    /// `Err` only if the log has failed. While it shuts down, its workers still finish their work.
    pub fn check_failed(&self) -> Result<()> {
        self.cause.get().cloned().map_or(Ok(()), Err)
    }

    /// `Ok` while the log is healthy and open.
    pub fn check(&self) -> Result<()> {
        match self.state.load(Ordering::Acquire) {
            RUNNING => Ok(()),
            // The cause was set before the state.
            POISONED => self.check_failed(),
            FORKED => Err(Error::new(
                Cause::Closed,
                "the log was opened before fork(): it belongs to the parent process",
            )),
            _ => Err(Error::new(Cause::Closed, "the log is shut down")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_is_the_one_that_stays() {
        let poison = Poison::default();
        assert!(poison.check().is_ok());
        poison.poison(&Error::new(Cause::Io, "first"));
        poison.poison(&Error::new(Cause::Io, "second"));
        poison.close();
        let error = poison.check().unwrap_err();
        assert_eq!(error.cause(), Some(Cause::Poisoned));
        assert!(error.to_string().ends_with("first"), "{error}");
        assert!(!poison.is_running());
    }
}
