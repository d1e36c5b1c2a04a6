//! Where and how a thread runs: processors, priority, name.

use std::thread::JoinHandle;

use rustix::process::setpriority_process;
use rustix::thread::{gettid, sched_getaffinity, sched_setaffinity, CpuSet};

use crate::config::Config;
use crate::error::{Cause, Error, Result};
use crate::storage::{on_its_own_thread, Processors};

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

fn decide() -> Result<(Decided, Option<CpuSet>)> {
    Ok(match Processors::for_threads()? {
        Processors::Own => (Decided::Inherited, None),
        Processors::Beside(pinned, others) => (Decided::Beside(pinned), Some(others)),
        Processors::Only(pinned) => (Decided::Shared(pinned), None),
    })
}

fn cpu_set(mask: u64) -> CpuSet {
    const { assert!(CpuSet::MAX_CPU >= 64) };
    let mut set = CpuSet::new();
    (0..64).filter(|cpu| mask >> cpu & 1 == 1).for_each(|cpu| set.set(cpu));
    set
}
