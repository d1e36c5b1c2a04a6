//! The one-way failure latch: the first cause is kept, every later call repeats it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::OnceLock;

use crate::error::{Cause, Error, Result};

const RUNNING: u8 = 0;
const POISONED: u8 = 1;
const CLOSED: u8 = 2;
const FORKED: u8 = 3;

/// Says whether a log still takes calls, and if not, why.
///
/// Padded to a cache line of its own: the hot path reads `state` at every append, and nothing
/// writes this line while the log is healthy.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Poison {
    state: AtomicU8,
    cause: OnceLock<Error>,
}

impl Poison {
    /// The hot path's check. Relaxed is enough: an append that overlaps the failure may still be
    /// taken, as if it had come just before, and it is in the log like every other.
    #[inline(always)]
    pub fn is_running(&self) -> bool {
        self.state.load(Ordering::Relaxed) == RUNNING
    }

    /// Records the first failure; later ones change nothing.
    pub fn poison(&self, error: &Error) {
        // The cause is set before the state, so whoever sees the state finds the cause.
        let _ = self.cause.set(error.as_poisoned());
        let _ =
            self.state.compare_exchange(RUNNING, POISONED, Ordering::Release, Ordering::Relaxed);
    }

    /// From now on calls get [`Cause::Closed`]. A poisoned log stays poisoned.
    pub fn close(&self) {
        let _ = self.state.compare_exchange(RUNNING, CLOSED, Ordering::Release, Ordering::Relaxed);
    }

    /// In a forked child: the handle is the parent's.
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

    /// `Err` only if the log has failed: a log being shut down still finishes its work.
    pub fn check_failed(&self) -> Result<()> {
        match self.cause.get() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// `Ok` while the log is healthy and open.
    pub fn check(&self) -> Result<()> {
        match self.state.load(Ordering::Acquire) {
            RUNNING => Ok(()),
            POISONED => Err(self.cause.get().cloned().unwrap_or_else(|| {
                Error::new(Cause::Internal, "the log is poisoned without a cause")
            })),
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
