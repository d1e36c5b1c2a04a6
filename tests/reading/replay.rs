//! The reader on undamaged logs, both at rest and while their files change.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use common::segments::{failure, read_on, read_to_end, Image, Log};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::Layout;
use flashstrike_wal::replay::{verify, Reader, ReaderOptions};
use rustix::fs::{flock, FlockOperation};

/// Three segments with gaps in the ids: one with only full blocks, one that ends in a partial
/// block, one with a single event.
fn three() -> [Image; 3] {
    [
        Image::closed(0, (1..=512).map(|n| n * 3)),
        Image::closed(1, (1..=300).map(|n| 2000 + n * 2)),
        Image::closed(2, [u64::MAX - 1]),
    ]
}

fn ids_of(images: &[Image]) -> Vec<u64> {
    images.iter().flat_map(|image| image.ids.clone()).collect()
}

#[test]
fn hot_segments_come_out_in_order() {
    let log = Log::of(&three());
    for verify in [true, false] {
        let mut reader = log.reader_with(verify);
        assert_eq!(read_to_end(&mut reader), ids_of(&three()));
        assert_eq!(read_to_end(&mut reader), [0_u64; 0], "the end stays the end");
    }
}

#[test]
fn cold_segments_in_every_kind_of_frame() {
    let log = Log::of(&three());
    log.freeze(0);
    log.freeze_bare(1);
    assert_eq!(read_to_end(&mut log.reader()), ids_of(&three()), "cold, cold, hot");
    // As the C++ recorder leaves them: the whole file with all its unused blocks.
    let log = Log::new();
    for image in three() {
        log.write(&Image { blocks: 40, ..image });
    }
    (0..3).for_each(|index| log.freeze_bare(index));
    for verify in [true, false] {
        assert_eq!(read_to_end(&mut log.reader_with(verify)), ids_of(&three()));
    }
}

#[test]
fn of_a_hot_and_a_cold_one_the_hot_one_is_read() {
    let log = Log::of(&three());
    fs::write(log.cold(1), "not a frame").unwrap();
    assert_eq!(read_to_end(&mut log.reader()), ids_of(&three()));
}

#[test]
fn batches_hold_the_same_events() {
    let log = Log::of(&three());
    let mut reader = log.reader();
    let mut ids = vec![reader.next().unwrap().event_id];
    loop {
        match reader.next_batch() {
            Ok(batch) => {
                assert!(!batch.is_empty() && batch.len() <= 256, "{}", batch.len());
                ids.extend(batch.iter().map(|event| event.event_id));
            }
            Err(error) => {
                assert!(matches!(error, Error::End), "{error}");
                break;
            }
        }
    }
    assert_eq!(ids, ids_of(&three()));
}

#[test]
fn seek_finds_the_first_event_at_or_above_any_id() {
    for cold in 0..=3 {
        let log = Log::of(&three());
        (0..cold).for_each(|index| log.freeze(index));
        let ids = ids_of(&three());
        let mut reader = log.reader();
        // Alternately backwards and forwards, to the event's id, below and above it.
        let near = ids.iter().flat_map(|&id| [id - 1, id, id + 1]);
        let steps: Vec<u64> = near.clone().zip(near.rev()).flat_map(|(a, b)| [a, b]).collect();
        for target in steps.into_iter().step_by(if cold == 0 { 1 } else { 7 }).chain([0]) {
            reader.seek(target).unwrap();
            let expected = ids.iter().find(|&&id| id >= target);
            match reader.next() {
                Ok(event) => assert_eq!(Some(&event.event_id), expected, "seek {target}"),
                Err(error) => {
                    assert!(matches!(error, Error::End), "seek {target}: {error}");
                    assert_eq!(expected, None, "seek {target}");
                }
            }
        }
        assert_eq!(read_to_end(&mut reader), ids[1..], "reading on after the seek");
    }
}

#[test]
fn a_seek_past_the_end_waits_for_events_at_or_above_the_id() {
    let log = Log::of(&[Image::closed(0, 1..=256)]);
    let mut reader = log.reader();
    reader.seek(300).unwrap();
    assert_eq!(read_to_end(&mut reader), [0_u64; 0]);
    log.write(&Image::closed(1, 257..=310));
    assert_eq!(read_to_end(&mut reader), (300..=310).collect::<Vec<_>>());
}

