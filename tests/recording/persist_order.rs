//! The order in which a segment is made durable, as seen in the persister's system calls: events,
//! then the headers of their blocks, then the sync. With much to sync, writeback starts before
//! that.

use std::collections::BTreeMap;
use std::fs;

use common::{child, has_strace, Place};
use flashstrike_wal::format::{BlockHeader, Layout};
use flashstrike_wal::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENT_SIZE};

/// Batches that are made durable one after the other.
const BATCHES: [u64; 5] = [1, 300, 1_100, 5_300, 5_301];
/// The kernel's unit of writeback.
const FOLIO: u64 = 64 * 1024;

#[derive(Debug)]
enum Call {
    /// Offset, the first bytes, their number, and whether the write also starts writeback.
    Write(u64, Vec<u8>, u64, bool),
    Sync,
}

/// The calls on the log's first segment from its final name on.
fn calls(place: &Place) -> Vec<Call> {
    let trace = place.base().join("trace").display().to_string();
    let calls = "trace=pwrite64,pwritev2,fdatasync";
    let wrapper = ["strace", "-f", "-qq", "-y", "-xx", "-s", "64", "-o", &trace, "-e", calls];
    let (log, memory) = (place.log(), place.memory().display());
    let batches = BATCHES.map(|last| last.to_string()).join(",");
    child::play_under(&wrapper, "sync-batches", &[&log.display(), &memory, &batches]);
    let trace = fs::read_to_string(&trace).unwrap();
    let hex = |name: &str| name.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let of_segment = format!("{}>", hex("/FS.00000000.wal"));
    trace.lines().filter(|line| line.contains(&of_segment)).map(parse).collect()
}

/// A line like `123 pwrite64(5<\x2f...>, "\x01..."..., 64, 16512) = 64`, or
/// `123 pwritev2(5<...>, [{iov_base="...", iov_len=64}], 1, 16512, RWF_DONTCACHE) = 64`.
fn parse(line: &str) -> Call {
    if line.contains(" fdatasync(") {
        return Call::Sync;
    }
    let quoted: Vec<&str> = line.split('"').collect();
    let bytes = quoted[1].split("\\x").skip(1);
    let bytes = bytes.map(|hex| u8::from_str_radix(&hex[..2], 16).unwrap()).collect();
    let begins = line.contains(" pwritev2(");
    let numbers: Vec<u64> = quoted[2]
        .split([',', ' ', ')', '=', '}', ']'])
        .filter_map(|word| word.parse().ok())
        .collect();
    let (len, offset) = if begins { (numbers[0], numbers[2]) } else { (numbers[0], numbers[1]) };
    Call::Write(offset, bytes, len, begins)
}

/// For each block: the events written from its first one on, and the events that its header counts.
#[derive(Default)]
struct Blocks(BTreeMap<u32, (u64, u64)>);

impl Blocks {
    /// The bytes `from` to `to` were written.
    fn add_events(&mut self, from: u64, to: u64) {
        let block_of = |at: u64| ((at - Layout::block_offset(0)) / BLOCK_SIZE as u64) as u32;
        for block in block_of(from)..=block_of(to - 1) {
            let first = Layout::block_offset(block) + BLOCK_HEADER_SIZE as u64;
            let last = to.min(Layout::block_offset(block + 1));
            let (events, _) = self.0.entry(block).or_default();
            let begins_at = from.saturating_sub(first) / EVENT_SIZE as u64;
            assert!(begins_at <= *events, "block {block}: {events} events, then from {begins_at}");
            *events = last.saturating_sub(first) / EVENT_SIZE as u64;
        }
    }

    fn add_header(&mut self, header: &BlockHeader) {
        let (events, counted) = self.0.entry(header.block_index).or_default();
        *counted = u64::from(header.event_count);
        assert_eq!(*events, *counted, "block {}: wrong count in its header", header.block_index);
    }

    fn assert_sealed(&self) {
        let open = self.0.iter().find(|(_, (events, counted))| events != counted);
        assert_eq!(open, None, "synced before it is sealed");
    }
}

#[test]
fn g3_headers_follow_their_events_and_the_sync_follows_both() {
    if !has_strace() {
        return;
    }
    let place = Place::new();
    let (mut blocks, mut syncs, mut begun) = (Blocks::default(), 0, vec![Vec::new()]);
    for call in calls(&place) {
        match call {
            Call::Sync => {
                blocks.assert_sealed();
                begun.push(Vec::new());
                syncs += 1;
            }
            Call::Write(at, bytes, 64, begins) if (at - 64) % BLOCK_SIZE as u64 == 0 => {
                let header = BlockHeader::decode(&bytes.try_into().unwrap()).unwrap();
                blocks.add_header(&header);
                if begins {
                    begun[syncs].push(at);
                }
            }
            Call::Write(at, _, len, begins) => {
                assert!(!begins, "writeback of {len} bytes at {at} before their header");
                blocks.add_events(at, at + len);
            }
        }
    }
    let written: u64 = blocks.0.values().map(|(events, _)| events).sum();
    assert_eq!((written, syncs), (BATCHES[4], BATCHES.len()));
    // The last header in each folio: once it is written, the folio is complete.
    let last_header_in = |folio: u64| {
        let blocks = ((folio + 1) * FOLIO - 64 - 1) / BLOCK_SIZE as u64;
        Layout::block_offset(blocks as u32)
    };
    let folio_of = |events: u64| Layout::event_offset(events as u32) / FOLIO;
    let complete: Vec<u64> =
        (folio_of(BATCHES[2])..folio_of(BATCHES[3])).map(last_header_in).collect();
    assert_eq!(
        begun,
        [vec![], vec![], vec![], complete, vec![], vec![]],
        "writeback starts early only with much to sync"
    );
}
