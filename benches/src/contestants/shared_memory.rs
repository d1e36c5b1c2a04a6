//! A prefaulted shared mapping, in `/dev/shm` or of a file on the disk.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// A mapping, which is never unmapped.
#[derive(Debug)]
pub struct SharedMemory {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: plain memory, which only the owner of the value writes.
unsafe impl Send for SharedMemory {}

impl SharedMemory {
    /// Maps a new file in `/dev/shm` and removes its name.
    pub fn new(size: usize) -> Self {
        let path = format!("/dev/shm/flashstrike-bench-{}-{size}", std::process::id());
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.expect("a file in /dev/shm");
        std::fs::remove_file(&path).expect("the file made just now");
        file.set_len(size as u64).expect("room in /dev/shm");
        Self::of(&file, size)
    }

    /// Maps the first `size` bytes of this file, and writes all of them.
    pub fn of(file: &File, size: usize) -> Self {
        let memory = Self::shared(file, size);
        // MAP_POPULATE maps shared pages for reading only, and the first write would still fault.
        // SAFETY: the whole mapping, which nobody else has yet.
        unsafe { memory.start.as_ptr().write_bytes(1, size) };
        memory
    }

    /// Maps the first `size` bytes of a file that another process has filled.
    pub fn shared(file: &File, size: usize) -> Self {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a new mapping, anywhere; the file is as long as `size`.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), size, protection, flags, file.as_raw_fd(), 0)
        };
        assert_ne!(start, libc::MAP_FAILED, "a mapping of {size} bytes");
        SharedMemory { start: NonNull::new(start.cast()).expect("not at address 0"), size }
    }

    pub fn size(&self) -> usize {
        self.size
    }

    #[inline(always)]
    pub fn at(&mut self, offset: usize) -> *mut u8 {
        debug_assert!(offset < self.size);
        self.start.as_ptr().wrapping_add(offset)
    }
}