#[test]
fn f19_a_directory_without_a_log_is_not_found() {
    let options = ReaderOptions { verify: true };
    let refusals = |path: &Path| {
        let errors = [
            Reader::open(path, options).map(drop).unwrap_err(),
            Reader::open_salvaging(path).map(drop).unwrap_err(),
            verify(path).map(drop).unwrap_err(),
        ];
        errors.map(|error| failure(&error, Cause::NotFound).message.clone())
    };
    let log = Log::new();
    let named = format!("{}: there is no log here", log.path().display());
    assert!(refusals(&log.path()).iter().all(|message| message.starts_with(&named)), "empty");
    for name in ["FS.1.wal", "wal_lock", "FS.00000001.wal.tmp", "FS.00000001.wal.corrupt"] {
        fs::write(log.path().join(name), "foreign").unwrap();
    }
    assert!(refusals(&log.path()).iter().all(|message| message.starts_with(&named)), "foreign");
    assert!(refusals(Path::new("/etc"))[0].starts_with("/etc: there is no log here"));
    let missing = log.path().join("missing");
    assert!(refusals(&missing)[0].ends_with("missing: there is no such directory"));
    let file = log.path().join("FS.1.wal");
    assert!(Reader::open(&file, options).is_err());

    // Any of these makes it one.
    log.write_meta(0);
    assert_eq!(verify(&log.path()).unwrap().damages, []);
    fs::remove_file(log.path().join("wal_meta.dat")).unwrap();
    log.write(&Image::closed(0, 1..=3));
    assert_eq!(read_to_end(&mut log.reader()), [1, 2, 3]);
    log.freeze(0);
    assert_eq!(read_to_end(&mut log.reader()), [1, 2, 3]);
}

#[test]
fn f19_a_log_without_events_is_one() {
    let place = common::Place::new();
    let (manager, writer) = common::open(&place.log(), place.small());
    common::assert_holds(&place.log(), 0);
    assert!(verify(&place.log()).unwrap().result().is_ok());
    manager.shutdown(writer).unwrap();
    common::assert_holds(&place.log(), 0);
    assert!(verify(&place.log()).unwrap().result().is_ok());
}

#[test]
fn segments_without_events_are_passed() {
    let log = Log::of(&[
        Image::closed(0, []),
        Image::closed(1, 1..=4),
        Image::closed(2, []),
        Image::closed(3, 5..=6),
        Image::open(4, []),
        Image::open(5, []),
    ]);
    let mut reader = log.reader();
    assert_eq!(read_to_end(&mut reader), [1, 2, 3, 4, 5, 6]);
    for target in 0..=7 {
        reader.seek(target).unwrap();
        assert_eq!(read_to_end(&mut reader), (target.max(1)..=6).collect::<Vec<_>>(), "{target}");
    }
}

#[test]
fn after_the_end_come_the_segments_written_since() {
    let log = Log::of(&[Image::closed(0, 1..=256)]);
    let mut reader = log.reader();
    assert_eq!(read_to_end(&mut reader).len(), 256);
    log.write(&Image::closed(1, 257..=300));
    assert_eq!(read_to_end(&mut reader), (257..=300).collect::<Vec<_>>());
}

/// A log that was shut down continues in its last segment.
#[test]
fn after_the_end_the_last_segment_may_go_on() {
    let grown = |last| Image { blocks: 4, ..Image::closed(1, 257..=last) };
    let log = Log::of(&[Image::closed(0, 1..=256), grown(300)]);
    let mut reader = log.reader();
    assert_eq!(read_to_end(&mut reader).len(), 300);
    log.write(&Image { closed: false, ..grown(320) });
    assert_eq!(read_to_end(&mut reader), (301..=320).collect::<Vec<_>>(), "opened again");
    log.write(&grown(700));
    log.change_header(1, |header| header.closed_ts_ns = 9);
    log.write(&Image::closed(2, 701..=702));
    assert_eq!(read_to_end(&mut reader), (321..=702).collect::<Vec<_>>(), "closed again");
}

/// The same while the reader is in the segment: what it has read of the header is outdated, not
/// damage.
#[test]
fn a_segment_may_go_on_under_the_reader() {
    let grown = |last| Image { blocks: 40, ..Image::closed(0, 1..=last) };
    // Longer than the read-ahead, so that the reader meets the change.
    let log = Log::of(&[grown(256 * 20 + 5)]);
    let mut reader = log.reader();
    assert_eq!(reader.next().unwrap().event_id, 1);
    log.write(&grown(256 * 20 + 77));
    log.change_header(0, |header| header.closed_ts_ns = 9);
    assert_eq!(read_to_end(&mut reader), (2..=256 * 20 + 77).collect::<Vec<_>>());
}

