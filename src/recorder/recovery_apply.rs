//! Recovery, second half: makes the WAL directory hold exactly the log that the survey found, all
//! of it durable. Killed at any point, the next run ends the same: nothing is removed before what
//! replaces it has been synced, and meta moves last.

use crate::config::Config;
use crate::directory::{for_each_block, Inventory};
use crate::error::{Cause, Error, Result};
use crate::format::{file_name, BlockHeader, Layout, MetaState, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};
use crate::storage::{create, Directory, File, Open};

use super::meta_coordinator;
use super::recovery::{Ending, Origin};
use super::recovery_scan::{active_path, Survey, TailSegment};
use super::segment::now_ns;
use super::segment_freezer::is_frozen;
use super::segment_preparer::write_zeros;

const COPY_SIZE: usize = 1024 * 1024;

/// The log as recovery leaves it.
#[derive(Debug)]
pub struct Recovered {
    /// The last event.
    pub end: MetaState,
    /// The segment that goes on: it has room. Its header on disk is that of an open segment.
    pub last: Option<OpenSegment>,
    /// Index of the next new segment; `None` when they are used up.
    pub next_index: Option<u32>,
    /// The segments there are.
    pub inventory: Inventory,
    /// Events that were only in the active directory.
    pub carried_over: u64,
    /// Events above D that were proved and made durable.
    pub accepted: u64,
    /// Events kept aside.
    pub kept_aside: u64,
    /// What else was noticed.
    pub notes: Vec<String>,
}

/// A segment that goes on.
#[derive(Debug)]
pub struct OpenSegment {
    /// Its number.
    pub index: u32,
    /// Its room.
    pub layout: Layout,
    /// Its events so far.
    pub event_count: u32,
    /// When it was made.
    pub created_ts_ns: u64,
}

/// Says no, where the survey found what cannot be proved and loss is not accepted.
pub fn check_refusal(survey: &Survey, wal: &dyn Directory, accept_loss: bool) -> Result<()> {
    let wal = wal.path().display();
    let (from, to) = survey.place.event_ids.unwrap_or((0, 0));
    let index = survey.place.segment_index.unwrap_or(0);
    let may_be_accepted = match survey.ending {
        Ending::MissingSegment | Ending::ActiveContradicts | Ending::Misnamed => false,
        _ => accept_loss,
    };
    if may_be_accepted || !(survey.origin.is_refused() || survey.ending.is_refused()) {
        return Ok(());
    }
    let message = if survey.ending.is_refused() {
        let what = match survey.ending {
            Ending::BreakBelowDurable => format!("events {from} to {to} were durable and are gone"),
            Ending::MissingSegment => "the segment is missing, later ones are there".to_owned(),
            Ending::ActiveSegmentLost => {
                format!("its file is not in {}", active_path(survey).display())
            }
            Ending::ActiveContradicts => {
                format!("the files in {} contradict it", active_path(survey).display())
            }
            _ => "the index in its header is another".to_owned(),
        };
        format!("{wal}: {}: segment {index}: {what}", survey.ending.label())
    } else {
        format!(
            "{wal}: {}: the log was not shut down, and its active directory {} is gone with the \
             newest events",
            survey.origin.label(),
            active_path(survey).display()
        )
    };
    Err(Error::new(Cause::Corrupt, message).at(survey.place))
}

