//! The bare disk: what a write and `fdatasync` cost without a log.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::clock;

const SMALL: usize = 4096;
/// About a default segment, which the library writes at once when it is behind.
const LARGE: usize = 4 << 20;
const FILE_SIZE: usize = 256 << 20;

/// Makes a file of this size, written and synced, so that later writes only overwrite blocks.
pub fn written_file(path: &Path, size: usize) -> File {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
    let file = file.expect("a file");
    let ones = vec![1; 1 << 20];
    for offset in (0..size).step_by(ones.len()) {
        file.write_all_at(&ones, offset as u64).expect("room on the disk");
    }
    file.sync_all().expect("a sync");
    file
}

/// A file that is overwritten from beginning to end, again and again.
#[derive(Debug)]
pub struct BareDisk {
    file: File,
    offset: usize,
    buffer: Vec<u8>,
}

impl BareDisk {
    pub fn new(directory: &Path) -> Self {
        let file = written_file(&directory.join("bare"), FILE_SIZE);
        BareDisk { file, offset: 0, buffer: vec![7; LARGE] }
    }

    /// Overwrites 4 KiB and syncs, again and again for this long, with a rest before each write.
    /// Returns the ticks that each write took.
    pub fn small_writes(&mut self, duration: Duration, rest: Duration) -> Vec<u64> {
        let begin = Instant::now();
        let mut taken = Vec::new();
        while begin.elapsed() < duration {
            std::thread::sleep(rest);
            let start = clock::now();
            self.overwrite(SMALL);
            taken.push(clock::now() - start);
        }
        taken
    }

    /// Overwrites 4 MiB and syncs, again and again for this long. Returns the bytes per second.
    pub fn sequential_rate(&mut self, duration: Duration) -> f64 {
        let begin = Instant::now();
        let mut bytes = 0;
        while begin.elapsed() < duration {
            self.overwrite(LARGE);
            bytes += LARGE;
        }
        bytes as f64 / begin.elapsed().as_secs_f64()
    }

    fn overwrite(&mut self, size: usize) {
        if self.offset + size > FILE_SIZE {
            self.offset = 0;
        }
        self.file.write_all_at(&self.buffer[..size], self.offset as u64).expect("a write");
        self.file.sync_data().expect("a sync");
        self.offset += size;
    }
}
