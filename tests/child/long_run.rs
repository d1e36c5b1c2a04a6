//! Ten hours of flow at 800 requests a second, in a minute: 30 million events through a log that
//! keeps little. Afterwards exactly what retention allows is left, every event of it verified, and
//! the process has not grown.

use std::time::{Duration, Instant};

use common::keeping::are_cold;
use common::{append, event, names, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Error;
use flashstrike_wal::replay::{Reader, ReaderOptions};

use crate::arguments::Arguments;

const EVENTS: u64 = 30_000_000;
const SAMPLES: u64 = 60;
const BLOCKS: u64 = 64;
const SEGMENT: u64 = BLOCKS * 256;
const HOT: u64 = 8;
const COLD: u64 = 16;
/// How much allocators and page tables may grow over time, and each of four freezers when it first
/// runs, however late that is. A leak of one byte per event would be 24 MB, one of a mapped segment
/// per rotation 1.4 GB.
const MAY_GROW_KB: u64 = 2048 + 4 * 2048;
/// Files that workers may have open on a busy machine beyond what they had at the beginning.
const WAITING_FILES: usize = 64;
/// Compression may lag by a thousand segments on a busy machine.
const LONGEST_BACKLOG: Duration = Duration::from_secs(300);

/// Resident memory of this process, in KB.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn open_files() -> usize {
    names("/proc/self/fd".as_ref()).len()
}

pub fn ten_hours(_: &Arguments) {
    let place = Place::new();
    let config = Config {
        num_blocks: BLOCKS as u32,
        max_segments: Keep::AtMost(HOT as u32),
        max_compressed_segments: Keep::AtMost(COLD as u32),
        active_parent: place.memory().to_owned(),
        ..Config::default()
    };
    let (manager, mut writer) = open(&place.log(), config);
    let mut resident = Vec::new();
    let mut files = Vec::new();
    for sample in 0..SAMPLES {
        let share = EVENTS / SAMPLES;
        append(&mut writer, sample * share + 1..=(sample + 1) * share);
        resident.push(resident_kb());
        files.push(open_files());
    }
    let fifth = SAMPLES as usize / 5;
    let settled = *resident[..fifth].iter().max().unwrap();
    let largest = *resident[fifth..].iter().max().unwrap();
    eprintln!("resident: {settled} KB after a fifth, {largest} KB at most later");
    assert!(largest <= settled + MAY_GROW_KB, "{resident:?}");
    let (few, many) = (files[..fifth].iter().max().unwrap(), files[fifth..].iter().max().unwrap());
    // Freezers have two open each, and rings hold files of segments that wait to be closed or made
    // anew. A leak of one a segment would be 1,800.
    assert!(*many <= few + WAITING_FILES, "open files: {files:?}");

    // A shutdown would leave what compression has not come to.
    manager.log().sync().unwrap();
    let last = (EVENTS - 1) / SEGMENT;
    let caught_up = || are_cold(&place.log(), last + 1 - HOT - COLD..last + 1 - HOT);
    let begin = Instant::now();
    while !caught_up() {
        assert!(begin.elapsed() < LONGEST_BACKLOG, "compression has not caught up");
        std::thread::sleep(Duration::from_millis(10));
    }
    let metrics = manager.log().metrics();
    assert_eq!(metrics.appended_events, EVENTS);
    assert_eq!(metrics.compression_failures, 0);
    eprintln!("{} segments made, {} recycled", metrics.segments_created, metrics.segments_recycled);
    manager.shutdown(writer).unwrap();

    let cold = (last + 1 - HOT - COLD..last + 1 - HOT).map(|n| format!("FS.{n:08}.wal.lz4"));
    let hot = (last + 1 - HOT..=last).map(|n| format!("FS.{n:08}.wal"));
    let others = ["wal_identity", "wal_lock", "wal_meta.dat"].map(str::to_owned);
    let expected: Vec<_> = cold.chain(hot).chain(others).collect();
    assert_eq!(names(&place.log()), expected);
    assert!(place.active_directories().is_empty());

    let mut reader = Reader::open(&place.log(), ReaderOptions { verify: true }).unwrap();
    let mut next = (last + 1 - HOT - COLD) * SEGMENT + 1;
    loop {
        match reader.next() {
            Ok(found) => assert_eq!(found, event(next)),
            Err(Error::End) => break,
            Err(error) => panic!("after {}: {error}", next - 1),
        }
        next += 1;
    }
    assert_eq!(next, EVENTS + 1);
}
