//! The events of a segment in the active directory: memory that another process may be writing at
//! this moment, and that becomes another segment's once this one is durable on disk.
//!
//! The writer must not wait for a reader, however slow or stopped, so a reader takes no lock. It
//! copies the slots out, and finds out afterwards what the copy is worth:
//!
//! 1. It copies the slots. What counts in this copy is only which ids are there.
//! 2. Acquire fence, then it copies the slots with those ids again. An id is stored last, with
//!    release: whatever of an event this second copy sees is at least as new as its id.
//! 3. Acquire fence, then it reads the first word of the header, which holds the segment's index.
//!    Whoever reuses the file stores the new index before anything else, with a release fence
//!    behind it, and whoever gives its memory back clears the header first. So if any byte of the
//!    copies is not this segment's, this word is not either, and the copies are dropped. An index
//!    never comes back: they rise.
//!
//! A reader copies with `pread`, and maps nothing. That copies bytes, not words, so an id may be
//! read half old and half new. Then the second copy, which begins later, has the whole new one:
//! only ids that both copies have are right. The fences order the loads of the kernel as they do
//! our own: a processor does not distinguish them, and the file's pages are the very memory that
//! the writer stores into.
//!
//! A follower maps the file, so that it sees an event by one load of its id, with acquire, instead
//! of four system calls; then one copy is enough. A mapping outlives what happens to the file: one
//! that is used again is still mapped, and one that is given back is never cut but becomes a hole
//! (`File::give_back_memory`), so that a follower that was stopped in it keeps no memory. What it
//! touches of a hole takes a page until it has looked at the header; only where not even that page
//! is left, the touch would end the process. So after a rest it asks with `pread` first
//! ([`Memory::doubt`]). Somebody who truncates the file ends the follower, as he does the writer.
//!
//! `recorder::reading_models` has both hand-offs as models for loom.

use std::ops::Range;
use std::sync::atomic::{fence, Ordering};
use std::sync::Arc;

use crate::error::{Cause, Error, Result};
use crate::format::{Layout, RequestEvent, EVENTS_PER_BLOCK, EVENT_SIZE, MAX_EVENT_ID};
use crate::storage::{File, Mapping, Slots};

use super::batch::Batch;
use super::file::first_slot;
use super::header::{read_block_header, read_header, HeaderState};

/// Magic, version, header size and segment index.
type IndexWord = [u8; 8];

/// Bytes of the events of a block.
const BLOCK: usize = EVENTS_PER_BLOCK * EVENT_SIZE;

/// An active segment's file.
pub struct Memory {
    file: Arc<dyn File>,
    layout: Layout,
    /// What the header begins with as long as the file is this segment's.
    index_word: IndexWord,
    first_slot: u64,
    /// The two copies. The second is given out.
    ids: Vec<u8>,
    events: Arc<Slots>,
    /// A follower's.
    mapping: Option<Mapping>,
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
            events: Arc::default(),
            mapping: None,
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

    /// Copies bytes as they are at this moment, whatever that is worth.
    pub fn peek(&self, bytes: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(bytes, offset)
    }

    /// Whether all of its blocks are sealed: it is full, and closed or about to be. What is left
    /// from the file's former use has lower ids.
    pub fn is_sealed(&self) -> Result<bool> {
        let last = self.layout.blocks - 1;
        let header = read_block_header(&*self.file, last)?;
        let is_full = header.is_some_and(|header| {
            header.block_index == last
                && usize::from(header.event_count) == EVENTS_PER_BLOCK
                && header.first_event_id > self.first_slot
        });
        Ok(is_full && self.first_slot != 0)
    }

    /// Copies a sealed block. Fails when the file has become another segment's: then the copy may
    /// be of that one.
    pub fn block(&self, block: &mut [u8], offset: u64) -> Result<usize> {
        let read = self.file.read_at(block, offset)?;
        if self.is_own()? {
            return Ok(read);
        }
        let message = "the memory of the segment has become another segment's";
        Err(Error::new(Cause::Corrupt, message))
    }

    /// Maps the file, for a follower. Where that is refused it goes on with `pread`.
    pub fn map(&mut self) {
        self.mapping = self.file.map(self.layout.file_size(), false).ok();
    }

