//! The rings between the threads of a log. A push raises the worker that takes the entry out. Rings
//! that the writer fills or empties raise nobody: it never sleeps on a signal, and wakes nobody.

use std::sync::Arc;

use crate::config::Config;
use crate::recorder::segment::{ActiveFile, Finished, Frozen, Segment, SpareFile};

use super::control::{Control, RingEnd, SharedControl};
use super::ring::{Counted, Ring};
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
    pub fn new(config: &Config, signals: &Signals, control: &SharedControl) -> Self {
        let (prepared, active_set) = (config.prepared_segments as usize, config.active_set());
        debug_assert!(prepared < active_set, "the writer has one besides the prepared ones");
        type End = fn(&Control) -> &RingEnd;
        let counted = |number, into: End, out: End| Counted {
            control: Arc::clone(control),
            number,
            into,
            out,
        };
        Queues {
            prepared: Ring::new(prepared, None).counted(counted(
                0,
                |control| &control.preparer.prepared_in,
                |control| &control.writer.prepared_out,
            )),
            to_persist: Ring::new(active_set + 1, None).counted(counted(
                1,
                |control| &control.writer.to_persist_in,
                |control| &control.persister.to_persist_out,
            )),
            to_close: Ring::new(CLOSE_CAPACITY, Some(&signals.maintainer)).counted(counted(
                2,
                |control| &control.persister.to_close_in,
                |control| &control.maintainer.to_close_out,
            )),
            to_freeze: Ring::new(FREEZE_CAPACITY, &signals.freezers).counted(counted(
                3,
                |control| &control.maintainer.to_freeze_in,
                |control| &control.freezers.to_freeze_out,
            )),
            to_free: Ring::new(FREEZE_CAPACITY, Some(&signals.maintainer)).counted(counted(
                4,
                |control| &control.freezers.to_free_in,
                |control| &control.maintainer.to_free_out,
            )),
            active_to_reuse: Ring::new(active_set + 1, Some(&signals.preparer)),
            spare_files: Ring::new(prepared, Some(&signals.preparer)),
        }
    }
}
