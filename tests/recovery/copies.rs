//! Copies that plain tools (cp, tar, rsync) make of a log while it is written. Copying takes time,
//! and the files of a copy are of different moments.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use common::crash::SEGMENT;
use common::{append, assert_holds, beside_writer, expect_cause, names, open, Place};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::Cause;
use flashstrike_wal::recorder::Manager;

/// In which order the files are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// As `cp` and `tar` do: by name, the oldest segment first and `wal_meta.dat` last.
    ByName,
    /// In any order at all.
    Random(u64),
    /// `wal_meta.dat` first, then the segments, the newest first. What the manual recommends.
    NewestFirst,
}

impl Order {
    fn sort(self, names: &mut [String]) {
        match self {
            Order::ByName => names.sort(),
            Order::Random(seed) => {
                let mut random = flashstrike_wal::storage::simulated::Random::new(seed);
                names.sort_by_cached_key(|_| random.number());
            }
            Order::NewestFirst => {
                let key = |name: &String| (name != "wal_meta.dat", std::cmp::Reverse(name.clone()));
                names.sort_by_cached_key(key);
            }
        }
    }
}

/// Copies the files that are there; then, again and again, those that have appeared under the other
/// name of a segment because they were compressed meanwhile.
fn copy(from: &Path, to: &Path, order: Order) {
    fs::create_dir(to).unwrap();
    let is_copied = |name: &String| name != "wal_lock" && !name.ends_with(".tmp");
    let mut left: Vec<String> = names(from).into_iter().filter(is_copied).collect();
    order.sort(&mut left);
    while let Some(name) = (!left.is_empty()).then(|| left.remove(0)) {
        match fs::copy(from.join(&name), to.join(&name)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound && name.ends_with(".wal") => {
                left.insert(0, format!("{name}.lz4"));
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

/// Copies a log while it is written, and opens the copy. Returns whether it opened: then it is an
/// unbroken prefix of the log that has everything that was durable when the copying began.
fn opens(place: &Place, round: u64, order: Order) -> bool {
    let log = place.base().join(format!("log {round}"));
    let config = Config { max_compressed_segments: Keep::All, ..place.small() };
    let (manager, mut writer) = open(&log, config);
    let to = place.base().join(format!("copy {round}"));
    let mut durable = 0;
    beside_writer(&mut writer, 1, || {
        // Far enough that there are cold segments, and that hot ones are being recycled.
        while manager.log().durable().last_event_id < 6 * 4096 + round * 501 {
            manager.log().sync().unwrap();
        }
        durable = manager.log().durable().last_event_id;
        copy(&log, &to, order);
    });
    manager.shutdown(writer).unwrap();
    match Manager::open(&to, place.small()) {
        Err(error) => {
            assert_eq!(error.cause(), Some(Cause::Corrupt), "{order:?}: {error}");
            false
        }
        Ok((manager, writer)) => {
            let last = manager.log().appended().last_event_id;
            assert!(last >= durable, "{order:?}: {last} of {durable} events");
            manager.shutdown(writer).unwrap();
            assert_holds(&to, last);
            true
        }
    }
}

/// A segment copied while it was open, and a later one when it was closed already.
#[test]
fn f10_a_segment_copied_before_it_was_full_is_missed() {
    let place = Place::new();
    let config = Config { max_segments: Keep::All, ..place.small() };
    let (manager, mut writer) = open(&place.log(), config.clone());
    append(&mut writer, 1..=SEGMENT + 300);
    manager.log().sync().unwrap();
    let early = fs::read(place.log().join("FS.00000001.wal")).unwrap();
    append(&mut writer, SEGMENT + 301..=3 * SEGMENT + 10);
    manager.shutdown(writer).unwrap();
    let to = place.base().join("copy");
    copy(&place.log(), &to, Order::ByName);
    fs::write(to.join("FS.00000001.wal"), early).unwrap();
    let message = expect_cause(Manager::open(&to, config.clone()), Cause::Corrupt);
    for part in ["unclosed", "segment 1", "copied while it was written"] {
        assert!(message.contains(part), "{message}");
    }
    let accepting = Config { accept_loss: true, ..config };
    let (manager, writer) = open(&to, accepting);
    assert_eq!(manager.log().appended().last_event_id, SEGMENT + 300);
    manager.shutdown(writer).unwrap();
    assert_holds(&to, SEGMENT + 300);
}

#[test]
fn f10_a_plain_copy_of_a_live_log_opens_right_or_is_refused() {
    const ROUNDS: u64 = 12;
    let place = Place::new();
    let mut opened = [0; 3];
    for round in 0..ROUNDS {
        let orders = [Order::NewestFirst, Order::ByName, Order::Random(round)];
        for (n, order) in orders.into_iter().enumerate() {
            opened[n] += u64::from(opens(&place, round * 10 + n as u64, order));
        }
    }
    println!("opened, newest first, by name, at random: {opened:?} of {ROUNDS}");
}
