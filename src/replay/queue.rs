//! What is to be read ahead of a reader, what of it is done, and what is to be done next: segments
//! in order, in pieces, each a walk that gives chunks.
//!
//! A piece is walked by one thread at a time, chunk by chunk. The reader takes the chunks of the
//! first piece, and goes on to the next piece only if that began exactly where the first one ended.
//! If not, it gets the walk of the first piece back, and goes on from there by itself. So whatever
//! was guessed about a place further on is used only if it was right.

use std::collections::VecDeque;
use std::mem;

use super::work::{Bounds, End, Opened, Walked, Work};

/// Blocks of a segment that one thread walks in one go, when others can walk those behind them.
pub(super) const PIECE_BLOCKS: u32 = 16;
/// Chunks that may wait for the reader, a thread: few, so that they are still in the cache when the
/// reader comes to them.
const CHUNKS_A_THREAD: usize = 4;
/// The same of segments that only one thread can walk. While the reader takes one that another
/// thread walks, all of the next one is walked: of the default size it has 16.
const WHOLE_CHUNKS_A_THREAD: usize = 20;
/// Segments that are open ahead, a thread.
const SEGMENTS_A_THREAD: usize = 2;

/// What the reader gets.
pub enum Given<W: Work + ?Sized> {
    Chunk(W::Chunk),
    /// The segment, from where the reader goes on by itself, at first with the outcome.
    Back(W::Segment, W::Walk, Option<W::Outcome>),
    /// Nothing is read ahead any more.
    Nothing,
}

enum PieceState<W: Work + ?Sized> {
    Idle(W::Walk),
    Walked,
    Ended(W::Walk, End<W>),
    /// It could not even begin.
    Void,
}

struct Piece<W: Work + ?Sized> {
    number: u64,
    state: PieceState<W>,
    /// Where it began, once that is known.
    start: Option<W::Position>,
    end: u32,
    chunks: VecDeque<W::Chunk>,
}

struct Loaded<W: Work + ?Sized> {
    segment: W::Segment,
    division: Option<W::Division>,
    /// Blocks of which there is no piece yet.
    left: std::ops::Range<u32>,
    pieces: VecDeque<Piece<W>>,
}

/// What was in a queue that has begun anew. To drop it may close files.
pub struct Dropped<W: Work + ?Sized> {
    _segments: VecDeque<Loaded<W>>,
}

/// What is read ahead, for one thread at a time.
pub struct Queue<W: Work + ?Sized> {
    /// Numbers what is read ahead: what was begun for an older one is dropped.
    plan: u64,
    /// Events below this id are not wanted.
    from: u64,
    segments: VecDeque<Loaded<W>>,
    /// The index of the segment to open, and the last event before it.
    next: Option<(u32, u64)>,
    opening: bool,
    /// Chunks that wait for the reader.
    chunks: usize,
    /// Numbers the pieces.
    numbers: u64,
    /// Memory to read into. What was given back longest ago is taken first: the rest is rather in
    /// the cache of the reader's processor still, and who writes to it has to take it from there.
    spares: VecDeque<W::Spare>,
}

/// Something to do.
pub enum Job<W: Work + ?Sized> {
    Walk { number: u64, walk: W::Walk, bounds: Bounds, spares: Vec<W::Spare> },
    Begin { number: u64, division: W::Division, block: u32, bounds: Bounds, spares: Vec<W::Spare> },
    Open { index: u32, floor: u64 },
}

/// What was done.
pub enum Done<W: Work + ?Sized> {
    Walked { number: u64, start: Option<W::Position>, walked: Option<Walked<W>> },
    Opened(Option<Opened<W>>),
}

impl<W: Work> Job<W> {
    /// Does it, without the queue.
    pub fn run(self, work: &W) -> Done<W> {
        match self {
            Job::Walk { number, walk, bounds, spares } => {
                let walked = Some(work.walk(walk, bounds, spares));
                Done::Walked { number, start: None, walked }
            }
            Job::Begin { number, division, block, bounds, spares } => {
                let walk = work.walk_from(&division, block);
                let start = walk.as_ref().map(|walk| work.position(walk));
                let walked = walk.map(|walk| work.walk(walk, bounds, spares));
                Done::Walked { number, start, walked }
            }
            Job::Open { index, floor } => Done::Opened(work.open(index, floor)),
        }
    }
}

