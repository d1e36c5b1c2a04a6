//! Recovery follows the log through its last segments, to the first event that cannot be accepted.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::directory::Inventory;
use crate::error::{Place, Result};
use crate::format::{file_name, Layout, LogEnd, MetaState, Rule, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};
use crate::segment::{
    begins_among, closed, compare_files, events_above, first_slot, for_each_block, read_header,
    scan_segment, HeaderState,
};
use crate::storage::{Directory, File, Open};

use super::table::{decide, Break, EndFound, SegmentAction, SegmentFound, SEGMENT};

/// A segment at the end of the log.
#[derive(Debug)]
pub struct TailSegment {
    /// The index in its name.
    pub index: u32,
    /// Its disk file is gone.
    pub is_gone: bool,
    /// Its disk file.
    pub disk: Arc<dyn File>,
    /// How many blocks its disk file has room for.
    pub layout: Layout,
    /// Whether the disk file consists of whole blocks: it was not cut.
    pub is_exact: bool,
    /// Its header, if that is valid.
    pub header: Option<SegmentHeader>,
    /// Its file in the active directory, if the log was left by a crash of the process.
    pub active: Option<Arc<dyn File>>,
    /// The events of it that belong to the log.
    pub end: LogEnd,
    /// How many of them the disk file proves by itself.
    pub on_disk: u32,
    /// Slots of the disk file behind the end of the log that hold events.
    pub beyond: u32,
    /// The same of the active file.
    pub active_beyond: u32,
    /// Slots of the disk file with events that the active file does not have there.
    pub differing: u32,
}

impl TailSegment {
    /// Opens a hot segment's file and reads its header; `None` when there is no such file.
    pub fn open(wal: &dyn Directory, index: u32) -> Result<Option<Self>> {
        let disk = wal.open(&file_name::hot(index), Open::Write)?;
        disk.map(|disk| Self::of(index, disk)).transpose()
    }

    /// The segment in an active file whose disk file is gone: that file stands for it until it is
    /// made again.
    pub fn of_memory(index: u32, active: &Arc<dyn File>) -> Result<Self> {
        Ok(TailSegment { is_gone: true, ..Self::of(index, Arc::clone(active))? })
    }

    fn of(index: u32, disk: Arc<dyn File>) -> Result<Self> {
        let size = disk.size()?;
        let layout = Layout::of_file(size);
        Ok(TailSegment {
            index,
            is_gone: false,
            layout,
            is_exact: layout.is_exact(size),
            header: read_header(&*disk)?,
            disk,
            active: None,
            end: LogEnd::default(),
            on_disk: 0,
            beyond: 0,
            active_beyond: 0,
            differing: 0,
        })
    }

    /// Whether its header says that it is closed with just these events.
    pub fn is_closed(&self) -> bool {
        self.header.is_some_and(|h| h.is_closed() && h.event_count == self.end.event_count)
    }

    /// Whether it was prepared and never written to.
    pub fn is_unused(&self) -> bool {
        self.end.event_count == 0 && self.beyond == 0
    }

    /// Whether its file is copied before its end is cleared and the active file's events are
    /// written over it: it holds other events there. When loss is accepted, slots with lower ids
    /// count too: they look left from the file's former use, but may be events of the log.
    pub fn is_copied_aside(&self, loss_accepted: bool) -> Result<bool> {
        let count = self.end.event_count;
        let differs = self.beyond > 0 || self.differing > 0;
        if count == 0 || differs || !loss_accepted {
            return Ok(count > 0 && differs);
        }
        let mut found = false;
        for_each_block(&*self.disk, count / EVENTS_PER_BLOCK as u32, |block, bytes| {
            let behind = count.saturating_sub(block * EVENTS_PER_BLOCK as u32) as usize;
            let slots = bytes[BLOCK_HEADER_SIZE..].chunks_exact(EVENT_SIZE).skip(behind);
            found |= slots.into_iter().any(|slot| slot[..8] != [0; 8]);
            Ok(!found)
        })?;
        Ok(found)
    }

    /// Whether there is no room for another event. A file that was cut is not full: it has lost the
    /// events that came next.
    fn is_full(&self) -> bool {
        let is_full = self.end.event_count == self.layout.capacity();
        is_full && self.is_exact && self.uncounted() == 0
    }

    /// Events that its header counts and that are not in the log.
    fn uncounted(&self) -> u32 {
        let closed = closed(self.header, self.index);
        closed.map_or(0, |header| header.event_count.saturating_sub(self.end.event_count))
    }

    /// Whether its header is another segment's, and counts events.
    pub fn is_renamed(&self) -> bool {
        let counts = self.header.is_some_and(|header| header.event_count > 0);
        counts && self.header_state() == HeaderState::OtherIndex
    }

    /// Events in a file of which nothing is in the log, whatever their ids: they may be nowhere
    /// else. A file that is only prepared has nothing in its first slot.
    pub fn displaced(&self) -> Result<u32> {
        if self.end.event_count > 0 || first_slot(&*self.disk)? == 0 {
            return Ok(0);
        }
        events_above(&*self.disk, 0)
    }

