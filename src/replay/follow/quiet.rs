//! When a follower looks at files, although memory says that nothing has come.

use std::time::{Duration, Instant};

/// How long nothing has come when files are looked at: the log may have been opened anew without a
/// trace in the memory that is mapped.
const QUIET: Duration = Duration::from_millis(100);
/// Looks into memory between two at the clock.
const LOOKS_PER_CLOCK: u32 = 32;

/// How long nothing has come, at little cost.
#[derive(Default)]
pub(super) struct Quiet {
    looks: u32,
    since: Option<Instant>,
}

impl Quiet {
    pub(super) fn end(&mut self) {
        *self = Quiet::default();
    }

    /// Whether nothing had come when it was looked last.
    pub(super) fn has_begun(&self) -> bool {
        self.looks > 0 || self.since.is_some()
    }

    /// Nothing has come again, and the clock need not be asked.
    pub(super) fn may_look_again(&mut self) -> bool {
        let may = self.looks + 1 < LOOKS_PER_CLOCK;
        self.looks += u32::from(may);
        may
    }

    /// Nothing has come again: whether that has lasted.
    pub(super) fn is_long(&mut self) -> bool {
        self.looks += 1;
        if self.looks < LOOKS_PER_CLOCK {
            return false;
        }
        self.looks = 0;
        let now = Instant::now();
        let is_long = now.duration_since(*self.since.get_or_insert(now)) >= QUIET;
        if is_long {
            self.since = Some(now);
        }
        is_long
    }
}
