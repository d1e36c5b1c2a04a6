//! Files are made durable by threads of their own, while others are copied and checked: the disk
//! has something to do from the first file on, and several share a commit of the filesystem.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::failure::Outcome;

const THREADS: usize = 4;
/// Files that wait, open: so many, that copying them does not wait for a moment of the disk's.
const MOST_WAITING: usize = 64;

pub struct Syncs {
    queue: SyncSender<(PathBuf, File)>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Syncs {
    pub fn start() -> Self {
        let (queue, files) = sync_channel(MOST_WAITING);
        let files = Arc::new(Mutex::new(files));
        let threads = (0..THREADS).map(|_| {
            let files = Arc::clone(&files);
            thread::spawn(move || sync_each(&files))
        });
        Syncs { queue, threads: threads.collect() }
    }

    /// Begins to sync a file that was written.
    pub fn add(&self, path: PathBuf, file: File) {
        // Nobody takes it when all threads have failed, which is said in the end.
        let _ = self.queue.send((path, file));
    }

    /// Waits until all are synced.
    pub fn finish(self) -> Outcome<()> {
        drop(self.queue);
        for thread in self.threads {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread that syncs ended")))?;
        }
        Ok(())
    }
}

/// Ends when no more come, or with the first error.
fn sync_each(files: &Mutex<Receiver<(PathBuf, File)>>) -> io::Result<()> {
    loop {
        let next = files.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((path, file)) = next else { return Ok(()) };
        file.sync_data().map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
    }
}
