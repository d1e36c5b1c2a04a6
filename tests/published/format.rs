//! The format against golden bytes computed by a second implementation (`tests/python`): the
//! library reads what it wrote, refuses what it refused, and encodes the same bytes.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flashstrike_wal::error::Error;
use flashstrike_wal::format::file_name::{self, FileName};
use flashstrike_wal::format::{
    cold_frame, xxh64, BlockHeader, IdentityRecord, MetaState, RequestEvent, SegmentHeader,
    BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENT_SIZE, SEGMENT_HEADER_SIZE,
};
use flashstrike_wal::format::{HoldRecord, SnapshotHeader, SNAPSHOT_HEADER_SIZE};
use flashstrike_wal::replay::{Reader, ReaderOptions};
use serde_json::Value;

fn golden_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

fn golden(section: &str) -> Value {
    let text = std::fs::read_to_string(golden_path("format.json")).expect("golden values");
    let mut values: Value = serde_json::from_str(&text).expect("JSON");
    values[section].take()
}

/// The cases of a list, which must not be empty: an empty one would prove nothing.
fn cases(list: &Value) -> &[Value] {
    let cases = list.as_array().expect("a list of cases");
    assert!(!cases.is_empty());
    cases
}

fn u64_of(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} in {value}"))
}

fn u32_of(value: &Value, key: &str) -> u32 {
    u64_of(value, key).try_into().unwrap()
}

