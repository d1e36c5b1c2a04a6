//! The machine: processes start and end on it, and calls are made to fail.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fault::{Crash, Fault};
use super::handles::SimulatedStorage;
use super::state::State;

/// A machine with a file system. Clones are the same machine.
#[derive(Debug, Clone)]
pub struct Machine {
    shared: Arc<Mutex<State>>,
}

impl Machine {
    /// An empty machine. Everything left to chance follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Machine { shared: Arc::new(Mutex::new(State::new(seed))) }
    }

    /// The file system as the current process sees it. After the end of that, every call fails.
    pub fn process(&self) -> SimulatedStorage {
        SimulatedStorage { shared: Arc::clone(&self.shared), process: self.state().process }
    }

    /// Ends the process, now.
    pub fn crash(&self, crash: Crash) {
        self.state().crash(crash);
    }

    /// Ends the process at the `nth` call from now on, counted from 1, before it does anything.
    pub fn crash_at(&self, nth: u64, crash: Crash) {
        debug_assert!(nth > 0);
        self.state().crash_at = Some((nth, crash));
    }

    /// Makes a call fail. Many may be planned; of two that are due at the same call, the second
    /// fails the next one.
    pub fn plan(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// How many planned faults are still to come.
    pub fn planned(&self) -> usize {
        self.state().faults.len()
    }

    /// Cancels all faults and crashes that were planned. Returns whether there were any.
    pub fn forgive(&self) -> bool {
        let mut state = self.state();
        let left = !state.faults.is_empty() || state.crash_at.is_some();
        state.faults.clear();
        state.crash_at = None;
        left
    }

    /// Limits the bytes on disk and in memory; `None` = no limit.
    pub fn limit(&self, disk: Option<u64>, memory: Option<u64>) {
        let mut state = self.state();
        state.disk_limit = disk;
        state.memory_limit = memory;
    }

    /// Bytes in use under a root.
    pub fn used(&self, root: &str) -> u64 {
        self.state().used(Path::new(root))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