impl<W: Work + ?Sized> Queue<W> {
    /// With nothing in it.
    pub fn new() -> Self {
        Queue {
            plan: 0,
            from: 0,
            segments: VecDeque::new(),
            next: None,
            opening: false,
            chunks: 0,
            numbers: 0,
            spares: VecDeque::new(),
        }
    }

    /// Changes when everything begins anew. What was begun before is of no use then.
    pub fn plan(&self) -> u64 {
        self.plan
    }

    /// Begins anew, with a segment whose events below `from` are not wanted. Returns what is to be
    /// dropped once the lock is given back.
    pub fn begin(&mut self, opened: Opened<W>, from: u64) -> Dropped<W> {
        let dropped = self.clear();
        self.from = from;
        self.add(opened);
        dropped
    }

    /// Begins anew, with nothing. Returns the same.
    pub fn clear(&mut self) -> Dropped<W> {
        self.plan += 1;
        self.next = None;
        self.opening = false;
        self.chunks = 0;
        Dropped { _segments: mem::take(&mut self.segments) }
    }

    /// Whether this segment comes next, and is not open yet.
    pub fn is_to_open(&self, index: u32, floor: u64) -> bool {
        self.segments.is_empty() && self.next == Some((index, floor))
    }

    /// The segment that the reader is in, or enters next.
    pub fn first(&self) -> Option<&W::Segment> {
        self.segments.front().map(|loaded| &loaded.segment)
    }

    /// Takes memory that chunks are read into.
    pub fn keep_spare(&mut self, spare: W::Spare) {
        if self.spares.len() < WHOLE_CHUNKS_A_THREAD * W::SPARES {
            self.spares.push_back(spare);
        }
    }

    /// Whether it is worth telling a worker that there is room: one that is told then has something
    /// to do for a while.
    pub fn needs_workers(&self, threads: usize) -> bool {
        self.chunks <= self.most_chunks(threads) / 2 && self.find_job(threads).is_some()
    }

