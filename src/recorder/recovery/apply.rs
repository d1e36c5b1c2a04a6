//! Recovery, second half: makes the WAL directory hold exactly the log that the survey found, all
//! of it durable. Killed at any point, the next run ends the same: nothing is removed before what
//! replaces it has been synced, and meta moves last.

use crate::config::Config;
use crate::directory::{save_meta, Inventory};
use crate::error::{Cause, Error, Result};
use crate::format::{file_name, BlockHeader, Layout, MetaState, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};
use crate::segment::{closed_header, for_each_block};
use crate::storage::{create, write_zeros, Directory, File, Open};

use super::aside::{keep_aside, settle_pairs};
use super::recovered::{OpenSegment, Recovered};
use super::scan::Survey;
use super::table::Ending;
use super::walk::TailSegment;
use crate::recorder::clock::now_ns;

/// Makes sure that there is room for what is going to be written: copies of what is kept aside, a
/// first new segment, the small records. On a full disk nothing is begun.
pub fn reserve(survey: &Survey, wal: &dyn Directory, config: &Config) -> Result<()> {
    const SMALL_RECORDS: u64 = 64 * 1024;
    const NAME: &str = "FS.reserve.tmp";
    let tail = &survey.log.tail;
    let loss_accepted = survey.loss_accepted();
    let mut kept_aside = 0;
    for segment in tail {
        if segment.is_copied_aside(loss_accepted)? {
            kept_aside += segment.layout.file_size();
        }
    }
    for active in &survey.active_beyond {
        kept_aside += active.file.size()?;
    }
    // Prepared segments that were never used are removed, and give their room back.
    let unused = tail.iter().filter(|segment| segment.is_unused());
    let given_back: u64 = unused.map(|segment| segment.layout.file_size()).sum();
    let segment = Layout { blocks: config.num_blocks }.file_size().saturating_sub(given_back);
    wal.remove(NAME)?;
    let file = create(wal, NAME)?;
    let reserved = file.allocate(kept_aside + segment + SMALL_RECORDS);
    drop(file);
    wal.remove(NAME)?;
    reserved
}

/// Does what the survey asks for.
pub fn apply(survey: &Survey, wal: &dyn Directory, config: &Config) -> Result<Recovered> {
    let largest = config.active_set_size();
    let mut recovered = Recovered {
        end: MetaState::default(),
        last: None,
        next_index: None,
        inventory: survey.log.inventory.clone(),
        carried_over: 0,
        accepted: 0,
        kept_aside: 0,
        notes: survey.notes.clone(),
    };
    for name in &survey.temporaries {
        wal.remove(name)?;
    }
    settle_pairs(wal, survey)?;
    keep_aside(wal, survey, &mut recovered)?;
    let cut = survey.ending.then != Ending::Whole;
    for segment in &survey.middle {
        settle(survey, segment, false, largest, &mut recovered)?;
    }
    recovered.end = MetaState::default();
    for segment in &survey.log.tail {
        settle(survey, segment, cut, largest, &mut recovered)?;
    }
    remove_unused(wal, survey, &mut recovered)?;
    let newest = recovered.inventory.indexes().last().copied();
    recovered.next_index = newest.map_or(Some(0), |index| index.checked_add(1));
    if recovered.end.last_event_id == 0 {
        recovered.end = end_before_tail(wal, survey, &recovered.inventory)?;
    }
    if recovered.end.last_event_id != survey.log.last_event_id {
        let message = format!(
            "{}: recovery ended at event {}, the survey at {}",
            wal.path().display(),
            recovered.end.last_event_id,
            survey.log.last_event_id
        );
        return Err(Error::new(Cause::Internal, message));
    }
    save_meta(wal, recovered.end)?;
    Ok(recovered)
}

/// Makes one tail segment hold its events, sealed and durable, and nothing behind them. The log goes
/// on in the last one if that has room and, mapped, does not take more memory than `largest`.
fn settle(
    survey: &Survey,
    segment: &TailSegment,
    cut: bool,
    largest: u64,
    recovered: &mut Recovered,
) -> Result<()> {
    let count = segment.end.event_count;
    if count == 0 {
        return Ok(());
    }
    if cut {
        clear_behind(&*segment.disk, count, segment.layout)?;
    }
    recovered.end = MetaState {
        last_segment_index: segment.index,
        last_offset: Layout::end_offset(count),
        last_event_id: segment.end.last_event_id,
    };
    let known = survey.durable_event_id.min(survey.log.last_event_id);
    let has_room = segment.is_exact && count < segment.layout.capacity();
    let fits = segment.layout.file_size() <= largest;
    let is_last = segment.end.last_event_id == survey.log.last_event_id
        && survey.log.tail.iter().any(|of_tail| of_tail.index == segment.index);
    let goes_on = is_last && has_room && fits;
    // One that goes on must be sealed from its first block on, whatever was found of its headers.
    let proven = segment.is_closed() && segment.end.last_event_id <= known && !cut && !goes_on;
    let (chained, accepted) = if proven {
        (segment.header.map_or(0, |header| header.last_chained_checksum), 0)
    } else {
        let source = segment.active.as_ref().unwrap_or(&segment.disk);
        let sealed = persist_again(&**source, segment, known)?;
        if sealed.anew > 0 {
            let name = file_name::hot(segment.index);
            recovered.notes.push(format!("block-sealed: {name}: {}", sealed.anew));
        }
        (sealed.chained, sealed.above)
    };
    recovered.carried_over += u64::from(count - segment.on_disk.min(count));
    recovered.accepted += accepted;
    let created_ts_ns = segment.header.map_or_else(now_ns, |header| header.created_ts_ns);
    let open = SegmentHeader::open(segment.index, created_ts_ns);
    let header = if goes_on {
        recovered.last = Some(OpenSegment {
            index: segment.index,
            layout: segment.layout,
            event_count: count,
            created_ts_ns,
        });
        open
    } else if proven {
        segment.header.unwrap_or(open)
    } else {
        SegmentHeader {
            block_count: count.div_ceil(EVENTS_PER_BLOCK as u32),
            event_count: count,
            first_event_id: segment.end.first_event_id,
            last_event_id: segment.end.last_event_id,
            closed_ts_ns: now_ns(),
            last_chained_checksum: chained,
            ..open
        }
    };
    // Also one that is there already: its sync may have failed, and would not be tried again.
    segment.disk.write_at(&header.encode(), 0)?;
    segment.disk.sync()
}

