//! A simulated file system, with power cuts and failing calls: it tests everything above the
//! storage traits in thousands of cases a second.
//!
//! There are two roots: [`DISK`], and [`MEMORY`] in place of `/dev/shm`. What was written to the
//! disk and not synced may survive a power cut or not: every write, in any order, torn into
//! 512-byte sectors, and every change of a name. What is in memory survives the death of a process
//! and never a power cut. From top to bottom: `handles` (the traits), `state` (what all handles
//! share), `directory` (names), `inode` (content).

mod directory;
mod handles;
mod inode;
mod state;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use state::State;

/// The root on disk.
pub const DISK: &str = "/disk";
/// The root in memory.
pub const MEMORY: &str = "/memory";

/// Calls that can be made to fail, as the traits name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// `Storage::open_directory`
    OpenDirectory,
    /// `Storage::create_directory`, `create_directories`
    CreateDirectory,
    /// `Storage::remove_directory`
    RemoveDirectory,
    /// `Directory::list`
    List,
    /// `Directory::open` of an existing file
    Open,
    /// `Directory::open` of a new file
    Create,
    /// `Directory::rename`
    Rename,
    /// `Directory::remove`
    Remove,
    /// `Directory::sync`
    SyncNames,
    /// `Directory::status`
    Status,
    /// `Directory::lock`, `File::try_lock_exclusive`, `try_lock_shared`
    Lock,
    /// `File::size`, `inode`
    Stat,
    /// `File::read_at`
    Read,
    /// `File::write_at`
    Write,
    /// `File::allocate`
    Allocate,
    /// `File::sync`
    Sync,
    /// `File::map`
    Map,
}

impl Call {
    /// Every one.
    pub const ALL: [Call; 17] = [
        Call::OpenDirectory,
        Call::CreateDirectory,
        Call::RemoveDirectory,
        Call::List,
        Call::Open,
        Call::Create,
        Call::Rename,
        Call::Remove,
        Call::SyncNames,
        Call::Status,
        Call::Lock,
        Call::Stat,
        Call::Read,
        Call::Write,
        Call::Allocate,
        Call::Sync,
        Call::Map,
    ];
}

/// A call that will fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which kind.
    pub call: Call,
    /// Which one of that kind from now on, counted from 1.
    pub nth: u64,
    /// The error it fails with.
    pub errno: i32,
}

/// What ends a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// It is killed: its locks are gone, and its handles fail from now on.
    Kill,
    /// The power fails and comes back: memory is empty, and the disk has what was synced and what
    /// the seed chooses of the rest.
    PowerCut {
        /// Chooses what survives.
        seed: u64,
    },
}

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

/// The file system of one process.
#[derive(Debug, Clone)]
pub struct SimulatedStorage {
    shared: Arc<Mutex<State>>,
    process: u64,
}

/// A small random number generator (xorshift): the same seed gives the same numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        // Mixed, or neighbouring seeds would give similar sequences. Never 0, which would stay 0.
        let mixed = (seed ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        Random((mixed ^ mixed >> 31) | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        (self.number() >> 16) % limit
    }

    /// Heads or tails.
    pub fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}
