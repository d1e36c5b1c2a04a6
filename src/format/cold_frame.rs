//! Cold segments, and the states in snapshots: one standard LZ4 frame, content checksum on; of cold
//! segments the content size, too.
//!
//! Its blocks have checksums of their own and do not refer to each other. So every changed bit is
//! noticed, even one that would decode to the same content, and costs one block, not the rest.

use std::io::{self, Read, Write};

use lz4::liblz4::BlockChecksum;
use lz4::{BlockMode, BlockSize, ContentChecksum, Decoder, Encoder, EncoderBuilder};
use xxhash_rust::xxh64::Xxh64;

const CHUNK_SIZE: usize = 64 * 1024;

/// The digest of a frame's content: its length, and the XXH64 of all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(u64, u64);

impl Digest {
    /// Bytes of the content.
    pub fn size(&self) -> u64 {
        self.0
    }
}

/// Makes a frame of what is written to it.
pub struct Compressor<W: Write> {
    encoder: Encoder<W>,
    /// What it must hold in the end, where that is known before.
    size: Option<u64>,
    written: u64,
    hash: Xxh64,
}

impl<W: Write> Compressor<W> {
    /// A frame that will have exactly `size` bytes of content.
    pub fn new(size: u64, to: W) -> io::Result<Self> {
        Self::with_size(Some(size), to)
    }

    /// A frame of a content whose size is not known yet.
    pub fn open_ended(to: W) -> io::Result<Self> {
        Self::with_size(None, to)
    }

    fn with_size(size: Option<u64>, to: W) -> io::Result<Self> {
        let encoder = EncoderBuilder::new()
            .block_size(BlockSize::Max256KB)
            .block_mode(BlockMode::Independent)
            .block_checksum(BlockChecksum::BlockChecksumEnabled)
            .content_size(size.unwrap_or(0))
            .checksum(ContentChecksum::ChecksumEnabled)
            .build(to)?;
        Ok(Compressor { encoder, size, written: 0, hash: Xxh64::new(0) })
    }

    /// Ends the frame. Returns the digest of what went in, and what the frame was written to.
    pub fn finish(self) -> io::Result<(Digest, W)> {
        let written = self.written;
        if let Some(size) = self.size.filter(|size| *size != written) {
            let message = format!("only {written} of {size} bytes to compress");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        let (to, ended) = self.encoder.finish();
        ended?;
        Ok((Digest(written, self.hash.digest()), to))
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.encoder.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compresses exactly `size` bytes of `from` into one frame.
pub fn compress(from: &mut impl Read, size: u64, to: impl Write) -> io::Result<()> {
    let mut compressor = Compressor::new(size, to)?;
    io::copy(&mut from.take(size), &mut compressor)?;
    compressor.finish().map(|_| ())
}

/// The digest of what a frame holds. A frame that is damaged or cut short is an error.
pub fn digest_of(frame: impl Read) -> io::Result<Digest> {
    let mut content = decompress(frame)?;
    let (mut length, mut hash) = (0, Xxh64::new(0));
    let mut buffer = vec![0; CHUNK_SIZE];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(Digest(length, hash.digest())),
            read => {
                length += read as u64;
                hash.update(&buffer[..read]);
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_and_a_changed_byte_is_noticed() {
        let content: Vec<u8> = (0..600_000_u32).map(|n| (n / 7) as u8).collect();
        let mut compressor = Compressor::new(content.len() as u64, Vec::new()).unwrap();
        compressor.write_all(&content[..100_000]).unwrap();
        compressor.write_all(&content[100_000..]).unwrap();
        let (digest, mut frame) = compressor.finish().unwrap();
        assert!(frame.len() < content.len() / 2);
        let mut back = Vec::new();
        decompress(&frame[..]).unwrap().read_to_end(&mut back).unwrap();
        assert!(back == content);
        assert_eq!(digest_of(&frame[..]).unwrap(), digest);

        for cut in (1..9).chain([frame.len() / 2]) {
            let error = digest_of(&frame[..frame.len() - cut]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{cut} bytes are missing");
        }
        let middle = frame.len() / 2;
        frame[middle] ^= 1;
        digest_of(&frame[..]).unwrap_err();
        let mut short = Vec::new();
        assert!(compress(&mut &content[..10], 11, &mut short).is_err());
    }

    /// A whole frame, with good checksums, of anything else.
    #[test]
    fn another_content_has_another_digest() {
        let digest = |content: &[u8]| {
            let mut frame = Vec::new();
            compress(&mut &content[..], content.len() as u64, &mut frame).unwrap();
            digest_of(&frame[..]).unwrap()
        };
        let content: Vec<u8> = (0..100_000_u32).map(|n| (n / 7) as u8).collect();
        let own = digest(&content);
        assert_eq!(digest(&content), own);
        assert_ne!(digest(&content[1..]), own);
        assert_ne!(digest(&content[..99_999]), own);
        assert_ne!(digest(&[&content[..], &[0]].concat()), own);
        for at in [0, 16_447, 99_999] {
            let mut changed = content.clone();
            changed[at] ^= 1;
            assert_ne!(digest(&changed), own);
        }
    }
}
