use std::fs;

use super::*;
use crate::format::{
    BlockHeader, Layout, MetaState, SegmentHeader, BLOCK_HEADER_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE,
};

/// Events of a segment that is full.
const FULL: u64 = EVENTS_PER_BLOCK as u64;

/// A segment of one block, with events of these ids, in its file.
fn write(directory: &Path, index: u32, ids: std::ops::Range<u64>, is_closed: bool) {
    let mut events = Vec::new();
    for id in ids.clone() {
        events.extend(id.to_le_bytes());
        events.resize(events.len().next_multiple_of(EVENT_SIZE), 0);
    }
    let mut bytes = vec![0; Layout { blocks: 1 }.file_size() as usize];
    let mut header = SegmentHeader::open(index, 1);
    let seal = (!events.is_empty()).then(|| BlockHeader::seal(0, &events, 0, 0));
    if let Some(seal) = &seal {
        let at = Layout::block_offset(0) as usize;
        bytes[at..][..BLOCK_HEADER_SIZE].copy_from_slice(&seal.encode());
        bytes[at + BLOCK_HEADER_SIZE..][..events.len()].copy_from_slice(&events);
    }
    if is_closed {
        header.last_chained_checksum = seal.map_or(0, |seal| seal.chained_checksum);
        (header.block_count, header.event_count) = (1, (events.len() / EVENT_SIZE) as u32);
        (header.first_event_id, header.last_event_id) = (ids.start, ids.end - 1);
        header.closed_ts_ns = 2;
    }
    bytes[..64].copy_from_slice(&header.encode());
    fs::write(directory.join(file_name::hot(index)), bytes).unwrap();
}

fn verifier(path: &Path) -> Verifier {
    let storage = Arc::new(PosixStorage::for_reading());
    Verifier {
        files: LogFiles::open(storage, path, How::Salvage).unwrap(),
        report: VerifyReport::default(),
        looked_at: BTreeSet::new(),
        last_index: None,
        known: Known::default(),
        unreadable_end: false,
    }
}

/// Between two looks a writer fills and closes the segment that was its last one, and two more.
#[test]
fn segments_that_were_unused_when_they_were_looked_at_are_not_missing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, 0, 1..101, false);
    write(path, 1, 1..1, false);
    write(path, 2, 1..1, false);
    let mut verifier = verifier(path);
    verifier.look_at(0).unwrap();
    verifier.look_at(1).unwrap();
    for index in 0..3 {
        let before = u64::from(index) * FULL;
        write(path, index, before + 1..before + FULL + 1, true);
    }
    verifier.look_at(2).unwrap();
    let report = verifier.report;
    assert_eq!((report.damage_count, report.last_event_id), (0, 3 * FULL), "{report:?}");
    assert_eq!(report.events, 100 + 2 * FULL);
}

/// Between two looks a log that was shut down is opened again, and fills its last segment.
#[test]
fn a_log_that_goes_on_in_its_last_segment_lacks_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, 0, 1..101, true);
    let mut verifier = verifier(path);
    verifier.look_at(0).unwrap();
    write(path, 0, 1..FULL + 1, true);
    write(path, 1, 1..1, false);
    let meta = MetaState { last_segment_index: 0, last_offset: 0, last_event_id: FULL };
    fs::write(path.join(file_name::META), meta.encode()).unwrap();
    verifier.look_at(1).unwrap();
    assert_eq!(verifier.report.damage_count, 0, "{:?}", verifier.report);
    assert_eq!(verifier.known.floor, FULL);
}
