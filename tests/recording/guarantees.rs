//! G4, G8, G9, G10, the consistent triple of `meta`, and waiting for the watermark.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::crash::SEGMENT;
use common::{append, assert_holds, child, contents, event, eventually, expect_cause, open};
use common::{Place, DEADLINE};
use flashstrike_wal::config::{Backpressure, Config, Keep, SyncMode};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::MetaState;
use flashstrike_wal::recorder::{Manager, Writer};
use flashstrike_wal::replay::{Reader, ReaderOptions};

/// Longer than any sleep of a worker: what has not happened by then never happens by itself.
const LONG_ENOUGH: Duration = Duration::from_millis(300);

fn synced(mode: SyncMode, place: &Place) -> Config {
    Config { sync_mode: mode, num_blocks: 256, ..place.small() }
}

#[test]
fn g4_continuous_the_watermark_moves_by_itself() {
    for spin in [false, true] {
        let place = Place::new();
        let config = Config { spin, ..synced(SyncMode::Continuous, &place) };
        let (manager, mut writer) = open(&place.log(), config);
        for id in 1..=20 {
            append(&mut writer, [id]);
            eventually("durable", || manager.log().durable().last_event_id == id);
            assert_eq!(manager.log().durable(), manager.log().appended());
        }
        manager.shutdown(writer).unwrap();
    }
}

#[test]
fn g4_interval_syncs_as_often_as_asked() {
    const INTERVAL: Duration = Duration::from_millis(100);
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), synced(SyncMode::Interval(INTERVAL), &place));
    let begin = Instant::now();
    let (mut last, mut syncs) = (0, 0);
    eventually("it syncs by itself", || {
        last += 1;
        append(&mut writer, [last]);
        syncs = manager.log().metrics().sync.count;
        syncs >= 8
    });
    let most = begin.elapsed().as_millis() / INTERVAL.as_millis() + 1;
    assert_eq!(manager.log().appended().last_segment_index, 0, "no rotation has caused a sync");
    assert!(u128::from(syncs) <= most, "{syncs} syncs, at most {most}");
    eventually("durable", || manager.log().durable().last_event_id == last);
    manager.shutdown(writer).unwrap();
}

#[test]
fn g4_who_waits_need_not_wait_for_the_interval() {
    let place = Place::new();
    let interval = SyncMode::Interval(Duration::from_secs(3600));
    let (manager, mut writer) = open(&place.log(), synced(interval, &place));
    for id in 1..=20 {
        append(&mut writer, [id]);
        manager.log().wait_durable(id, DEADLINE).unwrap();
    }
    manager.shutdown(writer).unwrap();
}

#[test]
fn g4_rotation_moves_at_full_segments_and_when_asked() {
    let place = Place::new();
    let config = Config { num_blocks: 16, ..synced(SyncMode::Rotation, &place) };
    let (manager, mut writer) = open(&place.log(), config);
    let log = manager.log().clone();
    append(&mut writer, 1..=100);
    std::thread::sleep(LONG_ENOUGH);
    assert_eq!(log.durable().last_event_id, 0, "the segment is not full");
    log.wait_durable(80, DEADLINE).unwrap();
    let durable = log.durable().last_event_id;
    assert!((80..=100).contains(&durable), "{durable}");
    append(&mut writer, 101..=150);
    std::thread::sleep(LONG_ENOUGH);
    assert_eq!(log.durable().last_event_id, durable);
    log.sync().unwrap();
    assert_eq!(log.durable().last_event_id, 150);
    append(&mut writer, 151..=SEGMENT + 1);
    eventually("the full segment is durable", || log.durable().last_event_id == SEGMENT);
    std::thread::sleep(LONG_ENOUGH);
    assert_eq!(log.durable().last_event_id, SEGMENT);
    manager.shutdown(writer).unwrap();
    assert_eq!(log.durable().last_event_id, SEGMENT + 1);
    assert_holds(&place.log(), SEGMENT + 1);
}

/// The smallest set of mapped segments: a tight loop outruns any disk.
fn slow(place: &Place, backpressure: Backpressure) -> Config {
    Config { backpressure, prepared_segments: 1, max_segments: Keep::All, ..place.small() }
}

