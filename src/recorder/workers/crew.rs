//! All workers of one log: on threads, or stepped by hand in a simulation. Both step the same tasks
//! in the same way, so a simulated history tests what a log runs.

use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::error::Result;

use super::meta_coordinator::MetaCoordinator;
use super::persister::Persister;
use super::segment_freezer::SegmentFreezer;
use super::segment_maintainer::SegmentMaintainer;
use super::segment_preparer::SegmentPreparer;
use super::watcher::Watcher;
use super::worker::task;
use crate::recorder::log::{Log, MOST_FREEZERS};
use crate::recorder::threads::{finish, join, Lane, LaneKey, Membership, Placement, Placements};
use crate::recorder::threads::{Running, Seat, Step, Task};

/// The names of the freezers and their threads.
const FREEZERS: [&str; MOST_FREEZERS] =
    ["wal-freezer", "wal-freezer-2", "wal-freezer-3", "wal-freezer-4"];

/// While one waits for the disk, another one computes.
const FREEZERS_PER_PROCESSOR: usize = 2;

/// Which worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Seals, writes, syncs, moves the watermark.
    Persister,
    /// Prepares segments.
    Preparer,
    /// Closes, expires, recycles.
    Maintainer,
    /// Compresses: one of several, numbered from 0.
    Freezer(u8),
    /// Persists the watermark's MetaState.
    Coordinator,
    /// Wakes the persister of an idle log.
    Watcher,
}

/// So many of [`Role::ALL`], the first ones, hand on to the next; the rest do not.
const HANDING_ON: usize = 3;

impl Role {
    /// All of them, in the order they are stopped in: what one hands on, a later one still takes.
    /// The maintainer waits a while for the freezers, which then leave what they are at.
    pub const ALL: [Role; 5 + MOST_FREEZERS] = [
        Role::Persister,
        Role::Preparer,
        Role::Maintainer,
        Role::Freezer(0),
        Role::Freezer(1),
        Role::Freezer(2),
        Role::Freezer(3),
        Role::Coordinator,
        Role::Watcher,
    ];
}

/// The workers of a log while no thread runs them.
pub struct Crew {
    log: Arc<Log>,
    placements: Placements,
    /// Those that have not ended, in the order of [`Role::ALL`].
    tasks: Vec<(Role, Running)>,
    begin: Instant,
}

impl Crew {
    /// Takes the workers that begin with what recovery left, and makes the others.
    pub fn new(
        log: &Arc<Log>,
        placements: Placements,
        persister: Persister,
        preparer: SegmentPreparer,
        maintainer: SegmentMaintainer,
    ) -> Self {
        let coordinator = MetaCoordinator::new(Arc::clone(log));
        let watcher = Watcher { log: Arc::clone(log) };
        let signals = &log.signals;
        let freezers = (0..).zip(&signals.freezers).map(|(n, signal)| {
            let freezer = SegmentFreezer::new(Arc::clone(log), Arc::clone(signal), n);
            let (name, place) = (FREEZERS[usize::from(n)], 3 + usize::from(n));
            (Role::Freezer(n), task(name, place, log, signal, freezer))
        });
        let mut tasks = vec![
            (Role::Persister, task("wal-persister", 0, log, &signals.persister, persister)),
            (Role::Preparer, task("wal-preparer", 1, log, &signals.preparer, preparer)),
            (Role::Maintainer, task("wal-maintainer", 2, log, &signals.maintainer, maintainer)),
        ];
        tasks.extend(freezers);
        tasks.extend([
            (Role::Coordinator, task("wal-meta", 7, log, &signals.coordinator, coordinator)),
            (Role::Watcher, task("wal-watcher", 8, log, &signals.watcher, watcher)),
        ]);
        debug_assert!(tasks.iter().map(|(role, _)| *role).eq(Role::ALL));
        Crew { log: Arc::clone(log), placements, tasks, begin: Instant::now() }
    }

    /// Lets one worker do a step, as a lane does. One that has ended does nothing. Returns the
    /// error that the log has failed with, if it has.
    pub fn step(&mut self, role: Role) -> Result<Step> {
        let step = self.step_task(role);
        self.log.poison().check_failed().map(|()| step)
    }

    /// Whether a lane would not step this worker now, however much time passes.
    pub fn is_asleep(&self, role: Role) -> bool {
        self.position(role).is_none_or(|at| self.tasks[at].1.is_asleep())
    }

