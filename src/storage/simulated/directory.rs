//! The names in a directory: as calls see them, and as the device has them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::inode::Survival;
use super::random::Random;

/// A change of names that is not synced yet.
#[derive(Debug, Clone)]
enum Change {
    Link(String, u64),
    Rename(String, String),
    Unlink(String),
}

#[derive(Debug)]
pub struct SimulatedDirectory {
    pub path: PathBuf,
    pub mode: u32,
    /// In memory: a power cut leaves nothing of it.
    pub in_memory: bool,
    pub removed: bool,
    /// Inodes by name, as calls see them.
    pub now: BTreeMap<String, u64>,
    /// Inodes by name, as the device has them.
    pub stable: BTreeMap<String, u64>,
    pending: Vec<Change>,
}

impl SimulatedDirectory {
    pub fn new(path: PathBuf, mode: u32, in_memory: bool) -> Self {
        let (now, stable) = (BTreeMap::new(), BTreeMap::new());
        let pending = Vec::new();
        SimulatedDirectory { path, mode, in_memory, removed: false, now, stable, pending }
    }

    pub fn link(&mut self, name: &str, inode: u64) {
        debug_assert!(!self.removed && !self.now.contains_key(name));
        self.change(Change::Link(name.to_owned(), inode));
    }

    /// Renames an existing file, replacing one that has the new name.
    pub fn rename(&mut self, from: &str, to: &str) {
        debug_assert!(self.now.contains_key(from));
        self.change(Change::Rename(from.to_owned(), to.to_owned()));
    }

    /// Removes an existing name.
    pub fn unlink(&mut self, name: &str) {
        debug_assert!(self.now.contains_key(name));
        self.change(Change::Unlink(name.to_owned()));
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.now, &change);
        self.pending.push(change);
    }

    /// Brings all names to the device.
    pub fn sync(&mut self) {
        self.stable.clone_from(&self.now);
        self.pending.clear();
    }

    /// The power fails. Any change may survive; one that builds on an earlier one, only if that
    /// survives too.
    pub fn cut_power(&mut self, survival: Survival, random: &mut Random) {
        let mut lost = BTreeSet::new();
        for change in std::mem::take(&mut self.pending) {
            let names = names_of(&change);
            let builds_on_lost = names.iter().any(|name| lost.contains(name));
            let survives = match survival {
                Survival::None => false,
                Survival::All => true,
                Survival::Sectors => random.coin(),
            };
            if survives && !builds_on_lost {
                apply(&mut self.stable, &change);
            } else {
                lost.extend(names);
            }
        }
        self.now.clone_from(&self.stable);
    }
}

fn apply(names: &mut BTreeMap<String, u64>, change: &Change) {
    match change {
        Change::Link(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        Change::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
        Change::Unlink(name) => {
            names.remove(name);
        }
    }
}

fn names_of(change: &Change) -> Vec<String> {
    match change {
        Change::Link(name, _) | Change::Unlink(name) => vec![name.clone()],
        Change::Rename(from, to) => vec![from.clone(), to.clone()],
    }
}
