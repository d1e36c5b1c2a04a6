//! Recovery, second half: makes the WAL directory hold exactly the log that the survey found, all
//! of it durable and closed, as a clean shutdown leaves it. Killed at any point, the next run ends
//! the same: nothing is removed before what replaces it has been synced, and meta moves last.

use crate::config::Config;
use crate::directory::{save_meta, Inventory};
use crate::error::{Cause, Error, Result};
use crate::format::{file_name, BlockHeader, Layout, MetaState, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};
use crate::segment::{closed_header, for_each_block};
use crate::storage::{clear_temporary, create, now_ns, write_zeros, Directory, File};

use super::aside::{is_zeros, keep_aside, make_own, settle_pairs};
use super::recovered::{OpenSegment, Recovered};
use super::scan::Survey;
use super::table::Ending;
use super::walk::TailSegment;

/// Makes sure that there is room for what recovery writes: copies of what is kept aside, a first
/// new segment, the small records. On a full disk nothing is changed.
pub fn reserve(survey: &mut Survey, wal: &dyn Directory, config: &Config) -> Result<()> {
    const SMALL_RECORDS: u64 = 64 * 1024;
    const NAME: &str = "FS.reserve.tmp";
    let tail = &survey.log.tail;
    let (mut kept_aside, mut copied) = (0, 0);
    for segment in tail.iter().chain(&survey.middle).filter(|segment| !segment.is_unused()) {
        // Restored with holes it may lack the space for what is written into it. A file that is no
        // segment as we make them is not gone on in, and may be larger than the disk.
        if segment.is_gone {
            copied += segment.layout.file_size();
            continue;
        }
        if segment.is_exact {
            segment.disk.allocate(segment.layout.file_size())?;
        }
        if segment.disk.links()? > 1 {
            copied += segment.layout.file_size();
        }
    }
    for segment in tail {
        if segment.is_copied_aside(survey.loss_accepted())? {
            kept_aside += segment.layout.file_size();
        }
    }
    for active in &survey.log.active_beyond {
        kept_aside += active.file.size()?;
    }
    // Prepared segments that were never used are removed, and give their room back.
    let unused = tail.iter().filter(|segment| segment.is_unused());
    let given_back: u64 = unused.map(|segment| segment.layout.file_size()).sum();
    let segment = Layout { blocks: config.num_blocks }.file_size().saturating_sub(given_back);
    clear(wal, NAME, &mut survey.notes)?;
    let file = create(wal, NAME)?;
    let reserved = file.allocate(kept_aside + copied + segment + SMALL_RECORDS);
    drop(file);
    wal.remove(NAME)?;
    reserved
}

/// Removes what was being written under a temporary name.
fn clear(wal: &dyn Directory, name: &str, notes: &mut Vec<String>) -> Result<()> {
    let aside = clear_temporary(wal, name)?;
    notes.extend(aside.map(|aside| format!("{name} is a directory: it is {aside} now")));
    Ok(())
}

/// Does what the survey asks for.
pub fn apply(survey: &mut Survey, wal: &dyn Directory, config: &Config) -> Result<Recovered> {
    for name in &survey.temporaries {
        clear(wal, name, &mut survey.notes)?;
    }
    make_own(wal, survey)?;
    let survey = &*survey;
    let mut recovered = Recovered {
        label: survey.label(),
        clean: survey.is_clean(),
        durable_event_id: survey.durable_event_id,
        inventory: survey.log.inventory.clone(),
        notes: survey.notes.clone(),
        ..Recovered::default()
    };
    settle_pairs(wal, survey)?;
    keep_aside(wal, survey, &mut recovered)?;
    for segment in &survey.middle {
        settle(survey, segment, false, false, &mut recovered)?;
    }
    let cut = survey.ending.then != Ending::Whole;
    let mut used = survey.log.tail.iter().filter(|segment| segment.end.event_count > 0).peekable();
    while let Some(segment) = used.next() {
        // The log goes on in the last one if that has room and, mapped, is not too large.
        let goes_on = used.peek().is_none()
            && segment.is_exact
            && segment.end.event_count < segment.layout.capacity()
            && segment.layout.file_size() <= config.active_set_size();
        recovered.end = settle(survey, segment, cut, goes_on, &mut recovered)?;
    }
    remove_unused(wal, survey, &mut recovered)?;
    let newest = recovered.inventory.indexes().last().copied();
    debug_assert!(recovered.last.as_ref().is_none_or(|last| Some(last.index) == newest));
    recovered.next_index = newest.map_or(Some(0), |index| index.checked_add(1));
    if recovered.end.last_event_id == 0 {
        recovered.end = end_before_tail(wal, survey, newest, &recovered.inventory)?;
    }
    let (last, wanted) = (recovered.end.last_event_id, survey.log.last_event_id);
    if last != wanted {
        let path = wal.path().display();
        let message = format!("{path}: recovery ended at event {last}, the survey at {wanted}");
        return Err(Error::new(Cause::Internal, message));
    }
    save_meta(wal, recovered.end)?;
    Ok(recovered)
}

