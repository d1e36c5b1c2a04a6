//! The trait behind which all contestants stand, and the two loops that drive each of them: a tight
//! one and a paced one. Both loops are compiled once per contestant, so that the few stores of a
//! floor are inlined and a call of a library stays a call.

use std::hint::black_box;

use crate::abi::Event;
use crate::clock;
use crate::pace::{Pace, Samples};

/// Events between two readings of the clock in the tight loop: those of a block.
pub const LAP: u64 = 256;

/// Something to which events are appended. It panics if a call fails, because a measurement with a
/// failed call is worthless.
pub trait Contestant {
    /// Called when a turn begins.
    fn begin(&mut self) {}
    fn append(&mut self, event: &Event);
    /// Called when a turn has ended. Waits until all background work is done, so that it does not
    /// disturb the next contestant.
    fn settle(&mut self) {}
}

/// A contestant with its loops, as the aims use it.
pub trait Entrant {
    fn name(&self) -> &'static str;
    fn begin(&mut self);
    /// Appends this many blocks of [`LAP`] events as fast as possible, and returns the ticks that
    /// each block took.
    fn tight(&mut self, blocks: u64) -> Vec<u64>;
    /// Appends at a fixed rate, and puts a sample of each append into `samples`.
    fn paced(&mut self, pace: &Pace, samples: &mut Samples);
    fn settle(&mut self);
}

/// A contestant with its name and the id of its next event.
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
