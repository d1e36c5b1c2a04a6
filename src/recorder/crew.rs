//! The workers of one log together: on threads, or stepped by hand in a simulation.

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::error::Result;

use super::log::{Log, Signals};
use super::meta_coordinator::MetaCoordinator;
use super::persister::Persister;
use super::segment_freezer::SegmentFreezer;
use super::segment_maintainer::SegmentMaintainer;
use super::segment_preparer::SegmentPreparer;
use super::wake::Signal;
use super::worker::{self, Step, Worker};

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

    /// Gives every worker a thread.
    pub(super) fn start(self) -> Result<Threads> {
        let mut threads = Threads { log: self.log, running: Vec::new() };
        let started = threads
            .add(self.persister)
            .and_then(|()| threads.add(self.preparer))
            .and_then(|()| threads.add(self.maintainer))
            .and_then(|()| threads.add(self.freezer))
            .and_then(|()| threads.add(self.coordinator));
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

type PickSignal = fn(&Signals) -> &Signal;

/// The threads of a log's workers.
#[derive(Debug)]
pub struct Threads {
    log: Arc<Log>,
    /// Each with what stops it, in the order they are stopped in.
    running: Vec<(PickSignal, JoinHandle<()>)>,
}

impl Threads {
    fn add<W: Worker>(&mut self, worker: W) -> Result<()> {
        let thread = worker::spawn(&self.log, worker)?;
        self.running.push((W::signal, thread));
        Ok(())
    }

    /// Lets all finish what there is to do, and ends the threads.
    pub(super) fn stop(self) {
        for (signal, thread) in self.running {
            signal(&self.log.signals).stop();
            let _ = thread.join();
        }
    }
}
