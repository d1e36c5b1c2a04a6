//! Recovery, first half: looks at everything and changes nothing.
//!
//! Only the end of the log is read: segments from the newest closed one on. What lies before was
//! durable before the first block of a later segment was sealed, and is `verify`'s business.

use std::path::Path;
use std::sync::Arc;

use crate::directory::{load_meta, Inventory};
use crate::error::{Place, Result};
use crate::format::{file_name, MetaState, Rule, MAX_EVENT_ID};
use crate::segment::{
    closed, closed_header, cold_header, durable_id, first_slot, scan_segment, HeaderState,
};
use crate::storage::{Directory, Storage};

use super::origin::{find_origin, ActiveFiles, OriginSurvey};
use super::pairs::{judge_pairs, Pairs};
use super::table::{
    decide, Action, Break, EndFound, Ending, Origin, Row, SegmentFound, ENDING, SEGMENT,
};
use super::walk::{events_above, ActiveBeyond, TailSegment, Walk};

/// Everything recovery decides by.
#[derive(Debug)]
pub struct Survey {
    /// Names of files that were being written.
    pub temporaries: Vec<String>,
    /// Both files of a segment.
    pub pairs: Pairs,
    /// Where the log is.
    pub origin: OriginSurvey,
    /// How it ends.
    pub ending: &'static Row<EndFound, Ending>,
    /// What ends it.
    pub at: Break,
    /// D.
    pub durable_event_id: u64,
    /// The log.
    pub log: LogSurvey,
    /// Segments before the tail whose headers are to be written anew.
    pub middle: Vec<TailSegment>,
    /// Active files that hold what does not belong to the log.
    pub active_beyond: Vec<ActiveBeyond>,
    /// What else was noticed.
    pub notes: Vec<String>,
    /// Where the break is, for a refusal.
    pub place: Place,
}

/// The log as far as it can be accepted.
#[derive(Debug)]
pub struct LogSurvey {
    /// Its segments, those behind the end among them that are in the tail.
    pub inventory: Inventory,
    /// Segments behind the end that are not: nothing of them stays.
    pub cut: Inventory,
    /// The segments from the newest closed one on.
    pub tail: Vec<TailSegment>,
    /// The last event.
    pub last_event_id: u64,
}

impl Survey {
    /// `origin/ending`, or the origin alone when nothing else was decided.
    pub fn label(&self) -> String {
        match self.ending.then {
            Ending::Whole => self.origin.row.label.to_owned(),
            _ => format!("{}/{}", self.origin.row.label, self.ending.label),
        }
    }

    /// Whether the log was left in order.
    pub fn is_clean(&self) -> bool {
        matches!(self.origin.row.then, Origin::New | Origin::Clean)
            && self.ending.then == Ending::Whole
    }

    /// Whether the log ends where it does only because loss is accepted.
    pub fn loss_accepted(&self) -> bool {
        self.ending.then == Ending::Refuse
    }

    /// Whether a new log id is due: the old one is not known, is another directory's, or is that of
    /// an active directory that is given up.
    pub fn needs_new_id(&self) -> bool {
        matches!(self.origin.row.then, Origin::New | Origin::DiskAsNew | Origin::RefuseAsNew)
    }

    /// The path of the active directory the identity names, for messages.
    pub fn active_path(&self) -> &Path {
        let identity = self.origin.identity.as_ref();
        Path::new(identity.map_or("", |identity| &identity.active_path))
    }
}

/// Looks at a directory. Where active events contradict persisted ones and loss is accepted, the
/// WAL directory alone is the log.
pub fn survey(storage: &dyn Storage, wal: &dyn Directory, accept_loss: bool) -> Result<Survey> {
    let mut notes = Vec::new();
    let mut inventory = Inventory::of(wal)?;
    let has_segments = !inventory.is_empty();
    let origin = find_origin(storage, wal, has_segments, &mut notes)?;
    let temporaries = std::mem::take(&mut inventory.temporaries);
    let pairs = judge_pairs(wal, &mut inventory)?;
    for pair in &pairs.all {
        notes.push(format!("{}: {}", pair.row.label, file_name::cold(pair.index)));
    }
    let is_new = !has_segments && origin.identity.is_none();
    let meta = find_meta(wal, is_new, &mut notes)?;
    let active = origin.active.as_ref();
    let look = Look { wal, meta };
    let (mut log, mut walk) = look.find_end(inventory.clone(), active)?;
    let (at, ending) = (walk.at, decide(&ENDING, &walk.found())?);
    let place = walk.place();
    let mut active_beyond = std::mem::take(&mut walk.leftover);
    if let (Break::ActiveContradicts, true, Some(active)) = (at, accept_loss, active) {
        (log, walk) = look.find_end(inventory, None)?;
        active_beyond = active_events(active, log.last_event_id)?;
    }
    for segment in &log.tail {
        if let (Some(active), 1..) = (&segment.active, segment.active_beyond) {
            active_beyond.push(ActiveBeyond {
                index: segment.index,
                file: Arc::clone(active),
                events: segment.active_beyond,
            });
        }
    }
    notes.append(&mut walk.notes);
    let middle = look.open_middle(&pairs.unsettled, &log, walk.durable_event_id, &mut notes)?;
    Ok(Survey {
        temporaries,
        pairs,
        origin,
        ending,
        at,
        durable_event_id: walk.durable_event_id,
        log,
        middle,
        active_beyond,
        notes,
        place,
    })
}

