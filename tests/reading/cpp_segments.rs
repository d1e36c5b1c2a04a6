//! Segments that the C++ recorder had open when it was killed: reader, verify and open agree on
//! them.

use std::fs;
use std::os::unix::fs::FileExt;

use common::segments::{read_to_end, Image, Log};
use flashstrike_wal::config::Config;
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::replay::{verify, DamageKind, VerifyReport};

fn check(log: &Log) -> VerifyReport {
    verify(&log.path()).unwrap()
}

/// Reader, verify and open must all find exactly the events 1 to `last`.
fn assert_agreed(log: &Log, last: u64, what: &str) {
    assert_eq!(read_to_end(&mut log.reader()), (1..=last).collect::<Vec<_>>(), "{what}");
    let report = check(log);
    assert_eq!(report.result().map_err(|error| error.to_string()), Ok(()), "{what}");
    assert_eq!((report.events, report.open_segments), (last, 1), "{what}");
    let config = Config { active_parent: log.memory().to_owned(), ..Config::default() };
    let (manager, writer) = Manager::open(&log.path(), config).unwrap();
    assert_eq!(manager.log().appended().last_event_id, last, "{what}");
    manager.shutdown(writer).unwrap();
}

fn put_header(log: &Log, index: u32, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(log.hot(index)).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}

fn never_closed() -> Log {
    let log = Log::of(&[Image::closed(0, 1..=300), Image::open(1, 301..=700)]);
    let mut header = fs::read(log.hot(1)).unwrap()[..64].to_vec();
    header[40..56].fill(0);
    put_header(&log, 1, &header);
    log
}

#[test]
fn f30_a_segment_that_was_never_closed() {
    assert_agreed(&never_closed(), 700, "without checksum and closing time");
    let log = never_closed();
    put_header(&log, 1, &[0]);
    assert_agreed(&log, 700, "with a zero first byte");
    let log = Log::of(&[Image::open(0, 1..=700)]);
    put_header(&log, 0, &[0; 64]);
    assert_agreed(&log, 700, "of zeros, and the first");
}

#[test]
fn elsewhere_such_a_header_is_damage() {
    let log = never_closed();
    log.crashed();
    let report = check(&log);
    assert!(report.damages.iter().any(|d| d.kind == DamageKind::SegmentHeader), "{report:?}");
}

/// Its header stays closed and counts the events it had then.
#[test]
fn f31_a_segment_that_was_closed_and_opened_again() {
    for (counted, last) in [(700, 1300), (700, 701), (556, 600), (556, 812), (812, 813)] {
        let log = Log::of(&[
            Image::closed(0, 1..=300),
            Image { blocks: 6, ..Image::open(1, 301..=last) },
        ]);
        put_header(&log, 1, &Image::closed(1, 301..=counted).bytes()[..64]);
        assert_agreed(&log, last, &format!("{counted} of {last} are counted"));
    }
}

/// A header that was never right is damage, whoever wrote the log.
#[test]
fn a_header_that_counts_too_few_events_is_damage() {
    let log =
        Log::of(&[Image::closed(0, 1..=300), Image { blocks: 6, ..Image::open(1, 301..=1300) }]);
    put_header(&log, 1, &Image::closed(1, 301..=700).bytes()[..64]);
    log.change_header(1, |header| header.last_chained_checksum ^= 1);
    assert!(check(&log).damage_count > 0);
}

/// A block with higher ids that does not continue the chain proves nothing.
#[test]
fn a_foreign_block_behind_a_closed_segment_does_not_open_it() {
    let log = Log::of(&[
        Image::closed(0, 1..=300),
        Image { blocks: 3, ..Image::closed(1, 301..=556) },
        Image::open(2, 5001..=5300),
    ]);
    let foreign = fs::read(log.hot(2)).unwrap()[64..64 + 16_448].to_vec();
    let file = fs::OpenOptions::new().write(true).open(log.hot(1)).unwrap();
    file.write_all_at(&foreign, 64 + 16_448).unwrap();
    log.change_block(1, 1, |header| header.block_index = 1);
    fs::remove_file(log.hot(2)).unwrap();
    assert_eq!(read_to_end(&mut log.reader()), (1..=556).collect::<Vec<_>>());
    assert_eq!(check(&log).open_segments, 0);
}
