//! Where and how a thread runs: processors, priority, name.

use std::thread::JoinHandle;

use rustix::process::setpriority_process;
use rustix::thread::{gettid, sched_getaffinity, sched_setaffinity, CpuSet};

use crate::config::Config;
use crate::error::{Cause, Error, Result};

/// Processors and priority of a thread. A zero leaves what it inherits from the opening thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Placement {
    /// A bit for each processor it may run on.
    pub cpus: u64,
    /// Its nice value.
    pub nice: i32,
}

impl Placement {
    /// Of the thread that a log has to itself.
    pub fn of_persister(config: &Config) -> Self {
        Placement { cpus: config.persister_cpus, nice: config.worker_nice }
    }

    /// Of the threads that logs share.
    pub fn of_workers(config: &Config) -> Self {
        Placement { cpus: config.worker_cpus, nice: config.worker_nice }
    }

    /// The same with the lowest priority there is: compression gives way to everything else.
    pub fn last(self) -> Self {
        Placement { nice: 19, ..self }
    }

    /// Starts a thread with this placement.
    pub fn spawn(self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
        let body = move || {
            // `check` tried it at open. Some containers refuse compression its low priority, which
            // only makes it compete more.
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
        if self.cpus != 0 {
            let wanted = cpu_set(self.cpus);
            // The kernel accepts a set of which only a part exists, and uses that part.
            sched_setaffinity(None, &wanted)
                .and_then(|()| sched_getaffinity(None))
                .and_then(|got| (got == wanted).then_some(()).ok_or(rustix::io::Errno::INVAL))
                .map_err(|errno| {
                    let what = format!("config.{cpus_field} is {:#x}", self.cpus);
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

/// Refuses a placement that the threads of a log could not have, naming the field. It is tried on a
/// thread of its own: what is allowed depends on the machine, the container and the user.
pub fn check(config: &Config) -> Result<()> {
    let places = [
        ("persister_cpus", Placement::of_persister(config)),
        ("worker_cpus", Placement::of_workers(config)),
    ];
    for (field, place) in places.into_iter().filter(|(_, place)| *place != Placement::default()) {
        std::thread::Builder::new()
            .spawn(move || place.take(field))
            .map_err(|error| Error::io("start worker", &error))?
            .join()
            .unwrap_or_else(|_| Err(Error::new(Cause::Internal, "defect: placement panicked")))?;
    }
    Ok(())
}

fn cpu_set(mask: u64) -> CpuSet {
    const { assert!(CpuSet::MAX_CPU >= 64) };
    let mut set = CpuSet::new();
    (0..64).filter(|cpu| mask >> cpu & 1 == 1).for_each(|cpu| set.set(cpu));
    set
}
