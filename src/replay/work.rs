//! What can be done ahead of a reader: to open a segment, and to walk through a part of it. The
//! queue knows nothing else of segments, so that the tests can be made of numbers.

/// What is done ahead.
pub trait Work: Send + Sync + 'static {
    /// A segment that was opened.
    type Segment: Clone + Send;
    /// What is needed to walk several parts of it.
    type Division: Clone + Send;
    /// A place in it, and what is needed to go on from there.
    type Walk: Send;
    /// Where a walk stands.
    type Position: PartialEq + Send;
    /// What a walk gives.
    type Chunk: Send;
    /// How a walk ended, other than by coming to the block it was to stop before.
    type Outcome: Send;
    /// What chunks are read into.
    type Spare: Send;
    /// How many of these a chunk needs.
    const SPARES: usize;

    /// Opens the segment `index`, whose events are above `floor`. `None`: the reader must do it.
    fn open(&self, index: u32, floor: u64) -> Option<Opened<Self>>;
    /// Whether this is the segment `index`, opened with its events above `floor`, and nothing has
    /// changed since.
    fn is_still(&self, segment: &Self::Segment, index: u32, floor: u64) -> bool;
    /// Begins at a block other than the first.
    fn walk_from(&self, division: &Self::Division, block: u32) -> Option<Self::Walk>;
    /// Where a walk stands.
    fn position(&self, walk: &Self::Walk) -> Self::Position;
    /// Walks on by a chunk, and no further than to `end`.
    fn walk(&self, walk: Self::Walk, bounds: Bounds, spares: Vec<Self::Spare>) -> Walked<Self>;
}

/// How far to walk, and from which event on something is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The block to stop before.
    pub end: u32,
    /// Events below this id are not wanted.
    pub from: u64,
}

/// A segment that was opened, and what follows it.
pub struct Opened<W: Work + ?Sized> {
    pub segment: W::Segment,
    /// From its beginning, or from where the reader stands in it.
    pub walk: W::Walk,
    /// The block that walk stands at, and where the parts that can be walked by themselves end.
    pub parts: Option<(W::Division, u32, u32)>,
    /// The index of the segment behind it, and the last event before that.
    pub next: Option<(u32, u64)>,
}

/// What a walk came to.
pub struct Walked<W: Work + ?Sized> {
    pub walk: W::Walk,
    pub chunk: Option<W::Chunk>,
    pub end: Option<End<W>>,
}

/// The end of a piece.
pub enum End<W: Work + ?Sized> {
    /// It came to the block it was to stop before.
    Reached,
    /// Something else, for the reader to decide about.
    Stopped(W::Outcome),
}
