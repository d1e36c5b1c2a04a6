//! Calls that fail beside the events: what can be done later is done later, and only what makes the
//! names of segments uncertain ends the log. On a simulated disk, the workers stepped by hand.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::crash::{self, SEGMENT};
use common::{assert_holds, event, eventually, open, Place, DEADLINE};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Cause;
use flashstrike_wal::log_sink::{Level, LogSink};
use flashstrike_wal::recorder::Role;
use flashstrike_wal::storage::simulated::{Call, Fault};

use super::stepped::Stepped;

/// The hot file of a segment that is compressed stays where it cannot be removed or locked: the
/// log goes on, and it is removed later.
#[test]
fn f4_a_hot_file_that_cannot_be_removed_yet_is_removed_later() {
    for call in [Call::Lock, Call::Rename, Call::Stat] {
        let mut log = Stepped::with_one_to_freeze();
        log.step(&[Role::Freezer(0)]);
        assert!(log.has("FS.00000000.wal.lz4") && log.has("FS.00000000.wal"), "{call:?}");
        log.fail_next(call);
        log.step(&[Role::Maintainer]);
        assert!(!log.machine.forgive(), "{call:?} was not made");
        log.manager.log().poison().check().unwrap();
        eventually("it is removed", || {
            log.step(&[Role::Maintainer]);
            !log.has("FS.00000000.wal")
        });
        log.manager.log().poison().check().unwrap();
        log.manager.shutdown_by_hand(log.writer, log.crew).unwrap();
    }
}

/// An action that is retried again and again is reported when it starts to fail and when it works
/// again.
#[test]
fn failing_compression_is_reported_when_it_starts_and_ends() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let sink = LogSink::new(move |level, message| {
        telling.lock().unwrap().push((level, message.to_owned()));
    });
    let mut log = Stepped::telling(Keep::All, sink);
    for id in 3 * SEGMENT + 1..=5 * SEGMENT + 1 {
        log.append(id);
    }
    for _ in 0..3 {
        log.machine.plan(Fault { call: Call::Create, nth: 1, errno: libc::EACCES });
    }
    let failures = |log: &Stepped| log.manager.log().metrics().compression_failures;
    eventually("all three of them fail", || {
        log.step(&[Role::Freezer(0)]);
        failures(&log) == 3
    });
    assert_eq!(log.machine.planned(), 0);
    eventually("all three of them are cold", || {
        log.step(&[Role::Maintainer, Role::Freezer(0)]);
        log.manager.log().metrics().cold_segments == 3
    });
    let about = |words: &str| {
        let told = told.lock().unwrap();
        let found = told.iter().filter(|(_, message)| message.contains(words));
        found.cloned().collect::<Vec<_>>()
    };
    let [(Level::Warn, why)] = &about("compressing it is tried again")[..] else {
        panic!("once: {:?}", told.lock().unwrap());
    };
    assert!(why.contains("FS.00000000.wal.lz4.tmp"), "{why}");
    let ended = about("segments can be compressed again");
    assert!(matches!(ended[..], [(Level::Info, _)]), "{ended:?}");
    log.manager.shutdown_by_hand(log.writer, log.crew).unwrap();
}

/// Whoever removes the cold file meanwhile leaves the hot one as the only one.
#[test]
fn f4_a_hot_file_stays_when_its_cold_one_is_gone_again() {
    let mut log = Stepped::with_one_to_freeze();
    log.step(&[Role::Freezer(0)]);
    log.fail_next(Call::Rename);
    log.step(&[Role::Maintainer]);
    log.directory().remove("FS.00000000.wal.lz4").unwrap();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        log.step(&[Role::Maintainer]);
        assert!(log.has("FS.00000000.wal") || log.has("FS.00000000.wal.lz4"));
    }
    assert_eq!(log.manager.log().metrics().missing_segments, 0);
    log.manager.shutdown_by_hand(log.writer, log.crew).unwrap();
}

/// Whether the names are durable is not known after a failed sync, whoever made it.
#[test]
fn g5_a_failed_sync_of_the_names_ends_the_log_in_the_freezer_too() {
    let mut log = Stepped::with_one_to_freeze();
    log.put("FS.00000000.wal.lz4", b"another's");
    log.fail_next(Call::SyncNames);
    log.step(&[Role::Freezer(0)]);
    let error = log.manager.log().poison().check().unwrap_err();
    assert_eq!(error.cause(), Some(Cause::Poisoned), "{error}");
}

