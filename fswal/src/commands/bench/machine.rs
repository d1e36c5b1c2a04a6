//! The processors, and what the host of a virtual machine takes back: time, and memory.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::thread::{sched_getaffinity, sched_setaffinity, CpuSet};
use serde::Serialize;

use crate::failure::Outcome;

use super::interrupts::Served;
use super::scratch::Interrupt;

/// The processors that this process may use.
pub struct Processors(Vec<usize>);

impl Processors {
    pub fn allowed() -> Outcome<Self> {
        let set = sched_getaffinity(None).map_err(std::io::Error::from)?;
        Ok(Processors((0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor)).collect()))
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The first and the last, which may be the same.
    pub fn ends(&self) -> Vec<usize> {
        let mut ends: Vec<_> = self.0.first().into_iter().chain(self.0.last()).copied().collect();
        ends.dedup();
        ends
    }

    /// Where an engine's thread is to run: not where the disk's interrupts are.
    pub fn for_engine(&self, served: Served) -> usize {
        let is_quiet = |processor: &&usize| served != Served::On(**processor);
        self.0.iter().rev().find(is_quiet).or(self.0.last()).copied().unwrap_or(0)
    }

    /// Lets this thread run on any of them again.
    pub fn unpin(&self) -> Outcome<()> {
        run_on(&self.0)
    }
}

/// Lets this thread run on this processor only.
pub fn pin(processor: usize) -> Outcome<()> {
    run_on(&[processor])
}

fn run_on(processors: &[usize]) -> Outcome<()> {
    let mut set = CpuSet::new();
    processors.iter().for_each(|processor| set.set(*processor));
    Ok(sched_setaffinity(None, &set).map_err(std::io::Error::from)?)
}

/// What the host took.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Host {
    /// Of the processors' time while the bench ran.
    pub steal_percent: f64,
    /// Times that a spinning thread did not run, for longer than 10 µs.
    pub pauses_per_second: f64,
    pub longest_pause_ns: u64,
    pub paused_percent: f64,
    /// Pages that were gone after they were left alone for a few seconds.
    pub memory_taken_percent: f64,
}

/// Processor time so far, from the first line of /proc/stat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessorTime {
    all: u64,
    steal: u64,
}

impl ProcessorTime {
    pub fn now() -> Self {
        let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        Self::in_text(&text).unwrap_or_default()
    }

    fn in_text(text: &str) -> Option<Self> {
        // user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in these.
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let times: Option<Vec<u64>> =
            line.split_whitespace().take(8).map(|time| time.parse().ok()).collect();
        let times = times.filter(|times| times.len() == 8)?;
        Some(ProcessorTime { all: times.iter().sum(), steal: times[7] })
    }

    pub fn steal_percent_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        100.0 * self.steal.saturating_sub(before.steal) as f64 / all as f64
    }
}

/// Looks at the clock without a rest, and notes when it jumps: this thread did not run then.
pub fn find_pauses(time: Duration, interrupt: &Interrupt, host: &mut Host) -> Outcome<()> {
    const PAUSE: Duration = Duration::from_micros(10);
    let begin = Instant::now();
    let (mut last, mut pauses, mut longest, mut paused) =
        (begin, 0, Duration::ZERO, Duration::ZERO);
    while last - begin < time {
        interrupt.check()?;
        let now = Instant::now();
        let gap = now - last;
        last = now;
        if gap >= PAUSE {
            pauses += 1;
            paused += gap;
            longest = longest.max(gap);
        }
    }
    let seconds = (last - begin).as_secs_f64();
    host.pauses_per_second = f64::from(pauses) / seconds;
    host.longest_pause_ns = longest.as_nanos() as u64;
    host.paused_percent = 100.0 * paused.as_secs_f64() / seconds;
    Ok(())
}

/// Memory that is left alone for a while.
pub struct Memory(Vec<u8>);

impl Memory {
    const PAGE: usize = 4096;
    const PAGES: usize = 4096;

    pub fn present() -> Self {
        let mut memory = Memory(vec![0; Self::PAGES * Self::PAGE]);
        memory.taken_percent();
        memory
    }

    /// How much of it was not there: a store had to wait until the host gave the page back.
    pub fn taken_percent(&mut self) -> f64 {
        const WAIT: Duration = Duration::from_micros(20);
        let mut taken = 0;
        for page in self.0.chunks_mut(Self::PAGE) {
            let begin = Instant::now();
            page[0] = page[0].wrapping_add(1);
            black_box(&mut *page);
            taken += u32::from(begin.elapsed() > WAIT);
        }
        100.0 * f64::from(taken) / Self::PAGES as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_runs_where_the_disk_does_not_interrupt() {
        let all = Processors(vec![2, 3, 5]);
        assert_eq!(all.for_engine(Served::On(5)), 3);
        assert_eq!(all.for_engine(Served::On(0)), 5);
        assert_eq!(all.for_engine(Served::NotKnown), 5);
        assert_eq!(Processors(vec![4]).for_engine(Served::On(4)), 4);
        assert_eq!([all.ends(), Processors(vec![4]).ends()], [vec![2, 5], vec![4]]);
    }

    #[test]
    fn steal_is_the_eighth_number() {
        let of = |text| ProcessorTime::in_text(text);
        let before = of("cpu  100 0 0 800 0 0 0 100 7 7\ncpu0 1 2\n").unwrap();
        let after = of("cpu  140 0 0 840 0 0 0 120 7 7\n").unwrap();
        assert_eq!(after.steal_percent_since(before), 20.0);
        assert_eq!(before.steal_percent_since(before), 0.0);
        assert_eq!([of(""), of("cpu  1 2 3"), of("intr 1 2 3 4 5 6 7 8")], [None; 3]);
    }
}
