//! Arbitrary bytes for the code that decodes. Nothing here touches a file.
//!
//! Every target makes its own input from a source: partly noise, partly input with a valid
//! checksum, so that the code behind the checksum is reached too.

use std::io::{self, Read};

use flashstrike_wal::format::{cold_frame, file_name, file_name::FileName, xxh64};
use flashstrike_wal::format::{
    BlockHeader, IdentityRecord, MetaState, Rule, SegmentHeader, SegmentScan,
};
use flashstrike_wal::format::{
    BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENTS_PER_BLOCK, EVENT_SIZE, META_RECORD_SIZE,
};

use super::source::Source;
use crate::event;

/// A target: panics when something is wrong.
pub type Target = fn(&mut Source);

pub const TARGETS: [(&str, Target); 7] = [
    ("segment_header", segment_header),
    ("block_header", block_header),
    ("meta_record", meta_record),
    ("identity_record", identity_record),
    ("names", names),
    ("scan", scan),
    ("cold", cold),
];

/// What is decoded must encode to the same bytes.
pub fn segment_header(source: &mut Source) {
    let mut bytes = SegmentHeader::open(source.word() as u32, source.word()).encode();
    for _ in 0..source.below(8) {
        bytes[source.below(64)] = source.word() as u8;
    }
    if source.one_in(2) {
        let checksum = xxh64(&bytes[56..64], xxh64(&bytes[0..48], 0));
        bytes[48..56].copy_from_slice(&checksum.to_le_bytes());
    }
    if let Some(header) = SegmentHeader::decode(&bytes) {
        assert_eq!(header.encode(), bytes);
    }
}

pub fn block_header(source: &mut Source) {
    let mut bytes: [u8; BLOCK_HEADER_SIZE] = source.bytes(64).try_into().expect("64 bytes");
    if source.one_in(2) {
        bytes[44..46].copy_from_slice(&(source.below(300) as u16).to_le_bytes());
        // Reserved bytes are zero when written and ignored when read.
        bytes[46..48].fill(0);
        bytes[56..64].fill(0);
        let checksum = xxh64(&bytes[40..64], xxh64(&bytes[0..32], 0));
        bytes[32..40].copy_from_slice(&checksum.to_le_bytes());
    }
    if let Some(header) = BlockHeader::decode(&bytes) {
        assert!((1..=EVENTS_PER_BLOCK).contains(&usize::from(header.event_count)));
        assert_eq!(header.encode(), bytes);
    }
}

pub fn meta_record(source: &mut Source) {
    let len = source.below(META_RECORD_SIZE + 2);
    let mut bytes = source.bytes(len);
    if len == META_RECORD_SIZE && source.one_in(2) {
        let checksum = xxh64(&bytes[0..16], 0);
        bytes[16..24].copy_from_slice(&checksum.to_le_bytes());
    }
    if let Some(state) = MetaState::decode(&bytes) {
        assert_eq!(state.encode()[..], bytes[..]);
    }
}

/// Texts that resemble an identity, with a valid checksum.
pub fn identity_record(source: &mut Source) {
    const KEYS: [&str; 8] =
        ["id", "wal_dev", "wal_ino", "generation", "boot_id", "active_path", "clean", "xxh64"];
    let mut text = String::new();
    for key in KEYS.iter().take(7) {
        let key = if source.one_in(16) { source.pick(&KEYS) } else { key };
        let value = match source.below(6) {
            0 => String::from_utf8_lossy(&source.bytes(9)).into_owned(),
            1 => format!("{:x}", source.word()),
            2 => "1\r\n=\0".to_owned(),
            3 => String::new(),
            _ => source.interesting().to_string(),
        };
        text += &format!("{key}={value}\n");
    }
    text += &format!("xxh64={:016x}\n", xxh64(text.as_bytes(), 0));
    let mut bytes = text.into_bytes();
    if source.one_in(4) {
        let at = source.below(bytes.len());
        bytes[at] = source.word() as u8;
    }
    if let Some(record) = IdentityRecord::decode(&bytes) {
        let again = IdentityRecord::decode(record.encode().as_bytes());
        assert_eq!(again, Some(record));
    }
}

/// A name denotes a segment only in the exact spelling that the library writes.
pub fn names(source: &mut Source) {
    const PIECES: [&str; 14] = [
        "FS.",
        "fs.",
        ".wal",
        ".lz4",
        ".tmp",
        ".corrupt",
        "0",
        "00000007",
        "4294967295",
        "4294967296",
        "wal_meta.dat",
        "wal_identity",
        "+",
        "\u{663}",
    ];
    let mut name = String::new();
    for _ in 0..source.below(6) {
        name += source.pick(&PIECES);
    }
    match file_name::parse(&name) {
        Some(FileName::Hot(index)) => assert_eq!(file_name::hot(index), name),
        Some(FileName::Cold(index)) => assert_eq!(file_name::cold(index), name),
        Some(FileName::Temporary | FileName::BegunSnapshot(_)) => {
            assert!(name.ends_with(".tmp"));
        }
        Some(FileName::Snapshot(id)) => assert_eq!(file_name::snapshot(id), name),
        None => {}
    }
}

