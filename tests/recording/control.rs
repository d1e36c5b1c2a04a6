//! The control file, as other processes see it: while the log is open, after a clean end, and after
//! its writer has died or failed.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::crash::{active_directory, change_boot_id, crash, identity};
use common::{append, eventually, expect_cause, names, open, Place};
use flashstrike_wal::config::Config;
use flashstrike_wal::directory::{ControlView, LogState};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::log_sink::LogSink;
use flashstrike_wal::recorder::{Manager, Writer};
use flashstrike_wal::storage::{clock_ns, Directory, Links, PosixStorage, Storage};

const CONTROL: &str = "wal_control";

fn directory(path: &Path) -> Arc<dyn Directory> {
    PosixStorage::for_reading().open_directory(path, Links::Refuse).unwrap().unwrap()
}

fn view(place: &Place) -> ControlView {
    ControlView::open(&*directory(&active_directory(place))).unwrap().unwrap()
}

#[test]
fn a_live_log_is_seen_as_it_is_and_its_end_is_seen() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    let seen = view(&place);
    let record = identity(&place.log());
    assert_eq!((seen.log_id(), seen.generation()), (record.id, record.generation));
    assert_eq!((seen.state(), seen.appended().last_event_id), (LogState::Open, 0));
    append(&mut writer, 1..=5000);
    assert_eq!(seen.appended(), manager.log().appended());
    assert_eq!(seen.appended().last_segment_index, 1);
    manager.log().sync().unwrap();
    assert_eq!(seen.durable(), seen.appended());
    eventually("all is closed", || seen.metrics().close.count == 1);
    let metrics = seen.metrics();
    assert_eq!((metrics.appended_events, metrics.durable_events), (5000, 5000));
    let rings = [metrics.prepared_segments, metrics.segments_to_persist];
    assert_eq!(rings.map(|ring| ring.capacity), [4, 7]);
    let before = seen.heartbeat_ns();
    eventually("an idle log's heart beats", || seen.heartbeat_ns() > before);
    assert!(seen.heartbeat_ns() <= clock_ns());
    manager.shutdown(writer).unwrap();
    assert_eq!((seen.state(), seen.durable().last_event_id), (LogState::Closed, 5000));
    assert!(place.active_directories().is_empty(), "it is gone with its directory");
}

#[test]
fn a_dead_writers_words_stay_until_the_next_open() {
    let place = Place::new();
    crash(&place, 700, 900);
    let seen = view(&place);
    assert_eq!((seen.state(), seen.appended().last_event_id), (LogState::Open, 900));
    assert!((700..=900).contains(&seen.durable().last_event_id));
    let beat = seen.heartbeat_ns();
    // As if an open had been killed while it made its own.
    let left = active_directory(&place).join("wal_control.tmp");
    fs::write(left, "half").unwrap();
    let (manager, writer) = open(&place.log(), place.small());
    assert_eq!(place.active_directories().len(), 1, "the old one is gone");
    let now = view(&place);
    assert_eq!(now.generation(), seen.generation() + 1);
    assert_eq!((now.appended().last_event_id, now.durable().last_event_id), (900, 900));
    assert_eq!(now.metrics().appended_events, 0, "those of the other generation do not count");
    assert_eq!((seen.appended().last_event_id, seen.heartbeat_ns()), (900, beat));
    manager.shutdown(writer).unwrap();
}

#[test]
fn a_failure_is_seen_with_its_reason() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=10);
    manager.log().sync().unwrap();
    let seen = view(&place);
    assert_eq!((seen.state(), seen.metrics().poisoned), (LogState::Open, 0));
    fs::remove_file(place.log().join("FS.00000000.wal")).unwrap();
    append(&mut writer, [11]);
    manager.log().sync().unwrap_err();
    assert_eq!((seen.state(), seen.metrics().poisoned), (LogState::Failed, 1));
    assert_eq!(seen.durable().last_event_id, 10, "it does not move any more");
    manager.shutdown(writer).unwrap_err();
    assert_eq!(seen.state(), LogState::Failed);
}

/// A clean-up job takes the file: nobody can look any more, which is told, and nothing else
/// happens.
#[test]
fn a_log_goes_on_without_the_name_of_its_control_file() {
    let place = Place::new();
    let told = Arc::new(AtomicBool::new(false));
    let telling = Arc::clone(&told);
    let log = LogSink::new(move |_, message| {
        if message.contains("wal_control was removed under the log") {
            telling.store(true, Ordering::Relaxed);
        }
    });
    let (manager, mut writer) = open(&place.log(), Config { log, ..place.small() });
    let active = active_directory(&place);
    fs::remove_file(active.join(CONTROL)).unwrap();
    assert!(ControlView::open(&*directory(&active)).unwrap().is_none());
    append(&mut writer, 1..=10_000);
    eventually("it is told", || told.load(Ordering::Relaxed));
    manager.shutdown(writer).unwrap();
    common::assert_holds(&place.log(), 10_000);
}

