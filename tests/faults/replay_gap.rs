//! G11 for readers: one that loses events to retention is told which, once, and goes on at the
//! oldest event there is. No reader jumps silently.

use common::crash::SEGMENT;
use common::ledger::{self, Row};
use common::{append, beside_writer, event, eventually, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::{Cause, Error, Failure};
use flashstrike_wal::recorder::{Log, Manager, Writer};
use flashstrike_wal::replay::{Reader, ReaderOptions};

/// A log that keeps as little as it can: one hot segment, and `cold` ones.
fn forgetful(place: &Place, cold: u32) -> (Manager, Writer) {
    let config = Config {
        max_segments: Keep::AtMost(1),
        max_compressed_segments: Keep::AtMost(cold),
        ..place.small()
    };
    open(&place.log(), config)
}

fn reader(place: &Place) -> Reader {
    Reader::open(&place.log(), ReaderOptions { verify: true }).unwrap()
}

/// Appends `segments` more and waits until retention has deleted as many.
fn go_on(manager: &Manager, writer: &mut Writer, segments: u64) {
    let log = manager.log();
    let (last, deleted) = (log.appended().last_event_id, log.metrics().segments_deleted);
    append(writer, last + 1..=last + segments * SEGMENT);
    log.sync().unwrap();
    eventually("as many are deleted", || log.metrics().segments_deleted >= deleted + segments);
}

fn gap(result: Result<impl std::fmt::Debug, Error>) -> Failure {
    match result {
        Err(Error::Failure(failure)) if failure.cause == Cause::Gap => *failure,
        other => panic!("not a gap: {other:?}"),
    }
}

/// Reads events up to `last`, each the next.
fn read_up_to(reader: &mut Reader, from: u64, last: u64) {
    for id in from..=last {
        assert_eq!(reader.next().unwrap(), event(id));
    }
}

#[test]
fn g11_a_gap_is_said_once_and_reading_goes_on_at_the_oldest_event() {
    for cold in [0, 1] {
        let place = Place::new();
        let (manager, mut writer) = forgetful(&place, cold);
        let oldest = |index: u64| (index - u64::from(cold)) * SEGMENT + 1;
        append(&mut writer, 1..=u64::from(cold) * SEGMENT + 10);
        let mut reader = reader(&place);
        read_up_to(&mut reader, 1, 5);
        go_on(&manager, &mut writer, 10);
        // The segment it stands in is its own to the end, deleted or not.
        read_up_to(&mut reader, 6, SEGMENT);
        let first_there = oldest(10 + u64::from(cold));
        let failure = gap(reader.next());
        assert_eq!(failure.place.segment_index, Some(1));
        assert_eq!(failure.place.event_ids, Some((SEGMENT + 1, first_there - 1)));
        let words = format!("retention has removed events {} to {}", SEGMENT + 1, first_there - 1);
        assert_eq!(failure.message, words);
        let end = manager.log().appended().last_event_id;
        read_up_to(&mut reader, first_there, end);
        assert!(matches!(reader.next(), Err(Error::End)));
        // A reader at the end of a live log is overtaken there as anywhere.
        go_on(&manager, &mut writer, 4);
        manager.shutdown(writer).unwrap();
    }
}

/// Opened, and asked for its first event only when all that there was is deleted.
#[test]
fn g11_a_reader_holds_what_it_begins_with_from_the_open_on() {
    let place = Place::new();
    let (manager, mut writer) = forgetful(&place, 0);
    append(&mut writer, 1..=10);
    let mut opened = reader(&place);
    let mut sought = reader(&place);
    sought.seek(7).unwrap();
    go_on(&manager, &mut writer, 3);
    read_up_to(&mut opened, 1, SEGMENT);
    read_up_to(&mut sought, 7, SEGMENT);
    for reader in [&mut opened, &mut sought] {
        assert_eq!(gap(reader.next()).place.event_ids, Some((SEGMENT + 1, 3 * SEGMENT)));
        assert_eq!(reader.next().unwrap(), event(3 * SEGMENT + 1));
    }
    manager.shutdown(writer).unwrap();
}

#[test]
fn g11_seeking_what_is_gone_begins_at_the_oldest_event_and_is_no_error() {
    let place = Place::new();
    let (manager, mut writer) = forgetful(&place, 1);
    append(&mut writer, 1..=SEGMENT + 10);
    let mut reader = reader(&place);
    read_up_to(&mut reader, 1, 5);
    go_on(&manager, &mut writer, 5);
    for id in [0, 1, 5, 2 * SEGMENT, 5 * SEGMENT + 1] {
        reader.seek(id).unwrap();
        assert_eq!(reader.next().unwrap(), event(5 * SEGMENT + 1), "seek {id}");
    }
    manager.shutdown(writer).unwrap();
}

/// What a slow reader was given and told, beside a writer that never waits for it.
#[derive(Debug, Default)]
struct Told {
    gaps: u64,
    /// Ids that were neither given nor named as gone.
    silent: u64,
    /// Ids given or named twice, or named and still there.
    wrong: u64,
}

/// Reads on until it is told of so many gaps; `silent`: as a reader would that says nothing of
/// them.
fn follow(reader: &mut Reader, log: &Log, gaps: u64, silent: bool, told: &mut Told) {
    let mut next = 1;
    let mut batches = 0;
    while told.gaps < gaps && told.silent + told.wrong == 0 {
        let (first, last) = match reader.next_batch() {
            Ok(batch) => {
                assert!(batch.iter().all(|found| *found == event(found.event_id)));
                (batch[0].event_id, batch[batch.len() - 1].event_id)
            }
            Err(Error::End) => continue,
            Err(Error::Failure(failure)) if failure.cause == Cause::Gap => {
                told.gaps += 1;
                if silent {
                    continue;
                }
                failure.place.event_ids.expect("which ids are gone")
            }
            Err(error) => panic!("after {next}: {error}"),
        };
        told.silent += first.saturating_sub(next);
        told.wrong += next.saturating_sub(first);
        next = last + 1;
        batches += 1;
        // Now and then it rests, at every place in a segment, until retention has overtaken it.
        if batches % 23 == 0 {
            let deleted = log.metrics().segments_deleted;
            eventually("it is overtaken", || log.metrics().segments_deleted > deleted + 1);
        }
    }
}

/// A reader that rests, beside a writer that does not, in a log with so many cold segments.
fn follow_hurrying(cold: u32, gaps: u64, silent: bool, told: &mut Told) {
    let place = Place::new();
    let (manager, mut writer) = forgetful(&place, cold);
    append(&mut writer, [1]);
    beside_writer(&mut writer, 2, || {
        follow(&mut reader(&place), manager.log(), gaps, silent, told);
    });
    manager.shutdown(writer).unwrap();
}

#[test]
fn g11_every_event_is_given_or_named_beside_a_writer_that_hurries() {
    let mut told = Told::default();
    // A log each: beside two threads that hurry, more is written than deleted, and disks have an
    // end.
    for so_far in (0..ledger::times(1, 34)).map(|round| 60 * round) {
        for (cold, gaps) in [(0, so_far + 30), (1, so_far + 60)] {
            follow_hurrying(cold, gaps, false, &mut told);
        }
    }
    let mut planted = Told::default();
    follow_hurrying(0, 10, true, &mut planted);
    assert!(planted.silent > 0, "a reader that says nothing is not found");
    ledger::record(Row {
        name: "retention-gap",
        fault: "events deleted by retention under a reader: neither given nor named",
        test: "tests/faults/replay_gap.rs",
        tried: told.gaps,
        lost: told.silent,
        invented: told.wrong,
        undetected: 0,
        planted: &["a reader that says nothing of a gap"],
    });
    assert_eq!((told.silent, told.wrong), (0, 0), "{told:?}");
}
