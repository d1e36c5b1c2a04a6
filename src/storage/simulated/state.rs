//! What all handles share: directories, files, locks, faults, and which boot and process it is.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::directory::SimulatedDirectory;
use super::fault::{Call, Crash, Fault};
use super::inode::{DiskFile, Inode, Survival};
use super::random::Random;
use crate::error::{Error, Result};

/// The root on disk.
pub const DISK: &str = "/disk";
/// The root in memory.
pub const MEMORY: &str = "/memory";

/// What can be locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lockable {
    /// A file, by its inode.
    File(u64),
    /// A directory, by its index.
    Directory(usize),
}

#[derive(Debug)]
pub struct State {
    pub random: Random,
    /// Counts boots.
    pub boot: u64,
    /// Counts processes: handles of earlier ones fail.
    pub process: u64,
    pub directories: Vec<SimulatedDirectory>,
    pub inodes: BTreeMap<u64, Inode>,
    pub next_inode: u64,
    /// By handle: what is locked, and whether exclusively.
    pub locks: BTreeMap<u64, (Lockable, bool)>,
    next_handle: u64,
    pub faults: Vec<Fault>,
    pub crash_at: Option<(u64, Crash)>,
    pub disk_limit: Option<u64>,
    pub memory_limit: Option<u64>,
}

impl State {
    pub fn new(seed: u64) -> Self {
        let root = |path: &str, in_memory| SimulatedDirectory::new(path.into(), 0o755, in_memory);
        State {
            random: Random::new(seed),
            boot: 1,
            process: 1,
            directories: vec![root(DISK, false), root(MEMORY, true)],
            inodes: BTreeMap::new(),
            next_inode: 1,
            locks: BTreeMap::new(),
            next_handle: 0,
            faults: Vec::new(),
            crash_at: None,
            disk_limit: None,
            memory_limit: None,
        }
    }

    pub fn crash(&mut self, crash: Crash) {
        self.process += 1;
        self.locks.clear();
        self.crash_at = None;
        if let Crash::PowerCut { seed } = crash {
            self.cut_power(seed);
        }
    }

    fn cut_power(&mut self, seed: u64) {
        self.boot += 1;
        let mut random = Random::new(seed);
        let whole = match random.below(4) {
            0 => Some(Survival::None),
            1 => Some(Survival::All),
            _ => None,
        };
        for directory in &mut self.directories {
            if directory.in_memory {
                directory.now.clear();
                directory.removed |= directory.path != Path::new(MEMORY);
            } else {
                directory.cut_power(whole.unwrap_or_else(|| survival(&mut random)), &mut random);
            }
        }
        let named = |inode: &u64| {
            self.directories.iter().any(|directory| directory.now.values().any(|i| i == inode))
        };
        let gone: Vec<u64> = self.inodes.keys().copied().filter(|inode| !named(inode)).collect();
        for inode in gone {
            self.inodes.remove(&inode);
        }
        for inode in self.inodes.values_mut() {
            if let Inode::Disk(file) = inode {
                file.cut_power(whole.unwrap_or_else(|| survival(&mut random)), &mut random);
            }
        }
    }

    /// Begins a call. It fails if its process is dead or a fault is planned, and ends the process
    /// if a crash is planned.
    pub fn call(&mut self, process: u64, call: Call, path: &Path) -> Result<()> {
        if process != self.process {
            return Err(failed(call, path, libc::EBADF));
        }
        if let Some((nth, crash)) = &mut self.crash_at {
            debug_assert!(*nth > 0);
            *nth -= 1;
            if *nth == 0 {
                let crash = *crash;
                self.crash(crash);
                return Err(failed(call, path, libc::EBADF));
            }
        }
        for fault in self.faults.iter_mut().filter(|fault| fault.call == call) {
            fault.nth = fault.nth.saturating_sub(1);
        }
        let is_now = |fault: &Fault| fault.call == call && fault.nth == 0;
        let Some(now) = self.faults.iter().position(is_now) else {
            return Ok(());
        };
        Err(failed(call, path, self.faults.swap_remove(now).errno))
    }

    pub fn new_handle(&mut self) -> u64 {
        self.next_handle += 1;
        self.next_handle
    }

    /// Locks something for a handle, unless another handle's lock forbids it.
    pub fn lock(&mut self, handle: u64, what: Lockable, exclusive: bool) -> bool {
        let blocks = |(&other, &(locked, alone)): (&u64, &(Lockable, bool))| {
            other != handle && locked == what && (alone || exclusive)
        };
        let free = !self.locks.iter().any(blocks);
        if free {
            self.locks.insert(handle, (what, exclusive));
        }
        free
    }

    pub fn find(&self, path: &Path) -> Option<usize> {
        self.directories.iter().position(|found| !found.removed && found.path == path)
    }

    pub fn make_directory(&mut self, path: PathBuf, mode: u32) {
        debug_assert!(self.find(&path).is_none());
        let in_memory = path.starts_with(MEMORY);
        self.directories.push(SimulatedDirectory::new(path, mode, in_memory));
    }

    pub fn make_file(&mut self, directory: usize, name: &str) -> u64 {
        let inode = self.next_inode;
        self.next_inode += 1;
        let content = if self.directories[directory].in_memory {
            Inode::Bytes(Vec::new())
        } else {
            Inode::Disk(DiskFile::default())
        };
        self.inodes.insert(inode, content);
        self.directories[directory].link(name, inode);
        inode
    }

    pub fn used(&self, root: &Path) -> u64 {
        let below = self.directories.iter().filter(|d| !d.removed && d.path.starts_with(root));
        let inodes = below.flat_map(|directory| directory.now.values());
        inodes.filter_map(|inode| self.inodes.get(inode)).map(|inode| inode.size() as u64).sum()
    }

    pub fn available(&self, in_memory: bool) -> u64 {
        let root = if in_memory { MEMORY } else { DISK };
        self.total(in_memory).saturating_sub(self.used(Path::new(root)))
    }

    pub fn total(&self, in_memory: bool) -> u64 {
        let limit = if in_memory { self.memory_limit } else { self.disk_limit };
        limit.unwrap_or(u64::MAX >> 1)
    }

    /// Fails if there is no room for a file to become `size` bytes long.
    pub fn reserve(&mut self, inode: u64, size: usize) -> io::Result<()> {
        let Some(content) = self.inodes.get(&inode) else {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        };
        let more = size.saturating_sub(content.size()) as u64;
        if more > 0 && more > self.available(!matches!(content, Inode::Disk(_))) {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        Ok(())
    }
}

/// What survives of one file or directory, when that is decided for each.
fn survival(random: &mut Random) -> Survival {
    match random.below(4) {
        0 => Survival::None,
        1 => Survival::All,
        _ => Survival::Sectors,
    }
}

pub fn failed(call: Call, path: &Path, errno: i32) -> Error {
    let what = format_args!("simulated {call:?} {}", path.display());
    Error::io(what, &io::Error::from_raw_os_error(errno))
}