/// Sandboxes may have boot ids of their own and not see each other's locks. A heart that beats in
/// memory is alive.
#[test]
fn a_log_that_another_sandbox_has_open_is_locked() {
    let mut beaten = None;
    eventually("a heart that beats without a pause is met", || {
        let place = Place::new();
        crash(&place, 10, 10);
        change_boot_id(&place);
        let (opened, longest_pause) = open_beside_heart(&place);
        match opened {
            // The machine has held up the heart for as long as an open looks: this does not count.
            Ok((manager, writer)) if longest_pause > Duration::from_millis(50) => {
                manager.shutdown(writer).unwrap();
                return false;
            }
            opened => beaten = Some((place, expect_cause(opened.map(drop), Cause::Locked))),
        }
        true
    });
    let (place, message) = beaten.unwrap();
    assert!(message.contains("open for writing in another sandbox"), "{message}");
    // Its writer has died.
    let (manager, writer) = open(&place.log(), place.small());
    manager.shutdown(writer).unwrap();
    common::assert_holds(&place.log(), 10);
}

/// Opens a log beside a heart that beats as a writer's does, and says how long it has paused.
fn open_beside_heart(place: &Place) -> (Result<(Manager, Writer), Error>, Duration) {
    let control = active_directory(place).join(CONTROL);
    let file = fs::OpenOptions::new().write(true).open(control).unwrap();
    let (beats, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let heart = scope.spawn(|| {
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            while !stop.load(Ordering::Relaxed) {
                let now = Instant::now();
                let beat = beats.load(Ordering::Relaxed) + 1;
                file.write_all_at(&beat.to_ne_bytes(), 384).unwrap();
                beats.store(beat, Ordering::Release);
                longest = longest.max(last.elapsed());
                last = now;
                std::thread::sleep(Duration::from_millis(15));
            }
            longest.max(last.elapsed())
        });
        eventually("it beats", || beats.load(Ordering::Acquire) > 0);
        let opened = Manager::open(&place.log(), place.small());
        stop.store(true, Ordering::Relaxed);
        (opened, heart.join().unwrap())
    })
}

/// Every sampled append is counted, and every append is made, across blocks and segments, one by
/// one, in batches and in place.
#[test]
fn one_in_so_many_appends_is_timed() {
    for every in [1, 2, 3, 7, 255, 256, 257, 5000] {
        let place = Place::new();
        let config = Config { sample_appends: every, prepared_segments: 8, ..place.small() };
        let (manager, mut writer) = open(&place.log(), config);
        let count = || manager.log().metrics().append_latency.count;
        append(&mut writer, 1..=9000);
        assert_eq!(count(), 9000 / u64::from(every), "every {every}th");
        let batch: Vec<_> = (9001..=14_000).map(common::event).collect();
        let mut appended = 0;
        writer.append_batch(&batch, &mut appended).unwrap();
        assert_eq!((appended, count()), (5000, 14_000 / u64::from(every)));
        // Those that are stored in place are not timed, whether it is their turn or not.
        for id in 14_001..=20_000 {
            let slot = writer.claim().unwrap();
            // SAFETY: the slot is the writer's until it commits; the id is left alone.
            unsafe { slot.write(RequestEvent { event_id: 0, ..common::event(id) }) };
            writer.commit(id).unwrap();
        }
        assert_eq!(count(), 14_000 / u64::from(every));
        append(&mut writer, 20_001..=21_000);
        assert!(manager.log().metrics().append_latency.p50_ns > 0 || every == 5000);
        manager.shutdown(writer).unwrap();
        common::assert_holds(&place.log(), 21_000);
    }
}

#[test]
fn the_file_is_whole_before_it_has_its_name_and_others_are_told_apart() {
    let place = Place::new();
    let (manager, writer) = open(&place.log(), place.small());
    let active = active_directory(&place);
    assert_eq!(fs::metadata(active.join(CONTROL)).unwrap().len(), 20_480);
    assert!(!names(&active).contains(&"wal_control.tmp".to_owned()));
    let elsewhere = place.base().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let bytes = fs::read(active.join(CONTROL)).unwrap();
    let refusal = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = bytes.clone();
        change(&mut changed);
        fs::write(elsewhere.join(CONTROL), changed).unwrap();
        ControlView::open(&*directory(&elsewhere)).unwrap_err().to_string()
    };
    assert!(refusal(&|bytes| bytes[0] ^= 1).ends_with("wal_control: is no control file"));
    assert!(refusal(&|bytes| bytes.truncate(4096)).ends_with("is cut short"));
    assert!(refusal(&|bytes| bytes[8] = 2).contains("another layout"));
    manager.shutdown(writer).unwrap();
}