/// Makes one segment hold its events, sealed and durable, and nothing behind them. Returns its last
/// event.
fn settle(
    survey: &Survey,
    segment: &TailSegment,
    cut: bool,
    goes_on: bool,
    recovered: &mut Recovered,
) -> Result<MetaState> {
    let (index, layout, end) = (segment.index, segment.layout, segment.end);
    let count = end.event_count;
    // A disk file that was cut grows again to what the active file holds.
    debug_assert!(segment.active.is_some() || count <= layout.capacity());
    debug_assert!(!goes_on || count < layout.capacity());
    if cut {
        clear_behind(&*segment.disk, count, layout)?;
    }
    let known = survey.durable_event_id.min(survey.log.last_event_id);
    let proven = segment.is_closed() && end.last_event_id <= known && !cut;
    let created_ts_ns = segment.header.map_or_else(now_ns, |header| header.created_ts_ns);
    let mut header = segment.header.unwrap_or_else(|| SegmentHeader::open(index, created_ts_ns));
    // The writer goes on only behind sealed blocks, so a segment that goes on is sealed again,
    // whatever its header says.
    if !proven || goes_on {
        let sealed = persist_again(segment, known)?;
        debug_assert!(sealed.above <= count);
        if sealed.anew > 0 {
            let name = file_name::hot(index);
            recovered.notes.push(format!("block-sealed: {name}: {}", sealed.anew));
        }
        recovered.accepted += u64::from(sealed.above);
        header = SegmentHeader {
            block_count: count.div_ceil(EVENTS_PER_BLOCK as u32),
            event_count: count,
            first_event_id: end.first_event_id,
            last_event_id: end.last_event_id,
            closed_ts_ns: if proven { header.closed_ts_ns } else { now_ns() },
            last_chained_checksum: sealed.chained,
            ..SegmentHeader::open(index, created_ts_ns)
        };
    }
    if goes_on {
        recovered.last = Some(OpenSegment { index, layout, event_count: count, created_ts_ns });
    }
    debug_assert!(header.is_closed(), "until the identity of this open is in place");
    recovered.carried_over += u64::from(count.saturating_sub(segment.on_disk));
    // Even if it is there already: an earlier sync of it may have failed.
    segment.disk.write_at(&header.encode(), 0)?;
    segment.disk.sync()?;
    Ok(MetaState {
        last_segment_index: index,
        last_offset: Layout::end_offset(count),
        last_event_id: end.last_event_id,
    })
}

/// What sealing a segment again found.
struct Sealed {
    /// The chained checksum of the last block.
    chained: u64,
    /// Events that were not known durable.
    above: u32,
    /// Blocks that were durable, but had no seal or another one.
    anew: u32,
}

