//! How a segment is made durable, as seen in the persister's system calls: every write carries the
//! events together with the headers that seal them. A few blocks are durable when their write
//! returns; a backlog is written in parts, and synced.

use std::fs;

use common::{child, has_strace, Place};
use flashstrike_wal::format::{BlockHeader, Layout, SegmentHeader};
use flashstrike_wal::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};

const PAGE: u64 = 4096;

#[derive(Debug, PartialEq)]
enum Call {
    /// Offset, bytes, and whether they are durable when the call returns.
    Write(u64, Vec<u8>, bool),
    Sync,
}

/// The persister's calls on the log's first segment, which the last of these batches fills, from
/// that file's final name on.
fn calls(place: &Place, batches: &[u64]) -> Vec<Call> {
    let trace = place.base().join("trace").display().to_string();
    let calls = "trace=pwrite64,pwritev2,fdatasync";
    let wrapper = ["strace", "-f", "-qq", "-y", "-xx", "-s", "1048576", "-o", &trace, "-e", calls];
    let (log, memory) = (place.log(), place.memory().display());
    let batches: Vec<String> = batches.iter().map(u64::to_string).collect();
    let batches = batches.join(",");
    child::play_under(&wrapper, "sync-batches", &[&log.display(), &memory, &batches]);
    let trace = fs::read_to_string(&trace).unwrap();
    let hex = |name: &str| name.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let of_segment = format!("{}>", hex("/FS.00000000.wal"));
    let lines = trace.lines().filter(|line| line.contains(&of_segment));
    // The maintainer closes the file later, with a segment header.
    let is_header = |call: &Call| matches!(call, Call::Write(0, bytes, _) if bytes.len() == 64);
    lines.map(parse).take_while(|call| !is_header(call)).collect()
}

/// A line like `123 pwrite64(5<\x2f...>, "\x01...", 64, 16512) = 64`, or
/// `123 pwritev2(5<...>, [{iov_base="...", iov_len=4096}], 1, 16384, RWF_DSYNC) = 4096`.
fn parse(line: &str) -> Call {
    if line.contains(" fdatasync(") {
        return Call::Sync;
    }
    let quoted: Vec<&str> = line.split('"').collect();
    let bytes = quoted[1].split("\\x").skip(1);
    let bytes: Vec<u8> = bytes.map(|hex| u8::from_str_radix(&hex[..2], 16).unwrap()).collect();
    let numbers: Vec<u64> = quoted[2]
        .split([',', ' ', ')', '=', '}', ']'])
        .filter_map(|word| word.parse().ok())
        .collect();
    assert_eq!(numbers[0], bytes.len() as u64, "strace shows all bytes");
    let offset = if line.contains(" pwritev2(") { numbers[2] } else { numbers[1] };
    Call::Write(offset, bytes, line.contains("RWF_DSYNC"))
}

/// How many events the blocks of a file seal. Each must be covered by its header, and nothing may
/// stand after the last one.
fn sealed(file: &[u8]) -> u64 {
    let mut events = 0;
    let mut chained = 0;
    for n in 0.. {
        let at = Layout::block_offset(n) as usize;
        let Some(block) = file.get(at..at + BLOCK_SIZE) else { return events };
        let (header, slots) = block.split_at(BLOCK_HEADER_SIZE);
        let Some(header) = BlockHeader::decode(header.try_into().unwrap()) else {
            assert!(file[at..].iter().all(|byte| *byte == 0), "block {n}: no header");
            return events;
        };
        let used = header.event_count as usize * EVENT_SIZE;
        let again = BlockHeader::seal(n, &slots[..used], chained, header.durable_event_id);
        assert_eq!(header.encode(), again.encode(), "block {n}");
        assert!(
            slots[used..].iter().all(|byte| *byte == 0),
            "block {n}: events that nothing seals"
        );
        chained = header.chained_checksum;
        events += u64::from(header.event_count);
    }
    events
}

/// What a disk file held each time that all of it was durable, and how many writes made it so.
struct Durable {
    events: Vec<u64>,
    writes: Vec<usize>,
    syncs: usize,
    file: Vec<u8>,
}

/// Makes these batches durable one after the other, and follows the calls.
fn follow(place: &Place, batches: &[u64]) -> Durable {
    let layout = Layout { blocks: (batches[batches.len() - 1] / EVENTS_PER_BLOCK as u64) as u32 };
    let file = vec![0; layout.file_size() as usize];
    let mut seen = Durable { events: Vec::new(), writes: Vec::new(), syncs: 0, file };
    let mut writes = 0;
    for call in calls(place, batches) {
        let durable = match call {
            Call::Write(at, bytes, at_once) => {
                seen.file[at as usize..][..bytes.len()].copy_from_slice(&bytes);
                writes += 1;
                let whole = at % PAGE == 0 && bytes.len() as u64 % PAGE == 0;
                assert!(whole || !at_once, "direct writes are of whole pages");
                assert!(!at_once || writes == 1, "writes before it are not durable");
                at_once
            }
            Call::Sync => {
                assert!(writes > 0, "a sync of what is durable");
                seen.syncs += 1;
                true
            }
        };
        if durable {
            seen.events.push(sealed(&seen.file));
            seen.writes.push(writes);
            writes = 0;
        }
    }
    assert_eq!(writes, 0, "the last writes are not durable");
    let header = SegmentHeader::decode(seen.file[..64].try_into().unwrap()).unwrap();
    assert!(!header.is_closed(), "the first page has the segment header that stood there");
    let on_disk = fs::metadata(place.log().join("FS.00000000.wal")).unwrap().len();
    assert_eq!(on_disk, layout.file_size(), "the file is as long as it was");
    seen
}

#[test]
fn g3_events_and_the_headers_that_seal_them_go_down_in_one_durable_write() {
    if !has_strace() {
        return;
    }
    let batches = [1, 300, 1_100, 2_900, 2_901, 16 * EVENTS_PER_BLOCK as u64];
    let seen = follow(&Place::new(), &batches);
    assert_eq!(seen.events, batches);
    assert!(seen.writes.iter().all(|writes| *writes == 1), "{:?}", seen.writes);
    assert_eq!(seen.syncs, 1, "only the write that ends in the middle of a page needs a sync");
}

#[test]
fn g3_a_backlog_is_written_in_parts_and_synced() {
    if !has_strace() {
        return;
    }
    // The second begins in the middle of a block, and so is of one more than its events fill.
    let batches = [10, 10 + 8 * EVENTS_PER_BLOCK as u64, 100 * EVENTS_PER_BLOCK as u64];
    let seen = follow(&Place::new(), &batches);
    assert_eq!(seen.events, batches);
    assert_eq!((seen.writes[0], seen.writes[1], seen.syncs), (1, 2, 2));
    assert!(seen.writes[2] > 2, "{:?}", seen.writes);
}
