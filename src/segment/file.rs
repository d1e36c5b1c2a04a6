//! Segment files, read with `pread`: a bad sector is then an error that can be reported, and not a
//! signal.

use std::sync::Arc;

use crate::error::Result;
use crate::format::{BlockHeader, Layout, LogEnd, MetaState, Rule, SegmentHeader, SegmentScan};
use crate::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};
use crate::storage::{Directory, File, Open};

use super::header::{read_block_header, HeaderState};

/// Blocks read at a time: 1 MB.
const BLOCKS_PER_READ: usize = 64;

/// What stands as an id in the first slot of a segment; 0 = no events: the slot of a recycled file
/// is cleared before the file gets its name.
pub fn first_slot(file: &dyn File) -> Result<u64> {
    let mut id = [0; 8];
    let read = file.read_at(&mut id, Layout::event_offset(0))?;
    Ok(if read == id.len() { u64::from_le_bytes(id) } else { 0 })
}

/// The first event of a segment under its own name, if it is above `floor` and not above `end`.
/// Then it lies among the events of an earlier segment, and a block of that one is another
/// segment's.
pub fn begins_among(
    file: &dyn File,
    header: Option<SegmentHeader>,
    index: u32,
    (floor, end): (u64, u64),
) -> Result<Option<u64>> {
    if !HeaderState::of(header, index).is_own() {
        return Ok(None);
    }
    let first = first_slot(file)?;
    Ok((first > floor && first <= end).then_some(first))
}

/// Calls `each` with every whole block from `first` on and its number, until `each` returns
/// `false`.
pub fn for_each_block(
    file: &dyn File,
    first: u32,
    mut each: impl FnMut(u32, &[u8]) -> Result<bool>,
) -> Result<()> {
    let layout = Layout::of_file(file.size()?);
    let mut buffer = vec![0; BLOCKS_PER_READ * BLOCK_SIZE];
    let mut block = first;
    while block < layout.blocks {
        let read = file.read_at(&mut buffer, Layout::block_offset(block))?;
        for bytes in buffer[..read].chunks_exact(BLOCK_SIZE) {
            if block == layout.blocks || !each(block, bytes)? {
                return Ok(());
            }
            block += 1;
        }
        if read < buffer.len() {
            break;
        }
    }
    Ok(())
}

/// Where the log ends in a segment whose events must be above `floor`.
pub fn scan_segment(file: &dyn File, rule: Rule, floor: u64) -> Result<LogEnd> {
    let mut scan = SegmentScan::new(rule, floor);
    for_each_block(file, 0, |_, block| {
        scan.block(block);
        Ok(true)
    })?;
    Ok(scan.end())
}

/// Whether a block with ids above `floor` is sealed behind one that is not. Blocks are sealed in
/// their order, so all before it were.
pub fn seals_go_on(file: &dyn File, mut floor: u64) -> Result<bool> {
    let mut is_broken = false;
    for block in 0..Layout::of_file(file.size()?).blocks {
        match read_block_header(file, block)? {
            Some(sealed) if sealed.first_event_id > floor && is_broken => return Ok(true),
            Some(sealed) if sealed.first_event_id > floor => floor = sealed.last_event_id,
            _ => is_broken = true,
        }
    }
    Ok(false)
}

/// The last event of the blocks with ids above `floor` whose seal is right; `floor` if there is
/// none.
pub fn last_sealed(file: &dyn File, mut floor: u64) -> Result<u64> {
    for block in 0..Layout::of_file(file.size()?).blocks {
        let sealed = read_block_header(file, block)?;
        if let Some(sealed) = sealed.filter(|sealed| sealed.first_event_id > floor) {
            floor = sealed.last_event_id;
        }
    }
    Ok(floor)
}

/// The same, of those blocks that hold what their seal covers.
pub fn last_covered(file: &dyn File, mut floor: u64) -> Result<u64> {
    for_each_block(file, 0, |_, block| {
        let header = block.first_chunk().and_then(BlockHeader::decode);
        let is_next = |header: &BlockHeader| header.first_event_id > floor && header.covers(block);
        if let Some(header) = header.filter(is_next) {
            floor = header.last_event_id;
        }
        Ok(true)
    })?;
    Ok(floor)
}

