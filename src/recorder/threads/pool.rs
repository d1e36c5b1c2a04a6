//! The threads that the logs of a process share.
//!
//! There is a lane for each kind of work, on each pair of filesystems, with each placement. A disk
//! that is slow, or hangs, so holds up no other logs than those that are on it, and what one log
//! asks for its threads is never what another one gets. On one disk the tasks of a kind take turns,
//! a step each: the disk would not do more at a time.
//!
//! A lane begins with the first task that needs it and ends with the last log that has one in it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Result;

use super::lane::{Lane, Task};
use super::placement::Placement;

/// Kinds of work that must not wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Making segments ready: the writer may be waiting.
    Prepare,
    /// Closing, expiring, meta: nobody waits.
    Maintain,
    /// Compressing: takes long, and gives way to all else.
    Freeze,
    /// Looking at idle logs for their persisters. Never touches a disk.
    Watch,
}

impl Kind {
    /// Its thread's name.
    fn name(self) -> &'static str {
        match self {
            Kind::Prepare => "wal-preparer",
            Kind::Maintain => "wal-maintainer",
            Kind::Freeze => "wal-freezer",
            Kind::Watch => "wal-watcher",
        }
    }
}

/// What lanes are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// What is done in it.
    pub kind: Kind,
    /// Filesystems of the WAL directory and the active directory; 0 where none is touched.
    pub devices: [u64; 2],
    /// Where its thread runs.
    pub placement: Placement,
}

#[derive(Debug)]
struct Shared {
    key: Key,
    lane: Lane,
    users: usize,
}

/// The lanes there are, locked.
pub struct Lanes(MutexGuard<'static, Vec<Shared>>);

/// Locks the lanes. Held only while one is looked up or started, never while a thread is waited
/// for, and across a fork by the thread that forks: the child finds the lock free.
pub fn lanes() -> Lanes {
    static LANES: Mutex<Vec<Shared>> = Mutex::new(Vec::new());
    Lanes(LANES.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Lanes {
    /// In a forked child: the threads are the parent's, and there are none here.
    pub fn forget_in_child(&mut self) {
        std::mem::forget(std::mem::take(&mut *self.0));
    }

    fn place(&self, key: Key) -> Option<usize> {
        self.0.iter().position(|shared| shared.key == key)
    }
}

/// A place in a shared lane. Dropped without leaving it, the thread stays.
#[derive(Debug)]
pub struct Membership(Key);

/// Gives a task to the lane of this key.
pub fn join(key: Key, task: Box<dyn Task>) -> Result<Membership> {
    let mut lanes = lanes();
    let at = match lanes.place(key) {
        Some(at) => at,
        None => {
            let lane = Lane::start(key.kind.name(), key.placement)?;
            lanes.0.push(Shared { key, lane, users: 0 });
            lanes.0.len() - 1
        }
    };
    let shared = &mut lanes.0[at];
    shared.users += 1;
    shared.lane.add(task);
    Ok(Membership(key))
}

impl Membership {
    /// When what runs there has ended. The last one to leave waits for the end of the thread.
    pub fn leave(self) {
        let mut lanes = lanes();
        let Some(at) = lanes.place(self.0) else { return };
        lanes.0[at].users -= 1;
        if lanes.0[at].users == 0 {
            let last = lanes.0.swap_remove(at);
            drop(lanes);
            last.lane.end();
        }
    }
}
