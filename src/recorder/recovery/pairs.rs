//! Recovery finds both files of a segment, hot and cold: the crash came between freezing and
//! removing, or somebody put one there. Which of them stays is decided by what they hold, whatever
//! their headers say.

use std::io::{self, Read};
use std::sync::Arc;

use crate::directory::{as_io, read_header, scan_segment, FileStream, Inventory};
use crate::error::{Error, Result};
use crate::format::{cold_frame, file_name, BlockHeader, Layout, Rule, SegmentHeader};
use crate::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENT_SIZE, SEGMENT_HEADER_SIZE};
use crate::storage::{Directory, File, Open};

use super::table::{decide, ColdFound, HotFound, Pair, PairFound, Row, PAIR};

/// What becomes of the two files of a segment.
#[derive(Debug, Clone, Copy)]
pub struct PairSurvey {
    /// The segment.
    pub index: u32,
    /// The row.
    pub row: &'static Row<PairFound, Pair>,
}

/// What a survey of all pairs comes to.
#[derive(Debug, Default)]
pub struct Pairs {
    /// Each pair.
    pub all: Vec<PairSurvey>,
    /// Hot files that stay though their headers are not those of closed segments: their events
    /// decide, wherever they lie.
    pub unsettled: Vec<u32>,
}

/// Decides which file of each pair stays, and takes the other one out of the inventory.
pub fn judge_pairs(wal: &dyn Directory, inventory: &mut Inventory) -> Result<Pairs> {
    let mut pairs = Pairs::default();
    let both: Vec<u32> = inventory.hot.intersection(&inventory.cold).copied().collect();
    for index in both {
        let hot = wal.open(&file_name::hot(index), Open::Read)?;
        let cold = wal.open(&file_name::cold(index), Open::Read)?;
        let (Some(hot), Some(cold)) = (hot, cold) else { continue };
        let row = decide(&PAIR, &look(wal, index, &*hot, cold)?)?;
        match row.then {
            Pair::Cold => inventory.hot.remove(&index),
            Pair::Hot => inventory.cold.remove(&index),
        };
        let closed = read_header(&*hot)?.is_some_and(|h| h.is_closed() && h.segment_index == index);
        if row.then == Pair::Hot && !closed {
            pairs.unsettled.push(index);
        }
        pairs.all.push(PairSurvey { index, row });
    }
    Ok(pairs)
}

fn look(wal: &dyn Directory, index: u32, hot: &dyn File, cold: Arc<dyn File>) -> Result<PairFound> {
    let by_id = |floor| {
        let end = scan_segment(hot, Rule::Memory, floor)?;
        Ok::<_, Error>(end.event_count + end.events_beyond > 0)
    };
    let has_events = by_id(0)?;
    let read = cold_frame::decompress(FileStream::new(cold))
        .and_then(|mut content| verify(&mut content, index, hot));
    let (cold, contradicted) = match read {
        Ok(Some(whole)) => {
            (ColdFound::Good, whole.contradicted || by_id(whole.header.last_event_id)?)
        }
        Ok(None) => (ColdFound::Bad, false),
        // What is not the disk's error is the decoder's: not a whole frame.
        Err(error) if error.raw_os_error().is_none() => (ColdFound::Bad, false),
        Err(error) => {
            let path = wal.path_of(&file_name::cold(index));
            return Err(Error::io(format_args!("read {}", path.display()), &error));
        }
    };
    let hot = match (has_events, contradicted) {
        (false, _) => HotFound::Nothing,
        (true, false) => HotFound::Within,
        (true, true) => HotFound::More,
    };
    Ok(PairFound { cold, hot })
}

/// A cold file that is whole.
struct WholeCold {
    header: SegmentHeader,
    /// A sealed block of the hot file holds something else.
    contradicted: bool,
}

/// Checks everything the content of a cold file says of itself; `None` when it is not so.
fn verify(content: &mut impl Read, index: u32, hot: &dyn File) -> io::Result<Option<WholeCold>> {
    let mut bytes = [0; SEGMENT_HEADER_SIZE];
    let read = cold_frame::read_full(content, &mut bytes)?;
    let header = SegmentHeader::decode(&bytes).filter(|_| read == bytes.len());
    let Some(header) = header.filter(|h| h.is_closed() && h.segment_index == index) else {
        return Ok(None);
    };
    let (mut chained, mut events, mut last_event_id) = (0, 0, 0);
    let mut contradicted = false;
    let mut block = vec![0; BLOCK_SIZE];
    for number in 0..header.block_count {
        let read = cold_frame::read_full(content, &mut block)?;
        let sealed = block.first_chunk().and_then(BlockHeader::decode);
        let Some(sealed) = sealed.filter(|_| read == block.len()) else { return Ok(None) };
        let covered = events_of(&block, &sealed);
        let again = BlockHeader::seal(number, covered, chained, sealed.durable_event_id);
        let follows = sealed.first_event_id > last_event_id;
        if again.encode() != block[..BLOCK_HEADER_SIZE] || !follows {
            return Ok(None);
        }
        contradicted |= contradicts(hot, number, covered)?;
        chained = sealed.chained_checksum;
        last_event_id = sealed.last_event_id;
        events += u32::from(sealed.event_count);
    }
    // To the end of the frame, where its checksum is.
    io::copy(content, &mut io::sink())?;
    let fits = (header.event_count, header.last_event_id, header.last_chained_checksum)
        == (events, last_event_id, chained);
    Ok(fits.then_some(WholeCold { header, contradicted }))
}

fn events_of<'a>(block: &'a [u8], header: &BlockHeader) -> &'a [u8] {
    &block[BLOCK_HEADER_SIZE..BLOCK_HEADER_SIZE + usize::from(header.event_count) * EVENT_SIZE]
}

/// Whether a block of the hot file is sealed over other events. A torn one says nothing.
fn contradicts(hot: &dyn File, number: u32, cold: &[u8]) -> io::Result<bool> {
    let mut block = vec![0; BLOCK_SIZE];
    let read = hot.read_at(&mut block, Layout::block_offset(number));
    if read.map_err(|error| as_io(&error))? < block.len() {
        return Ok(false);
    }
    let sealed = block.first_chunk().and_then(BlockHeader::decode);
    let sealed = sealed.filter(|header| header.block_index == number && header.covers(&block));
    Ok(sealed.is_some_and(|header| !cold.starts_with(events_of(&block, &header))))
}
