//! Which appends are timed, at no cost to the others: of the room in a block, the writer sees only
//! as much as there are appends before the next one that is timed. So that one takes the slow path,
//! which knows why.

/// Hides room from the writer.
#[derive(Debug)]
pub struct Sampling {
    /// One in so many appends; 0 = none, and nothing is ever hidden.
    every: u32,
    /// Appends before the next one that is timed, behind those that the writer sees room for.
    before: u32,
    hidden_events: u32,
    hidden_blocks: u32,
}

impl Sampling {
    pub fn new(every: u32) -> Self {
        Sampling { every, before: every.saturating_sub(1), hidden_events: 0, hidden_blocks: 0 }
    }

    pub fn is_on(&self) -> bool {
        self.every > 0
    }

    /// Whether the next append is to be timed, now that the writer has used all the room it saw.
    pub fn is_due(&self) -> bool {
        self.is_on() && self.before == 0
    }

    /// An append was timed, or one that was to be was not.
    pub fn begin_again(&mut self) {
        self.before = self.every;
    }

    /// An append was made in room that was hidden.
    pub fn count(&mut self) {
        debug_assert!(self.before > 0);
        self.before -= 1;
    }

    /// Hides what is behind the next append that is timed: of the room for `events` in the block,
    /// and of the `blocks` after it, all. Returns for how many events the writer sees room.
    pub fn hide(&mut self, events: u32, blocks: u32) -> u32 {
        debug_assert!(self.is_on() && (self.hidden_events, self.hidden_blocks) == (0, 0));
        let seen = events.min(self.before);
        self.before -= seen;
        self.hidden_events = events - seen;
        self.hidden_blocks = blocks;
        seen
    }

    /// What was hidden: room in the block, and blocks.
    pub fn show(&mut self) -> (u32, u32) {
        let hidden = (self.hidden_events, self.hidden_blocks);
        (self.hidden_events, self.hidden_blocks) = (0, 0);
        hidden
    }
}
