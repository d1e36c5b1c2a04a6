//! How a segment is made durable, as seen in the persister's system calls: every write carries the
//! events together with the headers that seal them, and is durable when it returns.

use std::fs;

use common::{child, has_strace, Place};
use flashstrike_wal::format::{BlockHeader, Layout, SegmentHeader};
use flashstrike_wal::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE};

/// Batches that are made durable one after the other. The last one fills the segment.
const BATCHES: [u64; 6] = [1, 300, 1_100, 5_300, 5_301, 64 * EVENTS_PER_BLOCK as u64];
const PAGE: u64 = 4096;

#[derive(Debug, PartialEq)]
enum Call {
    /// Offset, bytes, and whether they are durable when the call returns.
    Write(u64, Vec<u8>, bool),
    Sync,
}

/// The persister's calls on the log's first segment, from that file's final name on.
fn calls(place: &Place) -> Vec<Call> {
    let trace = place.base().join("trace").display().to_string();
    let calls = "trace=pwrite64,pwritev2,fdatasync";
    let wrapper = ["strace", "-f", "-qq", "-y", "-xx", "-s", "1048576", "-o", &trace, "-e", calls];
    let (log, memory) = (place.log(), place.memory().display());
    let batches = BATCHES.map(|last| last.to_string()).join(",");
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

#[test]
fn g3_events_and_the_headers_that_seal_them_go_down_in_one_durable_write() {
    if !has_strace() {
        return;
    }
    let place = Place::new();
    let layout = Layout { blocks: 64 };
    let mut file = vec![0; layout.file_size() as usize];
    let (mut after, mut durable, mut synced) = (Vec::new(), true, 0);
    for call in calls(&place) {
        match call {
            Call::Write(at, bytes, at_once) => {
                assert!(durable, "a write before the one before it is durable");
                file[at as usize..][..bytes.len()].copy_from_slice(&bytes);
                after.push(sealed(&file));
                durable = at_once;
                if at_once {
                    assert!(at % PAGE == 0 && bytes.len() as u64 % PAGE == 0, "whole pages");
                }
            }
            Call::Sync => {
                assert!(!durable, "a sync of what is durable");
                durable = true;
                synced += 1;
            }
        }
    }
    assert!(durable);
    assert_eq!(after, BATCHES, "one write a batch");
    assert_eq!(synced, 1, "only the write that ends in the middle of a page needs a sync");
    let header = SegmentHeader::decode(file[..64].try_into().unwrap()).unwrap();
    assert!(!header.is_closed(), "the first page has the segment header that stood there");
    let on_disk = fs::metadata(place.log().join("FS.00000000.wal")).unwrap().len();
    assert_eq!(on_disk, layout.file_size(), "the file is as long as it was");
}
