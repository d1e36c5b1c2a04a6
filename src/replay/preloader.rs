//! Opens, decompresses and verifies segments ahead of a reader, on threads of their own. The walks
//! are the reader's own ([`Cursor`]), and the reader decides about everything but blocks that are
//! right: what else a walk comes to is handed back to it.

use std::process;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::thread::sched_setaffinity;

use crate::error::{Error, Result};
use crate::segment::{Batch, Cursor, Division, Effort, Position, Step, BLOCKS_PER_READ};
use crate::storage::{Processors, Slots};

use super::ahead::Ahead;
use super::counts::Counts;
use super::log_files::{FoundAs, LogFiles, Segment};
use super::queue::Given;
use super::work::{Bounds, End, Opened, Walked, Work};

/// Blocks of a chunk.
const CHUNK_BLOCKS: usize = 16;
/// Memory that is read into for a chunk.
const CHUNK_SPARES: usize = CHUNK_BLOCKS.div_ceil(BLOCKS_PER_READ as usize);

/// Events of some blocks in a row, in order.
pub struct Chunk {
    /// Each with the last event of its block.
    batches: Vec<(Batch, u64)>,
    effort: Effort,
}

/// A segment without its cursor.
#[derive(Clone)]
pub struct Shell {
    index: u32,
    floor: u64,
    found: FoundAs,
    opening: Option<Duration>,
}

impl Work for Arc<LogFiles> {
    type Segment = Shell;
    type Division = Arc<Division>;
    type Walk = Box<Cursor>;
    type Position = Position;
    type Chunk = Chunk;
    type Outcome = Result<Step>;
    type Spare = Arc<Slots>;
    const SPARES: usize = CHUNK_SPARES;

    /// Only what is closed and undamaged, as far as opening shows: whatever else there is to say of
    /// a segment depends on when the reader comes to it.
    fn open(&self, index: u32, floor: u64) -> Option<Opened<Self>> {
        let begin = Instant::now();
        let segment = self.look_for_segment(index, floor).ok().flatten()?;
        let is_sure = segment.cursor.header().is_some() && !segment.cursor.is_damaged();
        is_sure.then(|| opened(*segment, floor, Some(begin.elapsed())))
    }

    fn is_still(&self, segment: &Shell, index: u32, floor: u64) -> bool {
        let is_it = (segment.index, segment.floor) == (index, floor);
        is_it && self.is_as_found(&segment.found).unwrap_or(false)
    }

    fn walk_from(&self, division: &Arc<Division>, block: u32) -> Option<Box<Cursor>> {
        division.walk_from(block).map(Box::new)
    }

    fn position(&self, walk: &Box<Cursor>) -> Position {
        walk.position()
    }

    fn walk(&self, mut walk: Box<Cursor>, bounds: Bounds, spares: Vec<Arc<Slots>>) -> Walked<Self> {
        walk.lend(spares);
        let mut batches = Vec::with_capacity(CHUNK_BLOCKS);
        let mut end = None;
        for _ in 0..CHUNK_BLOCKS {
            if walk.block() == bounds.end {
                end = Some(End::Reached);
                break;
            }
            // As the reader, which has been given what comes before.
            let from = bounds.from.max(walk.last_event_id().saturating_add(1));
            let step = walk.step(from);
            // Events that were read together with damage are given out after it.
            if !matches!(step, Ok(Step::Block)) || walk.is_damaged() {
                end = Some(End::Stopped(step));
                break;
            }
            // Also of a block without wanted events: it may be the one that passes the end.
            batches.push((walk.take_batch(), walk.last_event_id()));
        }
        if end.is_none() && walk.block() == bounds.end {
            end = Some(End::Reached);
        }
        if matches!(end, Some(End::Reached)) {
            // Only the reader has it then, and gives it back once it is done.
            drop(walk.take_memory());
        }
        let effort = walk.take_effort();
        let chunk = Some(Chunk { batches, effort });
        Walked { walk, chunk, end }
    }
}

/// A segment as it is to be read ahead, and what comes behind it.
fn opened(segment: Segment, floor: u64, opening: Option<Duration>) -> Opened<Arc<LogFiles>> {
    let Segment { index, cursor, found } = segment;
    let parts = cursor.division().map(|division| {
        let end = division.end();
        (Arc::new(division), cursor.block(), end)
    });
    // Behind an open segment nobody knows what counts.
    let last = cursor.header().map(|header| header.last_event_id.max(floor));
    let next = last.and_then(|last| Some((index.checked_add(1)?, last)));
    let segment = Shell { index, floor, found, opening };
    Opened { segment, walk: Box::new(cursor), parts, next }
}

