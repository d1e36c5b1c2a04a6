//! Cold segments: one standard LZ4 frame, content size and content checksum on.
//!
//! Its blocks have checksums of their own and do not refer to each other. So every changed bit is
//! noticed, even one that would decode to the same content, and costs one block, not the rest.

use std::io::{self, Read, Write};

use lz4::liblz4::BlockChecksum;
use lz4::{BlockMode, BlockSize, ContentChecksum, Decoder, EncoderBuilder};

const CHUNK_SIZE: usize = 256 * 1024;

/// Compresses exactly `size` bytes of `from` into one frame.
pub fn compress(from: &mut impl Read, size: u64, to: impl Write) -> io::Result<()> {
    let mut encoder = EncoderBuilder::new()
        .block_size(BlockSize::Max256KB)
        .block_mode(BlockMode::Independent)
        .block_checksum(BlockChecksum::BlockChecksumEnabled)
        .content_size(size)
        .checksum(ContentChecksum::ChecksumEnabled)
        .build(to)?;
    let copied = io::copy(&mut from.take(size), &mut encoder)?;
    if copied != size {
        let message = format!("only {copied} of {size} bytes to compress");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
    }
    encoder.finish().1
}

/// The content of a frame, as a stream. It ends in an error if the frame is cut short, even if only
/// the end mark or the checksum is missing.
pub fn decompress<R: Read>(from: R) -> io::Result<impl Read> {
    Ok(Content(Some(Decoder::new(from)?)))
}

/// `None` once the frame has ended as it should.
struct Content<R>(Option<Decoder<R>>);

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.0 else { return Ok(0) };
        let read = decoder.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            // The decoder takes the end of its input for the end of the frame. Only `finish` knows.
            let whole = self.0.take().is_none_or(|decoder| decoder.finish().1.is_ok());
            if !whole {
                let kind = io::ErrorKind::UnexpectedEof;
                return Err(io::Error::new(kind, "the frame is cut short"));
            }
        }
        Ok(read)
    }
}

/// Whether a frame holds exactly `content`. A frame that is damaged or cut short is an error.
pub fn holds(frame: impl Read, content: &mut impl Read) -> io::Result<bool> {
    same_content(&mut decompress(frame)?, content)
}

/// Whether two streams have the same content.
fn same_content(left: &mut impl Read, right: &mut impl Read) -> io::Result<bool> {
    let (mut a, mut b) = (vec![0; CHUNK_SIZE], vec![0; CHUNK_SIZE]);
    loop {
        let (read_a, read_b) = (read_full(left, &mut a)?, read_full(right, &mut b)?);
        if a[..read_a] != b[..read_b] {
            return Ok(false);
        }
        if read_a < CHUNK_SIZE {
            return Ok(true);
        }
    }
}

/// Reads until `buffer` is full or the stream ends; returns the bytes read.
pub fn read_full(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match from.read(&mut buffer[read..]) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_and_a_changed_byte_is_noticed() {
        let content: Vec<u8> = (0..600_000_u32).map(|n| (n / 7) as u8).collect();
        let mut frame = Vec::new();
        compress(&mut &content[..], content.len() as u64, &mut frame).unwrap();
        assert!(frame.len() < content.len() / 2);
        let mut back = decompress(&frame[..]).unwrap();
        assert!(same_content(&mut back, &mut &content[..]).unwrap());
        drop(back);
        assert!(!same_content(&mut &content[1..], &mut &content[..]).unwrap());
        assert!(!same_content(&mut &content[..599_999], &mut &content[..]).unwrap());

        for cut in [frame.len() - 1, frame.len() - 4, frame.len() - 8, frame.len() / 2] {
            let mut stream = decompress(&frame[..cut]).unwrap();
            let error = io::copy(&mut stream, &mut io::sink()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "cut to {cut}");
        }
        let middle = frame.len() / 2;
        frame[middle] ^= 1;
        let same = holds(&frame[..], &mut &content[..]);
        assert!(!matches!(same, Ok(true)), "{same:?}");
        frame[middle] ^= 1;
        assert!(holds(&frame[..], &mut &content[..]).unwrap());
        for cut in 1..9 {
            let same = holds(&frame[..frame.len() - cut], &mut &content[..]);
            assert!(!matches!(same, Ok(true)), "{cut} bytes of the frame's end are missing");
        }
        let mut short = Vec::new();
        assert!(compress(&mut &content[..10], 11, &mut short).is_err());
    }
}