    fn add(&mut self, opened: Opened<W>) {
        let Opened { segment, walk, parts, next } = opened;
        let (division, left) = match parts {
            Some((division, block, end)) => {
                // Pieces end at whole multiples, as chunks do.
                let first = (block / PIECE_BLOCKS + 1) * PIECE_BLOCKS;
                (Some(division), first.min(end)..end)
            }
            None => (None, u32::MAX..u32::MAX),
        };
        // The last piece goes to the very end of the segment, whatever that is.
        let end = if left.is_empty() { u32::MAX } else { left.start };
        let number = self.number();
        let state = PieceState::Idle(walk);
        let first = Piece { number, state, start: None, end, chunks: VecDeque::new() };
        let pieces = VecDeque::from([first]);
        self.segments.push_back(Loaded { segment, division, left, pieces });
        self.next = next;
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// What the reader takes now, if there is something.
    pub fn give(&mut self, work: &W) -> Option<Given<W>> {
        let Some(loaded) = self.segments.front_mut() else { return Some(Given::Nothing) };
        loop {
            if let Some(chunk) = loaded.pieces.front_mut()?.chunks.pop_front() {
                self.chunks -= 1;
                return Some(Given::Chunk(chunk));
            }
            let piece = loaded.pieces.front()?;
            let PieceState::Ended(walk, end) = &piece.state else { return None };
            if matches!(end, End::Reached) {
                // The piece behind it is yet to be begun, or somebody is about to.
                let Piece { state, start, .. } = loaded.pieces.get(1)?;
                let begun = matches!(state, PieceState::Void) || start.is_some();
                if !begun {
                    return None;
                }
                if *start == Some(work.position(walk)) {
                    loaded.pieces.pop_front();
                    continue;
                }
            }
            return self.hand_back();
        }
    }

    /// Gives the first segment up, for the reader to go on in it.
    fn hand_back(&mut self) -> Option<Given<W>> {
        let mut loaded = self.segments.pop_front()?;
        let first = loaded.pieces.pop_front()?;
        self.chunks -= loaded.pieces.iter().map(|piece| piece.chunks.len()).sum::<usize>();
        let PieceState::Ended(walk, end) = first.state else { return None };
        let outcome = match end {
            End::Reached => None,
            End::Stopped(outcome) => Some(outcome),
        };
        Some(Given::Back(loaded.segment, walk, outcome))
    }

    /// How many chunks may wait for the reader.
    fn most_chunks(&self, threads: usize) -> usize {
        let is_divided = |loaded: &Loaded<W>| loaded.division.is_some();
        let all_divided = self.segments.iter().all(is_divided);
        (threads + 1) * if all_divided { CHUNKS_A_THREAD } else { WHOLE_CHUNKS_A_THREAD }
    }

    /// The first thing to do, in the order in which the reader needs it. What the reader needs at
    /// once is done even if there is no room for more.
    fn find_job(&self, threads: usize) -> Option<Found> {
        let has_room = self.chunks < self.most_chunks(threads);
        for (n, loaded) in self.segments.iter().enumerate() {
            let is_needed = |m: usize| n == 0 && m == 0 && loaded.pieces[0].chunks.is_empty();
            for (m, piece) in loaded.pieces.iter().enumerate() {
                if matches!(piece.state, PieceState::Idle(_)) && (has_room || is_needed(m)) {
                    return Some(Found::Piece(n, m));
                }
            }
            let is_needed = loaded.pieces.len() == 1 && is_needed(0);
            if !loaded.left.is_empty() && (has_room || is_needed) {
                return Some(Found::Part(n));
            }
        }
        let open = self.segments.len();
        let has_room = open == 0 || (has_room && open < SEGMENTS_A_THREAD * (threads + 1));
        (self.next.is_some() && !self.opening && has_room).then_some(Found::Next)
    }

    /// The same, taken.
    pub fn take_job(&mut self, threads: usize) -> Option<Job<W>> {
        let from = self.from;
        match self.find_job(threads)? {
            Found::Piece(n, m) => {
                let piece = &mut self.segments[n].pieces[m];
                let bounds = Bounds { end: piece.end, from };
                let number = piece.number;
                match mem::replace(&mut piece.state, PieceState::Walked) {
                    PieceState::Idle(walk) => {
                        let spares = self.take_spares();
                        Some(Job::Walk { number, walk, bounds, spares })
                    }
                    other => {
                        piece.state = other;
                        None
                    }
                }
            }
            Found::Part(n) => {
                let number = self.number();
                let loaded = &mut self.segments[n];
                let division = loaded.division.clone()?;
                let block = loaded.left.start;
                loaded.left.start = loaded.left.end.min(block + PIECE_BLOCKS);
                // The last piece goes to the very end of the segment, whatever that is.
                let end = if loaded.left.is_empty() { u32::MAX } else { loaded.left.start };
                let state = PieceState::Walked;
                let chunks = VecDeque::new();
                loaded.pieces.push_back(Piece { number, state, start: None, end, chunks });
                let (bounds, spares) = (Bounds { end, from }, self.take_spares());
                Some(Job::Begin { number, division, block, bounds, spares })
            }
            Found::Next => {
                let (index, floor) = self.next?;
                self.opening = true;
                Some(Job::Open { index, floor })
            }
        }
    }

    fn take_spares(&mut self) -> Vec<W::Spare> {
        let count = W::SPARES.min(self.spares.len());
        self.spares.drain(..count).collect()
    }

    /// Takes what was done. Returns what nobody wants any more.
    pub fn put_back(&mut self, done: Done<W>) -> Option<Done<W>> {
        match done {
            Done::Opened(opened) => {
                self.opening = false;
                self.next = None;
                if let Some(opened) = opened {
                    self.add(opened);
                }
                None
            }
            Done::Walked { number, start, walked } => {
                let mut pieces = self.segments.iter_mut().flat_map(|loaded| &mut loaded.pieces);
                let Some(piece) = pieces.find(|piece| piece.number == number) else {
                    return Some(Done::Walked { number, start, walked });
                };
                piece.start = piece.start.take().or(start);
                piece.state = match walked {
                    None => PieceState::Void,
                    Some(Walked { walk, chunk, end }) => {
                        self.chunks += usize::from(chunk.is_some());
                        piece.chunks.extend(chunk);
                        match end {
                            None => PieceState::Idle(walk),
                            Some(end) => PieceState::Ended(walk, end),
                        }
                    }
                };
                None
            }
        }
    }
}

/// Where there is something to do.
enum Found {
    /// A piece of a segment.
    Piece(usize, usize),
    /// A part of a segment of which there is no piece yet.
    Part(usize),
    /// The next segment.
    Next,
}
