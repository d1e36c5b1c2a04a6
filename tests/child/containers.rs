//! Logs in a container: little memory, mounted by the test that starts this, and kills.

use common::crash::{config, crash_in};
use common::{assert_holds, open};
use flashstrike_wal::directory::filesystem_name;

use crate::arguments::Arguments;

/// `LOGS` logs share the memory; each is killed `KILLS` times, and opens each time. In the end only
/// the live logs' sets are in memory, and after a shutdown nothing is.
pub fn kill_and_open(arguments: &Arguments) {
    let (base, memory) = (arguments.path("BASE"), arguments.path("MEMORY"));
    let (logs, kills): (u64, u64) = (arguments.number("LOGS"), arguments.number("KILLS"));
    let stat = rustix::fs::statfs(memory).unwrap();
    assert_eq!(filesystem_name(stat.f_type as u64), "tmpfs");
    let paths: Vec<_> = (0..logs).map(|n| base.join(format!("log-{n}"))).collect();
    let per_life = 3000;
    for life in 1..=kills {
        for path in &paths {
            let last = life * per_life;
            crash_in(&[], path, &memory.display(), last - 100, last);
        }
    }
    let open_all = || paths.iter().map(|path| open(path, config(memory))).collect::<Vec<_>>();
    let live = open_all();
    let sets = std::fs::read_dir(memory).unwrap().count() as u64;
    assert_eq!(sets, logs, "one active directory for each log");
    for (manager, writer) in live {
        assert_eq!(manager.log().appended().last_event_id, kills * per_life);
        manager.shutdown(writer).unwrap();
    }
    assert_eq!(std::fs::read_dir(memory).unwrap().count(), 0);
    paths.iter().for_each(|path| assert_holds(path, kills * per_life));
}