fn i64_of(value: &Value, key: &str) -> i64 {
    value[key].as_i64().unwrap_or_else(|| panic!("{key} in {value}"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}"))
}

fn bytes_of(value: &Value, key: &str) -> Vec<u8> {
    let digits = text(value, key).as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or_else(|_| panic!("{} bytes, not {N}", bytes.len()))
}

#[test]
fn checksums() {
    for case in cases(&golden("checksums")) {
        let sum = xxh64(&bytes_of(case, "hex"), u64_of(case, "seed"));
        assert_eq!(sum, u64_of(case, "xxh64"), "{case}");
    }
}

#[test]
fn events() {
    for case in cases(&golden("events")) {
        let fields = &case["fields"];
        let event = RequestEvent {
            event_id: u64_of(fields, "event_id"),
            timestamp: u64_of(fields, "timestamp"),
            price: i64_of(fields, "price"),
            quantity: i64_of(fields, "quantity"),
            user_id: u32_of(fields, "user_id"),
            order_id: u32_of(fields, "order_id"),
            r#type: u64_of(fields, "type").try_into().unwrap(),
            order_type: u64_of(fields, "order_type").try_into().unwrap(),
            side: u64_of(fields, "side").try_into().unwrap(),
            reserved: array(&bytes_of(fields, "reserved")),
        };
        let bytes: [u8; EVENT_SIZE] = array(&bytes_of(case, "hex"));
        assert_eq!(RequestEvent::decode(&bytes), event);
        assert_eq!(event.encode(), bytes);
    }
}

fn segment_header(fields: &Value) -> SegmentHeader {
    SegmentHeader {
        block_count: u32_of(fields, "block_count"),
        event_count: u32_of(fields, "event_count"),
        first_event_id: u64_of(fields, "first_event_id"),
        last_event_id: u64_of(fields, "last_event_id"),
        closed_ts_ns: u64_of(fields, "closed_ts_ns"),
        last_chained_checksum: u64_of(fields, "last_chained_checksum"),
        ..SegmentHeader::open(u32_of(fields, "segment_index"), u64_of(fields, "created_ts_ns"))
    }
}

#[test]
fn segment_headers() {
    let golden = golden("segment_headers");
    for case in cases(&golden["valid"]) {
        let header = segment_header(&case["fields"]);
        let bytes: [u8; SEGMENT_HEADER_SIZE] = array(&bytes_of(case, "hex"));
        assert_eq!(header.encode(), bytes);
        let decoded = SegmentHeader::decode(&bytes).expect("valid");
        assert_eq!(decoded.encode(), bytes);
        assert_eq!(SegmentHeader { header_checksum: 0, ..decoded }, header);
        assert_eq!(decoded.is_closed(), u64_of(&case["fields"], "closed_ts_ns") != 0);
    }
    for case in cases(&golden["invalid"]) {
        if let Ok(bytes) = <[u8; SEGMENT_HEADER_SIZE]>::try_from(bytes_of(case, "hex")) {
            assert_eq!(SegmentHeader::decode(&bytes), None, "{}", case["why"]);
        }
    }
}

#[test]
fn blocks() {
    let golden = golden("blocks");
    for case in cases(&golden["valid"]) {
        let fields = &case["fields"];
        let events = bytes_of(case, "events_hex");
        let header_bytes: [u8; BLOCK_HEADER_SIZE] = array(&bytes_of(case, "header_hex"));
        let previous = u64_of(case, "previous_chained_checksum");
        let stamp = u64_of(fields, "durable_event_id");
        let sealed = BlockHeader::seal(u32_of(fields, "block_index"), &events, previous, stamp);
        assert_eq!(sealed.encode(), header_bytes);

        let header = BlockHeader::decode(&header_bytes).expect("valid");
        assert_eq!(header.first_event_id, u64_of(fields, "first_event_id"));
        assert_eq!(header.last_event_id, u64_of(fields, "last_event_id"));
        assert_eq!(header.block_checksum, u64_of(fields, "block_checksum"));
        assert_eq!(header.chained_checksum, u64_of(fields, "chained_checksum"));
        assert_eq!(u64::from(header.event_count), u64_of(fields, "event_count"));
        assert_eq!(header.durable_event_id, stamp);
        let mut block = [&header_bytes[..], &events[..]].concat();
        block.resize(BLOCK_SIZE, 0);
        assert!(header.covers(&block));
        block[BLOCK_HEADER_SIZE + events.len() - 1] ^= 1;
        assert!(!header.covers(&block), "the last byte counts");
    }
    for case in cases(&golden["invalid_headers"]) {
        if let Ok(bytes) = <[u8; BLOCK_HEADER_SIZE]>::try_from(bytes_of(case, "hex")) {
            assert_eq!(BlockHeader::decode(&bytes), None, "{}", case["why"]);
        }
    }
}

#[test]
fn meta() {
    let golden = golden("meta");
    for case in cases(&golden["valid"]) {
        let fields = &case["fields"];
        let state = MetaState {
            last_segment_index: u32_of(fields, "last_segment_index"),
            last_offset: u32_of(fields, "last_offset"),
            last_event_id: u64_of(fields, "last_event_id"),
        };
        assert_eq!(state.encode()[..], bytes_of(case, "hex"));
        assert_eq!(MetaState::decode(&bytes_of(case, "hex")), Some(state));
    }
    for case in cases(&golden["invalid"]) {
        assert_eq!(MetaState::decode(&bytes_of(case, "hex")), None, "{}", case["why"]);
    }
}

#[test]
fn identity() {
    let golden = golden("identity");
    for case in cases(&golden["valid"]) {
        let fields = &case["fields"];
        let record = IdentityRecord {
            id: u128::from_str_radix(text(fields, "id"), 16).unwrap(),
            wal_dev: u64_of(fields, "wal_dev"),
            wal_ino: u64_of(fields, "wal_ino"),
            generation: u64_of(fields, "generation"),
            boot_id: text(fields, "boot_id").to_owned(),
            active_path: text(fields, "active_path").to_owned(),
            clean: u64_of(fields, "clean") == 1,
            ..IdentityRecord::default()
        };
        assert_eq!(record.encode().as_bytes(), bytes_of(case, "hex"));
        assert_eq!(IdentityRecord::decode(&bytes_of(case, "hex")), Some(record));
    }
    for case in cases(&golden["invalid"]) {
        assert_eq!(IdentityRecord::decode(&bytes_of(case, "hex")), None, "{}", case["why"]);
    }
}

#[test]
fn snapshot_headers() {
    let golden = golden("snapshot_headers");
    for case in cases(&golden["valid"]) {
        let fields = &case["fields"];
        let [event_id, generation, created_ns] =
            ["event_id", "generation", "created_ns"].map(|name| u64_of(fields, name));
        let log_id = u128::from_str_radix(text(fields, "log_id"), 16).unwrap();
        let mut header = SnapshotHeader::begun(event_id, log_id, generation, created_ns);
        header.size = u64_of(fields, "size");
        let bytes: [u8; SNAPSHOT_HEADER_SIZE] = array(&bytes_of(case, "hex"));
        assert_eq!(header.encode(), bytes);
        let decoded = SnapshotHeader::decode(&bytes).expect("valid");
        assert_eq!((decoded.encode(), decoded.log_id, decoded.size), (bytes, log_id, header.size));
    }
    for case in cases(&golden["invalid"]) {
        if let Ok(bytes) = <[u8; SNAPSHOT_HEADER_SIZE]>::try_from(bytes_of(case, "hex")) {
            assert_eq!(SnapshotHeader::decode(&bytes), None, "{}", case["why"]);
        }
    }
}

#[test]
fn holds() {
    let golden = golden("holds");
    for case in cases(&golden["valid"]) {
        let [event_id, generation, updated_ns] =
            ["event_id", "generation", "updated"].map(|name| u64_of(&case["fields"], name));
        let record = HoldRecord { event_id, generation, updated_ns };
        assert_eq!(record.encode().as_bytes(), bytes_of(case, "hex"));
        assert_eq!(HoldRecord::decode(&bytes_of(case, "hex")), Some(record));
    }
    for case in cases(&golden["invalid"]) {
        assert_eq!(HoldRecord::decode(&bytes_of(case, "hex")), None, "{}", case["why"]);
    }
}

#[test]
fn file_names() {
    let golden = golden("file_names");
    for case in cases(&golden["valid"]) {
        let (name, index) = (text(case, "name"), u32_of(case, "index"));
        let (kind, spelled) = match text(case, "kind") {
            "hot" => (FileName::Hot(index), file_name::hot(index)),
            _ => (FileName::Cold(index), file_name::cold(index)),
        };
        assert_eq!(spelled, name);
        assert_eq!(file_name::parse(name), Some(kind));
    }
    for name in cases(&golden["invalid"]) {
        let found = file_name::parse(name.as_str().expect("a name"));
        assert!(matches!(found, None | Some(FileName::Temporary)), "{name}: {found:?}");
    }
}

#[test]
fn a_whole_cold_segment() {
    let golden = golden("segment");
    let name = text(&golden, "file");
    let mut content = Vec::new();
    let frame = File::open(golden_path(name)).expect("golden segment");
    cold_frame::decompress(frame).unwrap().read_to_end(&mut content).unwrap();
    assert_eq!(content.len() as u64, u64_of(&golden, "length"));
    assert_eq!(xxh64(&content, 0), u64_of(&golden, "xxh64"));
    let header = SegmentHeader::decode(&array(&content[..SEGMENT_HEADER_SIZE])).expect("valid");
    let expected = segment_header(&golden["fields"]);
    assert_eq!(SegmentHeader { header_checksum: 0, ..header }, expected);

    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(golden_path(name), directory.path().join(name)).unwrap();
    let mut reader = Reader::open(directory.path(), ReaderOptions { verify: true }).unwrap();
    let mut events = Vec::new();
    let end = loop {
        match reader.next() {
            Ok(event) => events.extend_from_slice(&event.encode()),
            Err(error) => break error,
        }
    };
    assert!(matches!(end, Error::End), "{end}");
    assert_eq!(events.len(), u64_of(&golden["fields"], "event_count") as usize * EVENT_SIZE);
    assert_eq!(xxh64(&events, 0), u64_of(&golden, "events_xxh64"));
    let last = events.len() - EVENT_SIZE;
    assert_eq!(events[last..], bytes_of(&golden, "last_event_hex"));
}
