//! okaywal: one entry per turn and one chunk per event, committed (and so synced) when the turn
//! ends, because a commit per event would be a sync per event. A kill or a power cut before the
//! commit loses the events of the turn.

use std::io;
use std::path::Path;

use okaywal::{
    Configuration, Entry, EntryId, EntryWriter, LogManager, SegmentReader, WriteAheadLog,
};

use super::write_each::bytes;
use super::Contestant;
use crate::abi::Event;

/// There is no data that a checkpoint would have to write.
#[derive(Debug)]
struct NothingBehind;

impl LogManager for NothingBehind {
    fn recover(&mut self, _: &mut Entry<'_>) -> io::Result<()> {
        Ok(())
    }

    fn checkpoint_to(
        &mut self,
        _: EntryId,
        _: &mut SegmentReader,
        _: &WriteAheadLog,
    ) -> io::Result<()> {
        Ok(())
    }
}

pub struct OkayWal {
    log: &'static WriteAheadLog,
    entry: Option<EntryWriter<'static>>,
}

impl OkayWal {
    /// An open entry borrows its log, so the log lives as long as the process.
    pub fn new(directory: &Path) -> Self {
        let configuration = Configuration::default_for(directory.join("okaywal"));
        let log = configuration.open(NothingBehind).expect("a log");
        OkayWal { log: Box::leak(Box::new(log)), entry: None }
    }
}

impl Contestant for OkayWal {
    fn begin(&mut self) {
        self.entry = Some(self.log.begin_entry().expect("an entry"));
    }

    fn append(&mut self, event: &Event) {
        let entry = self.entry.as_mut().expect("a turn has begun");
        entry.write_chunk(bytes(event)).expect("a chunk");
    }

    fn settle(&mut self) {
        if let Some(entry) = self.entry.take() {
            entry.commit().expect("a commit");
        }
    }
}
