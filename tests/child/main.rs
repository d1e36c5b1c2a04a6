//! The program that tests kill, trace, refuse, limit, or run as another user. It plays one role,
//! with the arguments on its command line. Unless the role defines other exit codes, it ends with 0
//! or panics.

mod arguments;
mod clean_up;
mod containers;
mod crash;
mod cut_process;
mod filesystems;
mod follow;
mod full;
mod hot_path;
mod keeping;
mod kill_storm;
mod limits;
mod locks;
mod long_run;
mod placement;
mod power_cut;
mod reading;
mod recording;
mod recovery;
mod threads;
mod two_writers;
mod users;
mod victim;

use arguments::{refuse, Arguments};

/// A role: its name, the names of its arguments, and what it does.
type Role = (&'static str, &'static str, fn(&Arguments));

const ROLES: &[Role] = &[
    ("append-until-cleaned-up", "BASE ACTIVE BUG", clean_up::append_until_cleaned_up),
    ("append-until-cut", "SEED LIFE BUG LOG SHARED ACTIVE", cut_process::append_until_cut),
    ("append-until-killed", "SEED BASE ACTIVE BUG", kill_storm::append_until_killed),
    ("append-until-told", "SEED BASE ACTIVE KIND", follow::append_until_told),
    ("append-without-system-calls", "LOG MEMORY EVENTS OFFEND", hot_path::append_under_seccomp),
    ("containers", "BASE MEMORY LOGS PREPARED KILLS", containers::kill_and_open),
    ("crash", "LOG MEMORY SYNCED LAST", crash::crash),
    ("crash-together", "BASE MEMORY LOGS PREPARED BEFORE LAST", containers::crash_together),
    ("cut-power", "FILESYSTEM", power_cut::cut_power),
    ("descriptors-at-open", "LOG MEMORY", limits::descriptors_at_open),
    ("descriptors-while-running", "LOG MEMORY", limits::descriptors_while_running),
    ("follow", "LOG EVENTS", reading::follow),
    ("follow-a-storm", "SEED BASE PROGRESS KIND SHOWS BUG", follow::follow_a_storm),
    ("follow-until-cut", "LOG SHARED PROGRESS FROM BUG", cut_process::follow_until_cut),
    ("full-disk", "LOG MEMORY BACKPRESSURE", full::disk),
    ("full-disk-at-open", "LOG MEMORY", full::disk_at_open),
    ("full-disk-with-holes", "LOG MEMORY", full::disk_with_holes),
    ("full-memory", "LOG MEMORY", full::memory),
    ("hold", "LOG MEMORY EVENTS HELD", locks::hold),
    ("hold-until-killed", "LOG SHARED SEED MAY_BREAK", keeping::hold_until_killed),
    ("live-in-chroot", "LOG MEMORY", filesystems::chroot),
    ("live-on-ext2", "LOG MEMORY", filesystems::ext2),
    ("live-without-direct-writes", "LOG MEMORY", filesystems::no_direct_writes),
    ("live-on-overlay", "LOG MEMORY", filesystems::overlay),
    ("live-on-ramfs", "LOG MEMORY", filesystems::ramfs),
    ("locked-by-any-path", "LOG OWNER", locks::locked_by_any_path),
    ("locked-by-bind-mount", "LOG OWNER BOUND", locks::locked_by_bind_mount),
    ("memory-cannot-be-locked", "LOG MEMORY", limits::memory_cannot_be_locked),
    ("one-log-too-many", "BASE MEMORY LOGS PREPARED", containers::one_too_many),
    ("open-with-read-errors", "LOG MEMORY BUG", recovery::open_with_read_errors),
    ("permission-denied", "LOG MEMORY", limits::permission_denied),
    ("read-and-verify", "LOG LAST", reading::read_and_verify),
    ("read-only-mount", "LOG MEMORY", limits::read_only_mount),
    ("recover", "LOG MEMORY", recovery::recover),
    ("recover-after-reboot", "LOG MEMORY LAST", recovery::recover_after_reboot),
    ("recover-small", "LOG MEMORY ACCEPT_LOSS", recovery::recover_small),
    ("refused-without-boot-id", "LOG MEMORY", reading::refused_without_boot_id),
    ("refused-as-unreadable", "LOG MEMORY FILE", recovery::refused_as_unreadable),
    ("serve-disk", "PATH SIZE", power_cut::serve_disk),
    ("stand", "LOG AT LAST", reading::stand),
    ("stand-following", "LOG AT LAST", follow::stand_following),
    ("stand-through-kills", "LOG MEMORY", reading::stand_through_kills),
    ("stay-small", "LOG MEMORY LAST", reading::stay_small),
    ("sync-batches", "LOG MEMORY BATCHES", recording::sync_batches),
    ("sync-until-killed", "LOG SHARED ACTIVE BUG", two_writers::sync_until_killed),
    ("ten-hours-of-flow", "", long_run::ten_hours),
    ("take-snapshots", "LOG SHARED EVENTS BUG", keeping::take_snapshots),
    ("threads-at-open", "LOG MEMORY", limits::threads_at_open),
    ("threads-beside-a-pinned-engine", "", placement::beside_a_pinned_engine),
    ("threads-of-64-logs", "", threads::of_64_logs),
    ("threads-of-a-shutdown", "", threads::of_a_shutdown_beside_a_hung_log),
    ("threads-of-failing-logs", "", threads::of_failing_logs),
    ("threads-of-idle-logs", "", threads::of_idle_logs),
    ("threads-of-logs-that-come-and-go", "", threads::of_logs_that_come_and_go),
    ("threads-on-a-hung-filesystem", "", threads::on_a_hung_filesystem),
    ("threads-on-chosen-processors", "", placement::on_chosen_processors),
    ("threads-with-one-processor", "HAS_OTHERS", placement::with_one_processor),
    ("user-crashes", "LOG MEMORY", users::crash),
    ("user-is-refused", "LOG MEMORY WORD", users::is_refused),
    ("user-reads-durable", "LOG LAST CAUSE", users::read_durable),
    ("user-records", "LOG MEMORY", users::record),
    ("user-recovers", "LOG MEMORY", users::recover),
    ("victim", "LOG ACTIVE SHARED EVENTS LIFE ERRNO WORD BUG", victim::play),
];

fn main() {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_else(|| refuse(&format!("no role is given\n{}", usage())));
    let role = ROLES.iter().find(|role| role.0 == name);
    let Some((name, names, play)) = role else {
        refuse(&format!("there is no role {name:?}\n{}", usage()));
    };
    play(&Arguments::new(name, names, words.collect()));
}

fn usage() -> String {
    let lines = ROLES.iter().map(|(name, names, _)| format!("  child {name} {names}"));
    format!("roles:\n{}", lines.collect::<Vec<_>>().join("\n"))
}