#[test]
fn g8_fail_fast_appends_nothing_and_succeeds_later() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), slow(&place, Backpressure::FailFast));
    let mut turned_away = 0;
    let mut id = 1;
    while turned_away < 1000 || id <= 20 * SEGMENT {
        assert!(id < 500 * SEGMENT, "only {turned_away} appends were refused");
        let before = manager.log().appended();
        match writer.append(&event(id)) {
            Ok(()) => id += 1,
            Err(Error::WouldBlock) => {
                turned_away += 1;
                assert_eq!(manager.log().appended(), before);
                assert_eq!(before.last_event_id, id - 1);
                assert!(matches!(writer.claim(), Err(Error::WouldBlock) | Ok(_)));
            }
            Err(error) => panic!("{error}"),
        }
    }
    // The claims that failed for lack of a segment count as well.
    assert!(manager.log().metrics().would_block >= 1000);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), id - 1);
}

/// A batch is appended as far as there is room, and the caller continues after that part.
#[test]
fn g8_fail_fast_takes_a_prefix_of_a_batch() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), slow(&place, Backpressure::FailFast));
    let events: Vec<_> = (1..=20 * SEGMENT).map(event).collect();
    let mut done = 0;
    let mut cut_short = 0;
    while done < events.len() {
        let mut appended = usize::MAX;
        match writer.append_batch(&events[done..], &mut appended) {
            Ok(()) => assert_eq!(appended, events.len() - done),
            Err(Error::WouldBlock) => cut_short += 1,
            Err(error) => panic!("{error}"),
        }
        done += appended;
        assert_eq!(manager.log().appended().last_event_id, done as u64);
    }
    assert!(cut_short > 0);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), 20 * SEGMENT);
}

#[test]
fn g8_block_waits_until_there_is_room() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), slow(&place, Backpressure::Block));
    append(&mut writer, 1..=40 * SEGMENT);
    let metrics = manager.log().metrics();
    assert!(metrics.append_wait.count > 0, "the disk was slower");
    assert_eq!(metrics.would_block, 0);
    assert_eq!(metrics.appended_events, 40 * SEGMENT);
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), 40 * SEGMENT);
}

/// A reader that stops in the middle holds locks on the active file and on hot files.
#[test]
fn g8_readers_do_not_hold_the_writer_back() {
    let place = Place::new();
    let log = place.log();
    let config = Config { max_segments: Keep::AtMost(1), ..slow(&place, Backpressure::Block) };
    let (manager, mut writer) = open(&log, config);
    let mut readers = Vec::new();
    for round in 0..8 {
        append(&mut writer, round * SEGMENT + 1..=round * SEGMENT + 10);
        let mut reader = Reader::open(&log, ReaderOptions { verify: true }).unwrap();
        reader.seek(round * SEGMENT + 5).unwrap();
        assert_eq!(reader.next().unwrap(), event(round * SEGMENT + 5));
        readers.push(reader);
        append(&mut writer, round * SEGMENT + 11..=(round + 1) * SEGMENT);
    }
    append(&mut writer, 8 * SEGMENT + 1..=40 * SEGMENT);
    for (round, reader) in readers.iter_mut().enumerate() {
        for id in round as u64 * SEGMENT + 6..=40 * SEGMENT {
            assert_eq!(reader.next().unwrap(), event(id), "nothing was changed under the reader");
        }
        assert!(matches!(reader.next(), Err(Error::End)));
    }
    manager.shutdown(writer).unwrap();
    assert_holds(&log, 40 * SEGMENT);
}