/// What a preloader gives.
pub enum Loaded {
    /// Events, and the last event of their block.
    Batch(Batch, u64),
    /// The segment, to go on in, at first with this outcome of a step.
    Back(Box<Segment>, Option<Result<Step>>),
    /// Nothing: the reader goes on alone.
    Nothing,
}

/// The threads of a reader, and what they have read ahead.
pub struct Preloader {
    ahead: Arc<Ahead<Arc<LogFiles>>>,
    threads: Vec<JoinHandle<()>>,
    /// The process that started them.
    process: u32,
    /// What is left of a chunk.
    batches: std::vec::IntoIter<(Batch, u64)>,
}

impl Preloader {
    /// Starts the threads. They have nothing to do yet.
    pub fn start(files: Arc<LogFiles>, threads: u32) -> Result<Self> {
        let cpus = match Processors::for_threads()? {
            Processors::Beside(_, others) => Some(others),
            Processors::Own | Processors::Only(_) => None,
        };
        let ahead = Arc::new(Ahead::new(files, threads as usize));
        let batches = Vec::new().into_iter();
        let mut preloader =
            Preloader { ahead, threads: Vec::new(), process: process::id(), batches };
        for _ in 0..threads {
            let ahead = Arc::clone(&preloader.ahead);
            let body = move || {
                if let Some(cpus) = cpus {
                    // Where that is refused they run anywhere.
                    let _ = sched_setaffinity(None, &cpus);
                }
                ahead.run();
            };
            let thread = std::thread::Builder::new().name("wal-replay".to_owned()).spawn(body);
            let thread = thread.map_err(|error| Error::io("start a reader's thread", &error))?;
            preloader.threads.push(thread);
        }
        Ok(preloader)
    }

    /// How many threads there are.
    pub fn threads(&self) -> u32 {
        if self.is_own() {
            self.threads.len() as u32
        } else {
            0
        }
    }

    /// Whether this process has the threads: a forked child has not.
    pub fn is_own(&self) -> bool {
        self.process == process::id()
    }

    /// Reads ahead from where the reader stands in a segment that it has opened.
    pub fn adopt(&mut self, segment: Segment, floor: u64, from: u64) {
        self.drop_chunk();
        if self.is_own() {
            self.ahead.adopt(opened(segment, floor, None), from);
        }
    }

    /// Whether the segment comes next that the reader wants, and is still as it was.
    pub fn enter(&mut self, index: u32, floor: u64) -> bool {
        self.drop_chunk();
        self.is_own() && self.ahead.enter(index, floor)
    }

    /// Nothing that was read ahead is wanted any more.
    pub fn clear(&mut self) {
        self.drop_chunk();
        if self.is_own() {
            self.ahead.clear();
        }
    }

    /// What comes next of the segment that was adopted or entered.
    pub fn next(&mut self, counts: &mut Counts) -> Loaded {
        loop {
            if let Some((batch, last)) = self.batches.next() {
                return Loaded::Batch(batch, last);
            }
            if !self.is_own() {
                return Loaded::Nothing;
            }
            let (given, waited) = self.ahead.next();
            counts.wait += waited;
            match given {
                Given::Chunk(chunk) => {
                    self.batches = chunk.batches.into_iter();
                    counts.effort.add(&chunk.effort);
                }
                Given::Back(Shell { index, found, opening, .. }, cursor, outcome) => {
                    counts.opened += u64::from(opening.is_some());
                    counts.open += opening.unwrap_or_default();
                    let segment = Segment { index, cursor: *cursor, found };
                    return Loaded::Back(Box::new(segment), outcome);
                }
                Given::Nothing => return Loaded::Nothing,
            }
        }
    }

    /// Memory that the reader is done with.
    pub fn give_back(&self, batch: Batch) {
        if let Some(memory) = batch.into_memory().filter(|_| self.is_own()) {
            self.ahead.give_back(memory);
        }
    }

    fn drop_chunk(&mut self) {
        self.batches = Vec::new().into_iter();
    }
}

impl Drop for Preloader {
    fn drop(&mut self) {
        if !self.is_own() {
            // In the child nobody gives the lock back that a thread may have held. What the threads
            // had stays where it is.
            std::mem::forget(Arc::clone(&self.ahead));
            self.threads.drain(..).for_each(std::mem::forget);
            return;
        }
        self.ahead.stop();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
