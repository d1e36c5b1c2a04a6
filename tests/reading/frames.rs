//! Cold segments that somebody has compressed again by hand, in other kinds of LZ4 frames. What is
//! not read is refused, and the error says what it is.

use std::fs;

use common::segments::{failure, read_on, read_to_end, Log};
use flashstrike_wal::error::Cause;
use flashstrike_wal::format::cold_frame;
use flashstrike_wal::replay::{verify, DamageKind};

/// An ordinary frame.
fn frame(content: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    cold_frame::compress(&mut &content[..], content.len() as u64, &mut frame).unwrap();
    frame
}

/// What `lz4 -l` makes.
fn legacy(content: &[u8]) -> Vec<u8> {
    let block = lz4::block::compress(content, None, false).unwrap();
    let mut frame = 0x184C_2102_u32.to_le_bytes().to_vec();
    frame.extend((block.len() as u32).to_le_bytes());
    frame.extend(block);
    frame
}

fn skippable() -> Vec<u8> {
    let mut frame = 0x184D_2A53_u32.to_le_bytes().to_vec();
    frame.extend(5_u32.to_le_bytes());
    frame.extend(b"notes");
    frame
}

/// A log whose segment 1 is cold, in a file that is made of its content.
fn recompressed(compress: impl Fn(&[u8]) -> Vec<u8>) -> Log {
    let log = Log::of_a_thousand();
    let content = fs::read(log.hot(1)).unwrap();
    fs::write(log.cold(1), compress(&content)).unwrap();
    fs::remove_file(log.hot(1)).unwrap();
    log
}

/// Reading gives the events up to `last` and stops with these words, and verify finds them.
fn assert_told(log: &Log, last: u64, words: &str) {
    let (ids, error) = read_on(&mut log.reader());
    assert_eq!(ids, (1..=last).collect::<Vec<_>>(), "{words}: {error}");
    let failure = failure(&error, Cause::Corrupt);
    assert!(failure.message.contains(words), "{words}: {error}");
    assert_eq!(failure.place.segment_index, Some(1));
    let report = verify(&log.path()).unwrap();
    let first = &report.damages[0];
    assert_eq!((first.kind, first.file_name()), (DamageKind::Frame, "FS.00000001.wal.lz4"));
    assert!(first.what.contains(words), "{words}: {report:?}");
}

#[test]
fn other_kinds_of_frames_are_told_by_their_names() {
    let words = "begins with a legacy LZ4 frame (lz4 -l), which is not read";
    assert_told(&recompressed(legacy), 300, words);
    let log = recompressed(|content| [skippable(), frame(content)].concat());
    assert_told(&log, 300, "begins with a skippable LZ4 frame, which is not read");
}

#[test]
fn a_segment_in_two_frames_is_read_to_the_end_of_the_first() {
    const CUT: usize = 64 + 16_448 + 100;
    let words = "goes on in another LZ4 frame, and only the first frame is read";
    let halves = |content: &[u8]| [frame(&content[..CUT]), frame(&content[CUT..])].concat();
    assert_told(&recompressed(halves), 556, words);
    let halves = |content: &[u8]| [frame(&content[..CUT]), legacy(&content[CUT..])].concat();
    let words = "goes on in a legacy LZ4 frame (lz4 -l), and only the first frame is read";
    assert_told(&recompressed(halves), 556, words);
}

/// It harms nothing: whatever somebody keeps there is only told.
#[test]
fn a_skippable_frame_behind_the_segment_is_passed() {
    let log = recompressed(|content| [frame(content), skippable()].concat());
    assert_eq!(read_to_end(&mut log.reader()).len(), 1000);
    let report = verify(&log.path()).unwrap();
    let found: Vec<_> = report.damages.iter().map(|d| (d.kind, d.what.as_str())).collect();
    let told = "13 bytes follow the frame: a skippable LZ4 frame";
    assert_eq!(found, [(DamageKind::Trailing, told)]);
}