#[test]
fn g9_one_writer_at_a_time() {
    let place = Place::new();
    let log = place.log();
    let (manager, writer) = open(&log, place.small());
    let message = expect_cause(Manager::open(&log, place.small()), Cause::Locked);
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    manager.shutdown(writer).unwrap();

    let held = place.base().join("held");
    let memory = place.memory().display();
    let mut child = child::spawn("hold", &[&log.display(), &memory, &0, &held.display()]);
    eventually("the other process has it", || held.exists());
    let before = contents(&log);
    let message = expect_cause(Manager::open(&log, place.small()), Cause::Locked);
    assert!(message.ends_with(&format!("process {}", child.id())), "{message}");
    assert_eq!(contents(&log), before, "a refused open changes nothing");
    child.kill().unwrap();
    child.wait().unwrap();
    let (manager, writer) = open(&log, place.small());
    manager.shutdown(writer).unwrap();
}

#[test]
fn g10_an_id_that_does_not_rise_is_refused() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    let log = manager.log().clone();
    let refused = |writer: &mut Writer, id: u64| {
        let before = log.appended();
        let message = expect_cause(writer.append(&event(id)), Cause::OutOfOrder);
        assert!(message.contains(&format!("event id {id} ")), "{message}");
        writer.claim().unwrap();
        expect_cause(writer.commit(id), Cause::OutOfOrder);
        let mut appended = usize::MAX;
        expect_cause(writer.append_batch(&[event(id)], &mut appended), Cause::OutOfOrder);
        assert_eq!((appended, log.appended()), (0, before));
    };
    let mut ids = Vec::new();
    // In the middle of a block, at its end, and at the end of a segment.
    for last in [10, 256, 257, SEGMENT, SEGMENT + 1] {
        let first = log.appended().last_event_id + 1;
        append(&mut writer, first..=last);
        ids.extend(first..=last);
        for id in [0, 1, last - 1, last, u64::MAX] {
            refused(&mut writer, id);
        }
    }
    let mut appended = 0;
    let batch = [SEGMENT + 5, SEGMENT + 9, SEGMENT + 9, SEGMENT + 10].map(event);
    expect_cause(writer.append_batch(&batch, &mut appended), Cause::OutOfOrder);
    assert_eq!(appended, 2, "up to the repeated id");
    append(&mut writer, [u64::MAX - 1]);
    ids.extend([SEGMENT + 5, SEGMENT + 9, u64::MAX - 1]);
    refused(&mut writer, u64::MAX - 1);
    manager.shutdown(writer).unwrap();
    assert_eq!(common::read_ids(&place.log()), ids);
}

#[test]
fn commit_without_claim_is_refused_and_an_abandoned_claim_leaves_no_trace() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    expect_cause(writer.commit(1), Cause::InvalidArgument);
    writer.claim().unwrap();
    append(&mut writer, [1]);
    expect_cause(writer.commit(2), Cause::InvalidArgument);
    writer.claim().unwrap();
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), 1);
}

/// The position just past event `id`, in a log of consecutive ids and segments of 16 blocks.
fn place_of(id: u64) -> MetaState {
    let (segment, n) = ((id - 1) / SEGMENT, (id - 1) % SEGMENT);
    let offset = 64 + n / 256 * 16_448 + 64 + (n % 256 + 1) * 64;
    MetaState { last_segment_index: segment as u32, last_offset: offset as u32, last_event_id: id }
}

#[test]
fn meta_is_never_torn() {
    const AT_A_TIME: u64 = 100_000;
    const LOOKS: u64 = 1000;
    let place = Place::new();
    let config = Config { prepared_segments: 16, max_segments: Keep::All, ..place.small() };
    let (manager, mut writer) = open(&place.log(), config);
    let log = manager.log().clone();
    let done = AtomicBool::new(false);
    let looks = AtomicU64::new(0);
    let mut appended = 0;
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let (mut last, mut last_durable) = (0, 0);
            while !done.load(Ordering::Acquire) {
                let durable = log.durable();
                let appended = log.appended();
                for seen in [durable, appended] {
                    assert!(seen.last_event_id == 0 || seen == place_of(seen.last_event_id));
                }
                assert!(appended.last_event_id >= last && durable.last_event_id >= last_durable);
                assert!(durable.last_event_id <= appended.last_event_id);
                let moved = u64::from(appended.last_event_id > last);
                looks.fetch_add(moved, Ordering::Relaxed);
                (last, last_durable) = (appended.last_event_id, durable.last_event_id);
            }
        });
        // On a busy machine the two threads seldom run at the same time, so this repeats until they
        // did.
        let enough = || looks.load(Ordering::Relaxed) >= LOOKS || looking.is_finished();
        while appended < 10 * AT_A_TIME || !enough() {
            append(&mut writer, appended + 1..=appended + AT_A_TIME);
            appended += AT_A_TIME;
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!(log.appended(), place_of(appended));
    manager.shutdown(writer).unwrap();
    assert_eq!(log.durable(), place_of(appended));
}

