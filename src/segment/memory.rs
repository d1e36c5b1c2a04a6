//! The events of a segment in the active directory: memory that another process may be writing at
//! this moment, and that becomes another segment's once this one is durable on disk.
//!
//! The writer must not wait for a reader, however slow or stopped, so a reader takes no lock and
//! maps nothing (a file that is cut under a mapping ends the process). It copies the slots out with
//! `pread`, and finds out afterwards what the copy is worth:
//!
//! 1. It copies the slots. What counts in this copy is only which ids are there.
//! 2. Acquire fence, then it copies the slots with those ids again. An id is stored last, with
//!    release: whatever of an event this second copy sees is at least as new as its id.
//! 3. Acquire fence, then it reads the first word of the header, which holds the segment's index.
//!    Whoever reuses the file stores the new index before anything else, with a release fence
//!    behind it. So if any byte of the copies was stored for another segment, this word is another
//!    segment's too, and the copies are dropped. An index never comes back: they rise.
//!
//! `pread` copies bytes, not words, so an id may be read half old and half new. Then the second
//! copy, which begins later, has the whole new one: only ids that both copies have are right.
//!
//! The fences order the loads of the kernel as they do our own: a processor does not distinguish
//! them, and the file's pages are the very memory that the writer stores into. `recorder::models`
//! has this hand-off as a model for loom.

use std::ops::Range;
use std::sync::atomic::{fence, Ordering};
use std::sync::Arc;

use crate::error::Result;
use crate::format::{Layout, EVENTS_PER_BLOCK, EVENT_SIZE, MAX_EVENT_ID};
use crate::storage::File;

use super::file::first_slot;
use super::header::{read_header, HeaderState};

/// Magic, version, header size and segment index.
type IndexWord = [u8; 8];

/// An active segment's file.
pub struct Memory {
    file: Arc<dyn File>,
    layout: Layout,
    /// What the header begins with as long as the file is this segment's.
    index_word: IndexWord,
    first_slot: u64,
    /// The two copies.
    ids: Vec<u8>,
    events: Vec<u8>,
}

impl Memory {
    /// The segment `index` in an active file. `None` when the file is, or becomes meanwhile,
    /// another segment's, or was cut: then this one is on disk.
    pub fn open(file: Arc<dyn File>, index: u32) -> Result<Option<Self>> {
        let header = read_header(&*file)?;
        let Some(header) = header.filter(|_| HeaderState::of(header, index).is_own()) else {
            return Ok(None);
        };
        let mut index_word = IndexWord::default();
        index_word.copy_from_slice(&header.encode()[..size_of::<IndexWord>()]);
        let size = file.size()?;
        let layout = Layout::of_file(size);
        if !layout.is_exact(size) {
            return Ok(None);
        }
        let memory = Memory {
            layout,
            index_word,
            first_slot: first_slot(&*file)?,
            ids: Vec::new(),
            events: Vec::new(),
            file,
        };
        Ok(memory.is_own()?.then_some(memory))
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// What stood as an id in the first slot when the file was opened; 0 = no events.
    pub fn first_slot(&self) -> u64 {
        self.first_slot
    }

    /// Copies the committed events of these slots of one block, as far as their ids rise from
    /// `floor`. `None` when the file has become another segment's, or was cut.
    pub fn events(&mut self, slots: Range<u32>, floor: u64) -> Result<Option<&[u8]>> {
        debug_assert!(slots.start < slots.end && slots.end <= self.layout.capacity());
        debug_assert!(
            (slots.end - 1) / EVENTS_PER_BLOCK as u32 == slots.start / EVENTS_PER_BLOCK as u32
        );
        let offset = Layout::event_offset(slots.start);
        self.ids.resize(slots.len() * EVENT_SIZE, 0);
        let read = self.file.read_at(&mut self.ids, offset)?;
        let rising = count_rising(&self.ids[..read], floor);
        self.events.resize(rising * EVENT_SIZE, 0);
        let mut agreed = 0;
        if rising > 0 {
            fence(Ordering::Acquire);
            let read = self.file.read_at(&mut self.events, offset)?;
            let both = ids_of(&self.ids).zip(ids_of(&self.events[..read]));
            agreed = both.take_while(|(first, second)| first == second).count();
        }
        Ok(self.is_own()?.then(|| &self.events[..agreed * EVENT_SIZE]))
    }

    /// Whether everything that was copied before is this segment's. A file that was cut reads as if
    /// the log ended there.
    fn is_own(&self) -> Result<bool> {
        fence(Ordering::Acquire);
        let mut word = IndexWord::default();
        let read = self.file.read_at(&mut word, 0)?;
        let is_named = read == word.len() && word == self.index_word;
        Ok(is_named && self.layout.is_exact(self.file.size()?))
    }
}

fn ids_of(slots: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let id = |slot: &[u8]| slot.first_chunk().map_or(0, |id| u64::from_le_bytes(*id));
    slots.chunks_exact(EVENT_SIZE).map(id)
}

/// How many slots from the first on hold ids that rise from `floor`.
fn count_rising(slots: &[u8], floor: u64) -> usize {
    let mut last = floor;
    let rises = |&id: &u64| {
        let rises = id > last && id <= MAX_EVENT_ID;
        last = id;
        rises
    };
    ids_of(slots).take_while(rises).count()
}
