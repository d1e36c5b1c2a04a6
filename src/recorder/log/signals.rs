//! What wakes the workers of one log.

use std::sync::Arc;

use crate::recorder::threads::Signal;

/// Freezers of a log, at most.
pub(in crate::recorder) const MOST_FREEZERS: usize = 4;

/// A signal for every worker.
#[derive(Debug, Default)]
pub struct Signals {
    pub(in crate::recorder) persister: Arc<Signal>,
    pub(in crate::recorder) preparer: Arc<Signal>,
    pub(in crate::recorder) maintainer: Arc<Signal>,
    pub(in crate::recorder) freezers: [Arc<Signal>; MOST_FREEZERS],
    pub(in crate::recorder) coordinator: Arc<Signal>,
    pub(in crate::recorder) watcher: Arc<Signal>,
}

impl Signals {
    /// Wakes every worker, so that it sees that the log has failed.
    pub fn raise_all(&self) {
        let Signals { persister, preparer, maintainer, freezers, coordinator, watcher } = self;
        for signal in
            [persister, preparer, maintainer, coordinator, watcher].into_iter().chain(freezers)
        {
            signal.raise();
        }
    }
}
