//! The threads that the logs of a process share.
//!
//! There is a lane for each kind of work, each pair of filesystems and each placement. So a disk
//! that is slow or hangs delays only the logs on it, and no log runs where another one asked to
//! run. On one disk the tasks of a kind take turns, a step each: the disk does no more at once.
//!
//! A lane starts with the first task that needs it and ends when the last log has left it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Result;

use super::lane::{Lane, Seat, Task};
use super::placement::Placement;

/// What distinguishes one lane from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneKey {
    /// The kind of work done in it, and the name of its thread. Kinds do not wait for each other.
    pub name: &'static str,
    /// Devices of the WAL directory and the active directory; 0 where neither is touched.
    pub devices: [u64; 2],
    /// Where its thread runs.
    pub placement: Placement,
}

#[derive(Debug)]
struct SharedLane {
    key: LaneKey,
    lane: Lane,
    /// Memberships that have not left.
    users: usize,
}

/// All shared lanes, locked.
pub struct Lanes(MutexGuard<'static, Vec<SharedLane>>);

/// Locks the lanes. The lock is held while a lane is looked up or started, never while waiting for
/// a thread. The thread that forks holds it across the fork, so the child finds it free.
pub fn lanes() -> Lanes {
    static LANES: Mutex<Vec<SharedLane>> = Mutex::new(Vec::new());
    Lanes(LANES.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Lanes {
    /// In a forked child: forgets the lanes, whose threads run in the parent only.
    pub fn forget_in_child(&mut self) {
        std::mem::forget(std::mem::take(&mut *self.0));
    }

    fn position(&self, key: LaneKey) -> Option<usize> {
        self.0.iter().position(|shared| shared.key == key)
    }
}

/// The use of a shared lane by one task. To be given back with [`Membership::leave`]: if it is
/// dropped instead, the thread never ends.
#[derive(Debug)]
pub struct Membership(LaneKey);

/// Gives a task to the lane of this key, where it has a seat.
pub fn join(key: LaneKey, task: Box<dyn Task>) -> Result<(Membership, Arc<Seat>)> {
    let mut lanes = lanes();
    let at = match lanes.position(key) {
        Some(at) => at,
        None => {
            let lane = Lane::start(key.name, key.placement)?;
            lanes.0.push(SharedLane { key, lane, users: 0 });
            lanes.0.len() - 1
        }
    };
    debug_assert!(lanes.0.iter().filter(|lane| lane.key == key).count() == 1);
    let shared = &mut lanes.0[at];
    shared.users += 1;
    let seat = shared.lane.add(task);
    Ok((Membership(key), seat))
}

impl Membership {
    /// Gives the place back, once the task has ended. The last to leave gets the lane, to end it.
    pub fn leave(self) -> Option<Lane> {
        let mut lanes = lanes();
        // A forked child has forgotten the lanes.
        let at = lanes.position(self.0)?;
        debug_assert!(lanes.0[at].users > 0, "a lane with no users was removed");
        lanes.0[at].users -= 1;
        (lanes.0[at].users == 0).then(|| lanes.0.swap_remove(at).lane)
    }
}
