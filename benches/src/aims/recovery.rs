//! P11: an engine's state back after a restart, from its log alone and with a snapshot of all but
//! its last hundredth.
//!
//! The engine is a small one: each event changes one position out of many, of 64 bytes each. It
//! does less for an event than a real one, so that replaying costs it less than a real one, and a
//! snapshot saves less. The log is in the page cache, and all of it cold but for the newest
//! segments, as it is in a log of that age.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::abi::{Config, Event, EVENT_SIZE, KEEP_ALL};
use crate::bench::Bench;
use crate::contestants::{Contestant, Library};
use crate::reader::Reader;
use crate::snapshot;

/// One thread beside the caller, on a machine of two processors.
const THREADS: u32 = 1;
/// Of the state: a few instruments, and many accounts.
const SIZES: [(usize, &str); 2] = [(1 << 20, "1 MB of state"), (64 << 20, "64 MB of state")];
const BACK: &str = "the state is back";

/// The engine's positions.
struct State(Vec<[u64; 8]>);

impl State {
    fn new(bytes: usize) -> Self {
        State(vec![[0; 8]; bytes / size_of::<[u64; 8]>()])
    }

    fn apply(&mut self, event: &Event) {
        let place = u64::from(event.order_id).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let positions = self.0.len() as u64;
        let position = &mut self.0[((place * positions) >> 32) as usize];
        let signed = if event.side == 0 { event.quantity } else { -event.quantity };
        position[0] = position[0].wrapping_add(signed as u64);
        position[1] = position[1].wrapping_add((signed * event.price) as u64);
        position[2] += 1;
        position[3] = event.price as u64;
        position[4] = event.event_id;
        position[5] = event.timestamp;
        position[6] = u64::from(event.user_id);
        position[7] = u64::from(event.kind);
    }

    /// Goes through the events from `first` to `last`.
    fn replay(&mut self, log: &Path, first: u64, last: u64) {
        let mut reader = Reader::open(log, 0, THREADS);
        if first > 1 {
            reader.seek(first);
        }
        let mut next = first;
        while next <= last {
            let events = reader.next_batch().expect("there are more events");
            for event in events.iter().take_while(|event| event.event_id <= last) {
                assert_eq!(event.event_id, next, "every event comes once");
                self.apply(event);
                next += 1;
            }
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        let len = self.0.len() * size_of::<[u64; 8]>();
        // SAFETY: the memory of these numbers, which have no padding and may be any bytes.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), len) }
    }
}

/// Milliseconds of each round.
#[derive(Default)]
struct Rounds {
    whole: Vec<f64>,
    snapshot: Vec<f64>,
    read: Vec<f64>,
}

pub fn run(bench: &mut Bench) {
    let events = bench.scale.recovered_events;
    let log = bench.fresh("p11");
    record(&log, events);
    let last = events - events / 100;
    let of_sizes = bench.processors.on_all(|| {
        SIZES.map(|(size, _)| {
            let mut state = State::new(size);
            state.replay(&log, 1, last);
            snapshot::write(&log, last, state.bytes());
            let mut rounds = Rounds::default();
            for _ in 0..bench.scale.rounds {
                rounds.take(&log, size, events);
            }
            remove_snapshots(&log);
            rounds
        })
    });
    bench.remove(&["p11"]);
    let mut table = bench.report.table("P11", "An engine's state back, out of a log");
    for ((_, size), rounds) in SIZES.iter().zip(&of_sizes) {
        let without = format!("{size}, the whole log replayed");
        table.add(&without, BACK, "ms", &rounds.whole);
        let with = format!("{size}, with a snapshot");
        let row = table.add(&with, BACK, "ms", &rounds.snapshot);
        row.against("the whole log replayed", &rounds.whole).at_most_times(0.1);
        table.add(&with, "the snapshot is checked and read", "ms", &rounds.read);
    }
    let text = format!(
        "A log of {} million events ({} MB), the snapshot taken after {} million. The engine does \
         little for an event; the more it does, the more a snapshot saves. Opening a snapshot \
         checks every byte of it first.",
        events as f64 / 1e6,
        events * EVENT_SIZE as u64 / 1_000_000,
        last as f64 / 1e6,
    );
    bench.report.remark("P11", text);
}

/// A log of this many events.
fn record(log: &Path, events: u64) {
    let config = Config { max_compressed_segments: KEEP_ALL, ..Config::default() };
    let mut library = Library::open(log, &config);
    for id in 1..=events {
        library.log.append(&Event::order(id));
    }
    library.settle();
}

impl Rounds {
    /// Both ways, which must come to the same.
    fn take(&mut self, log: &Path, size: usize, events: u64) {
        let ms = |begin: Instant| begin.elapsed().as_secs_f64() * 1e3;
        let begin = Instant::now();
        let mut replayed = State::new(size);
        replayed.replay(log, 1, events);
        self.whole.push(ms(begin));
        let begin = Instant::now();
        let mut restored = State::new(size);
        let at = snapshot::read(log, restored.bytes());
        self.read.push(ms(begin));
        restored.replay(log, at + 1, events);
        self.snapshot.push(ms(begin));
        assert!(replayed.0 == restored.0, "both ways lead to the same state");
    }
}

fn remove_snapshots(log: &Path) {
    for entry in fs::read_dir(log).expect("the log") {
        let path = entry.expect("a name").path();
        if path.extension().is_some_and(|end| end == "fss") {
            fs::remove_file(path).expect("a snapshot");
        }
    }
}
