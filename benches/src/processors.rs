//! Which processor runs what. The append thread is pinned to a processor that does not handle the
//! interrupts of the disk. All other threads of a contestant run on the remaining processors.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

#[derive(Debug, Clone)]
pub struct Processors {
    /// The processor of the append thread.
    pub append: usize,
    /// The processors of all other threads; the same one if the machine has no other.
    pub workers: Vec<usize>,
    /// The processor that handles the interrupts of the disk.
    pub disk_interrupts: Option<usize>,
}

impl Processors {
    /// Finds out which processor the disk interrupts, by 200 durable writes in this directory.
    pub fn choose(directory: &Path) -> Processors {
        let before = interrupts();
        let path = directory.join("interrupts.tmp");
        let file =
            OpenOptions::new().create(true).write(true).truncate(true).open(&path).expect("a file");
        for round in 0..200_u64 {
            file.write_all_at(&round.to_le_bytes(), round * 4096).expect("a write");
            file.sync_data().expect("a sync");
        }
        let _ = fs::remove_file(&path);
        let line = busiest(&before, &interrupts());
        let disk_interrupts = line.and_then(|counts| {
            let most = counts.iter().max().copied()?;
            counts.iter().position(|&count| count == most && most > 0)
        });
        let online = online();
        let append = (0..online).rev().find(|&cpu| Some(cpu) != disk_interrupts).unwrap_or(0);
        let mut workers: Vec<usize> = (0..online).filter(|&cpu| cpu != append).collect();
        if workers.is_empty() {
            workers.push(append);
        }
        Processors { append, workers, disk_interrupts }
    }

    /// Runs this on the processors of the workers. Threads that it starts stay there.
    pub fn on_workers<T>(&self, run: impl FnOnce() -> T) -> T {
        pin(&self.workers);
        let result = run();
        pin(&[self.append]);
        result
    }

    /// Runs this on all processors. Threads that it starts stay there.
    pub fn on_all<T>(&self, run: impl FnOnce() -> T) -> T {
        pin(&(0..online()).collect::<Vec<_>>());
        let result = run();
        pin(&[self.append]);
        result
    }

    /// Pins this thread to the processor of the append thread.
    pub fn pin_append_thread(&self) {
        pin(&[self.append]);
    }

    /// Pins this thread to the processors of the workers.
    pub fn pin_worker(&self) {
        pin(&self.workers);
    }
}

/// How many processors are online, including those that this thread may not use.
pub fn online() -> usize {
    // SAFETY: sysconf(3) only reads.
    let online = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(online).unwrap_or(1).max(1)
}

fn pin(processors: &[usize]) {
    // SAFETY: a zeroed set is empty; the calls write and read this set only.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for &processor in processors {
            libc::CPU_SET(processor, &mut set);
        }
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

/// The interrupts so far by line and processor, from the numbered lines of `/proc/interrupts`.
fn interrupts() -> Vec<Vec<u64>> {
    let text = fs::read_to_string("/proc/interrupts").unwrap_or_default();
    let processors = text.lines().next().unwrap_or("").split_whitespace().count();
    let numbered =
        text.lines().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    numbered
        .map(|line| {
            let counts = line.split_whitespace().skip(1).take(processors);
            counts.map(|count| count.parse().unwrap_or(0)).collect()
        })
        .collect()
}

/// The rise on each processor of the line that rose most.
fn busiest(before: &[Vec<u64>], after: &[Vec<u64>]) -> Option<Vec<u64>> {
    let rises = before.iter().zip(after).map(|(before, after)| {
        before.iter().zip(after).map(|(b, a)| a.saturating_sub(*b)).collect::<Vec<u64>>()
    });
    rises.max_by_key(|rise| rise.iter().sum::<u64>())
}
