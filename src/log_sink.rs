//! Where a log sends its messages: to a function of the caller, or nowhere.

use std::fmt;
use std::path::Path;
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

    /// The same sink for the messages of one log of many: each begins with the log's directory, or
    /// with a path in it.
    pub fn of(self, directory: &Path) -> Self {
        if self.0.is_none() {
            return self;
        }
        let name = directory.display().to_string();
        let name = name.trim_end_matches('/').to_owned();
        LogSink::new(move |level, message| {
            let rest = message.strip_prefix(&name);
            if rest.is_some_and(|rest| rest.starts_with([':', '/'])) {
                self.send(level, message);
            } else {
                self.send(level, &format!("{name}: {message}"));
            }
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_names_its_log_once() {
        for directory in ["a/b", "a/b/"] {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let telling = Arc::clone(&seen);
            let sink = LogSink::new(move |_, told| telling.lock().unwrap().push(told.to_owned()));
            let sink = sink.of(Path::new(directory));
            let told = ["open", "a/b: open", "a/b/c: gone", "a/bc: gone", "a/b"];
            told.iter().for_each(|message| sink.info(message));
            let named = ["a/b: open", "a/b: open", "a/b/c: gone", "a/b: a/bc: gone", "a/b: a/b"];
            assert_eq!(*seen.lock().unwrap(), named);
        }
        assert!(LogSink::default().of(Path::new("a")).0.is_none());
    }
}
