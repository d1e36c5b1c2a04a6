//! Where and how a thread runs: processors, priority, name.

use std::thread::JoinHandle;

use rustix::process::setpriority_process;
use rustix::thread::{gettid, sched_getaffinity, sched_setaffinity, CpuSet};

use crate::config::Config;
use crate::error::{Cause, Error, Result};
use crate::storage::processors_set_apart;

/// Processors and priority of a thread. `None` and 0 leave what it inherits from the thread that
/// opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Placement {
    /// The processors it may run on.
    pub cpus: Option<CpuSet>,
    /// Its nice value.
    pub nice: i32,
}

/// Where the threads of a log run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Placements {
    /// Of the thread that a log has to itself.
    pub persister: Placement,
    /// Of the threads that logs share.
    pub workers: Placement,
    /// How that was decided.
    pub decided: Decided,
}

/// How the processors of a log's threads were decided on (G1b).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decided {
    /// They are those of the thread that opened.
    #[default]
    Inherited,
    /// The configuration says it for all of them.
    Configured,
    /// The thread that opened may use this processor only: they run on the others.
    Beside(usize),
    /// The same, but there are no others for them.
    Shared(usize),
}

impl Placement {
    fn new(cpus: u64, automatic: Option<CpuSet>, nice: i32) -> Self {
        Placement { cpus: if cpus == 0 { automatic } else { Some(cpu_set(cpus)) }, nice }
    }

    /// How many processors it has.
    pub fn processors(self) -> usize {
        let inherited = || std::thread::available_parallelism().map_or(1, usize::from);
        self.cpus.map_or_else(inherited, |cpus| cpus.count() as usize)
    }

    /// The same with the lowest priority there is: compression gives way to everything else.
    pub fn last(self) -> Self {
        Placement { nice: 19, ..self }
    }

    /// Starts a thread with this placement.
    pub fn spawn(self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
        let body = move || {
            // `Placements::of` tried it at open. Some containers refuse compression its low
            // priority, which only makes it compete more.
            let _ = self.take("cpus");
            body();
        };
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
            .map_err(|error| Error::io(format_args!("start worker {name}"), &error))
    }

    /// Applies to the calling thread. An error names the field that was refused; that of the
    /// processors is `cpus_field`.
    fn take(self, cpus_field: &str) -> Result<()> {
        if let Some(wanted) = self.cpus {
            // The kernel accepts a set of which only a part exists, and uses that part.
            sched_setaffinity(None, &wanted)
                .and_then(|()| sched_getaffinity(None))
                .and_then(|got| (got == wanted).then_some(()).ok_or(rustix::io::Errno::INVAL))
                .map_err(|errno| {
                    let mask = (0..64).filter(|cpu| wanted.is_set(*cpu)).map(|cpu| 1_u64 << cpu);
                    let what = format!("config.{cpus_field} is {:#x}", mask.sum::<u64>());
                    let message = format!("{what}: not all are available ({errno})");
                    Error::new(Cause::InvalidArgument, message)
                })?;
        }
        if self.nice != 0 {
            setpriority_process(Some(gettid()), self.nice).map_err(|errno| {
                Error::io(format_args!("config.worker_nice is {}", self.nice), &errno.into())
            })?;
        }
        Ok(())
    }
}

impl Placements {
    /// For a log that the calling thread opens. What the configuration asks for and the threads
    /// cannot have is an error that names the field.
    pub fn of(config: &Config) -> Result<Self> {
        let asked = [config.persister_cpus, config.worker_cpus];
        let (decided, automatic) = match asked {
            [0, _] | [_, 0] => decide()?,
            _ => (Decided::Configured, None),
        };
        let place = |cpus| Placement::new(cpus, automatic, config.worker_nice);
        let placements =
            Placements { persister: place(asked[0]), workers: place(asked[1]), decided };
        let tried = [
            ("persister_cpus", asked[0], placements.persister),
            ("worker_cpus", asked[1], placements.workers),
        ];
        // What is allowed depends on the machine, the container and the user.
        for (field, cpus, place) in tried {
            if cpus != 0 || place.nice != 0 {
                on_its_own_thread(move || place.take(field))??;
            }
        }
        Ok(placements)
    }
}

/// An engine that has pinned its thread before it opens wants that processor to itself: appends
/// that share it with the persister wait for it (docs/performance.md).
fn decide() -> Result<(Decided, Option<CpuSet>)> {
    let Ok(own) = sched_getaffinity(None) else { return Ok((Decided::Inherited, None)) };
    if own.count() != 1 {
        return Ok((Decided::Inherited, None));
    }
    let pinned = (0..CpuSet::MAX_CPU).find(|cpu| own.is_set(*cpu)).unwrap_or(0);
    let others = on_its_own_thread(move || others_than(pinned))?;
    Ok(match others {
        Some(others) => (Decided::Beside(pinned), Some(others)),
        None => (Decided::Shared(pinned), None),
    })
}

/// The processors of the cpuset but this one and those that are set apart. `None` = there are none.
/// Changes the affinity of the calling thread: asked for all, the kernel grants what the cpuset
/// has.
fn others_than(pinned: usize) -> Option<CpuSet> {
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|cpu| all.set(cpu));
    sched_setaffinity(None, &all).ok()?;
    let mut others = sched_getaffinity(None).ok()?;
    others.unset(pinned);
    let set_apart = processors_set_apart().into_iter().filter(|cpu| *cpu < CpuSet::MAX_CPU);
    set_apart.for_each(|cpu| others.unset(cpu));
    (others.count() > 0).then_some(others)
}

fn on_its_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    std::thread::Builder::new()
        .spawn(work)
        .map_err(|error| Error::io("start worker", &error))?
        .join()
        .map_err(|_| Error::new(Cause::Internal, "defect: placement panicked"))
}

fn cpu_set(mask: u64) -> CpuSet {
    const { assert!(CpuSet::MAX_CPU >= 64) };
    let mut set = CpuSet::new();
    (0..64).filter(|cpu| mask >> cpu & 1 == 1).for_each(|cpu| set.set(cpu));
    set
}
