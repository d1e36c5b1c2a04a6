//! When what could not be done is tried again.

use std::time::{Duration, Instant};

use crate::log_sink::LogSink;

/// Time until a failed freeze or removal is tried again.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Time until a deletion is tried again that came while somebody published a hold or a snapshot.
pub const PUBLISHING_TIME: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
pub struct Retry {
    at: Option<Instant>,
    /// What was reported last.
    told: Option<String>,
}

impl Retry {
    /// What could not be done is tried again, and reported once.
    pub fn again(&mut self, sink: &LogSink, message: String) {
        if self.told.as_ref() != Some(&message) {
            sink.warn(&message);
            self.told = Some(message);
        }
        self.after(RETRY_INTERVAL);
    }

    /// It is tried again after this time.
    pub fn after(&mut self, time: Duration) {
        self.at = Some(Instant::now() + time);
    }

    /// Nothing is waited for any more.
    pub fn forget(&mut self) {
        self.at = None;
    }

    /// Forgets a time that has come.
    pub fn expire(&mut self) {
        self.at = self.at.filter(|at| *at > Instant::now());
    }

    /// How long it is until then; `None` = nothing is waited for.
    pub fn left(&self) -> Option<Duration> {
        self.at.map(|at| at.saturating_duration_since(Instant::now()))
    }
}