#[test]
fn wait_durable_from_many_threads() {
    const THREADS: u64 = 8;
    const EVENTS: u64 = 20_000;
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), synced(SyncMode::Rotation, &place));
    let log = manager.log().clone();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let log = &log;
            scope.spawn(move || {
                for id in (1 + thread..=EVENTS).step_by(997) {
                    log.wait_durable(id, DEADLINE).unwrap();
                    assert!(log.durable().last_event_id >= id);
                }
            });
        }
        append(&mut writer, 1..=EVENTS);
    });
    manager.shutdown(writer).unwrap();
}

/// An event that is waited for before it is appended is made durable when it is, whatever the sync
/// mode. Nothing is made durable earlier for its sake.
#[test]
fn f40_an_event_is_waited_for_before_it_is_appended() {
    const ROUNDS: u64 = 40;
    /// A waiter who is not woken looks again after a second.
    const QUICK: Duration = Duration::from_millis(500);
    for mode in [SyncMode::Rotation, SyncMode::Interval(Duration::from_secs(3600))] {
        let place = Place::new();
        let (manager, mut writer) = open(&place.log(), synced(mode, &place));
        let log = manager.log().clone();
        let wait = |id| log.wait_durable(id, DEADLINE);
        // The machine may hold up some rounds: others are played in their place.
        let (begin, mut quick, mut round) = (Instant::now(), 0, 0);
        while quick < ROUNDS {
            assert!(begin.elapsed() < DEADLINE, "only {quick} of {round} rounds were quick");
            let round_begin = Instant::now();
            let [before, first, last] = [10, 20, 30].map(|n| round * 30 + n);
            std::thread::scope(|scope| {
                let waiters = [last, first, last].map(|id| scope.spawn(move || wait(id)));
                append(&mut writer, round * 30 + 1..=before);
                if round < 2 {
                    std::thread::sleep(LONG_ENOUGH);
                    assert_eq!(log.durable().last_event_id, round * 30, "nobody waits for these");
                }
                append(&mut writer, before + 1..=first);
                wait(first).unwrap();
                append(&mut writer, first + 1..=last);
                for waiter in waiters {
                    waiter.join().unwrap().unwrap();
                }
            });
            quick += u64::from(round >= 2 && round_begin.elapsed() < QUICK);
            round += 1;
        }
        expect_cause(log.wait_durable(u64::MAX, Duration::ZERO), Cause::InvalidArgument);
        assert!(log.wait_durable(0, Duration::ZERO).is_ok());
        manager.shutdown(writer).unwrap();
    }
}

#[test]
fn wait_durable_times_out_and_is_closed_by_a_shutdown() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    let log = manager.log().clone();
    append(&mut writer, 1..=10);
    for timeout in [Duration::ZERO, Duration::from_millis(50)] {
        let begin = Instant::now();
        assert!(matches!(log.wait_durable(11, timeout), Err(Error::Timeout)));
        assert!(begin.elapsed() >= timeout);
    }
    std::thread::scope(|scope| {
        // Waits without a timeout for an event that never comes.
        let waiting: Vec<_> =
            (0..8).map(|_| scope.spawn(|| log.wait_durable(11, Duration::MAX))).collect();
        std::thread::sleep(Duration::from_millis(50));
        manager.shutdown(writer).unwrap();
        for thread in waiting {
            expect_cause(thread.join().unwrap(), Cause::Closed);
        }
    });
    assert!(log.wait_durable(10, Duration::ZERO).is_ok(), "durable events stay durable");
    expect_cause(log.wait_durable(11, Duration::ZERO), Cause::Closed);
}
