//! Where reading begins and ends: ranges by id and time, and what a reader counts.

use common::segments::{event_at, failure, read_to_end, Image, Log};
use common::{event, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::recorder::Writer;
use flashstrike_wal::replay::Reader;

/// Events 1 to 3,300 in three segments, the middle one cold.
fn log() -> Log {
    let log = Log::of(&[
        Image::closed(0, 1..=1000),
        Image::closed(1, 1001..=3000),
        Image::closed(2, 3001..=3300),
    ]);
    log.freeze(1);
    log
}

#[test]
fn reading_ends_behind_an_event() {
    let log = log();
    for threads in [0, 3] {
        for end in [1, 255, 256, 1000, 1001, 2999, 3000, 3299, 3300, 9000] {
            let mut reader = log.reader();
            reader.use_threads(threads).unwrap();
            reader.end_behind(end);
            let expected: Vec<_> = (1..=end.min(3300)).collect();
            assert_eq!(read_to_end(&mut reader), expected, "up to {end}");
            assert!(matches!(reader.next(), Err(Error::End)), "the end stays the end");
            reader.seek(end).unwrap();
            let last: Vec<_> = (end..=end.min(3300)).collect();
            assert_eq!(read_to_end(&mut reader), last, "a seek does not go behind it");
        }
    }
}

/// What lies behind the end is not looked at.
#[test]
fn damage_behind_the_end_is_not_met() {
    let log = log();
    std::fs::write(log.hot(2), b"nothing of a segment").unwrap();
    let mut reader = log.reader();
    reader.end_behind(3000);
    assert_eq!(read_to_end(&mut reader).len(), 3000);
}

#[test]
fn what_lies_before_a_sought_event_is_not_read() {
    let log = log();
    log.flip(0, event_at(0, 9));
    let mut reader = log.reader();
    reader.seek(900).unwrap();
    assert_eq!(reader.next().unwrap(), event(900));
    let counts = reader.metrics().counts;
    assert_eq!(counts.effort.blocks, 1, "only its own block is verified");
    reader.seek(2900).unwrap();
    assert_eq!(reader.next().unwrap(), event(2900), "in a cold segment");
    assert_eq!(reader.metrics().counts.effort.blocks, 2);
}

/// When the beginning of the log is gone, a seek into it says so, once.
#[test]
fn a_seek_below_the_oldest_event_reports_the_gap_once() {
    let log = log();
    std::fs::remove_file(log.hot(0)).unwrap();
    for threads in [0, 2] {
        let mut reader = log.reader();
        reader.use_threads(threads).unwrap();
        assert_eq!(reader.next().unwrap(), event(1001), "at first, the oldest there is");
        reader.seek(10).unwrap();
        let error = reader.next().unwrap_err();
        let failure = failure(&error, Cause::Gap);
        assert_eq!(failure.place.event_ids, Some((10, 1000)));
        assert_eq!(reader.next().unwrap(), event(1001));
        for id in [0, 1001, 1002] {
            reader.seek(id).unwrap();
            assert_eq!(reader.next().unwrap(), event(id.max(1001)), "no event from {id} is gone");
        }
    }
    let log = Log::of(&[Image::closed(0, 500..=600)]);
    let mut reader = log.reader();
    reader.seek(10).unwrap();
    assert_eq!(reader.next().unwrap(), event(500), "the log begins with it: nothing is gone");
}

/// An event whose time is ten times its id, but two events in a row have the same.
fn timed(event_id: u64) -> RequestEvent {
    RequestEvent { timestamp: event_id / 2 * 20, ..event(event_id) }
}

fn append_timed(writer: &mut Writer, ids: impl IntoIterator<Item = u64>) {
    ids.into_iter().for_each(|id| writer.append(&timed(id)).unwrap());
}

/// Cold, hot and active segments; the log is open, then at rest.
#[test]
fn a_seek_by_time_finds_the_first_event_of_that_time() {
    const LAST: u64 = 30_001;
    let place = Place::new();
    let config = Config { max_segments: Keep::AtMost(3), ..place.small() };
    let (manager, mut writer) = open(&place.log(), config);
    append_timed(&mut writer, 1..=LAST);
    manager.log().sync().unwrap();
    common::eventually("cold segments", || manager.log().metrics().cold_segments >= 4);
    let check = |reader: &mut Reader| {
        for id in (1..=LAST).step_by(97).chain([2, 255, 256, 257, 4095, 4096, 4097, LAST]) {
            for (time, first) in
                [(timed(id).timestamp, id / 2 * 2), (id / 2 * 20 + 1, id / 2 * 2 + 2)]
            {
                reader.seek_time(time).unwrap();
                match reader.next() {
                    Ok(found) => assert_eq!(found.event_id, first.max(1), "time {time}"),
                    Err(error) => {
                        assert!(matches!(error, Error::End) && first > LAST, "{time}: {error}");
                    }
                }
            }
        }
    };
    let mut reader = Reader::open_salvaging(&place.log()).unwrap();
    check(&mut reader);
    manager.shutdown(writer).unwrap();
    check(&mut reader);
    reader.use_threads(2).unwrap();
    check(&mut reader);
}

#[test]
fn what_a_reader_has_done_is_counted() {
    let log = log();
    for threads in [0, 1, 4] {
        let mut reader = log.reader();
        reader.use_threads(threads).unwrap();
        read_to_end(&mut reader);
        let metrics = reader.metrics();
        assert_eq!(metrics.threads, threads);
        assert!(!metrics.active_denied);
        let counts = metrics.counts;
        let blocks = 1000_u64.div_ceil(256) + 2000_u64.div_ceil(256) + 300_u64.div_ceil(256);
        assert_eq!((counts.events, counts.effort.blocks), (3300, blocks));
        assert_eq!((counts.opened, counts.damages), (3, 0));
        assert!(counts.effort.bytes >= 3300 * 64);
        let times = [counts.open, counts.effort.read, counts.effort.decompress];
        assert!(times.iter().all(|time| !time.is_zero()), "{counts:?}");
        assert!(!counts.effort.verify.is_zero());
    }
    log.flip(2, event_at(0, 4));
    let mut reader = log.reader();
    while reader.next().is_ok() {}
    assert_eq!(reader.metrics().counts.damages, 1);
}

/// Threads end at once when a reader is closed early, whatever they do, and a seek drops what was
/// read ahead.
#[test]
fn readers_with_threads_are_closed_and_moved_at_any_moment() {
    let log = log();
    for n in 0..50 {
        let mut reader = log.reader();
        reader.use_threads(1 + n % 5).unwrap();
        for _ in 0..n {
            reader.next_batch().unwrap();
            let id = u64::from(n * 61 % 3299 + 1);
            reader.seek(id).unwrap();
            assert_eq!(reader.next().unwrap(), event(id));
        }
    }
}
