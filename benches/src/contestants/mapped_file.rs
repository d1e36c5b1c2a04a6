//! Events are stored into a mapped file on the disk, which another thread syncs without a pause.
//! They survive a kill, and after a sync a power cut. A store waits when its page is being written
//! back.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::background::Background;
use super::floor::store;
use super::shared_memory::SharedMemory;
use super::Contestant;
use crate::abi::{Event, EVENT_SIZE};
use crate::disk;
use crate::processors::Processors;

const SIZE: usize = 256 << 20;

pub struct MappedFile {
    memory: SharedMemory,
    offset: usize,
    file: Arc<File>,
    syncer: Background,
}

impl MappedFile {
    pub fn new(directory: &Path, processors: &Processors) -> Self {
        let file = Arc::new(disk::written_file(&directory.join("mapped"), SIZE));
        let memory = SharedMemory::of(&file, SIZE);
        let synced = Arc::clone(&file);
        let syncer = Background::new(processors, move || synced.sync_data().expect("a sync"));
        MappedFile { memory, offset: 0, file, syncer }
    }
}

impl Contestant for MappedFile {
    fn begin(&mut self) {
        self.syncer.work();
    }

    #[inline(always)]
    fn append(&mut self, event: &Event) {
        store(event, self.memory.at(self.offset));
        self.offset += EVENT_SIZE;
        if self.offset == SIZE {
            self.offset = 0;
        }
    }

    fn settle(&mut self) {
        self.syncer.rest();
        self.file.sync_data().expect("a sync");
    }
}
