//! The library, through its C ABI.

use std::path::Path;
use std::time::Duration;

use super::{Contestant, Entrant, Entry, LAP};
use crate::abi::{Config, Event, Handle, Log, KEEP_ALL};
use crate::clock;
use crate::pace::{Pace, Samples};

/// A log, and how many hot segments it keeps.
pub struct Library {
    pub log: Log,
    max_segments: u64,
}

impl Library {
    /// Opens a log as engines do: on the append thread, which is pinned, with nothing said about
    /// where the library's threads run. The library keeps them off that processor.
    pub fn open(directory: &Path, config: &Config) -> Self {
        let max_segments = match config.max_segments {
            0 => 32,
            KEEP_ALL => u64::MAX,
            given => u64::from(given),
        };
        let log = Log::open(directory, config);
        let prepared = match config.prepared_segments {
            0 => 4,
            given => u64::from(given),
        };
        // This counter stands near the end of the struct. If it is right, so is all before it.
        let seen = log.metrics().prepared_segments.capacity;
        assert_eq!(seen, prepared, "the structs of abi.rs are not those of this library");
        Library { log, max_segments }
    }
}

impl Contestant for Library {
    #[inline(always)]
    fn append(&mut self, event: &Event) {
        self.log.append(event);
    }

    fn settle(&mut self) {
        settle(&self.log, self.max_segments);
    }
}

/// Waits until everything is durable, all prepared segments are ready, and everything due to be
/// compressed or deleted has been.
pub fn settle(log: &Handle, max_segments: u64) {
    log.sync();
    loop {
        let metrics = log.metrics();
        let prepared = metrics.prepared_segments;
        if prepared.fill == prepared.capacity && metrics.hot_segments <= max_segments {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The library with 256 events per call.
pub struct Batches {
    entry: Entry<Library>,
    events: Box<[Event; LAP as usize]>,
    numbering: bool,
}

impl Batches {
    /// `numbering`: whether the time includes setting the ids of the events in a batch.
    pub fn boxed(name: &'static str, library: Library, numbering: bool) -> Box<dyn Entrant> {
        let events = Box::new([Event::order(1); LAP as usize]);
        let entry = Entry { name, contestant: library, next_id: 1 };
        Box::new(Batches { entry, events, numbering })
    }
}

impl Entrant for Batches {
    fn name(&self) -> &'static str {
        self.entry.name
    }

    fn begin(&mut self) {}

    fn tight(&mut self, blocks: u64) -> Vec<u64> {
        let mut laps = vec![0; blocks as usize];
        for lap in &mut laps {
            let begin = clock::now();
            for event in self.events.iter_mut() {
                event.event_id = self.entry.next_id;
                self.entry.next_id += 1;
            }
            let numbered = clock::now();
            self.entry.contestant.log.append_batch(std::hint::black_box(&self.events[..]));
            *lap = clock::now() - if self.numbering { begin } else { numbered };
        }
        laps
    }

    fn paced(&mut self, pace: &Pace, samples: &mut Samples) {
        self.entry.paced(pace, samples);
    }

    fn settle(&mut self) {
        self.entry.settle();
    }
}
