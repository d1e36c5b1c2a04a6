//! A thread that repeats a step during the turns of its contestant, and rests between them.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;
use std::thread::Thread;

use crate::processors::Processors;

const RESTING: u8 = 0;
const WORKING: u8 = 1;
const STOPPING: u8 = 2;

/// Runs on the processors of the workers. Stops when dropped.
pub struct Background {
    state: Arc<AtomicU8>,
    thread: Thread,
}

impl Background {
    /// Rests at first. `step` must be short: the thread goes to rest only between two steps.
    pub fn new(processors: &Processors, mut step: impl FnMut() + Send + 'static) -> Self {
        let state = Arc::new(AtomicU8::new(RESTING));
        let of_thread = Arc::clone(&state);
        let run = move || loop {
            match of_thread.load(Ordering::Acquire) {
                RESTING => std::thread::park(),
                WORKING => step(),
                _ => return,
            }
        };
        let thread = processors.on_workers(|| std::thread::spawn(run)).thread().clone();
        Background { state, thread }
    }

    pub fn work(&self) {
        self.set(WORKING);
    }

    pub fn rest(&self) {
        self.set(RESTING);
    }

    fn set(&self, state: u8) {
        self.state.store(state, Ordering::Release);
        self.thread.unpark();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.set(STOPPING);
    }
}
