//! What is measured, behind one trait, and the two loops that drive all of them alike: a tight one
//! and a paced one. Each loop is compiled for each contestant, so that a floor's few stores are
//! inlined and a library's call is a call.

mod background;
mod beside_disk;
mod block_buffer;
mod floor;
mod library;
mod mapped_file;
mod okaywal;
mod raft_engine;
mod shared_memory;
mod write_each;

use std::hint::black_box;
use std::path::Path;

pub use beside_disk::BesideDisk;
pub use block_buffer::BlockBuffer;
pub use floor::{Memory, Timer};
pub use library::{settle, Batches, Library};
pub use mapped_file::MappedFile;
pub use okaywal::OkayWal;
pub use raft_engine::RaftEngine;
pub use shared_memory::SharedMemory;
pub use write_each::WriteEach;

use crate::abi::Event;
use crate::clock;
use crate::pace::{Pace, Samples};
use crate::processors::Processors;

/// Events of a tight loop between two looks at the clock: a block's.
pub const LAP: u64 = 256;

/// Something that takes events. Whatever fails in it panics: a failing call has no place in a
/// measurement.
pub trait Contestant {
    /// A turn begins.
    fn begin(&mut self) {}
    fn append(&mut self, event: &Event);
    /// A turn has ended: what goes on behind the appends is brought to rest, so that it does not
    /// disturb the next contestant.
    fn settle(&mut self) {}
}

/// A contestant as the aims drive it.
pub trait Entrant {
    fn name(&self) -> &'static str;
    fn begin(&mut self);
    /// Appends this many blocks of [`LAP`] events as fast as it goes, and returns the ticks that
    /// each of them took.
    fn tight(&mut self, blocks: u64) -> Vec<u64>;
    /// Appends at a pace, and leaves the samples in `samples`.
    fn paced(&mut self, pace: &Pace, samples: &mut Samples);
    fn settle(&mut self);
}

/// A contestant with its name and its next event id.
pub struct Entry<C> {
    pub name: &'static str,
    pub contestant: C,
    pub next_id: u64,
}

impl<C: Contestant + 'static> Entry<C> {
    pub fn boxed(name: &'static str, contestant: C) -> Box<dyn Entrant> {
        Box::new(Entry { name, contestant, next_id: 1 })
    }
}

impl<C: Contestant> Entrant for Entry<C> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn begin(&mut self) {
        self.contestant.begin();
    }

    fn tight(&mut self, blocks: u64) -> Vec<u64> {
        let mut laps = vec![0; blocks as usize];
        let mut event = Event::order(self.next_id);
        let mut begin = clock::now();
        for lap in &mut laps {
            for id in self.next_id..self.next_id + LAP {
                event.event_id = id;
                self.contestant.append(black_box(&event));
            }
            self.next_id += LAP;
            let end = clock::now();
            *lap = end - begin;
            begin = end;
        }
        laps
    }

    fn paced(&mut self, pace: &Pace, samples: &mut Samples) {
        samples.clear();
        let mut event = Event::order(self.next_id);
        let schedule = pace.start();
        for n in 0..pace.events {
            let intended = schedule.tick(n);
            clock::spin_until(intended);
            event.event_id = self.next_id;
            self.next_id += 1;
            event.timestamp = intended;
            let begin = clock::now();
            self.contestant.append(black_box(&event));
            let end = clock::now();
            samples.push(intended, end - begin, end - intended);
            if end > schedule.deadline() {
                break;
            }
        }
    }

    fn settle(&mut self) {
        self.contestant.settle();
    }
}

pub const LIBRARY: &str = "flashstrike-wal";
pub const MEMORY: &str = "memory floor";
pub const BESIDE_DISK: &str = "floor beside a busy disk";
pub const TIMER: &str = "timer floor";

/// The baselines that every table has, each in a directory of its own.
pub fn baselines(directory: &Path, processors: &Processors) -> Vec<Box<dyn Entrant>> {
    vec![
        Entry::boxed("block buffer", BlockBuffer::new()),
        Entry::boxed("mapped file + fdatasync", MappedFile::new(directory, processors)),
        Entry::boxed("write per event", WriteEach::new(directory)),
        Entry::boxed("raft-engine", processors.on_workers(|| RaftEngine::new(directory))),
        Entry::boxed("okaywal", processors.on_workers(|| OkayWal::new(directory))),
    ]
}
