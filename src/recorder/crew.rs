//! The workers of one log together: on threads, or stepped by hand in a simulation.

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;

use super::lane::{Lane, Task};
use super::log::Log;
use super::meta_coordinator::MetaCoordinator;
use super::persister::Persister;
use super::placement::Placement;
use super::pool::{self, Key, Kind, Membership};
use super::segment_freezer::SegmentFreezer;
use super::segment_maintainer::SegmentMaintainer;
use super::segment_preparer::SegmentPreparer;
use super::wake::Signal;
use super::watcher::Watcher;
use super::worker::{LogTask, Step, Worker};

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
#[derive(Debug)]
pub struct Crew {
    log: Arc<Log>,
    persister: Persister,
    preparer: SegmentPreparer,
    maintainer: SegmentMaintainer,
    freezer: SegmentFreezer,
    coordinator: MetaCoordinator,
}

impl Crew {
    pub(super) fn new(
        log: &Arc<Log>,
        persister: Persister,
        preparer: SegmentPreparer,
        maintainer: SegmentMaintainer,
    ) -> Self {
        Crew {
            persister,
            preparer,
            maintainer,
            freezer: SegmentFreezer::new(Arc::clone(log)),
            coordinator: MetaCoordinator::new(Arc::clone(log)),
            log: Arc::clone(log),
        }
    }

    /// Lets one worker do a step of its work. A failure poisons the log.
    pub fn step(&mut self, role: Role) -> Result<Step> {
        self.step_of(role, false)
    }

    fn step_of(&mut self, role: Role, stopping: bool) -> Result<Step> {
        self.log.poison().check_failed()?;
        let stepped = match role {
            Role::Persister => self.persister.step(stopping),
            Role::Preparer => self.preparer.step(stopping),
            Role::Maintainer => self.maintainer.step(stopping),
            Role::Freezer => self.freezer.step(stopping),
            Role::Coordinator => self.coordinator.step(stopping),
        };
        stepped.inspect_err(|error| self.log.fail(error))
    }

    /// Lets all finish what there is to do, as [`Threads::stop`] does.
    pub(super) fn finish(mut self) {
        let mut working = Role::ALL.to_vec();
        while let Some(&first) = working.first() {
            for role in working.clone() {
                match self.step_of(role, role == first) {
                    Ok(Step::Done) => working.retain(|other| *other != role),
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        }
    }

    /// Gives every worker a thread: the persister one of its own, the others a share of the pool's.
    pub(super) fn start(self) -> Result<Threads> {
        let log = self.log;
        let devices = [log.wal.status()?.dev, log.active.status()?.dev];
        let placement = Placement::of_workers(log.config());
        let own = |kind| Key { kind, devices, placement };
        let freeze = Key { placement: placement.last(), ..own(Kind::Freeze) };
        let watch = Key { devices: [0; 2], ..own(Kind::Watch) };
        let watcher = Watcher::new(Arc::clone(&log));
        let mut threads = Threads { log: Arc::clone(&log), running: Vec::new() };
        let started = threads
            .start(self.persister)
            .and_then(|()| threads.join(own(Kind::Prepare), self.preparer))
            .and_then(|()| threads.join(own(Kind::Maintain), self.maintainer))
            .and_then(|()| threads.join(freeze, self.freezer))
            .and_then(|()| threads.join(own(Kind::Maintain), self.coordinator))
            .and_then(|()| threads.join(watch, watcher));
        match started {
            Ok(()) => Ok(threads),
            Err(error) => {
                // Or those that run would wait for what the others were to do.
                threads.log.fail(&error);
                threads.stop();
                Err(error)
            }
        }
    }
}

/// The workers of a log while threads run them.
#[derive(Debug)]
pub struct Threads {
    log: Arc<Log>,
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
    fn start<W: Worker>(&mut self, worker: W) -> Result<()> {
        let name = persister_name(self.log.wal.path());
        let lane = Lane::start(&name, Placement::of_persister(self.log.config()))?;
        let task = LogTask::new(&self.log, worker);
        let signal = Arc::clone(task.signal());
        lane.add(Box::new(task));
        self.running.push(Placed { signal, place: Place::Own(lane) });
        Ok(())
    }

    fn join<W: Worker>(&mut self, key: Key, worker: W) -> Result<()> {
        let task = LogTask::new(&self.log, worker);
        let signal = Arc::clone(task.signal());
        let place = Place::Shared(pool::join(key, Box::new(task))?);
        self.running.push(Placed { signal, place });
        Ok(())
    }

    /// Lets all finish what there is to do, one after the other, while those of other logs go on.
    /// Ends the threads that no other log needs.
    pub(super) fn stop(self) {
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
