//! A file system in memory that a power cut can hit, and whose calls can be made to fail: for
//! tests of everything above the storage trait, thousands of cases a second.
//!
//! Two roots exist: [`DISK`] and, as `/dev/shm` would be, [`MEMORY`]. What is written to the disk
//! and not synced may survive a power cut or not: every write, in any order, torn into 512-byte
//! sectors; so may names that were made, changed or removed. What is in memory survives the death
//! of a process and never a power cut. Reading downward: `handles` (the traits), `state` (what all
//! handles share), `directory` (names), `inode` (content).

mod directory;
mod handles;
mod inode;
mod state;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use state::State;

/// Root of what is on disk.
pub const DISK: &str = "/disk";
/// Root of what is in memory.
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
    /// `Directory::open` of what there is
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

/// A call that is going to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which kind.
    pub call: Call,
    /// Which one of that kind from now on, counted from 1.
    pub nth: u64,
    /// With what.
    pub errno: i32,
}

/// What ends a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// It is killed: its locks are gone, and the handles it had do nothing any more.
    Kill,
    /// The power fails, and comes back: memory is empty, and of what was not synced on the disk
    /// the seed decides what is there.
    PowerCut {
        /// Decides.
        seed: u64,
    },
}

/// A machine with a file system. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Machine {
    shared: Arc<Mutex<State>>,
}

impl Machine {
    /// An empty one. All that is left to chance follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Machine { shared: Arc::new(Mutex::new(State::new(seed))) }
    }

    /// The file system as the process sees it that runs now. After its end every call fails.
    pub fn process(&self) -> SimulatedStorage {
        SimulatedStorage { shared: Arc::clone(&self.shared), process: self.state().process }
    }

    /// Ends the process, now.
    pub fn crash(&self, crash: Crash) {
        self.state().crash(crash);
    }

    /// Ends the process at the `nth` call from now on, counted from 1, before it does anything.
    pub fn crash_at(&self, nth: u64, crash: Crash) {
        self.state().crash_at = Some((nth, crash));
    }

    /// Makes a call fail. Many may be planned at once; two that come up together come one by one.
    pub fn plan(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Nothing that was planned will come up any more. Returns whether something was left.
    pub fn forgive(&self) -> bool {
        let mut state = self.state();
        let left = !state.faults.is_empty() || state.crash_at.is_some();
        state.faults.clear();
        state.crash_at = None;
        left
    }

    /// Bytes the disk and memory have room for; `None` = no end.
    pub fn limit(&self, disk: Option<u64>, memory: Option<u64>) {
        let mut state = self.state();
        state.disk_limit = disk;
        state.memory_limit = memory;
    }

    /// Bytes in use below a root.
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

/// A small generator of random numbers (xorshift): the same ones for the same seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        // Seeds that follow each other must not have similar sequences, and 0 would stay 0.
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

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        (self.number() >> 16) % limit
    }

    /// Heads or tails.
    pub fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}