/// How many slots of a file hold an id above `event_id`.
pub fn events_above(file: &dyn File, event_id: u64) -> Result<u32> {
    let end = scan_segment(file, Rule::Memory, event_id)?;
    Ok(end.event_count + end.events_beyond)
}

/// D, the highest event id that is known to be durable: by meta, or by the stamps of valid block
/// headers in the hot segments `files`.
pub fn durable_id(
    meta: Option<MetaState>,
    files: impl Iterator<Item = Result<Option<Arc<dyn File>>>>,
) -> Result<u64> {
    let mut durable = meta.map_or(0, |state| state.last_event_id);
    for file in files {
        if let Some(file) = file? {
            durable = durable.max(highest_stamp(&*file)?);
        }
    }
    Ok(durable)
}

fn highest_stamp(file: &dyn File) -> Result<u64> {
    let layout = Layout::of_file(file.size()?);
    let mut stamp = 0;
    for block in 0..layout.blocks {
        let header = read_block_header(file, block)?;
        stamp = header.map_or(stamp, |header| stamp.max(header.durable_event_id));
    }
    Ok(stamp)
}

/// Whether the active file has the first `count` events of the disk file, and behind them those
/// that its block headers seal; and how many slots of the disk file with ids above `floor` differ
/// from it. Lower ids are left from the file's former use.
pub fn compare_files(
    disk: &dyn File,
    active: &dyn File,
    count: u32,
    floor: u64,
) -> Result<(bool, u32)> {
    let (mut same, mut differing) = (true, 0);
    let mut memory = vec![0; BLOCK_SIZE];
    for_each_block(disk, 0, |block, bytes| {
        let read = active.read_at(&mut memory, Layout::block_offset(block))?;
        memory[read..].fill(0);
        let proven = (count as usize).saturating_sub(block as usize * EVENTS_PER_BLOCK);
        let pairs = bytes.chunks_exact(EVENT_SIZE).zip(memory.chunks_exact(EVENT_SIZE));
        let header = BLOCK_HEADER_SIZE / EVENT_SIZE;
        for (slot, (ours, theirs)) in pairs.skip(header).enumerate() {
            if ours != theirs {
                same &= slot >= proven;
                let id = ours.first_chunk().map_or(0, |id| u64::from_le_bytes(*id));
                differing += u32::from(id > floor);
            }
        }
        same &= !is_sealed_over_others(block, bytes, &memory, proven);
        Ok(true)
    })?;
    Ok((same, differing))
}

/// Whether the header of a block on disk seals the events that memory has, by the first and the
/// last id, but with another content. Then memory was changed after that. A block whose events are
/// all `proven` is passed over: they were compared one by one.
fn is_sealed_over_others(block: u32, disk: &[u8], memory: &[u8], proven: usize) -> bool {
    let header = disk.first_chunk().and_then(BlockHeader::decode);
    let Some(header) = header.filter(|header| header.block_index == block) else { return false };
    let count = usize::from(header.event_count);
    let id = |slot: usize| {
        let at = BLOCK_HEADER_SIZE + slot * EVENT_SIZE;
        memory[at..].first_chunk().map_or(0, |id| u64::from_le_bytes(*id))
    };
    let names_them = id(0) == header.first_event_id && id(count - 1) == header.last_event_id;
    count > proven && names_them && !header.covers(memory)
}

/// Takes a reader's shared lock on a file. `false` when the writer has it, or when the name does
/// not stand for the file any more: then the file may be about to become another segment.
pub fn hold(directory: &dyn Directory, name: &str, file: &dyn File) -> Result<bool> {
    if !file.try_lock_shared()? {
        return Ok(false);
    }
    match directory.open(name, Open::Read)? {
        Some(now) => Ok(now.inode()? == file.inode()?),
        None => Ok(false),
    }
}
