//! Following a live log: what comes is seen at once, whatever becomes of the files; and what was
//! seen and taken back is said.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use common::crash::{accepting_loss, active_directory, crash, SEGMENT};
use common::{append, child, event, eventually, expect_cause, open, Place};
use flashstrike_wal::config::Config;
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::replay::{FollowOptions, Follower, Look, ReaderOptions, DEFAULT_SPIN};

const LONG: Option<Duration> = Some(Duration::from_secs(60));
const FOLLOW: FollowOptions = FollowOptions {
    read: ReaderOptions { verify: true },
    follow: true,
    durable_only: false,
    spin: DEFAULT_SPIN,
    end_event_id: 0,
};

fn follow(log: &Path) -> Follower {
    Follower::open(log, FOLLOW).unwrap()
}

/// The next events are those of these ids.
fn expect(follower: &mut Follower, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        follower.wait(LONG).unwrap_or_else(|error| panic!("waiting for {id}: {error}"));
        assert_eq!(follower.next().unwrap(), event(id));
    }
}

fn expect_nothing(follower: &mut Follower) {
    assert!(matches!(follower.next(), Err(Error::WouldBlock)));
    assert!(matches!(follower.wait(Some(Duration::ZERO)), Err(Error::Timeout)));
    assert!(matches!(follower.wait(Some(Duration::from_millis(1))), Err(Error::Timeout)));
}

#[test]
fn an_event_is_seen_as_soon_as_it_is_appended() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    let mut follower = follow(&place.log());
    expect_nothing(&mut follower);
    for id in 1..=3 * SEGMENT {
        append(&mut writer, [id]);
        assert_eq!(follower.next().unwrap(), event(id));
    }
    expect_nothing(&mut follower);
    manager.shutdown(writer).unwrap();
    expect_nothing(&mut follower);
}

/// One who looks for each event has almost all of them without a system call, across segments; and
/// looks, reads and seeks go on from each other.
#[test]
fn who_looks_has_each_event_out_of_memory() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    let mut follower = follow(&place.log());
    let mut looked = 0;
    for id in 1..=3 * SEGMENT {
        assert!(!matches!(follower.look(), Look::Event(_)), "{id} is not there yet");
        append(&mut writer, [id]);
        let found = match follower.look() {
            Look::Event(event) => {
                looked += 1;
                event
            }
            _ => follower.next().unwrap(),
        };
        assert_eq!(found, event(id));
    }
    assert!(looked > 2 * SEGMENT, "{looked} of {} were seen by a look", 3 * SEGMENT);
    assert_eq!(follower.metrics().counts.events, 3 * SEGMENT);
    let mut last = 3 * SEGMENT;
    for round in 0..100 {
        assert!(!matches!(follower.look(), Look::Event(_)));
        append(&mut writer, last + 1..=last + 10);
        if round % 2 == 0 {
            let found = match follower.look() {
                Look::Event(event) => event,
                _ => follower.next().unwrap(),
            };
            assert_eq!(found, event(last + 1));
            expect(&mut follower, last + 2..=last + 10);
        } else {
            assert_eq!(follower.next_batch().unwrap()[0], event(last + 1));
            follower.seek(last + 5).unwrap();
            expect(&mut follower, last + 5..=last + 10);
        }
        last += 10;
    }
    manager.shutdown(writer).unwrap();
    expect_nothing(&mut follower);
}

/// Whoever looked last before the memory became another segment's gets nothing of that out of it.
#[test]
fn a_look_into_memory_that_is_used_again_gives_no_other_event() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    let mut follower = follow(&place.log());
    let mut last = 0;
    for _ in 0..3 {
        append(&mut writer, [last + 1]);
        expect(&mut follower, [last + 1]);
        assert!(!matches!(follower.look(), Look::Event(_)));
        append(&mut writer, last + 2..=last + 10 * SEGMENT + 100);
        let mut seen = last + 1;
        if let Look::Event(found) = follower.look() {
            assert_eq!(found, event(last + 2));
            seen += 1;
        }
        last += 10 * SEGMENT + 100;
        expect(&mut follower, seen + 1..=last);
    }
    manager.shutdown(writer).unwrap();
}

#[test]
fn a_log_is_waited_for_by_its_path() {
    let place = Place::new();
    let mut follower = follow(&place.log());
    expect_nothing(&mut follower);
    fs::create_dir(place.log()).unwrap();
    expect_nothing(&mut follower);
    let mut later = follow(&place.log());
    later.seek(50).unwrap();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=100);
    expect(&mut follower, 1..=100);
    expect(&mut later, 50..=100);
    manager.shutdown(writer).unwrap();
    let durable_only = FollowOptions { follow: false, durable_only: true, ..FOLLOW };
    let nowhere = Follower::open(&place.base().join("nowhere"), durable_only);
    expect_cause(nowhere, Cause::NotFound);
}

/// A follower may begin at a time, and end.
#[test]
fn a_follower_may_have_an_end() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=300);
    let options = FollowOptions { end_event_id: 350, ..FOLLOW };
    let mut follower = Follower::open(&place.log(), options).unwrap();
    expect(&mut follower, 1..=300);
    expect_nothing(&mut follower);
    append(&mut writer, 301..=400);
    expect(&mut follower, 301..=350);
    assert!(matches!(follower.next(), Err(Error::End)));
    assert!(matches!(follower.wait(LONG), Err(Error::End)));
    follower.seek(340).unwrap();
    expect(&mut follower, 340..=350);
    assert!(matches!(follower.next(), Err(Error::End)));
    manager.shutdown(writer).unwrap();
}

