//! Which processors the threads of the library run on, where nobody says it (G1b).

use rustix::thread::{sched_getaffinity, sched_setaffinity, CpuSet};

use super::special::processors_set_apart;
use crate::error::{Cause, Error, Result};

/// What there is for threads that the calling thread starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processors {
    /// Those of the calling thread, which has several or does not know.
    Own,
    /// The calling thread may use the first only: these are the others of its cpuset.
    Beside(usize, CpuSet),
    /// It may use this one only, and there are no others.
    Only(usize),
}

impl Processors {
    /// For the calling thread. One that was pinned to a processor wants that to itself: what shares
    /// it makes it wait (docs/performance.md).
    pub fn for_threads() -> Result<Self> {
        let Ok(own) = sched_getaffinity(None) else { return Ok(Processors::Own) };
        if own.count() != 1 {
            return Ok(Processors::Own);
        }
        let pinned = (0..CpuSet::MAX_CPU).find(|cpu| own.is_set(*cpu)).unwrap_or(0);
        let others = on_its_own_thread(move || others_than(pinned))?;
        Ok(others.map_or(Processors::Only(pinned), |others| Processors::Beside(pinned, others)))
    }
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

/// For what would change the calling thread.
pub fn on_its_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    std::thread::Builder::new()
        .spawn(work)
        .map_err(|error| Error::io("start worker", &error))?
        .join()
        .map_err(|_| Error::new(Cause::Internal, "defect: placement panicked"))
}