/// Whoever compresses a segment by hand removes nothing: whether it waits for the freezer then, or
/// is to be deleted, it is a cold segment from then on.
#[test]
fn f7_a_segment_that_is_compressed_by_hand_is_not_called_lost() {
    let mut log = Stepped::with_one_to_freeze();
    log.compress_by_hand("FS.00000000.wal");
    log.step(&[Role::Freezer(0), Role::Maintainer]);
    let metrics = log.manager.log().metrics();
    assert_eq!((metrics.missing_segments, metrics.cold_segments), (0, 1));
    assert!(log.has("FS.00000000.wal.lz4"));
    log.manager.shutdown_by_hand(log.writer, log.crew).unwrap();

    let mut log = Stepped::with_three(Keep::AtMost(0));
    log.compress_by_hand("FS.00000000.wal");
    log.append(3 * SEGMENT + 1);
    eventually("it expires", || {
        log.step(&[Role::Maintainer]);
        log.manager.log().metrics().segments_deleted == 1
    });
    assert_eq!(log.manager.log().metrics().missing_segments, 0);
    let names = log.directory().list().unwrap();
    assert!(!names.iter().any(|name| name.starts_with("FS.00000000")), "{names:?}");
    log.manager.shutdown_by_hand(log.writer, log.crew).unwrap();
}

/// A file has lost its name when it is renamed, at each renaming in turn: it is made again. Where
/// there is no room for a name, again and again, it is tried again, and no memory is given up for
/// it: the log has as many segments to go on in as before.
#[test]
fn f4_what_cannot_be_renamed_is_made_again_or_renamed_later() {
    for (errno, times) in [(libc::ENOENT, 1), (libc::ENOSPC, 20)] {
        for first in 1..=19 {
            let mut log = Stepped::with_three(Keep::All);
            for nth in (first..).step_by(3).take(times) {
                log.machine.plan(Fault { call: Call::Rename, nth, errno });
            }
            let planned = log.machine.planned();
            for id in 3 * SEGMENT + 1..=7 * SEGMENT {
                log.append(id);
            }
            log.step(&[Role::Coordinator, Role::Freezer(0), Role::Maintainer, Role::Preparer]);
            assert!(log.machine.planned() < planned, "renaming {first} was not made");
            log.machine.forgive();
            log.manager.log().poison().check().unwrap();
            let prepared = log.manager.log().metrics().prepared_segments.fill;
            assert_eq!(prepared, 2, "error {errno}, renaming {first}");
            log.manager.shutdown_by_hand(log.writer, log.crew).unwrap();
        }
    }
}

/// Jobs that remove temporary files do so at any moment: the file is made again.
#[test]
fn f4_temporary_files_may_be_removed_at_any_time() {
    const LONG_ENOUGH: Duration = Duration::from_secs(3);
    let place = Place::new();
    let config = Config {
        max_segments: Keep::AtMost(4),
        max_compressed_segments: Keep::All,
        ..place.small()
    };
    let (manager, mut writer) = open(&place.log(), config);
    let (stopped, removed) = (AtomicBool::new(false), AtomicU32::new(0));
    let active = crash::active_directory(&place);
    let clean_up = || {
        while !stopped.load(Ordering::Relaxed) {
            for path in common::paths(&place.log()).into_iter().chain(common::paths(&active)) {
                let is_temporary = path.extension().is_some_and(|end| end == "tmp");
                let is_done = is_temporary && fs::remove_file(path).is_ok();
                removed.fetch_add(u32::from(is_done), Ordering::Relaxed);
            }
        }
    };
    let (mut last, mut failed) = (0, None);
    std::thread::scope(|scope| {
        let job = scope.spawn(clean_up);
        let begin = Instant::now();
        // Longer where the job seldom has a processor.
        let enough = || removed.load(Ordering::Relaxed) > 10 && begin.elapsed() > LONG_ENOUGH;
        while !enough() && begin.elapsed() < DEADLINE && failed.is_none() {
            let ids = last + 1..=last + 500;
            failed = ids.clone().find_map(|id| writer.append(&event(id)).err());
            if failed.is_none() {
                failed = manager.log().sync().err();
            }
            last = *ids.end();
        }
        stopped.store(true, Ordering::Relaxed);
        job.join().unwrap();
    });
    let removed = removed.into_inner();
    println!("{removed} temporary files removed, {last} events");
    assert!(failed.is_none(), "{failed:?}");
    assert!(removed > 10, "only {removed} temporary files were removed");
    manager.shutdown(writer).unwrap();
    assert_holds(&place.log(), last);
}
