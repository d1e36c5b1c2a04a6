//! The queue, with segments that are only numbers: by itself and, built for it, under loom.

#[cfg(loom)]
use loom::thread;
use std::sync::Arc;
#[cfg(not(loom))]
use std::thread;

use super::super::queue::PIECE_BLOCKS;
use super::super::work::{Bounds, End, Walked};
use super::*;

/// Some segments of two pieces each. What a piece in the middle takes for its beginning may be
/// wrong, and so may the state of a segment that was opened ahead.
#[derive(Clone, Copy)]
struct Numbers {
    wrong_guess: bool,
    changes: bool,
    fails_at: Option<u32>,
}

const RIGHT: Numbers = Numbers { wrong_guess: false, changes: false, fails_at: None };
const BLOCKS: u32 = 2 * PIECE_BLOCKS;
/// Under loom every segment more multiplies what is tried.
const SEGMENTS: u32 = if cfg!(loom) { 2 } else { 5 };

/// A segment and a block.
type Place = (u32, u32);
/// The same, and whether it began where it should.
type Walk = (u32, u32, bool);

fn opened(index: u32) -> Opened<Numbers> {
    let next = (index + 1 < SEGMENTS).then_some((index + 1, u64::from(index)));
    Opened { segment: index, walk: (index, 0, true), parts: Some((index, 0, BLOCKS)), next }
}

impl Work for Numbers {
    type Segment = u32;
    type Division = u32;
    type Walk = Walk;
    type Position = Walk;
    type Chunk = Place;
    type Outcome = &'static str;
    type Spare = ();
    const SPARES: usize = 1;

    fn open(&self, index: u32, _: u64) -> Option<Opened<Self>> {
        Some(opened(index))
    }

    fn is_still(&self, segment: &u32, index: u32, floor: u64) -> bool {
        !self.changes && *segment == index && floor + 1 == u64::from(index)
    }

    fn walk_from(&self, division: &u32, block: u32) -> Option<Walk> {
        Some((*division, block, !self.wrong_guess))
    }

    fn position(&self, walk: &Walk) -> Walk {
        *walk
    }

    fn walk(&self, at: Walk, bounds: Bounds, _: Vec<()>) -> Walked<Self> {
        let (segment, block, right) = at;
        let (walk, end) = match self.fails_at {
            Some(bad) if (block..block + PIECE_BLOCKS).contains(&bad) => {
                (at, Some(End::Stopped("damage")))
            }
            _ if block == BLOCKS => (at, Some(End::Stopped("complete"))),
            _ => {
                let walk = (segment, block + PIECE_BLOCKS, right);
                (walk, (walk.1 == bounds.end).then_some(End::Reached))
            }
        };
        let chunk = (walk.1 > block).then_some((segment, block));
        Walked { walk, chunk, end }
    }
}

/// What the reader gets, in order: chunks, and where it is handed a segment back.
fn read(ahead: &Ahead<Numbers>) -> Vec<(Place, Option<&'static str>)> {
    let mut seen = Vec::new();
    ahead.adopt(opened(0), 1);
    for index in 1.. {
        loop {
            match ahead.next().0 {
                Given::Chunk(chunk) => seen.push((chunk, None)),
                Given::Back(_, walk, outcome) => {
                    seen.push(((walk.0, walk.1), Some(outcome.unwrap_or("by yourself"))));
                    if outcome != Some("complete") {
                        return seen;
                    }
                    break;
                }
                Given::Nothing => panic!("nothing after {seen:?}"),
            }
        }
        if index == SEGMENTS || !ahead.enter(index, u64::from(index) - 1) {
            return seen;
        }
    }
    seen
}

fn read_beside_workers(work: Numbers, workers: usize) -> Vec<(Place, Option<&'static str>)> {
    let ahead = Arc::new(Ahead::new(work, workers));
    let start = |_| {
        let ahead = Arc::clone(&ahead);
        thread::spawn(move || ahead.run())
    };
    let threads: Vec<_> = (0..workers).map(start).collect();
    let seen = read(&ahead);
    ahead.stop();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    seen
}

fn all_of(segments: u32) -> Vec<(Place, Option<&'static str>)> {
    let of = |segment| {
        let chunks = [0, PIECE_BLOCKS].map(|block| ((segment, block), None));
        chunks.into_iter().chain([((segment, BLOCKS), Some("complete"))])
    };
    (0..segments).flat_map(of).collect()
}

#[cfg(not(loom))]
mod by_itself {
    use super::*;

    #[test]
    fn everything_comes_once_and_in_order() {
        for workers in 0..5 {
            assert_eq!(read_beside_workers(RIGHT, workers), all_of(SEGMENTS), "{workers} workers");
        }
    }

    #[test]
    fn a_piece_that_began_elsewhere_does_not_count() {
        for workers in 0..5 {
            let seen = read_beside_workers(Numbers { wrong_guess: true, ..RIGHT }, workers);
            let back = ((0, PIECE_BLOCKS), Some("by yourself"));
            assert_eq!(seen, [((0, 0), None), back], "{workers} workers");
        }
    }

    #[test]
    fn a_segment_that_has_changed_does_not_count() {
        for workers in 0..5 {
            let seen = read_beside_workers(Numbers { changes: true, ..RIGHT }, workers);
            assert_eq!(seen, all_of(1), "the reader must open the next one itself");
        }
    }

    #[test]
    fn what_a_walk_meets_comes_after_what_lies_before_it() {
        for workers in 0..5 {
            let seen = read_beside_workers(Numbers { fails_at: Some(20), ..RIGHT }, workers);
            let damage = ((0, PIECE_BLOCKS), Some("damage"));
            assert_eq!(seen, [((0, 0), None), damage], "{workers} workers");
        }
    }
}

#[cfg(loom)]
mod model {
    use super::*;

    fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(model);
    }

    /// Nobody sleeps for ever, and everything comes in order, whenever the threads run.
    #[test]
    fn a_reader_and_a_worker_hand_over_everything_in_order() {
        check(3, || assert_eq!(read_beside_workers(RIGHT, 1), all_of(SEGMENTS)));
    }

    #[test]
    fn two_workers_do_too() {
        check(2, || assert_eq!(read_beside_workers(RIGHT, 2), all_of(SEGMENTS)));
    }

    /// Closed while the worker is anywhere.
    #[test]
    fn a_reader_that_is_closed_early_ends_its_worker() {
        check(3, || {
            let ahead = Arc::new(Ahead::new(RIGHT, 1));
            let own = Arc::clone(&ahead);
            let worker = thread::spawn(move || own.run());
            ahead.adopt(opened(0), 1);
            drop(ahead.next());
            ahead.stop();
            worker.join().unwrap();
        });
    }
}
