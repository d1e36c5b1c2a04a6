//! Where a log tells what happens to it: a function of the caller's, or nowhere.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The log has failed, or could not be opened.
    Error,
    /// Something is not as it should be, and the log goes on.
    Warn,
    /// What was done.
    Info,
}

type Function = dyn FnMut(Level, &str) + Send;

/// Takes messages, one at a time. Clones share the function. Never called by the appending thread.
#[derive(Clone, Default)]
pub struct LogSink(Option<Arc<Mutex<Function>>>);

impl LogSink {
    /// A sink that gives every message to `function`.
    pub fn new(function: impl FnMut(Level, &str) + Send + 'static) -> Self {
        LogSink(Some(Arc::new(Mutex::new(function))))
    }

    /// Something is over.
    pub fn error(&self, message: &str) {
        self.give(Level::Error, message);
    }

    /// Something is not as it should be.
    pub fn warn(&self, message: &str) {
        self.give(Level::Warn, message);
    }

    /// Something was done.
    pub fn info(&self, message: &str) {
        self.give(Level::Info, message);
    }

    fn give(&self, level: Level, message: &str) {
        if let Some(function) = &self.0 {
            // One that has panicked is called again: the panic was its owner's affair.
            function.lock().unwrap_or_else(PoisonError::into_inner)(level, message);
        }
    }
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "LogSink(a function)" } else { "LogSink(none)" })
    }
}
