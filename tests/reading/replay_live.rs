//! Readers beside a writer that rotates, compresses, recycles, is shut down and opened again.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use common::crash::SEGMENT;
use common::keeping::are_cold;
use common::{
    append, assert_follows, assert_follows_with, child, event, eventually, open, Place, DEADLINE,
};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::replay::{Reader, ReaderOptions};

const EVENTS: u64 = 400_000;
const SHUTDOWN_EVERY: u64 = 33_333;

fn reader(log: &Path) -> Reader {
    Reader::open(log, ReaderOptions { verify: true }).unwrap()
}

/// Appends all events, with a shutdown now and then; stores in `appended` how far it has come.
fn write(place: &Place, config: &Config, appended: &AtomicU64) {
    let mut next = 1;
    while next <= EVENTS {
        let end = (next + SHUTDOWN_EVERY).min(EVENTS + 1);
        let (manager, mut writer) = open(&place.log(), config.clone());
        for id in next..end {
            append(&mut writer, [id]);
            appended.store(id, Ordering::Release);
        }
        manager.shutdown(writer).unwrap();
        next = end;
    }
}

/// Every appended event is found, wherever it is by now, with the same reader or a new one.
fn seek_about(place: &Place, appended: &AtomicU64) {
    eventually("there is a log", || place.log().join("wal_identity").exists());
    let mut random = 1_u64;
    let mut old = reader(&place.log());
    let deadline = Instant::now() + DEADLINE;
    while appended.load(Ordering::Acquire) < EVENTS && Instant::now() < deadline {
        let last = appended.load(Ordering::Acquire);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // More often near the end than far from it.
        let reach = (last >> ((random >> 20) % 16)).max(1);
        let target = last.saturating_sub((random >> 33) % reach);
        if target == 0 {
            continue;
        }
        let mut new = reader(&place.log());
        for reader in [&mut old, &mut new] {
            let found = reader.seek(target).and_then(|()| reader.next());
            assert_eq!(found.unwrap_or_else(|e| panic!("{target} of {last}: {e}")), event(target));
        }
    }
}

/// New readers with threads, from the beginning: whatever the writer does to the files that are
/// read ahead, every event that was appended before is there, once.
fn replay_again_and_again(place: &Place, appended: &AtomicU64) {
    eventually("there is a log", || place.log().join("wal_identity").exists());
    let deadline = Instant::now() + DEADLINE;
    let mut last = 0;
    while last < EVENTS && Instant::now() < deadline {
        last = appended.load(Ordering::Acquire);
        let mut reader = reader(&place.log());
        reader.use_threads(3).unwrap();
        for id in 1..=last {
            let found = reader.next().unwrap_or_else(|error| panic!("{id} of {last}: {error}"));
            assert_eq!(found, event(id));
        }
    }
}

#[test]
fn readers_see_every_event_once_while_the_files_move() {
    let place = Place::new();
    let config = Config { max_segments: Keep::AtMost(2), ..place.small() };
    std::fs::create_dir(place.log()).unwrap();
    let other = child::spawn("follow", &[&place.log().display(), &EVENTS]);
    let appended = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_follows(&place.log(), EVENTS));
        scope.spawn(|| assert_follows_with(&place.log(), EVENTS, 2));
        scope.spawn(|| replay_again_and_again(&place, &appended));
        scope.spawn(|| seek_about(&place, &appended));
        write(&place, &config, &appended);
    });
    let output = other.wait_with_output().unwrap();
    child::assert_succeeded("follow", &output);
}

/// When retention deletes fast, a reader that falls behind reports it, and returns events in order.
#[test]
fn a_reader_that_falls_behind_reports_a_gap() {
    for threads in [0, 2] {
        falls_behind(threads);
    }
}

fn falls_behind(threads: u32) {
    let place = Place::new();
    let config = Config {
        max_segments: Keep::AtMost(2),
        max_compressed_segments: Keep::AtMost(1),
        ..place.small()
    };
    let (manager, mut writer) = open(&place.log(), config);
    append(&mut writer, 1..=100);
    let mut reader = reader(&place.log());
    reader.use_threads(threads).unwrap();
    assert_eq!(reader.next().unwrap(), event(1));
    append(&mut writer, 101..=100_000);
    manager.log().sync().unwrap();
    let hot = 99_999 / SEGMENT - 1;
    eventually("the others are deleted", || are_cold(&place.log(), hot - 1..hot));
    manager.shutdown(writer).unwrap();
    let mut last = 1;
    let gap = loop {
        match reader.next() {
            Ok(found) => {
                assert_eq!(found, event(last + 1));
                last += 1;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(gap.cause(), Some(Cause::Gap), "{gap}");
    let Error::Failure(gap) = gap else { unreachable!() };
    let (from, to) = gap.place.event_ids.expect("the range is known");
    assert_eq!(from, last + 1);
    reader.seek(to + 1).unwrap();
    for id in to + 1..=100_000 {
        assert_eq!(reader.next().unwrap(), event(id));
    }
    assert!(matches!(reader.next(), Err(Error::End)));
}