/// What sealing a segment once more came to.
struct Sealed {
    /// The chained checksum of the last block.
    chained: u64,
    /// Events that were not known durable.
    above: u64,
    /// Blocks that were durable, and had no seal or another one.
    anew: u32,
}

/// Writes the events and seals of a segment once more, from the first one on that is not known
/// durable and sealed, even those that seem to be there: a restart hides an earlier write error.
/// What is durable and sealed is not touched: a new seal would hide what the disk did to it.
fn persist_again(
    source: &dyn File,
    segment: &TailSegment,
    durable_event_id: u64,
) -> Result<Sealed> {
    let mut left = segment.end.event_count as usize;
    let (mut chained, mut above, mut anew) = (0, 0, 0);
    let mut headers = Vec::new();
    for_each_block(source, 0, |block, bytes| {
        let count = left.min(EVENTS_PER_BLOCK);
        let events = &bytes[BLOCK_HEADER_SIZE..BLOCK_HEADER_SIZE + count * EVENT_SIZE];
        let at = Layout::block_offset(block);
        let header = BlockHeader::seal(block, events, chained, durable_event_id);
        chained = header.chained_checksum;
        left -= count;
        let ids = events.chunks_exact(EVENT_SIZE).filter_map(|event| event.first_chunk());
        above += ids.filter(|id| u64::from_le_bytes(**id) > durable_event_id).count() as u64;
        let sealed = read_block_header(&*segment.disk, at)?.is_some_and(|found| {
            found.block_checksum == header.block_checksum
                && found.chained_checksum == header.chained_checksum
                && found.event_count == header.event_count
                && found.durable_event_id <= durable_event_id
        });
        let durable = header.last_event_id <= durable_event_id;
        // What memory has is right where the disk file contradicts its own seal.
        let proven = block * EVENTS_PER_BLOCK as u32 + count as u32 <= segment.on_disk;
        anew += u32::from(durable && !(sealed && proven));
        if !(sealed && proven && durable) {
            segment.disk.write_at(events, at + BLOCK_HEADER_SIZE as u64)?;
            headers.push((at, header.encode()));
        }
        Ok(left > 0)
    })?;
    for (at, header) in headers {
        segment.disk.write_at(&header, at)?;
    }
    segment.disk.sync()?;
    Ok(Sealed { chained, above, anew })
}

fn read_block_header(file: &dyn File, at: u64) -> Result<Option<BlockHeader>> {
    let mut bytes = [0; BLOCK_HEADER_SIZE];
    let read = file.read_at(&mut bytes, at)?;
    Ok(if read == bytes.len() { BlockHeader::decode(&bytes) } else { None })
}

/// Overwrites everything behind the first `count` events with zeros: what was cut never comes back.
fn clear_behind(file: &dyn File, count: u32, layout: Layout) -> Result<()> {
    let from = match Layout::end_offset(count) {
        0 => Layout::block_offset(0),
        end => u64::from(end),
    };
    write_zeros(file, from, file.size()?.max(layout.file_size()))?;
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

/// The end of a log of whose tail nothing is left: it lies in the newest segment before.
fn end_before_tail(
    wal: &dyn Directory,
    survey: &Survey,
    inventory: &Inventory,
) -> Result<MetaState> {
    let Some(&index) = inventory.indexes().last() else { return Ok(MetaState::default()) };
    let header = closed_header(wal, index, inventory.hot.contains(&index))?;
    Ok(MetaState {
        last_segment_index: index,
        last_offset: header.map_or(0, |header| Layout::end_offset(header.event_count)),
        last_event_id: survey.log.last_event_id,
    })
}

/// Opens the disk file of the segment that goes on.
pub fn open_last(wal: &dyn Directory, last: &OpenSegment) -> Result<std::sync::Arc<dyn File>> {
    let name = file_name::hot(last.index);
    wal.open(&name, Open::Write)?.ok_or_else(|| {
        let path = wal.path_of(&name);
        Error::new(Cause::Io, format!("{}: vanished during recovery", path.display()))
    })
}
