//! The situations that docs/operating.md and docs/migrating.md show.

use std::process::Command;

use flashstrike_wal::config::Keep;
use flashstrike_wal::recorder::{Manager, Writer};

use crate::damage::flip;
use crate::support::{event, fswal, fswal_with, text, wait_until, Place, Said, PER_SEGMENT};

/// A situation, and what keeps it so.
pub struct Scene {
    pub place: Place,
    live: Option<(Manager, Writer)>,
}

impl Scene {
    pub fn named(name: &str) -> Scene {
        let place = Place::new();
        let path = place.log();
        let log = text(&path);
        let mut live = None;
        match name {
            "live" => live = Some(written(&place)),
            "shut_down" => place.record(1..=9000),
            "crashed" => place.crash(3000, 3100),
            "memory_lost" => {
                place.crash(3000, 3100);
                place.actives().into_iter().for_each(|it| std::fs::remove_dir_all(it).unwrap());
            }
            "damaged" => {
                place.record(1..=9000);
                flip(&place.log().join("FS.00000001.wal"), 64 + 3 * 16_448 + 1000);
            }
            "kept" => {
                place.record(1..=9000);
                fswal(&["holds", "set", log, "standby", "--event", "8500"]).ends_with(0);
                fswal(&["holds", "set", log, "archive", "--event", "17"]).ends_with(0);
                let state = "the state of the book ".repeat(5000);
                fswal_with(&["snapshots", "set", log, "--event", "8000"], &state).ends_with(0);
            }
            "unmounted" => {
                place.crash(3000, 3100);
                std::fs::rename(place.log(), place.base().join("elsewhere")).unwrap();
            }
            "cpp_recorder" => leave_as_cpp(&place),
            "empty" => std::fs::create_dir(place.log()).unwrap(),
            "foreign" => {
                std::fs::create_dir(place.log()).unwrap();
                std::fs::write(place.log().join("orders.csv"), "id,price\n").unwrap();
                std::fs::write(place.log().join("FS.7.wal.old"), [0; 100]).unwrap();
            }
            "copied" => copy(&place),
            "nothing" => {}
            other => panic!("there is no scene {other}"),
        }
        Scene { place, live }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some((manager, writer)) = self.live.take() {
            manager.shutdown(writer).unwrap();
        }
    }
}

/// What the program says of a log, when it does not find the log's threads silent: they are if they
/// have had no processor for seconds.
pub fn fswal_unless_silent(arguments: &[&str]) -> Said {
    let mut said = fswal(arguments);
    wait_until("the log's threads are heard of", || {
        let is_silent = said.out.contains("silent for");
        if is_silent {
            said = fswal(arguments);
        }
        !is_silent
    });
    said
}

/// A copy, where the log was, of one whose process died.
fn copy(place: &Place) {
    place.crash(3000, 3100);
    let original = place.base().join("original");
    std::fs::rename(place.log(), &original).unwrap();
    let copied = Command::new("cp").arg("-a").args([original, place.log()]).status();
    assert!(copied.unwrap().success());
}

/// A directory as the C++ recorder leaves it: segments, and a meta record of 16 bytes in its order.
fn leave_as_cpp(place: &Place) {
    place.record(1..=9000);
    for name in ["wal_identity", "wal_lock", "wal_history"] {
        std::fs::remove_file(place.log().join(name)).unwrap();
    }
    std::fs::remove_dir_all(place.log().join("wal_holds")).unwrap();
    let mut meta = std::fs::read(place.log().join("wal_meta.dat")).unwrap()[..16].to_vec();
    meta[..8].rotate_left(4);
    std::fs::write(place.log().join("wal_meta.dat"), meta).unwrap();
}

/// A log that is open, with two cold segments, two hot ones and one that was prepared.
fn written(place: &Place) -> (Manager, Writer) {
    let config =
        flashstrike_wal::config::Config { max_segments: Keep::AtMost(2), ..place.config() };
    let (manager, mut writer) = Manager::open(&place.log(), config).unwrap();
    (1..=3 * PER_SEGMENT + 700).for_each(|id| writer.append(&event(id)).unwrap());
    manager.log().sync().unwrap();
    let has = |name: &str| place.log().join(name).exists();
    wait_until("two segments are compressed", || {
        (0..2)
            .all(|n| has(&format!("FS.0000000{n}.wal.lz4")) && !has(&format!("FS.0000000{n}.wal")))
            && has("FS.00000004.wal")
            && manager.log().metrics().close.count >= 3
    });
    (manager, writer)
}