/// Writes the events and seals of a segment again, even where the file already seems to hold them:
/// an earlier write may have failed, and after a restart the kernel does not report that. Leaves
/// alone the blocks that are durable and sealed: a new seal would hide damage done by the disk.
fn persist_again(segment: &TailSegment, durable_event_id: u64) -> Result<Sealed> {
    let mut left = segment.end.event_count as usize;
    let mut all = Sealed { chained: 0, above: 0, anew: 0 };
    let mut headers = Vec::new();
    let source = segment.active.as_ref().unwrap_or(&segment.disk);
    for_each_block(&**source, 0, |block, bytes| {
        let count = left.min(EVENTS_PER_BLOCK);
        let events = &bytes[BLOCK_HEADER_SIZE..BLOCK_HEADER_SIZE + count * EVENT_SIZE];
        let at = Layout::block_offset(block);
        let header = BlockHeader::seal(block, events, all.chained, durable_event_id);
        all.chained = header.chained_checksum;
        left -= count;
        let ids = events.chunks_exact(EVENT_SIZE).filter_map(|event| event.first_chunk());
        all.above += ids.filter(|id| u64::from_le_bytes(**id) > durable_event_id).count() as u32;
        let mut found = [0; BLOCK_HEADER_SIZE];
        segment.disk.read_at(&mut found, at)?;
        let is_sealed = BlockHeader::decode(&found).is_some_and(|found| {
            found.block_checksum == header.block_checksum
                && found.chained_checksum == header.chained_checksum
                && found.event_count == header.event_count
                && found.durable_event_id <= durable_event_id
        });
        let is_durable = header.last_event_id <= durable_event_id;
        // Where the disk file contradicts its own seal, the active file is right.
        let is_proven = block * EVENTS_PER_BLOCK as u32 + count as u32 <= segment.on_disk;
        all.anew += u32::from(is_durable && !(is_sealed && is_proven));
        if !(is_sealed && is_proven && is_durable) {
            segment.disk.write_at(events, at + BLOCK_HEADER_SIZE as u64)?;
            headers.push((at, header.encode()));
        }
        debug_assert!(left > 0 || header.last_event_id == segment.end.last_event_id);
        Ok(left > 0)
    })?;
    debug_assert_eq!(left, 0, "every event that was accepted is in the file");
    for (at, header) in headers {
        segment.disk.write_at(&header, at)?;
    }
    segment.disk.sync()?;
    Ok(all)
}

/// Makes everything behind the first `count` events zeros, so that no later recovery takes it for
/// events. Where there are zeros already nothing is written: a file with a huge hole would fill the
/// disk. Nothing reads behind the layout.
fn clear_behind(file: &dyn File, count: u32, layout: Layout) -> Result<()> {
    let from = match Layout::end_offset(count) {
        0 => Layout::block_offset(0),
        end => u64::from(end),
    };
    let mut buffer = vec![0; BLOCK_SIZE];
    let mut offset = from;
    while offset < layout.file_size() {
        let read = file.read_at(&mut buffer, offset)?;
        if !is_zeros(&buffer[..read]) {
            write_zeros(file, offset, offset + read as u64)?;
        }
        offset += BLOCK_SIZE as u64;
    }
    file.sync()
}

/// Prepared segments that were never used. Their indexes are used again.
fn remove_unused(wal: &dyn Directory, survey: &Survey, recovered: &mut Recovered) -> Result<()> {
    let mut names = String::new();
    for segment in survey.log.tail.iter().filter(|segment| segment.is_unused()) {
        let name = file_name::hot(segment.index);
        wal.remove(&name)?;
        recovered.inventory.hot.remove(&segment.index);
        names = names + " " + &name;
    }
    if !names.is_empty() {
        recovered.notes.push(format!("unused:{names}"));
        wal.sync()?;
    }
    Ok(())
}

/// The end of a log that has no event in its tail: it lies in the newest segment before.
fn end_before_tail(
    wal: &dyn Directory,
    survey: &Survey,
    newest: Option<u32>,
    inventory: &Inventory,
) -> Result<MetaState> {
    let Some(index) = newest else { return Ok(MetaState::default()) };
    let header = closed_header(wal, index, inventory.hot.contains(&index))?;
    Ok(MetaState {
        last_segment_index: index,
        last_offset: header.map_or(0, |header| Layout::end_offset(header.event_count)),
        last_event_id: survey.log.last_event_id,
    })
}

/// A closed segment becomes open again. Only once `wal_identity` names the active directory that
/// has its events: before, a crash would leave an open segment without an active file.
pub fn reopen(last: &OpenSegment, disk: &dyn File) -> Result<()> {
    disk.write_at(&last.open_header().encode(), 0)?;
    disk.sync()
}