    fn header_state(&self) -> HeaderState {
        HeaderState::of(self.header, self.index)
    }
}

/// A file of the active directory that holds events behind the end of the log.
#[derive(Debug, Clone)]
pub struct ActiveBeyond {
    /// The index in its name.
    pub index: u32,
    /// The file.
    pub file: Arc<dyn File>,
    /// How many events.
    pub events: u32,
}

/// How far the log has been followed, and what has been found behind its end.
#[derive(Debug, Default)]
pub struct Walk {
    /// D: the highest id that is known durable.
    pub durable_event_id: u64,
    /// The process crashed: there is an active directory.
    pub crashed: bool,
    /// Its segments; those behind the end only if they are in the tail.
    pub inventory: Inventory,
    /// Segments behind the end that are not in the tail: nothing of them stays.
    pub cut: Inventory,
    /// The segments from the newest closed one on.
    pub tail: Vec<TailSegment>,
    /// The last accepted event.
    pub last_event_id: u64,
    /// The last event before the segment that is followed.
    pub floor: u64,
    /// Whether the log has ended: what is still to come does not belong to it.
    pub ended: bool,
    /// What ended it.
    pub at: Break,
    /// Where.
    pub place: Place,
    /// The index that comes next.
    pub next_index: Option<u32>,
    /// Events behind the end.
    pub events_beyond: u64,
    /// Some of them are in a closed segment.
    pub closed_beyond: bool,
    /// Active files that hold events behind the end.
    pub active_beyond: Vec<ActiveBeyond>,
    /// Active directories of later generations than the log's. What they hold behind the end is
    /// kept aside, and they are removed.
    pub later_active: Vec<Arc<dyn Directory>>,
    /// Labels of what was noticed, each with a file.
    pub notes: Vec<String>,
}

impl Walk {
    /// Follows the log through the tail.
    pub fn follow(
        &mut self,
        mut tail: Vec<TailSegment>,
        mut active: BTreeMap<u32, Arc<dyn File>>,
    ) -> Result<()> {
        for segment in &mut tail {
            segment.active = active.remove(&segment.index);
            self.step(segment)?;
        }
        self.reject_overlapped(&mut tail)?;
        // Those that no segment of the tail goes with.
        for (index, file) in active {
            let events = events_above(&*file, self.last_event_id)?;
            if events > 0 {
                self.events_beyond += u64::from(events);
                if self.at == Break::Slot {
                    self.breaks(Break::Missing, index, None);
                }
                self.active_beyond.push(ActiveBeyond { index, file, events });
            }
        }
        for segment in &tail {
            if let (Some(file), events @ 1..) = (segment.active.clone(), segment.active_beyond) {
                self.active_beyond.push(ActiveBeyond { index: segment.index, file, events });
            }
        }
        if self.at == Break::Missing && self.events_beyond == 0 {
            // A prepared segment behind others that have been removed: none of them held anything.
            self.at = Break::Slot;
        }
        if self.at == Break::Slot && self.crashed && self.events_beyond > 0 {
            // In memory nothing can follow the end: the writer fills segments one by one.
            self.at = Break::ActiveContradicts;
        }
        let mut ends = tail.iter().map(|segment| segment.end).filter(|end| end.event_count > 0);
        debug_assert!(ends.clone().is_sorted_by(|a, b| a.last_event_id < b.first_event_id));
        debug_assert!(ends.next_back().is_none_or(|end| end.last_event_id == self.last_event_id));
        self.tail = tail;
        Ok(())
    }

    fn step(&mut self, segment: &mut TailSegment) -> Result<()> {
        let expected = self.next_index.replace(segment.index.saturating_add(1));
        debug_assert!(expected.is_none_or(|next| next <= segment.index), "indexes rise");
        if let Some(missing) = expected.filter(|&next| next != segment.index && !self.ended) {
            self.breaks(Break::Missing, missing, None);
        }
        if segment.is_renamed() && self.at == Break::Slot {
            self.breaks(Break::Misnamed, segment.index, Some(0));
        }
        if !self.ended {
            self.accept(segment)?;
        }
        if self.ended && segment.end.event_count == 0 {
            segment.end = LogEnd { last_event_id: self.last_event_id, ..LogEnd::default() };
            segment.beyond = events_above(&*segment.disk, self.last_event_id)?;
            if let Some(active) = &segment.active {
                segment.active_beyond = events_above(&**active, self.last_event_id)?;
            }
        }
        if segment.beyond == 0 {
            segment.beyond = segment.displaced()?;
        }
        let beyond = segment.beyond.max(segment.active_beyond);
        self.events_beyond += u64::from(beyond);
        self.closed_beyond |= beyond > 0 && segment.header_state() == HeaderState::Closed;
        Ok(())
    }

