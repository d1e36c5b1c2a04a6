//! The names in a directory: as they are, and as the device knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::inode::Survival;
use super::Random;

/// A change of names that was not synced.
#[derive(Debug, Clone)]
enum Change {
    Link(String, u64),
    Rename(String, String),
    Unlink(String),
}

/// A directory.
#[derive(Debug)]
pub struct SimulatedDirectory {
    /// Where it is.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// In memory: no power cut leaves anything of it.
    pub in_memory: bool,
    /// No name leads to it any more.
    pub removed: bool,
    /// Files by name, as they are.
    pub now: BTreeMap<String, u64>,
    /// As the device has them.
    pub stable: BTreeMap<String, u64>,
    pending: Vec<Change>,
}

impl SimulatedDirectory {
    /// An empty one.
    pub fn new(path: PathBuf, mode: u32, in_memory: bool) -> Self {
        let (now, stable) = (BTreeMap::new(), BTreeMap::new());
        let pending = Vec::new();
        SimulatedDirectory { path, mode, in_memory, removed: false, now, stable, pending }
    }

    /// Gives a new file a name.
    pub fn link(&mut self, name: &str, inode: u64) {
        self.change(Change::Link(name.to_owned(), inode));
    }

    /// Renames a file that is there over whatever has the new name.
    pub fn rename(&mut self, from: &str, to: &str) {
        self.change(Change::Rename(from.to_owned(), to.to_owned()));
    }

    /// Takes a name away.
    pub fn unlink(&mut self, name: &str) {
        self.change(Change::Unlink(name.to_owned()));
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.now, &change);
        self.pending.push(change);
    }

    /// The names are on the device now.
    pub fn sync(&mut self) {
        self.stable.clone_from(&self.now);
        self.pending.clear();
    }

    /// The power fails. Of changes to different names any may survive; of changes that build on
    /// each other, a later one only if the earlier ones do.
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
