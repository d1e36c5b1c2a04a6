//! A process whose log somebody else cleans up.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::flow::Shared;
use common::planted::Planted;
use common::{end_with_parent, event};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::log_sink::LogSink;
use flashstrike_wal::recorder::Manager;

use crate::arguments::Arguments;

/// The log has failed: it has said why.
const FAILED: i32 = 8;
/// Up to this event it appends without a pause.
const FAST: u64 = 8 * 4096;
/// Then it takes an eighth of a second for a segment.
const PAUSE: Duration = Duration::from_millis(2);

/// Appends the events 1, 2, 3 and so on until killed, or until the log fails. What the log reports
/// is in `BASE/told`.
pub fn append_until_cleaned_up(arguments: &Arguments) {
    end_with_parent();
    let base = arguments.path("BASE");
    let (log, shared) = (base.join("log"), Shared::open(&base.join("shared")));
    let told = OpenOptions::new().create(true).append(true).open(base.join("told")).unwrap();
    let config = Config {
        num_blocks: 16,
        prepared_segments: 2,
        max_segments: Keep::AtMost(4),
        max_compressed_segments: Keep::All,
        active_parent: arguments.path("ACTIVE").to_owned(),
        log: LogSink::new(move |_, message| writeln!(&told, "{message}").unwrap()),
        ..Config::default()
    };
    let storage = Planted::posix(arguments.bug("BUG"), &log);
    let (manager, mut writer) = Manager::open_with(storage, &log, config).unwrap();
    for id in 1.. {
        let appended = writer.append(&event(id));
        shared.durable().store(manager.log().durable().last_event_id, Ordering::Release);
        if appended.is_err() {
            // Reports why, if no worker has.
            manager.shutdown(writer).unwrap_err();
            std::process::exit(FAILED);
        }
        shared.acknowledged().store(id, Ordering::Release);
        if id % 64 == 0 {
            std::thread::sleep(if id < FAST { Duration::ZERO } else { PAUSE });
        }
    }
}
