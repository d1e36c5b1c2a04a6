//! Where a log sends its messages: to a function of the caller, or nowhere.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The log has failed or could not be opened.
    Error,
    /// Something is wrong, but the log goes on.
    Warn,
    /// Something was done.
    Info,
}

type Function = dyn FnMut(Level, &str) + Send;

/// Takes messages, one at a time. Clones share the function. The appending thread never calls it.
#[derive(Clone, Default)]
pub struct LogSink(Option<Arc<Mutex<Function>>>);

impl LogSink {
    /// A sink that passes every message to `function`.
    pub fn new(function: impl FnMut(Level, &str) + Send + 'static) -> Self {
        LogSink(Some(Arc::new(Mutex::new(function))))
    }

    /// Sends a message of [`Level::Error`].
    pub fn error(&self, message: &str) {
        self.send(Level::Error, message);
    }

    /// Sends a message of [`Level::Warn`].
    pub fn warn(&self, message: &str) {
        self.send(Level::Warn, message);
    }

    /// Sends a message of [`Level::Info`].
    pub fn info(&self, message: &str) {
        self.send(Level::Info, message);
    }

    fn send(&self, level: Level, message: &str) {
        if let Some(function) = &self.0 {
            // A function that has panicked is called again: its state is its owner's to judge.
            function.lock().unwrap_or_else(PoisonError::into_inner)(level, message);
        }
    }
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "LogSink(a function)" } else { "LogSink(none)" })
    }
}