fn find_meta(
    wal: &dyn Directory,
    is_new: bool,
    notes: &mut Vec<String>,
) -> Result<Option<MetaState>> {
    let found = load_meta(wal)?;
    match found {
        None if is_new => {}
        None => notes.push("wal_meta.dat is missing".into()),
        Some(None) => notes.push("wal_meta.dat is not readable".into()),
        Some(Some(_)) => {}
    }
    Ok(found.flatten())
}

/// The active files that hold events at all.
fn active_events(active: &ActiveFiles, last_event_id: u64) -> Result<Vec<ActiveBeyond>> {
    let mut found = Vec::new();
    for (&index, file) in &active.files {
        if events_above(&**file, 0)? > 0 {
            let events = events_above(&**file, last_event_id)?;
            found.push(ActiveBeyond { index, file: Arc::clone(file), events });
        }
    }
    Ok(found)
}

/// What the end of the log is looked for with.
struct Look<'a> {
    wal: &'a dyn Directory,
    meta: Option<MetaState>,
}

/// What lies before the tail.
enum Before {
    /// The last event id of it; `None` when it cannot be read.
    Floor(Option<u64>),
    /// From this segment on nothing follows on what is before.
    Broken(u32, Break),
}

impl Look<'_> {
    /// Finds the log's last segments, and follows it through them.
    fn find_end(
        &self,
        mut inventory: Inventory,
        active: Option<&ActiveFiles>,
    ) -> Result<(LogSurvey, Walk)> {
        let mut tail = self.open_tail(&inventory)?;
        let disks = tail.iter().map(|segment| Ok(Some(Arc::clone(&segment.disk))));
        let durable_event_id = durable_id(self.meta, disks)?;
        let mut cut = Inventory::default();
        let mut cut_by = None;
        let mut notes = Vec::new();
        let floor = loop {
            match self.before_tail(&inventory, &tail, cut_by.is_some(), &mut notes)? {
                Before::Floor(floor) => break floor,
                Before::Broken(index, at) => {
                    cut.hot.append(&mut inventory.hot.split_off(&index));
                    cut.cold.append(&mut inventory.cold.split_off(&index));
                    cut_by = Some((index, at));
                    tail = self.open_tail(&inventory)?;
                }
            }
        };
        let before = oldest(&tail, &inventory).checked_sub(1);
        let mut walk = Walk {
            durable_event_id,
            crashed: active.is_some(),
            last_event_id: match floor {
                Some(floor) => floor,
                None => floor_of_unreadable(&tail, durable_event_id)?,
            },
            floor: 0,
            ended: false,
            at: Break::Slot,
            place: Place::default(),
            next_index: before.and_then(|b| inventory.indexes().range(..=b).last()?.checked_add(1)),
            events_beyond: 0,
            closed_beyond: false,
            leftover: Vec::new(),
            notes,
        };
        walk.through(&mut tail, active.map(|a| a.files.clone()).unwrap_or_default())?;
        if let Some((index, at)) = cut_by {
            (walk.at, walk.closed_beyond) = (at, true);
            walk.place.segment_index = Some(index);
        }
        if let Some(index) = active.and_then(|active| active.misnamed) {
            walk.at = Break::ActiveContradicts;
            walk.place = Place { segment_index: Some(index), offset: Some(0), event_ids: None };
        }
        let last_event_id = walk.last_event_id;
        Ok((LogSurvey { inventory, cut, tail, last_event_id }, walk))
    }

    /// Opens the hot segments from the newest closed one on, and reads their headers. A cold one
    /// was closed: the hot ones before it are not of the end.
    fn open_tail(&self, inventory: &Inventory) -> Result<Vec<TailSegment>> {
        let mut tail = Vec::new();
        let after_cold = inventory.cold.last().map_or(0, |last| last.saturating_add(1));
        for &index in inventory.hot.range(after_cold..).rev() {
            let Some(segment) = TailSegment::open(self.wal, index)? else { continue };
            let is_closed = closed(segment.header, index).is_some();
            tail.push(segment);
            if is_closed {
                break;
            }
        }
        tail.reverse();
        Ok(tail)
    }

    /// Segments before the tail that have lost the headers of closed ones, found by chance.
    fn open_middle(
        &self,
        unsettled: &[u32],
        log: &LogSurvey,
        durable_event_id: u64,
        notes: &mut Vec<String>,
    ) -> Result<Vec<TailSegment>> {
        let mut middle = Vec::new();
        let oldest = oldest(&log.tail, &log.inventory);
        let before = unsettled.iter().filter(|&&index| index < oldest);
        for &index in before.filter(|index| log.inventory.hot.contains(index)) {
            let Some(mut segment) = TailSegment::open(self.wal, index)? else { continue };
            // What comes before is not known here; ids rise, and D is far above.
            segment.end =
                scan_segment(&*segment.disk, Rule::Disk { durable_id: durable_event_id }, 0)?;
            segment.on_disk = segment.end.event_count;
            // A part of it is not for recovery to take for the whole.
            let whole = segment.end.event_count > 0 && segment.end.events_beyond == 0;
            if whole && !segment.is_renamed() {
                notes.push(format!("header-rebuilt: {}", file_name::hot(index)));
                middle.push(segment);
            }
        }
        Ok(middle)
    }

    /// The last event id before a segment, if the header before it can be read; 0 when it is the
    /// first.
    fn last_before(&self, inventory: &Inventory, index: u32) -> Result<Option<u64>> {
        let Some(&before) = inventory.indexes().range(..index).last() else { return Ok(Some(0)) };
        let header = closed_header(self.wal, before, inventory.hot.contains(&before))?;
        let header = header.filter(|header| header.event_count > 0);
        Ok(header.map(|header| header.last_event_id))
    }

    /// Whether the newest hot segment before a cold one was never closed.
    fn is_unclosed_before(&self, inventory: &Inventory, index: u32) -> Result<bool> {
        let Some(&before) = inventory.hot.range(..index).last() else { return Ok(false) };
        Ok(closed_header(self.wal, before, inventory.hot.contains(&before))?.is_none())
    }

    /// The last event id before the tail, unless the log breaks there.
    fn before_tail(
        &self,
        inventory: &Inventory,
        tail: &[TailSegment],
        is_cut: bool,
        notes: &mut Vec<String>,
    ) -> Result<Before> {
        let oldest = oldest(tail, inventory);
        let closed = closed(tail.first().and_then(|first| first.header), oldest);
        let before = inventory.indexes().into_iter().filter(|&index| index < oldest);
        let joined = closed.map(|_| oldest);
        let indexes: Vec<u32> = before.chain(joined).collect();
        if let Some(pair) = indexes.windows(2).find(|pair| pair[1] - pair[0] > 1) {
            return Ok(Before::Broken(pair[0] + 1, Break::Missing));
        }
        if let Some(header) = closed.filter(|header| header.first_event_id > 0) {
            let before = self.last_before(inventory, oldest)?;
            return Ok(Before::Floor(Some(before.map_or(header.first_event_id - 1, |last| {
                // Of two headers that contradict each other the lower floor loses nothing.
                last.min(header.first_event_id - 1)
            }))));
        }
        let Some(&index) = inventory.cold.range(..oldest).last() else {
            return Ok(Before::Floor(Some(0)));
        };
        let header = cold_header(self.wal, index)?;
        let state = HeaderState::of(header, index);
        let found = SegmentFound { is_cold: true, header: state, has_events: false };
        let row = decide(&SEGMENT, &found)?;
        Ok(match (row.then, header) {
            (Action::Refuse, _) => Before::Broken(index, Break::Misnamed),
            (Action::Accept, Some(header)) if header.last_event_id <= MAX_EVENT_ID => {
                Before::Floor(Some(header.last_event_id))
            }
            // It would have been closed after them: it is not of this log.
            _ if tail.is_empty() && self.is_unclosed_before(inventory, index)? => {
                Before::Broken(index, Break::Misnamed)
            }
            // A log that is cut must end at an event that is known.
            _ if is_cut && tail.is_empty() => Before::Broken(index, Break::Missing),
            _ => {
                notes.push(format!("{}: {}", row.label, file_name::cold(index)));
                Before::Floor(None)
            }
        })
    }
}

/// Where the tail begins; without one, past every index.
fn oldest(tail: &[TailSegment], inventory: &Inventory) -> u32 {
    let past = || inventory.indexes().last().map_or(0, |last| last.saturating_add(1));
    tail.first().map_or_else(past, |first| first.index)
}

/// The floor of a tail behind a cold segment that cannot be read: what its own first event needs,
/// or, when it has none, where the log is known to have ended.
fn floor_of_unreadable(tail: &[TailSegment], durable_event_id: u64) -> Result<u64> {
    let Some(first) = tail.first() else { return Ok(durable_event_id) };
    Ok(match first_slot(&*first.disk)? {
        0 => durable_event_id,
        id => id - 1,
    })
}
