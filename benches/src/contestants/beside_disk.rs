//! The memory floor while another thread, on the processors of the workers, writes as many bytes
//! to a file as are appended, and syncs it, without a pause. The two threads share no memory, so
//! whatever is slower here than on the floor alone is slower because the disk is busy.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use super::background::Background;
use super::{Contestant, Memory};
use crate::abi::{Event, EVENT_SIZE};
use crate::disk;
use crate::processors::Processors;

/// About as large as a segment; overwritten again and again.
const FILE_SIZE: usize = 4 << 20;
const MAX_WRITE_SIZE: usize = 256 << 10;

pub struct BesideDisk {
    memory: Memory,
    writer: Background,
}

impl BesideDisk {
    /// A floor on this much memory, beside a thread that writes the bytes of `rate` events a
    /// second.
    pub fn new(size: usize, rate: u64, directory: &Path, processors: &Processors) -> Self {
        let file = disk::written_file(&directory.join("beside"), FILE_SIZE);
        let bytes = vec![7_u8; MAX_WRITE_SIZE];
        let (mut offset, mut last) = (0, Instant::now());
        let writer = Background::new(processors, move || {
            let events = (last.elapsed().as_secs_f64() * rate as f64) as usize;
            last = Instant::now();
            let size = (events * EVENT_SIZE).clamp(EVENT_SIZE, MAX_WRITE_SIZE);
            if offset + size > FILE_SIZE {
                offset = 0;
            }
            file.write_all_at(&bytes[..size], offset as u64).expect("a write");
            file.sync_data().expect("a sync");
            offset += size;
        });
        BesideDisk { memory: Memory::new(size), writer }
    }
}

impl Contestant for BesideDisk {
    fn begin(&mut self) {
        self.writer.work();
    }

    #[inline(always)]
    fn append(&mut self, event: &Event) {
        self.memory.append(event);
    }

    fn settle(&mut self) {
        self.writer.rest();
    }
}
