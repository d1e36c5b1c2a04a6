//! A file, mapped to be read.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::NonNull;

pub struct Mapped {
    start: NonNull<u8>,
    size: usize,
}

impl Mapped {
    /// Maps all of a file. Pages are mapped as they are read.
    pub fn open(path: &Path) -> Mapped {
        let file = File::open(path).expect("a file to map");
        let size = file.metadata().expect("its size").len() as usize;
        let (protection, flags) = (libc::PROT_READ, libc::MAP_PRIVATE);
        // SAFETY: a new mapping of a file that is as long as this and that nobody changes.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), size, protection, flags, file.as_raw_fd(), 0)
        };
        assert_ne!(start, libc::MAP_FAILED, "a mapping of {size} bytes");
        Mapped { start: NonNull::new(start.cast()).expect("not at address 0"), size }
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the whole mapping, as long as it exists.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.size) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, which nobody borrows any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}
