//! Who works on what is read ahead of a reader: the worker threads, and the reader's own thread
//! when it would wait otherwise. All of them take jobs from the one [queue](super::queue).
//!
//! Nobody waits for nothing: the reader waits only while another thread walks its first piece (or
//! opens its segment), which it is told the end of; a worker waits only while there is nothing to
//! do, and is told when there is. The tests show that with loom.

use std::mem;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

#[cfg(all(test, loom))]
use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, loom)))]
use std::sync::{Condvar, Mutex, MutexGuard};

use super::queue::{Done, Given, Job, Queue};
use super::work::{Opened, Work};

struct State<W: Work> {
    queue: Queue<W>,
    idle_workers: usize,
    reader_waits: bool,
    stopping: bool,
    /// A worker has ended with a panic.
    broken: bool,
}

/// What is read ahead, and who works on it.
pub struct Ahead<W: Work> {
    work: W,
    threads: usize,
    state: Mutex<State<W>>,
    /// There is something to do for a worker.
    wanted: Condvar,
    /// There may be something for the reader.
    ready: Condvar,
}

impl<W: Work> Ahead<W> {
    pub fn new(work: W, threads: usize) -> Self {
        let state = State {
            queue: Queue::new(),
            idle_workers: 0,
            reader_waits: false,
            stopping: false,
            broken: false,
        };
        let (wanted, ready) = (Condvar::new(), Condvar::new());
        Ahead { work, threads, state: Mutex::new(state), wanted, ready }
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on from where the reader stands; events below `from` are not wanted.
    pub fn adopt(&self, opened: Opened<W>, from: u64) {
        let mut state = self.lock();
        let dropped = state.queue.begin(opened, from);
        self.tell_workers(&state);
        drop(state);
        drop(dropped);
    }

    /// Whether the segment `index`, with its events above `floor`, is what comes next here, and is
    /// still as it was when it was opened. Waits until it is open. If not, nothing is read ahead
    /// any more.
    pub fn enter(&self, index: u32, floor: u64) -> bool {
        let mut state = self.lock();
        while state.queue.is_to_open(index, floor) && !state.broken {
            state = self.work_or_wait(state).0;
        }
        let first = state.queue.first().cloned();
        drop(state);
        let entered = first.is_some_and(|segment| self.work.is_still(&segment, index, floor));
        if !entered {
            self.clear();
        }
        entered
    }

    /// What comes next of the segment that was entered, and how long it was waited for.
    pub fn next(&self) -> (Given<W>, Duration) {
        let mut waited = Duration::ZERO;
        let mut state = self.lock();
        loop {
            if state.broken {
                return (Given::Nothing, waited);
            }
            if let Some(given) = state.queue.give(&self.work) {
                if state.idle_workers > 0 && state.queue.needs_workers(self.threads) {
                    self.tell_workers(&state);
                }
                return (given, waited);
            }
            let (again, time) = self.work_or_wait(state);
            state = again;
            waited += time;
        }
    }

    /// Nothing is read ahead any more.
    pub fn clear(&self) {
        let dropped = self.lock().queue.clear();
        drop(dropped);
    }

    /// What the reader has no use for any more, to be read into again.
    pub fn give_back(&self, spare: W::Spare) {
        self.lock().queue.keep_spare(spare);
    }

    /// The workers end. Nothing is waited for.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        let dropped = state.queue.clear();
        self.wanted.notify_all();
        drop(state);
        drop(dropped);
    }

    /// What a worker thread does, until it is stopped.
    pub fn run(&self) {
        /// The reader must not wait for a thread that has ended.
        struct AtPanic<'a, W: Work>(&'a Ahead<W>);
        impl<W: Work> Drop for AtPanic<'_, W> {
            fn drop(&mut self) {
                self.0.lock().broken = true;
                self.0.ready.notify_all();
            }
        }
        let at_panic = AtPanic(self);
        let mut state = self.lock();
        while !state.stopping {
            if let Some(job) = state.queue.take_job(self.threads) {
                state = self.do_job(state, job);
                continue;
            }
            state.idle_workers += 1;
            state = self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle_workers -= 1;
        }
        drop(state);
        mem::forget(at_panic);
    }

    /// For the reader: does something, or waits until somebody else has done something.
    fn work_or_wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<W>>,
    ) -> (MutexGuard<'a, State<W>>, Duration) {
        if let Some(job) = state.queue.take_job(self.threads) {
            return (self.do_job(state, job), Duration::ZERO);
        }
        let begin = Instant::now();
        state.reader_waits = true;
        let mut state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.reader_waits = false;
        (state, begin.elapsed())
    }

    fn do_job<'a>(
        &'a self,
        state: MutexGuard<'a, State<W>>,
        job: Job<W>,
    ) -> MutexGuard<'a, State<W>> {
        let plan = state.queue.plan();
        drop(state);
        let done = job.run(&self.work);
        let mut state = self.lock();
        if state.queue.plan() != plan {
            // What was done is of no use. To drop it may close files.
            drop(state);
            drop(done);
            return self.lock();
        }
        let opened = matches!(done, Done::Opened(_));
        let unwanted = state.queue.put_back(done);
        if opened {
            self.tell_workers(&state);
        }
        if state.reader_waits {
            self.ready.notify_one();
        }
        if unwanted.is_some() {
            drop(state);
            drop(unwanted);
            return self.lock();
        }
        state
    }

    fn tell_workers(&self, state: &State<W>) {
        if state.idle_workers > 0 {
            self.wanted.notify_all();
        }
    }
}

#[cfg(test)]
#[path = "ahead_tests.rs"]
mod tests;