    pub fn is_mapped(&self) -> bool {
        self.mapping.is_some()
    }

    /// What stands as an id in a slot, if the file is mapped and still this segment's.
    pub fn mapped_id(&self, slot: u32) -> Option<u64> {
        let mapping = self.mapping.as_ref()?;
        let id = mapping.load_word(Layout::event_offset(slot) as usize);
        self.has_own_mapping().then_some(id)
    }

    /// The event in a slot, if the file is mapped and still this segment's; or `None` where the id
    /// does not rise from `floor`. Looks at no other slot: the next one is the writer's.
    #[inline]
    pub fn mapped_event(&self, slot: u32, floor: u64) -> Option<Option<RequestEvent>> {
        let mapping = self.mapping.as_ref()?;
        let offset = Layout::event_offset(slot) as usize;
        let id = mapping.load_word(offset);
        let is_there = id > floor && id <= MAX_EVENT_ID;
        let mut event = [0; EVENT_SIZE];
        if is_there {
            mapping.load(offset, &mut event);
        }
        self.has_own_mapping().then(|| is_there.then(|| RequestEvent::decode(&event)))
    }

    /// Whether everything that was loaded before from the mapping is this segment's.
    fn has_own_mapping(&self) -> bool {
        fence(Ordering::Acquire);
        let own = u64::from_le_bytes(self.index_word);
        self.mapping.as_ref().is_some_and(|mapping| mapping.load_word(0) == own)
    }

    /// Gives the mapping up if the file is not this segment's any more. For a follower that has
    /// rested, and so may have been left behind: here it touches nothing that may be gone.
    pub fn doubt(&mut self) -> Result<()> {
        let mut word = IndexWord::default();
        if self.file.read_at(&mut word, 0)? < word.len() || word != self.index_word {
            self.mapping = None;
        }
        Ok(())
    }

    /// Copies the committed events of these slots of one block, as far as their ids rise from
    /// `floor`. `None` when the file has become another segment's, or was cut.
    pub fn events(&mut self, slots: Range<u32>, floor: u64) -> Result<Option<Batch>> {
        debug_assert!(slots.start < slots.end && slots.end <= self.layout.capacity());
        debug_assert!(
            (slots.end - 1) / EVENTS_PER_BLOCK as u32 == slots.start / EVENTS_PER_BLOCK as u32
        );
        let offset = Layout::event_offset(slots.start);
        if let Some(mapping) = &self.mapping {
            let events = Slots::to_fill(&mut self.events, &mut Vec::new(), BLOCK);
            let copied = copy_committed(mapping, offset as usize, slots.len(), floor, events);
            return Ok(self.has_own_mapping().then(|| Batch::new(&self.events, 0..copied)));
        }
        self.ids.resize(slots.len() * EVENT_SIZE, 0);
        let read = self.file.read_at(&mut self.ids, offset)?;
        let rising = count_rising(&self.ids[..read], floor);
        let mut agreed = 0;
        if rising > 0 {
            let events = Slots::to_fill(&mut self.events, &mut Vec::new(), BLOCK);
            let events = &mut events[..rising * EVENT_SIZE];
            fence(Ordering::Acquire);
            let read = self.file.read_at(events, offset)?;
            let both = ids_of(&self.ids).zip(ids_of(&events[..read]));
            agreed = both.take_while(|(first, second)| first == second).count();
        }
        Ok(self.is_own()?.then(|| Batch::new(&self.events, 0..agreed)))
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

/// Copies the events from `offset` on whose ids rise from `floor`, at most `most`. Returns their
/// number.
fn copy_committed(
    mapping: &Mapping,
    offset: usize,
    most: usize,
    floor: u64,
    events: &mut [u8],
) -> usize {
    let mut last = floor;
    for n in 0..most {
        let at = n * EVENT_SIZE;
        let id = mapping.load_word(offset + at);
        if id <= last || id > MAX_EVENT_ID {
            return n;
        }
        mapping.load(offset + at, &mut events[at..at + EVENT_SIZE]);
        last = id;
    }
    most
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