/// Blocks of right and wrong events, with right and wrong headers: ids that a scan accepts always
/// rise, and above what is known durable no event counts without a checksum.
pub fn scan(source: &mut Source) {
    let durable_id = if source.one_in(3) { 0 } else { source.interesting() };
    let floor = source.below(3) as u64 * source.below(700) as u64;
    let rule = if source.one_in(4) { Rule::Memory } else { Rule::Disk { durable_id } };
    let mut scan = SegmentScan::new(rule, floor);
    let (mut last, mut count) = (floor, 0);
    for number in 0..1 + source.below(2) as u32 {
        let block = block(source, number, floor);
        let accepted = scan.block(&block);
        for slot in 0..accepted {
            let id = id_of(&block, slot);
            assert!(id > last && id < u64::MAX, "{id} after {last}");
            if rule == (Rule::Disk { durable_id: 0 }) {
                let header = BlockHeader::decode(block.first_chunk().expect("a block"));
                let header = header.expect("an event counted without a header");
                assert!(header.covers(&block) && slot < usize::from(header.event_count));
            }
            last = id;
        }
        count += accepted as u32;
        assert_eq!((scan.end().event_count, scan.end().last_event_id), (count, last));
    }
}

fn id_of(block: &[u8], slot: usize) -> u64 {
    let at = BLOCK_HEADER_SIZE + slot * EVENT_SIZE;
    u64::from_le_bytes(block[at..at + 8].try_into().expect("8 bytes"))
}

fn block(source: &mut Source, number: u32, floor: u64) -> Vec<u8> {
    let mut block = vec![0; BLOCK_SIZE];
    let events = source.below(EVENTS_PER_BLOCK + 1);
    for slot in 0..events {
        let at = BLOCK_HEADER_SIZE + slot * EVENT_SIZE;
        let id = floor + 1 + (number as usize * EVENTS_PER_BLOCK + slot) as u64;
        block[at..at + EVENT_SIZE].copy_from_slice(&event(id).encode());
    }
    if events > 0 && !source.one_in(4) {
        let sealed = 1 + source.below(events);
        let bytes = &block[BLOCK_HEADER_SIZE..BLOCK_HEADER_SIZE + sealed * EVENT_SIZE];
        let header = BlockHeader::seal(number, bytes, source.interesting(), source.interesting());
        block[..BLOCK_HEADER_SIZE].copy_from_slice(&header.encode());
    }
    for _ in 0..source.below(4) {
        let at = source.below(BLOCK_SIZE / 8) * 8;
        block[at..at + 8].copy_from_slice(&source.interesting().to_le_bytes());
    }
    block
}

/// Reads a whole frame, with the library.
fn read_frame(frame: &[u8], content: &mut Vec<u8>) -> io::Result<usize> {
    cold_frame::decompress(frame)?.read_to_end(content)
}

pub fn cold(source: &mut Source) {
    cold_with(source, read_frame);
}

/// A frame that was changed in one place still has its content, or is not read to its end. Noise is
/// never more than an error.
pub fn cold_with(source: &mut Source, read: fn(&[u8], &mut Vec<u8>) -> io::Result<usize>) {
    if source.one_in(4) {
        let mut noise = 0x184D_2204_u32.to_le_bytes().to_vec();
        let len = source.below(64);
        noise.extend_from_slice(&source.bytes(len));
        if let Ok(mut stream) = cold_frame::decompress(&noise[..]) {
            let mut bounded = (&mut stream).take(1 << 22);
            let _ = io::copy(&mut bounded, &mut io::sink());
        }
        return;
    }
    let content: Vec<u8> =
        (0..8 + source.below(40) as u64).flat_map(|n| event(n / 2).encode()).collect();
    let mut frame = Vec::new();
    cold_frame::compress(&mut &content[..], content.len() as u64, &mut frame).expect("in memory");
    let at = source.below(frame.len());
    match source.below(3) {
        0 => frame.truncate(at),
        1 => frame[at] ^= 1 << source.below(8),
        _ => frame[at] = source.word() as u8,
    }
    let mut back = Vec::new();
    if read(&frame, &mut back).is_ok() {
        assert!(back == content, "a changed frame was read as good");
    }
}
