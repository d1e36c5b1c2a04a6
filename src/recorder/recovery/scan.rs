//! Recovery, first half: reads the directory and changes nothing.
//!
//! Reads only the end of the log: the segments from the newest closed one on. Earlier segments were
//! durable before the first block of a later one was sealed; `verify` checks them.

use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::directory::{load_meta, Inventory};
use crate::error::{Place, Result};
use crate::format::file_name::{parse, FileName};
use crate::format::{file_name, Cut, Layout, MetaState, Rule, MAX_EVENT_ID};
use crate::segment::{
    closed, closed_header, cold_header, durable_id, events_above, first_slot, gone_from_disk,
    scan_segment, HeaderState,
};
use crate::storage::{Directory, Storage};

use super::doubts::{doubt_sizes, find_newer, Doubts};
use super::origin::{find_origin, ActiveFiles, OriginSurvey, Purpose};
use super::pairs::{judge_pairs, PairSurvey};
use super::table::{
    decide, Break, EndFound, Ending, Origin, Pair, Row, SegmentAction, SegmentFound, ENDING,
    SEGMENT,
};
use super::tail::{oldest, open_tail};
use super::walk::{ActiveBeyond, TailSegment, Walk};

/// Everything recovery decides by.
#[derive(Debug)]
pub struct Survey {
    /// Names of files that were being written.
    pub temporaries: Vec<String>,
    /// Segments of which there are both files.
    pub pairs: Vec<PairSurvey>,
    /// Where the log is.
    pub origin: OriginSurvey,
    /// How it ends.
    pub ending: &'static Row<EndFound, Ending>,
    /// D: the highest id that is known durable.
    pub durable_event_id: u64,
    /// The log as far as it can be accepted.
    pub log: Walk,
    /// Segments before the tail whose headers are to be written anew.
    pub middle: Vec<TailSegment>,
    /// What else was noticed.
    pub notes: Vec<String>,
}

impl Survey {
    /// `origin/ending`, or the origin alone when nothing else was decided.
    pub fn label(&self) -> String {
        match self.ending.then {
            Ending::Whole => self.origin.row.label.to_owned(),
            _ => format!("{}/{}", self.origin.row.label, self.ending.label),
        }
    }

    /// Whether the log is new or was shut down, and nothing contradicts that.
    pub fn is_clean(&self) -> bool {
        matches!(self.origin.row.then, Origin::New | Origin::Clean)
            && self.ending.then == Ending::Whole
    }

    /// Whether there was no log.
    pub fn is_new(&self) -> bool {
        self.origin.row.then == Origin::New
    }

    /// Whether the log ends where it does only because loss is accepted.
    pub fn loss_accepted(&self) -> bool {
        self.ending.then == Ending::Refuse
    }

    /// Whether this open may take back events that others have seen in memory.
    pub fn is_cut(&self) -> bool {
        let from_all = matches!(self.origin.row.then, Origin::Clean | Origin::Memory);
        self.origin.row.then != Origin::New && !(from_all && self.ending.then == Ending::Whole)
    }

    /// Whether the directory is a copy of the one that its identity was given to, and a log of its
    /// own from now on.
    pub fn is_copy(&self) -> bool {
        self.origin.row.then == Origin::DiskAsNew && self.origin.identity.is_some()
    }

    /// The cut that it makes then.
    pub fn cut(&self) -> Cut {
        let before = self.origin.identity.as_ref().map_or(0, |identity| identity.generation);
        Cut { generation: before.saturating_add(1), last_event_id: self.log.last_event_id }
    }

    /// The least memory that the log goes on in: the segment that it goes on in and a new one.
    /// With a single one it does not get beyond that.
    pub fn least_memory(&self, config: &Config) -> u64 {
        let new = Layout { blocks: config.num_blocks }.file_size();
        let sizes = self.log.tail.iter().map(|segment| segment.layout.file_size());
        let last = sizes.filter(|size| *size <= config.active_set_size()).max();
        new + last.map_or(new, |last| last.max(new))
    }

