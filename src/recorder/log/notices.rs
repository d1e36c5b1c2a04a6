//! Conditions that last: reported when they begin and when they end, not at every try in between.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Cause, Error};
use crate::log_sink::LogSink;
use crate::poison::Poison;

#[derive(Debug, Default)]
pub struct Notices {
    sink: LogSink,
    blocked: AtomicBool,
    blocked_by: Mutex<Option<Error>>,
    memory_unlocked: AtomicBool,
    failure_reported: AtomicBool,
    compression_failing: AtomicBool,
    control_gone: AtomicBool,
}

impl Notices {
    pub fn new(sink: LogSink) -> Self {
        Notices { sink, ..Notices::default() }
    }

    /// Reports once why the log has failed, if it has. Not called where the failure happens,
    /// which may be the appending thread.
    pub fn failure(&self, poison: &Poison) {
        if let Some(error) = poison.cause() {
            if !self.failure_reported.swap(true, Ordering::Relaxed) {
                self.sink.error(&error.to_string());
            }
        }
    }

    /// Why no segment can be prepared; `None` = one was.
    pub fn preparation(&self, error: Option<Error>) {
        debug_assert!(error.as_ref().is_none_or(|why| why.cause() == Some(Cause::NoSpace)));
        let begun =
            error.as_ref().map(|why| format!("no segment can be prepared, trying again: {why}"));
        *self.blocked_by.lock().unwrap_or_else(PoisonError::into_inner) = error;
        self.report(&self.blocked, begun, "segments can be prepared again");
    }

    /// Why no segment can be prepared at the moment, if so.
    pub fn preparation_blocked(&self) -> Option<Error> {
        if !self.blocked.load(Ordering::Acquire) {
            return None;
        }
        self.blocked_by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A segment was compressed, or could not be.
    pub fn compression(&self, index: u32, error: Option<&Error>) {
        let begun = error.map(|why| {
            format!("segment {index} stays as it is, compressing it is tried again: {why}")
        });
        self.report(&self.compression_failing, begun, "segments can be compressed again");
    }

    /// Reports a condition when it begins and when it has ended; `None` = it does not hold now.
    fn report(&self, lasts: &AtomicBool, begun: Option<String>, ended: &str) {
        let has_lasted = lasts.swap(begun.is_some(), Ordering::AcqRel);
        match begun {
            Some(message) if !has_lasted => self.sink.warn(&message),
            None if has_lasted => self.sink.info(ended),
            _ => {}
        }
    }

    /// A mapped file was locked in memory, or could not be.
    pub fn memory(&self, locked: bool) {
        if !locked && !self.memory_unlocked.swap(true, Ordering::Relaxed) {
            self.sink.warn(
                "memory cannot be locked (RLIMIT_MEMLOCK): when it is short, appends may wait \
                 for a page to be read",
            );
        }
    }

    /// Whether the control file is still there, by this path.
    pub fn control(&self, is_there: bool, path: &Path) {
        let begun = (!is_there).then(|| {
            format!(
                "{} was removed under the log: other processes do not see any more how far it is, \
                 until it is opened again",
                path.display()
            )
        });
        self.report(&self.control_gone, begun, "the control file is there again");
    }

    /// The filesystem takes no writes past the page cache.
    pub fn buffered_writes(&self) {
        self.sink.warn(
            "the filesystem takes no direct writes: events are written through the page cache, \
             and are durable later",
        );
    }

    /// Whether every mapped file could be locked.
    pub fn is_memory_locked(&self) -> bool {
        !self.memory_unlocked.load(Ordering::Relaxed)
    }
}
