//! Changes by somebody who knows the format and seals everything again.

use flashstrike_wal::format::{cold_frame, Layout};
use flashstrike_wal::format::{
    BlockHeader, IdentityRecord, SegmentHeader, BLOCK_HEADER_SIZE, EVENT_SIZE,
};

/// Overwrites existing bytes; nothing grows.
pub fn put(bytes: &mut [u8], at: usize, piece: &[u8]) {
    let end = bytes.len().min(at.saturating_add(piece.len()));
    if at < end {
        bytes[at..end].copy_from_slice(&piece[..end - at]);
    }
}

pub fn segment_field(bytes: &mut [u8], field: usize, value: u64) {
    let Some(mut header) = bytes.first_chunk().and_then(SegmentHeader::decode) else { return };
    match field {
        0 => header.segment_index = value as u32,
        1 => header.block_count = value as u32,
        2 => header.event_count = value as u32,
        3 => header.first_event_id = value,
        4 => header.last_event_id = value,
        5 => header.created_ts_ns = value,
        6 => header.closed_ts_ns = value,
        7 => header.last_chained_checksum = value,
        _ => header = SegmentHeader::open(header.segment_index, 1),
    }
    put(bytes, 0, &header.encode());
}

pub fn block_field(bytes: &mut [u8], block: usize, field: usize, value: u64) {
    let Some(mut header) = block_header(bytes, block) else { return };
    match field {
        0 => header.first_event_id = value,
        1 => header.last_event_id = value,
        2 => header.block_checksum = value,
        3 => header.chained_checksum = value,
        4 => header.block_index = value as u32,
        5 => header.event_count = (value % 257) as u16,
        _ => header.durable_event_id = value,
    }
    put(bytes, block_start(block), &header.encode());
}

fn block_header(bytes: &[u8], block: usize) -> Option<BlockHeader> {
    BlockHeader::decode(bytes.get(block_start(block)..)?.first_chunk()?)
}

/// Changes an event, and seals every block again as it was sealed.
pub fn forge(bytes: &mut [u8], block: usize, slot: usize) {
    let price = block_start(block) + BLOCK_HEADER_SIZE + slot * EVENT_SIZE + 16;
    if let Some(byte) = bytes.get_mut(price) {
        *byte ^= 0x40;
    }
    let mut chained = 0;
    for block in 0.. {
        let Some(old) = block_header(bytes, block) else { break };
        let events = block_start(block) + BLOCK_HEADER_SIZE;
        let Some(events) = bytes.get(events..events + usize::from(old.event_count) * EVENT_SIZE)
        else {
            break;
        };
        let new = BlockHeader::seal(old.block_index, events, chained, old.durable_event_id);
        chained = new.chained_checksum;
        put(bytes, block_start(block), &new.encode());
    }
    let Some(mut header) = bytes.first_chunk().and_then(SegmentHeader::decode) else { return };
    if header.is_closed() {
        header.last_chained_checksum = chained;
        put(bytes, 0, &header.encode());
    }
}

pub fn identity_field(bytes: &mut Vec<u8>, key: usize, value: &str) {
    let Some(mut record) = IdentityRecord::decode(bytes) else { return };
    let number = value.parse().unwrap_or(0);
    match key {
        0 => record.id = u128::from(number),
        1 => record.wal_dev = number,
        2 => record.wal_ino = number,
        3 => record.generation = number,
        4 => record.boot_id = value.to_owned(),
        5 => record.active_path = value.to_owned(),
        _ => record.clean = !record.clean,
    }
    *bytes = record.encode().into_bytes();
}

pub fn recompress(frame: &mut Vec<u8>, at: usize, value: u64) {
    let mut content = Vec::new();
    let whole = cold_frame::decompress(&frame[..])
        .and_then(|mut stream| std::io::Read::read_to_end(&mut stream, &mut content));
    if whole.is_err() {
        return;
    }
    put(&mut content, at, &value.to_le_bytes());
    frame.clear();
    cold_frame::compress(&mut &content[..], content.len() as u64, &mut *frame).expect("in memory");
}

pub fn block_start(block: usize) -> usize {
    Layout::block_offset(block as u32) as usize
}