    /// Whether events in the memory of a later generation are to be kept aside.
    pub fn needs_later_memory(&self) -> bool {
        !self.log.later_active.is_empty() && !self.log.active_beyond.is_empty()
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

/// Surveys a WAL directory. Where active events contradict persisted ones and loss is accepted, the
/// WAL directory alone is the log.
pub fn survey(
    storage: &dyn Storage,
    wal: &dyn Directory,
    config: &Config,
    purpose: Purpose,
) -> Result<Survey> {
    let mut notes = Vec::new();
    let mut inventory = Inventory::of(wal)?;
    let has_segments = !inventory.is_empty();
    let links = wal.links()?;
    let is_segment =
        |name: &&String| matches!(parse(name), Some(FileName::Hot(_) | FileName::Cold(_)));
    notes.extend(links.iter().filter(is_segment).map(|name| {
        format!("{name} is a symbolic link: it is not followed, and its events are not read")
    }));
    let parent = &config.active_parent;
    let origin = find_origin(storage, wal, has_segments, parent, purpose, &mut notes)?;
    let temporaries = std::mem::take(&mut inventory.temporaries);
    let pairs = judge_pairs(wal, &mut inventory)?;
    for pair in &pairs {
        notes.push(format!("{}: {}", pair.row.label, file_name::cold(pair.index)));
    }
    let meta = load_meta(wal)?;
    match meta {
        // A new log has none yet.
        None if !has_segments && origin.identity.is_none() => {}
        None => notes.push("wal_meta.dat is missing".into()),
        Some(None) => notes.push("wal_meta.dat is damaged".into()),
        Some(Some(_)) => {}
    }
    let meta = meta.flatten();
    let active = origin.active.as_ref();
    let doubts = Doubts {
        shut_down_at: meta.filter(|_| origin.row.then == Origin::Clean),
        is_copy: origin.row.then == Origin::DiskAsNew,
    };
    let mut log = find_end(wal, meta, inventory.clone(), active, doubts)?;
    if matches!(origin.row.then, Origin::Clean | Origin::Disk | Origin::Refuse) {
        find_newer(storage, wal, &origin, parent, &mut log)?;
    }
    let ending = decide(&ENDING, &log.found())?;
    if let (Break::ActiveContradicts, Some(active)) = (log.at, active) {
        // With the loss accepted the WAL directory alone is the log, and a refusal says where that
        // ends.
        let why = (log.at, log.place);
        log = find_end(wal, meta, inventory, None, doubts)?;
        log.active_beyond = active_events(active, log.last_event_id)?;
        if !config.accept_loss {
            (log.at, log.place) = why;
        }
    }
    debug_assert!(active.is_some() || log.active_beyond.is_empty() || !log.later_active.is_empty());
    debug_assert!(
        log.durable_event_id <= log.last_event_id || ending.then == Ending::Refuse,
        "durable events are missing only where that is refused"
    );
    notes.append(&mut log.notes);
    notes.extend(doubt_sizes(wal, &log, &links)?);
    let middle = open_middle(wal, &pairs, doubts, &log, &mut notes)?;
    let durable_event_id = log.durable_event_id;
    Ok(Survey { temporaries, pairs, origin, ending, durable_event_id, log, middle, notes })
}

/// The active files that hold events, and how many of these are above the end of the log.
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

/// What lies before the tail.
enum BeforeTail {
    /// The last event id before it.
    Floor(u64),
    /// From this segment on nothing continues what is before.
    Broken(u32, Break),
}

/// Finds the log's last segments, and follows it through them.
fn find_end(
    wal: &dyn Directory,
    meta: Option<MetaState>,
    mut inventory: Inventory,
    active: Option<&ActiveFiles>,
    doubts: Doubts,
) -> Result<Walk> {
    let gone = match active {
        Some(active) => gone_from_disk(wal, &inventory, &active.files)?,
        None => Vec::new(),
    };
    inventory.hot.extend(&gone);
    let mut tail = open_tail(wal, &inventory, active)?;
    // Only what is in the tail is made again. What is not is missing.
    let is_in_tail = |index: &u32| tail.iter().any(|segment| segment.index == *index);
    inventory.hot.retain(|index| !gone.contains(index) || is_in_tail(index));
    let disks = tail.iter().map(|segment| Ok(Some(Arc::clone(&segment.disk))));
    let durable_event_id = durable_id(meta, disks)?;
    let mut walk = Walk { durable_event_id, crashed: active.is_some(), ..Walk::default() };
    let mut cut_by = None;
    if let Some((from, named, at)) = doubts.first(wal, &inventory, &tail)? {
        walk.cut.hot.append(&mut inventory.hot.split_off(&from));
        walk.cut.cold.append(&mut inventory.cold.split_off(&from));
        cut_by = Some((named, at));
        tail = open_tail(wal, &inventory, active)?;
    }
    walk.last_event_id = loop {
        match before_tail(wal, &inventory, &tail, cut_by.is_some(), &mut walk)? {
            BeforeTail::Floor(floor) => break floor,
            BeforeTail::Broken(index, at) => {
                walk.cut.hot.append(&mut inventory.hot.split_off(&index));
                walk.cut.cold.append(&mut inventory.cold.split_off(&index));
                cut_by = Some((index, at));
                tail = open_tail(wal, &inventory, active)?;
            }
        }
    };
    let before = oldest(&tail, &inventory).checked_sub(1);
    walk.next_index = before.and_then(|b| inventory.indexes().range(..=b).last()?.checked_add(1));
    walk.follow(tail, active.map(|active| active.files.clone()).unwrap_or_default())?;
    if walk.lacks_next(meta) {
        walk.place = Place { segment_index: walk.next_index, ..Place::default() };
    }
    if let Some((index, at)) = cut_by {
        (walk.at, walk.closed_beyond) = (at, true);
        walk.place.segment_index = Some(index);
    }
    let end = doubts.shut_down_at.map(|end| end.last_event_id);
    if cut_by.is_none() && end.is_some_and(|end| walk.last_event_id > end) {
        walk.at = Break::BeyondShutdown;
        walk.place.segment_index = inventory.indexes().last().copied();
    }
    if let Some(index) = active.and_then(|active| active.misnamed) {
        walk.at = Break::ActiveContradicts;
        walk.place = Place { segment_index: Some(index), offset: Some(0), ..Place::default() };
    }
    debug_assert!(walk.cut.indexes().first() > inventory.indexes().last() || cut_by.is_none());
    walk.inventory = inventory;
    Ok(walk)
}

/// Segments before the tail whose headers are not those of closed segments. Only those of pairs are
/// read, and in a copy all, so only those are found.
fn open_middle(
    wal: &dyn Directory,
    pairs: &[PairSurvey],
    doubts: Doubts,
    log: &Walk,
    notes: &mut Vec<String>,
) -> Result<Vec<TailSegment>> {
    let mut middle = Vec::new();
    let oldest = oldest(&log.tail, &log.inventory);
    let stays_hot =
        |index: &u32| pairs.iter().any(|pair| pair.row.then == Pair::Hot && pair.index == *index);
    let before_tail = log.inventory.hot.range(..oldest);
    for &index in before_tail.filter(|index| doubts.is_copy || stays_hot(index)) {
        let Some(mut segment) = TailSegment::open(wal, index)? else { continue };
        if closed(segment.header, index).is_some() {
            continue;
        }
        // The last event before it is not known here. It lies before the tail, so all of it is
        // durable and D is at or above its last event.
        let rule = Rule::Disk { durable_id: log.durable_event_id };
        segment.end = scan_segment(&*segment.disk, rule, 0)?;
        segment.on_disk = segment.end.event_count;
        // If only a part of its events is proved, the header must not count that as all.
        let whole = segment.end.event_count > 0 && segment.end.events_beyond == 0;
        if whole && !segment.is_renamed() {
            notes.push(format!("header-rebuilt: {}", file_name::hot(index)));
            middle.push(segment);
        }
    }
    Ok(middle)
}

/// The last event id before a segment, if the header before it can be read; 0 when it is the first.
fn last_before(wal: &dyn Directory, inventory: &Inventory, index: u32) -> Result<Option<u64>> {
    let Some(&before) = inventory.indexes().range(..index).last() else { return Ok(Some(0)) };
    let header = closed_header(wal, before, inventory.hot.contains(&before))?;
    Ok(header.filter(|header| header.event_count > 0).map(|header| header.last_event_id))
}

/// Whether the newest hot segment before a cold one was never closed.
fn is_unclosed_before(wal: &dyn Directory, inventory: &Inventory, index: u32) -> Result<bool> {
    let Some(&before) = inventory.hot.range(..index).last() else { return Ok(false) };
    Ok(closed_header(wal, before, true)?.is_none())
}

/// The last event id before the tail, unless the log breaks there.
fn before_tail(
    wal: &dyn Directory,
    inventory: &Inventory,
    tail: &[TailSegment],
    is_cut: bool,
    walk: &mut Walk,
) -> Result<BeforeTail> {
    let oldest = oldest(tail, inventory);
    let closed = closed(tail.first().and_then(|first| first.header), oldest);
    let before = inventory.indexes().into_iter().filter(|&index| index < oldest);
    let indexes: Vec<u32> = before.chain(closed.map(|_| oldest)).collect();
    if let Some(pair) = indexes.windows(2).find(|pair| pair[1] - pair[0] > 1) {
        return Ok(BeforeTail::Broken(pair[0] + 1, Break::Missing));
    }
    if let Some(header) = closed.filter(|header| header.first_event_id > 0) {
        // Of two headers that contradict each other the lower floor loses nothing.
        let last = last_before(wal, inventory, oldest)?.unwrap_or(u64::MAX);
        return Ok(BeforeTail::Floor(last.min(header.first_event_id - 1)));
    }
    let Some(&index) = inventory.cold.range(..oldest).last() else {
        return Ok(BeforeTail::Floor(0));
    };
    let header = cold_header(wal, index)?;
    let state = HeaderState::of(header, index);
    let row = decide(&SEGMENT, &SegmentFound { is_cold: true, header: state, has_events: false })?;
    Ok(match (row.then, header) {
        (SegmentAction::Refuse, _) => BeforeTail::Broken(index, Break::Misnamed),
        (SegmentAction::Accept, Some(header)) if header.last_event_id <= MAX_EVENT_ID => {
            BeforeTail::Floor(header.last_event_id)
        }
        // An older segment was never closed, so this one cannot be of the same log.
        _ if tail.is_empty() && is_unclosed_before(wal, inventory, index)? => {
            BeforeTail::Broken(index, Break::Misnamed)
        }
        // The last event of this one is not known, and a log must not be cut at an unknown event.
        _ if is_cut && tail.is_empty() => BeforeTail::Broken(index, Break::Missing),
        _ => {
            walk.notes.push(format!("{}: {}", row.label, file_name::cold(index)));
            // The tail's first event must be above the floor. Without one, the log ends at D.
            let first = tail.first().map_or(Ok(0), |first| first_slot(&*first.disk))?;
            BeforeTail::Floor(first.checked_sub(1).unwrap_or(walk.durable_event_id))
        }
    })
}
