//! Events stored into a mapped file on the disk, which another thread syncs without a pause. It
//! survives a kill and a power cut, and pays for it where a store meets a page under write-back.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;

use super::floor::store;
use super::shared_memory::SharedMemory;
use super::Contestant;
use crate::abi::{Event, EVENT_SIZE};
use crate::disk;
use crate::processors::Processors;

const SIZE: usize = 256 << 20;

const RESTING: u8 = 0;
const SYNCING: u8 = 1;
const STOPPING: u8 = 2;

pub struct MappedFile {
    memory: SharedMemory,
    offset: usize,
    file: Arc<File>,
    state: Arc<AtomicU8>,
    syncer: std::thread::Thread,
}

impl MappedFile {
    pub fn new(directory: &Path, processors: &Processors) -> Self {
        let file = Arc::new(disk::written_file(&directory.join("mapped"), SIZE));
        let memory = SharedMemory::of(&file, SIZE);
        let state = Arc::new(AtomicU8::new(RESTING));
        let syncer = processors.on_workers(|| {
            let (file, state) = (Arc::clone(&file), Arc::clone(&state));
            std::thread::spawn(move || sync_on_and_on(&file, &state))
        });
        MappedFile { memory, offset: 0, file, state, syncer: syncer.thread().clone() }
    }

    fn set(&self, state: u8) {
        self.state.store(state, Ordering::Release);
        self.syncer.unpark();
    }
}

fn sync_on_and_on(file: &File, state: &AtomicU8) {
    loop {
        match state.load(Ordering::Acquire) {
            RESTING => std::thread::park(),
            SYNCING => file.sync_data().expect("a sync"),
            _ => return,
        }
    }
}

impl Contestant for MappedFile {
    fn begin(&mut self) {
        self.set(SYNCING);
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
        self.set(RESTING);
        self.file.sync_data().expect("a sync");
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        self.set(STOPPING);
    }
}