/// Makes sure that there is room for what is going to be written: copies of what is kept aside, a
/// first new segment, the small records. On a full disk nothing is begun.
pub fn reserve(survey: &Survey, wal: &dyn Directory, config: &Config) -> Result<()> {
    const SMALL_RECORDS: u64 = 64 * 1024;
    const NAME: &str = "FS.reserve.tmp";
    let cut = survey.tail.iter().filter(|segment| segment.beyond > 0);
    let kept_aside: u64 = cut.map(|segment| segment.layout.file_size()).sum();
    // Prepared segments that were never used are removed, and give their room back.
    let unused = survey.tail.iter().filter(|segment| segment.end.event_count == 0);
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
pub fn apply(survey: Survey, wal: &dyn Directory) -> Result<Recovered> {
    let mut recovered = Recovered {
        end: MetaState::default(),
        last: None,
        next_index: None,
        inventory: survey.inventory.clone(),
        carried_over: 0,
        accepted: 0,
        kept_aside: 0,
        notes: survey.notes.clone(),
    };
    for name in &survey.inventory.temporaries {
        wal.remove(name)?;
    }
    settle_duplicates(wal, &mut recovered)?;
    let cut = survey.events_beyond > 0;
    if cut {
        keep_aside(wal, &survey, &mut recovered)?;
    }
    for segment in &survey.tail {
        settle(&survey, segment, cut, &mut recovered)?;
    }
    remove_unused(wal, &survey, &mut recovered)?;
    let newest = recovered.inventory.indexes().last().copied();
    recovered.next_index = newest.map_or(Some(0), |index| index.checked_add(1));
    if recovered.end.last_event_id == 0 {
        recovered.end = end_of_cold(wal, &survey)?;
    }
    if recovered.end.last_event_id != survey.last_event_id {
        let message = format!(
            "{}: recovery ended at event {}, the survey at {}",
            wal.path().display(),
            recovered.end.last_event_id,
            survey.last_event_id
        );
        return Err(Error::new(Cause::Internal, message));
    }
    meta_coordinator::write(wal, recovered.end)?;
    Ok(recovered)
}

/// Both `.wal` and `.wal.lz4`: the crash came between freezing and unlinking.
fn settle_duplicates(wal: &dyn Directory, recovered: &mut Recovered) -> Result<()> {
    let both: Vec<u32> =
        recovered.inventory.hot.intersection(&recovered.inventory.cold).copied().collect();
    for index in both {
        if is_frozen(wal, index)? {
            wal.remove(&file_name::hot(index))?;
            recovered.inventory.hot.remove(&index);
        } else {
            wal.remove(&file_name::cold(index))?;
            recovered.inventory.cold.remove(&index);
            recovered.notes.push(format!("{} was not whole", file_name::cold(index)));
        }
        wal.sync()?;
    }
    Ok(())
}

/// Copies every tail file that holds events behind the end.
fn keep_aside(wal: &dyn Directory, survey: &Survey, recovered: &mut Recovered) -> Result<()> {
    for segment in survey.tail.iter().filter(|segment| segment.beyond > 0) {
        let name = free_name(wal, segment.index)?;
        // Under a temporary name until it is whole, so that a half one is never taken for it.
        let temporary = file_name::temporary(&name);
        let copy = create(wal, &temporary)?;
        let mut buffer = vec![0; COPY_SIZE];
        let mut offset = 0;
        loop {
            let read = segment.disk.read_at(&mut buffer, offset)?;
            copy.write_at(&buffer[..read], offset)?;
            offset += read as u64;
            if read < buffer.len() {
                break;
            }
        }
        copy.sync()?;
        wal.rename(&temporary, &name)?;
        wal.sync()?;
        recovered.kept_aside += u64::from(segment.beyond);
        recovered.notes.push(format!("{} events kept aside in {name}", segment.beyond));
    }
    Ok(())
}

/// The first name for a file kept aside that is not taken.
fn free_name(wal: &dyn Directory, index: u32) -> Result<String> {
    let base = format!("{}.corrupt", file_name::hot(index));
    let taken = wal.list()?;
    let numbered = (1_u32..).map(|n| format!("{base}.{n}"));
    std::iter::once(base.clone())
        .chain(numbered)
        .find(|name| !taken.contains(name))
        .ok_or_else(|| Error::new(Cause::NoSpace, format!("{base}: every name is taken")))
}

/// Makes one tail segment hold its events, sealed and durable, and nothing behind them.
fn settle(
    survey: &Survey,
    segment: &TailSegment,
    cut: bool,
    recovered: &mut Recovered,
) -> Result<()> {
    let count = segment.end.event_count;
    if cut {
        clear_behind(&*segment.disk, count, segment.layout)?;
    }
    if count == 0 {
        return Ok(());
    }
    recovered.end = MetaState {
        last_segment_index: segment.index,
        last_offset: Layout::end_offset(count),
        last_event_id: segment.end.last_event_id,
    };
    if !recovered.inventory.hot.contains(&segment.index) {
        // Its cold file was found good, and this one is gone already.
        return Ok(());
    }
    let known = survey.durable_event_id.min(survey.last_event_id);
    let proven = segment.is_closed() && segment.end.last_event_id <= known && !cut;
    let (chained, accepted) = if proven {
        (segment.header.map_or(0, |header| header.last_chained_checksum), 0)
    } else {
        let source = segment.active.as_ref().unwrap_or(&segment.disk);
        persist_again(&**source, segment, known)?
    };
    recovered.carried_over += u64::from(count - segment.on_disk.min(count));
    recovered.accepted += accepted;
    let goes_on =
        segment.end.last_event_id == survey.last_event_id && count < segment.layout.capacity();
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
    if goes_on || !proven {
        segment.disk.write_at(&header.encode(), 0)?;
        segment.disk.sync()?;
    }
    Ok(())
}

/// Writes the events and seals of a segment once more, from the first one on that is not known
/// durable and sealed, even those that seem to be there: a restart hides an earlier write error.
/// What is durable and sealed is not touched: a new seal would hide what the disk did to it. Returns
/// the chained checksum of the last block, and how many events were not known durable.
fn persist_again(
    source: &dyn File,
    segment: &TailSegment,
    durable_event_id: u64,
) -> Result<(u64, u64)> {
    let mut left = segment.end.event_count as usize;
    let mut chained = 0;
    let mut above = 0;
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
        if !sealed || header.last_event_id > durable_event_id {
            segment.disk.write_at(events, at + BLOCK_HEADER_SIZE as u64)?;
            headers.push((at, header.encode()));
        }
        Ok(left > 0)
    })?;
    for (at, header) in headers {
        segment.disk.write_at(&header, at)?;
    }
    segment.disk.sync()?;
    Ok((chained, above))
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
    let mut removed = false;
    for segment in survey.tail.iter().filter(|segment| segment.end.event_count == 0) {
        removed |= wal.remove(&file_name::hot(segment.index))?;
        recovered.inventory.hot.remove(&segment.index);
    }
    if removed {
        wal.sync()?;
    }
    Ok(())
}

/// The end of a log that ends in a cold segment: as its header says, or, if that cannot be read, as
/// meta does.
fn end_of_cold(wal: &dyn Directory, survey: &Survey) -> Result<MetaState> {
    let Some(&index) = survey.inventory.cold.last() else { return Ok(MetaState::default()) };
    let header = super::segment_maintainer::cold_header(wal, index)?;
    Ok(match header {
        Some(header) => MetaState {
            last_segment_index: index,
            last_offset: Layout::end_offset(header.event_count),
            last_event_id: header.last_event_id,
        },
        None => survey.meta.unwrap_or_default(),
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

/// Whether the survey's log was left in order.
pub fn is_clean(survey: &Survey) -> bool {
    survey.origin.is_clean() && survey.ending == Ending::Whole
}

/// Whether a new log id is due: the old one is not known, or another directory's.
pub fn needs_new_id(origin: Origin) -> bool {
    matches!(origin, Origin::NewLog | Origin::UnknownIdentity | Origin::Copy)
}
