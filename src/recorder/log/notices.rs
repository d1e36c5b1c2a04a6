//! What is told when it begins and when it ends, and not at every try between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::log_sink::LogSink;
use crate::poison::Poison;

/// The conditions of a log that are told once.
#[derive(Debug)]
pub struct Notices {
    sink: LogSink,
    blocked: AtomicBool,
    blocked_by: Mutex<Option<Error>>,
    memory_unlocked: AtomicBool,
    failure_told: AtomicBool,
    compression_failing: AtomicBool,
}

impl Notices {
    /// Nothing is the matter.
    pub fn new(sink: LogSink) -> Self {
        Notices {
            sink,
            blocked: AtomicBool::new(false),
            blocked_by: Mutex::new(None),
            memory_unlocked: AtomicBool::new(false),
            failure_told: AtomicBool::new(false),
            compression_failing: AtomicBool::new(false),
        }
    }

    /// Told what happens. Not for the appending thread.
    pub fn sink(&self) -> &LogSink {
        &self.sink
    }

    /// Says why the log has failed, if it has, once. Not done where it fails, which the appending
    /// thread may do too.
    pub fn failure(&self, poison: &Poison) {
        if let Some(error) = poison.cause() {
            if !self.failure_told.swap(true, Ordering::Relaxed) {
                self.sink.error(&error.to_string());
            }
        }
    }

    /// Preparing is held up, by what; `None` = goes on again.
    pub fn preparation(&self, error: Option<Error>) {
        let message = error.as_ref().map(Error::to_string);
        *self.blocked_by.lock().unwrap_or_else(PoisonError::into_inner) = error;
        let was_blocked = self.blocked.swap(message.is_some(), Ordering::AcqRel);
        match message {
            Some(why) if !was_blocked => {
                self.sink.warn(&format!("no segment can be prepared, trying again: {why}"));
            }
            None if was_blocked => self.sink.info("segments can be prepared again"),
            _ => {}
        }
    }

    /// Why no segment can be prepared, if so.
    pub fn preparation_blocked(&self) -> Option<Error> {
        if !self.blocked.load(Ordering::Acquire) {
            return None;
        }
        self.blocked_by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A segment was compressed, or why not.
    pub fn compression(&self, index: u32, error: Option<&Error>) {
        let was_failing = self.compression_failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(why) if !was_failing => self.sink.warn(&format!(
                "segment {index} stays as it is, compressing it is tried again: {why}"
            )),
            None if was_failing => self.sink.info("segments can be compressed again"),
            _ => {}
        }
    }

    /// Whether a mapped file could be locked in memory.
    pub fn memory(&self, locked: bool) {
        if !locked && !self.memory_unlocked.swap(true, Ordering::Relaxed) {
            self.sink.warn(
                "memory cannot be locked (RLIMIT_MEMLOCK): when it is short, appends may wait \
                 for a page to be read",
            );
        }
    }

    /// Whether all of them could.
    pub fn is_memory_locked(&self) -> bool {
        !self.memory_unlocked.load(Ordering::Relaxed)
    }
}
