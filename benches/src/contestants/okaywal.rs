//! okaywal: one entry a turn, a chunk for each event, committed (and so synced) when the turn ends.
//! A commit for each event would be a sync for each. Until then a kill or a power cut loses all.

use std::io;
use std::path::Path;

use okaywal::{
    Configuration, Entry, EntryId, EntryWriter, LogManager, SegmentReader, WriteAheadLog,
};

use super::write_each::bytes;
use super::Contestant;
use crate::abi::Event;

/// Nothing is kept behind the log: a checkpoint has nothing to do.
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