    /// Decides which events of a segment belong to the log: by the active file where there is one,
    /// else by the disk file.
    fn accept(&mut self, segment: &mut TailSegment) -> Result<()> {
        let floor = self.last_event_id;
        self.floor = floor;
        let rule = Rule::Disk { durable_id: self.durable_event_id };
        let disk = scan_segment(&*segment.disk, rule, floor)?;
        let end = match &segment.active {
            Some(active) => scan_segment(&**active, Rule::Memory, floor)?,
            None => disk,
        };
        debug_assert!(disk.event_count <= segment.layout.capacity());
        debug_assert!(end.last_event_id >= floor, "ids rise from segment to segment");
        let (header, has_events) = (segment.header_state(), end.event_count > 0);
        let row = decide(&SEGMENT, &SegmentFound { is_cold: false, header, has_events })?;
        match row.then {
            SegmentAction::Refuse => {
                self.breaks(Break::Misnamed, segment.index, Some(0));
                return Ok(());
            }
            SegmentAction::Rebuild => {
                self.notes.push(format!("{}: {}", row.label, file_name::hot(segment.index)));
            }
            SegmentAction::Accept | SegmentAction::Discard | SegmentAction::Note => {}
        }
        segment.end = end;
        segment.on_disk = disk.event_count;
        self.last_event_id = end.last_event_id;
        let offset = Some(Layout::event_offset(end.event_count));
        if let Some(active) = &segment.active {
            segment.active_beyond = end.events_beyond;
            // Where no older segment is left, the first event tells what is older.
            let floor = floor.max(end.first_event_id.saturating_sub(1));
            let (same, differing) =
                compare_files(&*segment.disk, &**active, disk.event_count, floor)?;
            segment.differing = differing;
            let size = active.size()?;
            let layout = Layout::of_file(size);
            if segment.disk.size()? < size {
                // It was cut short, and grows again.
                (segment.layout, segment.is_exact) = (layout, layout.is_exact(size));
            }
            let agree = segment.layout == layout && disk.event_count <= end.event_count && same;
            if !agree || end.events_beyond > 0 {
                self.breaks(Break::ActiveContradicts, segment.index, offset);
                return Ok(());
            }
        } else {
            // Events that the header counts may have been cut off or changed: then their ids do not
            // show that they were there.
            segment.beyond = disk.events_beyond.max(segment.uncounted());
        }
        if segment.is_full() || (segment.is_closed() && segment.beyond == 0) {
            self.place = place(segment.index, offset);
            return Ok(());
        }
        // Until a segment is full and durable, it has an active file.
        let lost = self.crashed && segment.active.is_none();
        let at = if lost { Break::ActiveLost } else { Break::Slot };
        self.breaks(at, segment.index, offset);
        Ok(())
    }

    /// Blocks of the segment the log ends in may be a later segment's, each of them whole. The ids
    /// of that segment then begin among its own, and none of its events can be believed.
    fn reject_overlapped(&mut self, tail: &mut [TailSegment]) -> Result<()> {
        let last = tail.iter().rposition(|segment| segment.end.event_count > 0);
        let Some(at) = last.filter(|_| self.at == Break::Slot) else { return Ok(()) };
        let (floor, end) = (self.floor, self.last_event_id);
        debug_assert!(floor <= end, "ids rise");
        let mut overlaps = false;
        for later in &tail[at + 1..] {
            let (disk, header) = (&*later.disk, later.header);
            overlaps |= begins_among(disk, header, later.index, (floor, end))?.is_some();
        }
        if overlaps {
            let last = &mut tail[at];
            last.beyond = last.beyond.max(last.end.event_count);
            last.end = LogEnd { last_event_id: floor, ..LogEnd::default() };
            self.last_event_id = floor;
            self.events_beyond += u64::from(last.beyond);
            self.breaks(Break::Overlap, last.index, Some(0));
        }
        Ok(())
    }

    /// Whether the log ends whole, below D, where a segment ends: then the next segment is missing.
    /// A last segment with room does not show that. Its own end may be missing, unless `meta` knows
    /// of a later segment.
    pub fn lacks_next(&self, meta: Option<MetaState>) -> bool {
        let later = |last: &TailSegment| meta.is_some_and(|m| m.last_segment_index > last.index);
        let is_past = self.tail.last().is_none_or(|last| last.is_full() || later(last));
        let is_below_durable = self.last_event_id < self.durable_event_id;
        self.at == Break::Slot && !self.ended && is_past && is_below_durable
    }

    fn breaks(&mut self, at: Break, index: u32, offset: Option<u64>) {
        self.ended = true;
        self.at = at;
        self.place = place(index, offset);
    }

    /// What decides how the log ends.
    pub fn found(&self) -> EndFound {
        EndFound {
            at: self.at,
            beyond: self.events_beyond > 0,
            proven_beyond: self.crashed || self.closed_beyond,
            last_to_durable: self.last_event_id.cmp(&self.durable_event_id),
        }
    }

    /// Where the log ends, with the ids of the durable events that are missing.
    pub fn place(&self) -> Place {
        let durable = self.durable_event_id;
        let lost = (self.last_event_id < durable).then(|| (self.last_event_id + 1, durable));
        Place { event_ids: lost, ..self.place }
    }
}

fn place(index: u32, offset: Option<u64>) -> Place {
    Place { segment_index: Some(index), offset, ..Place::default() }
}
