//! One `write` of 64 bytes per event, with no sync during a turn. Events survive a kill, but not a
//! power cut.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;

use super::Contestant;
use crate::abi::{Event, EVENT_SIZE};

pub struct WriteEach {
    file: File,
}

impl WriteEach {
    pub fn new(directory: &Path) -> Self {
        WriteEach { file: File::create(directory.join("written")).expect("a file") }
    }
}

impl Contestant for WriteEach {
    #[inline(always)]
    fn append(&mut self, event: &Event) {
        self.file.write_all(bytes(event)).expect("a write");
    }

    /// Syncs what was written. The next turn overwrites it.
    fn settle(&mut self) {
        self.file.sync_data().expect("a sync");
        self.file.rewind().expect("a seek");
    }
}

/// An event as bytes.
#[inline(always)]
pub(super) fn bytes(event: &Event) -> &[u8; EVENT_SIZE] {
    // SAFETY: an event is 64 bytes without padding, and all bytes are valid.
    unsafe { &*std::ptr::from_ref(event).cast() }
}