    fn position(&self, role: Role) -> Option<usize> {
        self.tasks.iter().position(|(other, _)| *other == role)
    }

    fn step_task(&mut self, role: Role) -> Step {
        let Some(at) = self.position(role) else { return Step::Done };
        let step = self.tasks[at].1.step(self.begin);
        if step == Step::Done {
            self.tasks.remove(at);
        }
        step
    }

    /// Lets all finish what there is to do, in the order in which threads are stopped.
    pub fn finish(mut self) {
        while let Some((_, first)) = self.tasks.first() {
            first.signal().stop();
            for role in Role::ALL {
                self.step_task(role);
            }
        }
    }

    /// Puts every worker on a thread: the persister on one of its own, the others on shared lanes.
    /// Of the freezers, some for each processor that they may use.
    pub fn start(self) -> Result<Threads> {
        let Crew { log, placements, tasks, .. } = self;
        debug_assert_eq!(tasks.len(), Role::ALL.len(), "a worker has ended before it was started");
        let devices = [log.wal.status()?.dev, log.active.status()?.dev];
        let shared = |name| LaneKey { name, devices, placement: placements.workers };
        let freezers = FREEZERS_PER_PROCESSOR * placements.workers.processors();
        let mut threads = Threads::default();
        let started = tasks.into_iter().try_for_each(|(role, task)| {
            let task = task.into_task();
            let key = match role {
                Role::Persister => {
                    let name = persister_name(log.wal.path());
                    return threads.start_alone(&name, placements.persister, task);
                }
                // The writer may be waiting for a segment.
                Role::Preparer => shared("wal-preparer"),
                // Nobody waits for these.
                Role::Maintainer | Role::Coordinator => shared("wal-maintainer"),
                // More of them would help nobody.
                Role::Freezer(n) if usize::from(n) >= freezers => return Ok(()),
                // Takes long, so it gives way to everything else.
                Role::Freezer(n) => LaneKey {
                    placement: placements.workers.last(),
                    ..shared(FREEZERS[usize::from(n)])
                },
                // Touches no disk.
                Role::Watcher => LaneKey { devices: [0; 2], ..shared("wal-watcher") },
            };
            threads.start_on(key, task)
        });
        if let Err(error) = started {
            // Otherwise those that run would wait for the ones that do not.
            log.fail(&error);
            threads.stop();
            return Err(error);
        }
        Ok(threads)
    }
}

/// The workers of a log while threads run them.
#[derive(Debug, Default)]
pub struct Threads {
    /// In the order of [`Role::ALL`].
    seats: Vec<Arc<Seat>>,
    /// The persister's.
    own: Option<Lane>,
    shared: Vec<Membership>,
}

impl Threads {
    /// Starts a task on a lane of its own.
    fn start_alone(&mut self, name: &str, place: Placement, task: Box<dyn Task>) -> Result<()> {
        let lane = Lane::start(name, place)?;
        self.seats.push(lane.add(task));
        self.own = Some(lane);
        Ok(())
    }

    /// Starts a task on the lane of this key, which may have tasks of other logs.
    fn start_on(&mut self, key: LaneKey, task: Box<dyn Task>) -> Result<()> {
        let (membership, seat) = join(key, task)?;
        self.shared.push(membership);
        self.seats.push(seat);
        Ok(())
    }

    /// Lets all finish what there is to do, while those of other logs go on. Ends the threads that
    /// no other log needs.
    pub fn stop(self) {
        let (first, others) = self.seats.split_at(self.seats.len().min(HANDING_ON));
        // A panic of one, which is not the task's own, leaves no thread to the others.
        let ended = catch_unwind(AssertUnwindSafe(|| finish(first)));
        // Several freezers may each have a step to give up.
        others.iter().for_each(|seat| seat.stop());
        let ended = ended.and(catch_unwind(AssertUnwindSafe(|| finish(others))));
        let left = self.shared.into_iter().filter_map(Membership::leave);
        Lane::end(self.own.into_iter().chain(left).collect());
        ended.unwrap_or_else(|panic| resume_unwind(panic));
    }
}

/// The thread's name: as much of the directory's name as fits into the kernel's 15 bytes.
fn persister_name(directory: &Path) -> String {
    const ROOM: usize = 15;
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let mut full = format!("wal-p-{name}");
    while full.len() > ROOM {
        full.pop();
    }
    debug_assert!(full.starts_with("wal-p-"));
    full
}
