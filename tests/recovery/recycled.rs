//! Files that are used again hold the events of the segment that they were before. Where retention
//! leaves no older segment to tell them by, they are told from events all the same (F38).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::crash::SEGMENT;
use flashstrike_wal::config::{Backpressure, Config, Keep};
use flashstrike_wal::error::Error;
use flashstrike_wal::recorder::{Manager, Role};
use flashstrike_wal::storage::simulated::{Crash, Machine, DISK, MEMORY};
use flashstrike_wal::storage::{Links, Storage};

/// Keeps nothing but the newest segment: every file is used again, and no older segment is left to
/// tell old events by.
fn keeping_nothing(num_blocks: u32) -> Config {
    Config {
        num_blocks,
        prepared_segments: 1,
        max_segments: Keep::AtMost(1),
        max_compressed_segments: Keep::AtMost(0),
        backpressure: Backpressure::FailFast,
        active_parent: MEMORY.into(),
        ..Config::default()
    }
}

/// A log on a simulated machine, killed and opened again.
struct Recycling {
    machine: Machine,
    log: PathBuf,
    last: u64,
    /// The power is cut instead, when all is durable.
    cut_power: Option<u64>,
}

impl Recycling {
    fn new() -> Self {
        let log = Path::new(DISK).join("log");
        Recycling { machine: Machine::new(1), log, last: 0, cut_power: None }
    }

    /// Opens the log: it has every event, and nothing is taken for one that is none. Appends
    /// `count` events, lets the workers do `steps` more steps, and kills it.
    fn live(&mut self, config: &Config, count: u64, steps: usize) {
        let life = format!("{} blocks, from {}, {steps} steps", config.num_blocks, self.last);
        let storage = Arc::new(self.machine.process());
        let opened = Manager::open_by_hand(storage, &self.log, config.clone());
        let (manager, mut writer, mut crew) = opened.unwrap_or_else(|e| panic!("{life}: {e}"));
        let report = manager.log().recovery_report();
        assert_eq!(report.last_event_id, self.last, "{life}: {}", report.decision);
        assert_eq!(report.events_kept_aside, 0, "{life}: {}", report.notes);
        let until = self.last + count;
        while self.last < until {
            match writer.append(&common::event(self.last + 1)) {
                Ok(()) => self.last += 1,
                Err(Error::WouldBlock) => {}
                Err(error) => panic!("{life}: {error}"),
            }
            if self.last % 64 == 0 {
                for role in Role::ALL {
                    crew.step(role).unwrap();
                }
            }
        }
        for role in Role::ALL.into_iter().cycle().take(steps) {
            crew.step(role).unwrap();
        }
        let recycled = manager.log().metrics().segments_recycled;
        assert!(recycled > 0 || count < 5 * SEGMENT, "{life}: no file was used again");
        let Some(seed) = self.cut_power else { return self.machine.crash(Crash::Kill) };
        while manager.log().durable().last_event_id < self.last {
            crew.step(Role::Persister).unwrap();
        }
        self.machine.crash(Crash::PowerCut { seed });
    }

    /// Nothing was kept aside, ever.
    fn end(self) {
        let log = self.machine.process().open_directory(&self.log, Links::Follow);
        let names = log.unwrap().unwrap().list().unwrap();
        assert!(names.iter().all(|name| !name.contains("corrupt")), "{names:?}");
    }
}

/// Retention has left nothing older, and the newest segment is a file that is used again.
#[test]
fn f38_old_content_of_a_recycled_file_is_not_kept_aside() {
    let mut log = Recycling::new();
    for _ in 0..4 {
        log.live(&keeping_nothing(16), 4 * SEGMENT + 100, 0);
    }
    log.end();
}

/// Killed, or its power cut, right before, at and right after a rotation, with the workers anywhere
/// in the work that follows from it.
#[test]
fn f38_old_content_is_told_from_events_right_after_a_rotation() {
    let config = keeping_nothing(16);
    for (past, steps) in (0..3).flat_map(|past| (0..30).map(move |steps| (past, steps))) {
        let mut log = Recycling { cut_power: (steps % 2 == 1).then_some(past), ..Recycling::new() };
        log.live(&config, 6 * SEGMENT - 1 + past, steps);
        // From wherever it was, to the same place.
        log.live(&config, 6 * SEGMENT, steps);
        log.live(&config, 1, 0);
        log.live(&config, SEGMENT, steps);
        log.live(&config, 1, steps);
        log.end();
    }
}

/// The same with segments of another size at every open: files are used again that were larger
/// segments, and the log goes on, or does not, in a file of the size before.
#[test]
fn f38_old_content_is_told_from_events_when_the_size_of_segments_changes() {
    for sizes in [[32, 16, 32, 16], [64, 16, 64, 32], [16, 64, 16, 17]] {
        let counts = [1, 100, 300, SEGMENT - 1, SEGMENT, SEGMENT + 1, 25 * SEGMENT + 100];
        for (count, cuts) in counts.into_iter().flat_map(|count| [(count, false), (count, true)]) {
            let mut log = Recycling::new();
            for (n, blocks) in sizes.into_iter().cycle().take(5).enumerate() {
                log.cut_power = cuts.then_some(n as u64);
                let count = if n % 4 == 3 { count } else { 25 * SEGMENT + 100 };
                log.live(&keeping_nothing(blocks), count, 7 * n);
            }
            log.end();
        }
    }
}
