//! G11 for readers: a reader whose next events were deleted by retention reports the range once,
//! and continues at the oldest event there is. No reader skips events silently.

use common::crash::SEGMENT;
use common::ledger::{self, Row};
use common::{append, beside_writer, event, eventually, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::{Cause, Error, Failure};
use flashstrike_wal::recorder::{Log, Manager, Writer};
use flashstrike_wal::replay::{Reader, ReaderOptions};

/// A log that keeps as little as possible: one hot segment, and `cold` cold ones.
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

/// Reads the events `from` to `last`.
fn read_up_to(reader: &mut Reader, from: u64, last: u64) {
    for id in from..=last {
        assert_eq!(reader.next().unwrap(), event(id));
    }
}

#[test]
fn g11_a_gap_is_reported_once_and_reading_continues_at_the_oldest_event() {
    for cold in [0, 1] {
        let place = Place::new();
        let (manager, mut writer) = forgetful(&place, cold);
        let oldest = |index: u64| (index - u64::from(cold)) * SEGMENT + 1;
        append(&mut writer, 1..=u64::from(cold) * SEGMENT + 10);
        let mut reader = reader(&place);
        read_up_to(&mut reader, 1, 5);
        go_on(&manager, &mut writer, 10);
        // The reader keeps its current segment open to the end, deleted or not.
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
        // A reader at the end of a live log can be overtaken like any other.
        go_on(&manager, &mut writer, 4);
        manager.shutdown(writer).unwrap();
    }
}

/// The reader is asked for its first event only after everything that existed at its open was
/// deleted.
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
fn g11_seeking_a_deleted_event_reports_the_gap_once_and_starts_at_the_oldest_one() {
    let place = Place::new();
    let (manager, mut writer) = forgetful(&place, 1);
    append(&mut writer, 1..=SEGMENT + 10);
    let mut reader = reader(&place);
    read_up_to(&mut reader, 1, 5);
    go_on(&manager, &mut writer, 5);
    for id in [0, 1, 5, 2 * SEGMENT, 5 * SEGMENT + 1] {
        reader.seek(id).unwrap();
        if (1..=5 * SEGMENT).contains(&id) {
            let failure = gap(reader.next());
            assert_eq!(failure.place.event_ids, Some((id, 5 * SEGMENT)), "seek {id}");
        }
        assert_eq!(reader.next().unwrap(), event(5 * SEGMENT + 1), "seek {id}");
    }
    manager.shutdown(writer).unwrap();
}

/// What a slow reader returned and reported, beside a writer that never waits for it.
#[derive(Debug, Default)]
struct Followed {
    gaps: u64,
    /// Ids that were neither returned nor reported as lost.
    silent: u64,
    /// Ids returned or reported twice, or reported and still there.
    wrong: u64,
}

/// Reads until this many gaps were reported. `silent`: ignores them, like a reader that does not
/// report gaps.
fn follow(reader: &mut Reader, log: &Log, gaps: u64, silent: bool, followed: &mut Followed) {
    let mut next = 1;
    let mut batches = 0;
    while followed.gaps < gaps && followed.silent + followed.wrong == 0 {
        let (first, last) = match reader.next_batch() {
            Ok(batch) => {
                assert!(batch.iter().all(|found| *found == event(found.event_id)));
                (batch[0].event_id, batch[batch.len() - 1].event_id)
            }
            Err(Error::End) => continue,
            Err(Error::Failure(failure)) if failure.cause == Cause::Gap => {
                followed.gaps += 1;
                if silent {
                    continue;
                }
                failure.place.event_ids.expect("a gap names its ids")
            }
            Err(error) => panic!("after {next}: {error}"),
        };
        followed.silent += first.saturating_sub(next);
        followed.wrong += next.saturating_sub(first);
        next = last + 1;
        batches += 1;
        // Now and then it pauses, at every position in a segment, until retention has overtaken it.
        if batches % 23 == 0 {
            let deleted = log.metrics().segments_deleted;
            eventually("it is overtaken", || log.metrics().segments_deleted > deleted + 1);
        }
    }
}

/// Runs a reader that pauses beside a writer that does not, in a log with this many cold segments.
fn follow_fast_writer(cold: u32, gaps: u64, silent: bool, followed: &mut Followed) {
    let place = Place::new();
    let (manager, mut writer) = forgetful(&place, cold);
    append(&mut writer, [1]);
    beside_writer(&mut writer, 2, || {
        follow(&mut reader(&place), manager.log(), gaps, silent, followed);
    });
    manager.shutdown(writer).unwrap();
}

#[test]
fn g11_every_event_is_returned_or_reported_lost_beside_a_fast_writer() {
    let mut followed = Followed::default();
    // One log for each run: beside two busy threads more is written than deleted, and the disk
    // would fill up.
    for so_far in (0..ledger::times(1, 34)).map(|round| 60 * round) {
        for (cold, gaps) in [(0, so_far + 30), (1, so_far + 60)] {
            follow_fast_writer(cold, gaps, false, &mut followed);
        }
    }
    let mut planted = Followed::default();
    follow_fast_writer(0, 10, true, &mut planted);
    assert!(planted.silent > 0, "a reader that reports no gap was not caught");
    ledger::record(Row {
        name: "retention-gap",
        fault: "events deleted by retention under a reader: neither given nor named",
        test: "tests/faults/replay_gap.rs",
        tried: followed.gaps,
        lost: followed.silent,
        invented: followed.wrong,
        undetected: 0,
        planted: &["a reader that says nothing of a gap"],
    });
    assert_eq!((followed.silent, followed.wrong), (0, 0), "{followed:?}");
}