/// The log is shut down and opened, killed and opened; its segments get another size.
#[test]
fn a_log_that_is_opened_anew_is_followed() {
    let place = Place::new();
    let mut follower = follow(&place.log());
    let mut last = 0;
    for round in 0..4 {
        let config = Config { num_blocks: 16 + round, ..place.small() };
        let (manager, mut writer) = open(&place.log(), config);
        append(&mut writer, last + 1..=last + 2 * SEGMENT + 77);
        expect(&mut follower, last + 1..=last + 2 * SEGMENT + 77);
        manager.shutdown(writer).unwrap();
        last += 2 * SEGMENT + 77;
        crash(&place, last + 500, last + 1000);
        expect(&mut follower, last + 1..=last + 1000);
        last += 1000;
    }
    expect_nothing(&mut follower);
}

/// Memory is lost, and its events with it. Those who have seen some say so, also when their ids
/// are used again, and stay there; those who have not go on.
#[test]
fn what_was_shown_and_taken_back_is_said() {
    let place = Place::new();
    crash(&place, 100, 100);
    let (mut far, mut at_the_cut, mut behind) =
        (follow(&place.log()), follow(&place.log()), follow(&place.log()));
    expect(&mut at_the_cut, 1..=100);
    expect(&mut behind, 1..=7);
    crash(&place, 100, 300);
    expect(&mut far, 1..=200);
    fs::remove_dir_all(active_directory(&place)).unwrap();
    let (manager, mut writer) = open(&place.log(), accepting_loss(&place));
    assert_eq!(manager.log().appended().last_event_id, 100);
    append(&mut writer, 101..=4000);
    expect(&mut at_the_cut, 101..=4000);
    expect(&mut behind, 8..=4000);
    // What it had read ahead comes first.
    let error = loop {
        if let Err(error) = far.wait(LONG).and_then(|()| far.next()) {
            break error;
        }
    };
    let Error::Failure(failure) = &error else { panic!("{error}") };
    assert_eq!(failure.cause, Cause::Corrupt, "{error}");
    assert_eq!(failure.place.event_ids, Some((101, 300)), "{error}");
    assert!(error.to_string().contains("101 to 300"), "{error}");
    for _ in 0..3 {
        expect_cause(far.next(), Cause::Corrupt);
        expect_cause(far.wait(LONG), Cause::Corrupt);
    }
    far.seek(101).unwrap();
    expect(&mut far, 101..=4000);
    manager.shutdown(writer).unwrap();
    expect_nothing(&mut far);
}

#[test]
fn another_log_in_the_place_is_not_gone_on_in_and_a_copy_is() {
    let place = Place::new();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=500);
    let mut follower = follow(&place.log());
    expect(&mut follower, 1..=500);
    manager.shutdown(writer).unwrap();
    let kept = place.base().join("kept");
    fs::create_dir(&kept).unwrap();
    for path in common::paths(&place.log()) {
        fs::copy(&path, kept.join(path.file_name().unwrap())).unwrap();
    }
    fs::remove_dir_all(place.log()).unwrap();
    expect_nothing(&mut follower);
    fs::rename(kept, place.log()).unwrap();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 501..=600);
    expect(&mut follower, 501..=600);
    manager.shutdown(writer).unwrap();

    fs::remove_dir_all(place.log()).unwrap();
    let (manager, mut writer) = open(&place.log(), place.small());
    append(&mut writer, 1..=700);
    let message = expect_cause(follower.wait(LONG), Cause::NotFound);
    assert!(message.contains("another one is in its place"), "{message}");
    expect_cause(follower.next(), Cause::NotFound);
    manager.shutdown(writer).unwrap();
}

/// Followers that were stopped in mapped memory, in recent segments and in the one that is written,
/// cost the writer neither memory nor time: it goes on in the same files, and finds each of them in
/// time. Continued, they see everything.
#[test]
fn stopped_followers_hold_neither_the_writer_nor_its_memory() {
    const FOLLOWERS: u64 = 20;
    const STEP: u64 = SEGMENT / 4;
    let place = Place::new();
    let config = Config { prepared_segments: 1, ..place.small() };
    let active_set = config.active_set();
    let (manager, mut writer) = open(&place.log(), config);
    let active = active_directory(&place);
    let (mut stopped, mut inodes) = (Vec::new(), BTreeSet::new());
    let last = 4 * FOLLOWERS * STEP;
    for step in 0..4 * FOLLOWERS {
        append(&mut writer, step * STEP + 1..=(step + 1) * STEP);
        if step < FOLLOWERS {
            let at = (step + 1) * STEP - 10;
            let follower = child::spawn("stand-following", &[&place.log().display(), &at, &last]);
            eventually("a follower has stopped", || child::is_stopped(&follower));
            stopped.push(follower);
        }
        // What the writer needs next comes back, whoever stands in it.
        manager.log().sync().unwrap();
        eventually("a segment is prepared", || manager.log().metrics().prepared_segments.fill > 0);
        let files = common::paths(&active);
        inodes.extend(files.iter().filter_map(|path| Some(fs::metadata(path).ok()?.ino())));
    }
    // Beside the active set there are the control file and the identity.
    assert!(inodes.len() <= active_set + 2, "{inodes:?}: {active_set} files are enough");
    let metrics = manager.log().metrics();
    assert_eq!((metrics.append_wait.count, metrics.no_space), (0, 0));
    child::go_on("stand-following", stopped);
    manager.shutdown(writer).unwrap();
}
