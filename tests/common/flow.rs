//! What a process that will be killed appends, and what may be found of it afterwards. Every id has
//! one successor, so the whole log can be predicted. Every event says in which life of the log it
//! was appended, so a cut event is recognised if it comes back.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::recorder::Writer;
use flashstrike_wal::replay::{Reader, ReaderOptions};
use memmap2::MmapRaw;

use super::event;

/// What the writing process records in a shared mapping that survives it.
pub struct Shared(MmapRaw);

impl Shared {
    pub fn open(path: &Path) -> Self {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).unwrap();
        file.set_len(4096).unwrap();
        Shared(MmapRaw::map_raw(&file).unwrap())
    }

    /// A word on a cache line of its own, for other uses.
    pub fn word(&self, n: usize) -> &AtomicU64 {
        assert!(n < 512);
        // SAFETY: the mapping has 512 aligned words and lives as long as the borrow.
        unsafe { &*self.0.as_ptr().cast::<AtomicU64>().add(n) }
    }

    /// The last id whose append or commit returned OK.
    pub fn acknowledged(&self) -> &AtomicU64 {
        self.word(0)
    }

    /// The last id passed to any call.
    pub fn attempted(&self) -> &AtomicU64 {
        self.word(8)
    }

    /// The durable watermark that the log last reported.
    pub fn durable(&self) -> &AtomicU64 {
        self.word(16)
    }

    /// 1 once the log is open.
    pub fn opened(&self) -> &AtomicU64 {
        self.word(24)
    }

    /// The last id of the log when it was opened.
    pub fn recovered(&self) -> &AtomicU64 {
        self.word(32)
    }

    /// Events that recovery kept aside.
    pub fn kept_aside(&self) -> &AtomicU64 {
        self.word(40)
    }

    /// 1 from just before the fault on: errors are expected.
    pub fn failing(&self) -> &AtomicU64 {
        self.word(48)
    }

    /// Position of the watermark: segment index and offset, packed.
    pub fn durable_position(&self) -> &AtomicU64 {
        self.word(56)
    }

    /// Clears the record for the next process.
    pub fn reset(&self) {
        for n in 0..512 {
            self.word(n).store(0, Ordering::Release);
        }
    }
}

/// A small generator of random numbers (xorshift), the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The settings of a log that is killed at random, chosen by a seed.
pub fn storm_config(seed: u64, memory: &Path) -> Config {
    let mut random = Random(seed * 977 + 13);
    Config {
        num_blocks: 16 + random.below(24) as u32,
        prepared_segments: 1 + random.below(4) as u32,
        max_segments: Keep::AtMost(1 + random.below(4) as u32),
        max_compressed_segments: Keep::All,
        sync_mode: match random.below(4) {
            0 => SyncMode::Rotation,
            1 => SyncMode::Interval(Duration::from_millis(3)),
            _ => SyncMode::Continuous,
        },
        active_parent: memory.to_owned(),
        ..Config::default()
    }
}

/// Ids have gaps, but every id has one successor, so the whole log can be predicted.
pub fn successor(id: u64) -> u64 {
    id + 1 + if id % 5 == 0 { id % 7 } else { 0 }
}

/// The event that belongs to an id in a life of the log.
pub fn event_of(life: u32, id: u64) -> RequestEvent {
    let event = event(id);
    RequestEvent { user_id: event.user_id ^ life, ..event }
}

/// Makes one call of a random kind. `last` is the last appended id; returns the new one.
pub fn call(
    writer: &mut Writer,
    random: &mut Random,
    shared: &Shared,
    life: u32,
    last: u64,
) -> Result<u64, Error> {
    let next = successor(last);
    match random.below(8) {
        0 => {
            let mut batch = Vec::new();
            let mut id = last;
            for _ in 0..1 + random.below(700) {
                id = successor(id);
                batch.push(event_of(life, id));
            }
            shared.attempted().store(id, Ordering::Release);
            let mut appended = 0;
            writer.append_batch(&batch, &mut appended)?;
            assert_eq!(appended, batch.len());
            Ok(id)
        }
        1 => {
            // The first claim is abandoned, the second committed.
            let abandoned = writer.claim()?;
            fill(abandoned, &event_of(life, next + 1));
            let slot = writer.claim()?;
            fill(slot, &event_of(life, next));
            shared.attempted().store(next, Ordering::Release);
            writer.commit(next)?;
            Ok(next)
        }
        _ => {
            shared.attempted().store(next, Ordering::Release);
            writer.append(&event_of(life, next))?;
            Ok(next)
        }
    }
}

/// Writes a claimed event, all but its id.
fn fill(slot: *mut RequestEvent, event: &RequestEvent) {
    let bytes = event.encode();
    // SAFETY: the slot was just claimed: 64 bytes that are the caller's until the next call.
    unsafe { slot.cast::<u8>().add(8).copy_from_nonoverlapping(bytes[8..].as_ptr(), 56) };
}

/// Which events belong to which life of a log.
#[derive(Default, Clone)]
pub struct Lives {
    /// First id of each life, and the life.
    begun: BTreeMap<u64, u32>,
}

impl Lives {
    /// Events after `last` are cut; events appended from now on belong to this life.
    pub fn begin(&mut self, life: u32, last: u64) {
        self.begun.split_off(&(last + 1));
        self.begun.insert(last + 1, life);
    }

    fn event(&self, id: u64) -> RequestEvent {
        let life = self.begun.range(..=id).next_back().map_or(0, |(_, life)| *life);
        event_of(life, id)
    }

    /// Reads a log, which must be an unbroken run of the events that belong to it, starting with
    /// the first one unless retention may have deleted some. Returns the last id.
    pub fn check(&self, log: &Path, from_the_first: bool) -> Result<u64, String> {
        if !log.exists() {
            return Ok(0);
        }
        let options = ReaderOptions { verify: true };
        let mut reader = match Reader::open(log, options) {
            // Killed before there was a log in it.
            Err(error) if error.cause() == Some(Cause::NotFound) => return Ok(0),
            opened => opened.map_err(|error| error.to_string())?,
        };
        let mut last = 0;
        loop {
            match reader.next() {
                Ok(found) => {
                    let mut expected = successor(last);
                    while last == 0 && !from_the_first && expected < found.event_id {
                        expected = successor(expected);
                    }
                    if found.event_id != expected {
                        return Err(format!("{} follows {last}", found.event_id));
                    }
                    if found != self.event(expected) {
                        return Err(format!("event {expected} is not the one appended"));
                    }
                    last = expected;
                }
                Err(Error::End) => return Ok(last),
                Err(error) => return Err(format!("reading on after {last}: {error}")),
            }
        }
    }
}
