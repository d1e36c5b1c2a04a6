//! Events at a fixed rate, and a sample of each append. The memory for the samples is allocated and
//! touched beforehand, so that the loop that takes them causes no system calls and no page faults.

use std::time::Duration;

use crate::clock;

/// How many events, and the time between two of them.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub interval: Duration,
    pub events: u64,
}

impl Pace {
    pub fn new(events_per_second: u64, duration: Duration) -> Self {
        let interval = Duration::from_nanos(1_000_000_000 / events_per_second);
        let events = (duration.as_nanos() / interval.as_nanos()) as u64;
        Pace { interval, events }
    }

    /// A schedule that begins now.
    pub fn start(&self) -> Schedule {
        let begin = clock::now() + clock::to_ticks(Duration::from_micros(20));
        let ticks = self.interval.as_nanos() as f64 * clock::ticks_per_ns();
        Schedule { begin, ticks, events: self.events }
    }
}

/// When each event is due.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    begin: u64,
    ticks: f64,
    events: u64,
}

impl Schedule {
    #[inline(always)]
    pub fn tick(&self, n: u64) -> u64 {
        self.begin + (n as f64 * self.ticks) as u64
    }

    /// When the last event is due. A contestant that is late stops here.
    #[inline(always)]
    pub fn deadline(&self) -> u64 {
        self.tick(self.events)
    }
}

/// One append, in ticks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// When it was due.
    pub intended: u64,
    /// From its beginning to its end.
    pub taken: u64,
    /// From when it was due to its end, which includes the wait behind slow appends before it.
    pub corrected: u64,
}

/// Samples, in memory that is touched beforehand.
#[derive(Debug)]
pub struct Samples {
    samples: Vec<Sample>,
}

impl Samples {
    pub fn with_room_for(events: u64) -> Self {
        // Not zeros: for zeros the allocator would return pages that are not mapped yet.
        let touched = Sample { intended: 1, taken: 1, corrected: 1 };
        let mut samples = vec![touched; events as usize];
        samples.clear();
        Samples { samples }
    }

    pub fn clear(&mut self) {
        self.samples.clear();
    }

    #[inline(always)]
    pub fn push(&mut self, intended: u64, taken: u64, corrected: u64) {
        // Drops what does not fit, because growing would allocate.
        if self.samples.len() < self.samples.capacity() {
            self.samples.push(Sample { intended, taken, corrected });
        }
    }

    pub fn len(&self) -> usize {
        self.samples.len()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Sample> {
        self.samples.iter()
    }
}
