//! The rings between the threads of a log. A push raises the worker that takes the entry out. Rings
//! that the writer fills or empties raise nobody: it never sleeps on a signal, and wakes nobody.

use std::sync::Arc;

use crate::config::Config;
use crate::recorder::segment::{ActiveFile, Finished, Frozen, Segment, SpareFile};

use super::ring::Ring;
use super::signals::Signals;

/// Full segments that may wait to be closed. When there are more, the persister waits.
const CLOSE_CAPACITY: usize = 64;
/// Expired segments that may wait for the freezers; the rest wait in the maintainer's lists.
const FREEZE_CAPACITY: usize = 16;

#[derive(Debug)]
pub struct Queues {
    /// Prepared segments, preparer to writer.
    pub prepared: Ring<Segment>,
    /// Segments that the writer has entered, writer to persister. Raises nobody.
    pub to_persist: Ring<Segment>,
    /// Full segments, persister to maintainer.
    pub to_close: Ring<Finished>,
    /// Expired hot segments, maintainer to the freezers.
    pub to_freeze: Ring<u32>,
    /// What became of those, the freezers to maintainer, in any order.
    pub to_free: Ring<Frozen>,
    /// Persisted mapped files, persister to preparer.
    pub active_to_reuse: Ring<Arc<ActiveFile>>,
    /// Disk files to reuse, maintainer to preparer.
    pub spare_files: Ring<SpareFile>,
}

impl Queues {
    pub fn new(config: &Config, signals: &Signals) -> Self {
        let (prepared, active_set) = (config.prepared_segments as usize, config.active_set());
        debug_assert!(prepared < active_set, "the writer has one besides the prepared ones");
        Queues {
            prepared: Ring::new(prepared, None),
            to_persist: Ring::new(active_set + 1, None),
            to_close: Ring::new(CLOSE_CAPACITY, Some(&signals.maintainer)),
            to_freeze: Ring::new(FREEZE_CAPACITY, &signals.freezers),
            to_free: Ring::new(FREEZE_CAPACITY, Some(&signals.maintainer)),
            active_to_reuse: Ring::new(active_set + 1, Some(&signals.preparer)),
            spare_files: Ring::new(prepared, Some(&signals.preparer)),
        }
    }
}
