//! The header of an LZ4 frame, for those who read a frame block by block.

use std::fmt;

use xxhash_rust::xxh32::xxh32;

use super::fields::field;

/// The longest frame header there is, without a dictionary.
pub const MAX_FRAME_HEADER_SIZE: usize = 15;

const MAGIC: u32 = 0x184D_2204;
const VERSION_MASK: u8 = 0xC0;
const VERSION: u8 = 0x40;
const INDEPENDENT: u8 = 0x20;
const BLOCK_CHECKSUMS: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_CHECKSUM: u8 = 0x04;
const RESERVED_OR_DICTIONARY: u8 = 0x03;

/// The kinds of LZ4 frames, by the first bytes. Of these only ordinary ones are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// What `lz4` writes.
    Ordinary,
    /// What `lz4 -l` writes.
    Legacy,
    /// What holds something else, for a program that knows it.
    Skippable,
}

impl FrameKind {
    /// The kind of the frame that begins with `bytes`; `None` = no frame.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        const LEGACY: u32 = 0x184C_2102;
        const SKIPPABLE: u32 = 0x184D_2A50;
        if bytes.len() < 4 {
            return None;
        }
        match field::<u32>(bytes, 0) {
            MAGIC => Some(FrameKind::Ordinary),
            LEGACY => Some(FrameKind::Legacy),
            magic if magic & !0xF == SKIPPABLE => Some(FrameKind::Skippable),
            _ => None,
        }
    }
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FrameKind::Ordinary => "another LZ4 frame",
            FrameKind::Legacy => "a legacy LZ4 frame (lz4 -l)",
            FrameKind::Skippable => "a skippable LZ4 frame",
        })
    }
}

/// What a frame says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Blocks do not refer to the content before them.
    pub independent: bool,
    /// Every block is followed by its checksum.
    pub block_checksums: bool,
    /// The end mark is followed by the content's checksum.
    pub content_checksum: bool,
    /// Bytes of the content.
    pub content_size: Option<u64>,
    /// Most bytes of a block before compression. In this library's frames all but the last block
    /// have as many.
    pub block_limit: usize,
    /// Bytes of the header.
    pub len: u64,
}

/// The flags of the frames this library writes, and their limits.
const OURS: [u8; 2] =
    [VERSION | INDEPENDENT | BLOCK_CHECKSUMS | CONTENT_SIZE | CONTENT_CHECKSUM, 0x50];

impl FrameHeader {
    /// What to assume of a frame of this library whose header cannot be trusted. Blocks that do not
    /// refer to the content before them decode the same with it.
    pub fn guessed(block_checksums: bool) -> Self {
        FrameHeader {
            independent: false,
            block_checksums,
            content_checksum: true,
            content_size: None,
            block_limit: 256 * 1024,
            len: MAX_FRAME_HEADER_SIZE as u64,
        }
    }

    /// The header at the beginning of `bytes`, unless it is damaged or a single bit away from what
    /// this library writes: its checksum is one byte, so one flipped bit in 256 gets past it.
    pub fn decode_doubting(bytes: &[u8]) -> Option<Self> {
        let header = Self::decode(bytes)?;
        let changed = (bytes[4] ^ OURS[0]).count_ones() + (bytes[5] ^ OURS[1]).count_ones();
        (changed != 1).then_some(header)
    }

    /// The header at the beginning of `bytes`, or `None` when it is not a valid one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 7 || field::<u32>(bytes, 0) != MAGIC {
            return None;
        }
        let (flags, limits) = (bytes[4], bytes[5]);
        let known = flags & VERSION_MASK == VERSION && flags & RESERVED_OR_DICTIONARY == 0;
        let limit_id = limits >> 4;
        if !known || limits & 0x0F != 0 || !(4..=7).contains(&limit_id) {
            return None;
        }
        let has_size = flags & CONTENT_SIZE != 0;
        let len = if has_size { MAX_FRAME_HEADER_SIZE } else { 7 };
        if bytes.len() < len || bytes[len - 1] != (xxh32(&bytes[4..len - 1], 0) >> 8) as u8 {
            return None;
        }
        Some(FrameHeader {
            independent: flags & INDEPENDENT != 0,
            block_checksums: flags & BLOCK_CHECKSUMS != 0,
            content_checksum: flags & CONTENT_CHECKSUM != 0,
            content_size: has_size.then(|| field(bytes, 6)),
            block_limit: 1 << (8 + 2 * u32::from(limit_id)),
            len: len as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::cold_frame;

    fn frame(content: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        cold_frame::compress(&mut &content[..], content.len() as u64, &mut frame).unwrap();
        frame
    }

    /// The header's own checksum is a byte: one changed bit in 256 gets past it. In the content's
    /// size that shows once the content is read.
    #[test]
    fn every_changed_bit_of_a_header_is_noticed() {
        const SIZE: std::ops::Range<usize> = 6..14;
        for len in (1..400).chain([16_512, 300_000]) {
            let frame = frame(&vec![7; len]);
            let header = FrameHeader::decode(&frame).unwrap();
            let size = Some(len as u64);
            assert_eq!((header.independent, header.content_size), (true, size));
            assert!(header.block_checksums && header.content_checksum);
            for bit in 0..15 * 8 {
                let mut changed = frame.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let found = FrameHeader::decode_doubting(&changed);
                let shows = |found: FrameHeader| {
                    SIZE.contains(&(bit / 8)) && found.content_size != header.content_size
                };
                assert!(found.is_none_or(shows), "content of {len} bytes, bit {bit}");
            }
        }
    }

    #[test]
    fn other_frames_are_read() {
        let mut to = Vec::new();
        let mut encoder = lz4::EncoderBuilder::new()
            .checksum(lz4::ContentChecksum::NoChecksum)
            .block_size(lz4::BlockSize::Max64KB)
            .build(&mut to)
            .unwrap();
        std::io::Write::write_all(&mut encoder, b"content").unwrap();
        encoder.finish().1.unwrap();
        let expected = FrameHeader {
            content_checksum: false,
            block_limit: 64 * 1024,
            len: 7,
            ..FrameHeader::guessed(true)
        };
        assert_eq!(FrameHeader::decode(&to), Some(expected));
        assert_eq!(FrameHeader::decode(&to[..6]), None);
    }
}