/// If a closed segment has room left, the log continues there and not in the prepared one after it.
#[test]
fn a_prepared_segment_does_not_end_the_one_before() {
    let grown = |last| Image { blocks: 4, ..Image::closed(0, 1..=last) };
    let log = Log::of(&[grown(300), Image::open(1, [])]);
    let mut reader = log.reader();
    assert_eq!(read_to_end(&mut reader).len(), 300);
    log.write(&grown(1024));
    log.write(&Image::closed(1, 1025..=1026));
    assert_eq!(read_to_end(&mut reader), (301..=1026).collect::<Vec<_>>());
}

#[test]
fn hot_may_turn_cold_under_the_reader() {
    let images: Vec<Image> = (0..3)
        .map(|n| Image::closed(n, u64::from(n) * 600 + 1..=u64::from(n) * 600 + 600))
        .collect();
    let log = Log::of(&images);
    let mut reader = log.reader();
    assert_eq!(reader.next().unwrap().event_id, 1);
    (0..3).for_each(|index| log.freeze(index));
    assert_eq!(read_to_end(&mut reader), (2..=1800).collect::<Vec<_>>());
}

#[test]
fn retention_that_overtakes_the_reader_is_a_gap_with_its_range() {
    let images: Vec<Image> = (0..5)
        .map(|n| Image::closed(n, u64::from(n) * 300 + 1..=u64::from(n) * 300 + 300))
        .collect();
    let log = Log::of(&images);
    let mut reader = log.reader();
    assert_eq!(reader.next().unwrap().event_id, 1);
    (0..3).for_each(|index| fs::remove_file(log.hot(index)).unwrap());
    log.freeze(3);
    let (ids, error) = read_on(&mut reader);
    assert_eq!(ids, (2..=300).collect::<Vec<_>>(), "it reads its open segment to the end");
    let gap = failure(&error, Cause::Gap);
    assert_eq!(gap.place.event_ids, Some((301, 900)));
    assert!(gap.message.contains("301 to 900"), "{}", gap.message);
    assert_eq!(read_to_end(&mut reader), (901..=1500).collect::<Vec<_>>(), "reported once");
    assert_eq!(read_to_end(&mut log.reader()), (901..=1500).collect::<Vec<_>>(), "a new reader");
}

#[test]
fn a_file_is_locked_exactly_while_it_is_read() {
    let log = Log::of(&[Image::closed(0, 1..=300), Image::closed(1, 301..=600)]);
    let taken = |index| {
        let file = fs::File::open(log.hot(index)).unwrap();
        flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive).is_err()
    };
    assert_eq!((taken(0), taken(1)), (false, false));
    let mut reader = log.reader();
    assert_eq!((taken(0), taken(1)), (true, false), "from the open on");
    reader.next().unwrap();
    assert_eq!((taken(0), taken(1)), (true, false));
    reader.seek(400).unwrap();
    assert_eq!((taken(0), taken(1)), (false, true), "from the seek on");
    reader.next().unwrap();
    assert_eq!((taken(0), taken(1)), (false, true));
    drop(reader);
    assert_eq!((taken(0), taken(1)), (false, false));
}

#[test]
fn a_reader_waits_for_a_file_that_is_recycled_but_not_forever() {
    let log = Log::of(&[Image::closed(0, 1..=300), Image::closed(1, 301..=600)]);
    let file = fs::File::open(log.hot(0)).unwrap();
    flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive).unwrap();
    let mut reader = log.reader();
    let error = reader.next().unwrap_err();
    assert_eq!(failure(&error, Cause::Locked).place.segment_index, Some(0));
    // Recycled: compressed, and the file was reused under another name.
    log.write_frame(0);
    fs::rename(log.hot(0), log.path().join("FS.00000000.wal.tmp")).unwrap();
    assert_eq!(reader.next().unwrap().event_id, 1);
}

#[test]
fn indexes_need_not_begin_at_0_and_end_at_the_last_number() {
    let log = Log::of(&[Image::closed(u32::MAX - 1, 1..=256), Image::closed(u32::MAX, 257..=512)]);
    assert_eq!(Layout::of_file(fs::metadata(log.hot(u32::MAX)).unwrap().len()).capacity(), 256);
    let mut reader = log.reader();
    assert_eq!(read_to_end(&mut reader).len(), 512);
    assert_eq!(read_to_end(&mut reader), [0_u64; 0]);
}
