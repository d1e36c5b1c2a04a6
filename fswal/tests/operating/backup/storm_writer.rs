//! The engine of the storm: a process that appends as fast as it can.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::directory::metrics_of;
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::storage::PosixStorage;
use flashstrike_wal::telemetry::MetricsSnapshot;

use crate::support::{config, event, wait_until, Place};

/// Tight retention: 4 segments of 0.5 MB hot, and 4 cold.
const HOT: u32 = 4;
const COLD: u32 = 4;
/// The engine all but stops while more than this wait to be frozen: no compression keeps up with
/// one that does nothing but append.
const MOST_HOT: u64 = 3 * HOT as u64;

pub struct Engine {
    log: PathBuf,
    child: Child,
}

impl Engine {
    /// Starts it. It has retention at work when this returns.
    pub fn start(place: &Place) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "backup::storm_writer::full_speed", "--ignored", "--nocapture"])
            .env("FSWAL_TEST_LOG", place.log())
            .env("FSWAL_TEST_MEMORY", place.memory())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        let engine = Engine { log: place.log(), child: child.unwrap() };
        wait_until("retention is at work", || {
            engine.metrics().is_some_and(|m| m.segments_deleted > 0)
        });
        engine
    }

    /// `None` until the log is there.
    fn metrics(&self) -> Option<MetricsSnapshot> {
        let metrics = metrics_of(&PosixStorage::for_reading(), &self.log).ok()?;
        (metrics.writer_pid == u64::from(self.child.id())).then_some(metrics)
    }

    pub fn now(&self) -> MetricsSnapshot {
        self.metrics().expect("the engine runs")
    }

    pub fn durable(&self) -> u64 {
        self.now().durable_event_id
    }

    /// What the last backup's hold has kept is gone.
    pub fn wait_for_retention(&self) {
        wait_until("retention is tight", || {
            let now = self.now();
            now.cold_segments <= u64::from(COLD) && now.hot_segments <= MOST_HOT + 2
        });
    }

    /// Kills it and starts it again: what it has counted begins anew.
    pub fn start_anew(&mut self, place: &Place) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        *self = Self::start(place);
    }

    /// Appends that were timed.
    pub fn sampled(&self) -> u64 {
        self.now().append_latency.count
    }

    /// Its append percentiles in nanoseconds: p50, p99, p99.9.
    pub fn percentiles(&self) -> [u64; 3] {
        let latency = self.now().append_latency;
        [latency.p50_ns, latency.p99_ns, latency.p999_ns]
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "it is the process beside which backups are made"]
fn full_speed() {
    let of = |name: &str| std::env::var(name).expect("the test that starts this sets it");
    // Whoever has started it is gone.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    let config = Config {
        num_blocks: 32,
        max_segments: Keep::AtMost(HOT),
        max_compressed_segments: Keep::AtMost(COLD),
        prepared_segments: 4,
        sample_appends: 16,
        ..config(Path::new(&of("FSWAL_TEST_MEMORY")))
    };
    let (manager, mut writer) = Manager::open(Path::new(&of("FSWAL_TEST_LOG")), config).unwrap();
    let begin = manager.log().recovery_report().last_event_id;
    let mut pace = 1024;
    for id in begin + 1.. {
        writer.append(&event(id)).unwrap();
        if id % pace == 0 {
            let must_wait = manager.log().metrics().hot_segments > MOST_HOT;
            pace = if must_wait { 16 } else { 1024 };
            if must_wait {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
