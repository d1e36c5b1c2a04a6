//! The workers of one log together: on threads, or stepped by hand in a simulation. Either way it is
//! the same task that is stepped, so that what a test sees is what a log does.

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;

use super::meta_coordinator::MetaCoordinator;
use super::persister::Persister;
use super::segment_freezer::SegmentFreezer;
use super::segment_maintainer::SegmentMaintainer;
use super::segment_preparer::SegmentPreparer;
use super::watcher::Watcher;
use super::worker::{LogTask, Worker};
use crate::recorder::log::Log;
use crate::recorder::threads::{join, Key, Kind, Lane, Membership, Placement, Signal, Step, Task};

/// A worker's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Seals, writes, syncs, moves the watermark.
    Persister,
    /// Makes segments ready.
    Preparer,
    /// Closes, expires, recycles.
    Maintainer,
    /// Compresses.
    Freezer,
    /// Persists the watermark's MetaState.
    Coordinator,
}

impl Role {
    /// Every one, in the order they are stopped in: what one hands on, the next still takes.
    pub const ALL: [Role; 5] =
        [Role::Persister, Role::Preparer, Role::Maintainer, Role::Freezer, Role::Coordinator];
}

/// The workers of a log before they are given threads.
pub struct Crew {
    log: Arc<Log>,
    tasks: Vec<(Role, Box<dyn Task>)>,
}

fn task<W: Worker>(log: &Arc<Log>, worker: W) -> Box<dyn Task> {
    Box::new(LogTask::new(log, worker))
}

impl Crew {
    /// Takes those that have state of their own already.
    pub fn new(
        log: &Arc<Log>,
        persister: Persister,
        preparer: SegmentPreparer,
        maintainer: SegmentMaintainer,
    ) -> Self {
        let tasks = vec![
            (Role::Persister, task(log, persister)),
            (Role::Preparer, task(log, preparer)),
            (Role::Maintainer, task(log, maintainer)),
            (Role::Freezer, task(log, SegmentFreezer::new(Arc::clone(log)))),
            (Role::Coordinator, task(log, MetaCoordinator::new(Arc::clone(log)))),
        ];
        Crew { log: Arc::clone(log), tasks }
    }

    /// Lets one worker do a step of its work. A failure poisons the log.
    pub fn step(&mut self, role: Role) -> Result<Step> {
        let found = self.tasks.iter_mut().find(|(other, _)| *other == role);
        let step = found.map_or(Step::Done, |(_, task)| task.step(false));
        self.log.poison().check_failed().map(|()| step)
    }

    /// Lets all finish what there is to do, as [`Threads::stop`] does.
    pub fn finish(mut self) {
        while let Some(&(first, _)) = self.tasks.first() {
            self.tasks.retain_mut(|(role, task)| task.step(*role == first) != Step::Done);
        }
    }

    /// Gives every worker a thread: the persister one of its own, the others a share of the pool's.
    pub fn start(self) -> Result<Threads> {
        let Crew { log, tasks } = self;
        let devices = [log.wal.status()?.dev, log.active.status()?.dev];
        let placement = Placement::of_workers(&log.config);
        let shared = |kind| Key { kind, devices, placement };
        let mut threads = Threads { running: Vec::new() };
        let mut start = |key, task| threads.start(&log, key, task);
        let mut started = Ok(());
        for (role, task) in tasks {
            let key = match role {
                Role::Persister => None,
                Role::Preparer => Some(shared(Kind::Prepare)),
                Role::Maintainer | Role::Coordinator => Some(shared(Kind::Maintain)),
                Role::Freezer => Some(Key { placement: placement.last(), ..shared(Kind::Freeze) }),
            };
            started = started.and_then(|()| start(key, task));
        }
        let watch = Key { devices: [0; 2], ..shared(Kind::Watch) };
        let watcher = task(&log, Watcher::new(Arc::clone(&log)));
        match started.and_then(|()| start(Some(watch), watcher)) {
            Ok(()) => Ok(threads),
            Err(error) => {
                // Or those that run would wait for what the others were to do.
                log.fail(&error);
                threads.stop();
                Err(error)
            }
        }
    }
}

/// The workers of a log while threads run them.
#[derive(Debug)]
pub struct Threads {
    /// In the order they are stopped in.
    running: Vec<Placed>,
}

/// A worker in its lane.
#[derive(Debug)]
struct Placed {
    signal: Arc<Signal>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Own(Lane),
    Shared(Membership),
}

impl Threads {
    /// On the lane of this key; `None` = on one of its own.
    fn start(&mut self, log: &Log, key: Option<Key>, task: Box<dyn Task>) -> Result<()> {
        let signal = Arc::clone(task.signal());
        let place = match key {
            Some(key) => Place::Shared(join(key, task)?),
            None => {
                let name = persister_name(log.wal.path());
                let lane = Lane::start(&name, Placement::of_persister(&log.config))?;
                lane.add(task);
                Place::Own(lane)
            }
        };
        self.running.push(Placed { signal, place });
        Ok(())
    }

    /// Lets all finish what there is to do, one after the other, while those of other logs go on.
    /// Ends the threads that no other log needs.
    pub fn stop(self) {
        for Placed { signal, .. } in &self.running {
            signal.stop();
            signal.wait_for_end();
        }
        for Placed { place, .. } in self.running {
            match place {
                Place::Own(lane) => lane.end(),
                Place::Shared(membership) => membership.leave(),
            }
        }
    }
}
/// As much of the directory's name as the 15 bytes of a thread's name have room for.
fn persister_name(directory: &Path) -> String {
    const ROOM: usize = 15;
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let mut full = format!("wal-p-{name}");
    let end = (0..=ROOM.min(full.len())).rev().find(|end| full.is_char_boundary(*end));
    full.truncate(end.unwrap_or_default());
    full
}
