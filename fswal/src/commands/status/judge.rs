//! What is wrong with a log, and what is worth knowing.

use std::io;
use std::time::Duration;

use flashstrike_wal::format::file_name;
use flashstrike_wal::telemetry::MetricsSnapshot;

use crate::clock::span;
use crate::directory::{Log, State};
use crate::failure::Outcome;
use crate::hold_files::hold_files;
use crate::table::{bytes, count};

use super::found::{Cut, Status};

/// A log that is open shows signs of life every 20 ms.
const SILENCE: Duration = Duration::from_secs(3);

/// Holds and snapshots.
pub fn add_kept(log: &Log, found: &mut Status) -> Outcome<()> {
    let holds = hold_files(log)?;
    found.broken_holds = holds.iter().filter(|hold| hold.is_broken).count();
    let held: Vec<_> = holds.iter().filter(|hold| !hold.is_broken).collect();
    found.holds = held.len();
    found.held_from_event_id = held.iter().filter_map(|hold| hold.event_id()).min();
    for hold in held.iter().filter(|hold| hold.record.is_none()) {
        let name = &hold.name;
        found.problems.push(format!(
            "hold {name} is damaged, and holds everything: `fswal holds remove` it, and let its \
             owner begin anew"
        ));
    }
    Ok(())
}

pub fn judge(log: &Log, found: &mut Status) -> Outcome<()> {
    by_state(log, found);
    if let Some(metrics) = &log.metrics {
        by_counters(log, metrics, found)?;
    }
    let notes = &mut found.notes;
    if found.broken_holds > 0 {
        let holds = count(found.broken_holds as u64, "hold");
        notes.push(format!("{holds} broken: see `fswal holds`"));
    }
    found.kept_aside_files = log.kept_aside()?.len();
    if found.kept_aside_files > 0 {
        let files = count(found.kept_aside_files as u64, "file");
        notes.push(format!("{files} kept aside by an earlier recovery (*.corrupt)"));
    }
    let cut = log.identity.as_ref().and_then(|identity| identity.cuts.last());
    found.last_cut = cut.map(|c| Cut { generation: c.generation, last_event_id: c.last_event_id });
    if let Some(cut) = &found.last_cut {
        notes.push(format!(
            "the open of generation {} took the log from disk, or cut it, behind event {}",
            cut.generation, cut.last_event_id
        ));
    }
    Ok(())
}

fn by_state(log: &Log, found: &mut Status) {
    let (problems, notes) = (&mut found.problems, &mut found.notes);
    let active = found.active_dir.as_deref().unwrap_or("");
    match log.state {
        State::Live | State::ShutDown => {}
        State::Failed => {
            let errno = log.metrics.map_or(0, |metrics| metrics.failed_errno);
            let cause = io::Error::from_raw_os_error(errno as i32);
            let why = if errno == 0 { String::new() } else { format!(" ({cause})") };
            problems.push(format!(
                "the log has failed{why}: stop the engine, look at the disk, open it again; its \
                 events wait in memory"
            ));
        }
        State::Crashed => notes.push(format!(
            "the next open carries over what is only in {active}: do not remove that; \
             `fswal recover --dry-run` says what it would do"
        )),
        State::MemoryLost => problems.push(format!(
            "{active} had the newest events and is not here: put it back, or see \
             `fswal recover --dry-run`"
        )),
        State::MemoryUnreadable => problems.push(format!(
            "{active} cannot be read, so whether a process has the log open is not known either: \
             {}; run this as the log's own user or as root",
            log.trouble.as_ref().map_or_else(String::new, ToString::to_string)
        )),
        State::Rebooted => notes.push(
            "what was not durable at the restart is gone; the next open ends the log where it can \
             be proved"
                .into(),
        ),
        State::Copy => notes.push("its first open gives it an id of its own".into()),
        State::Unidentified => problems.push(
            "wal_identity is missing or damaged: of a C++ recorder's directory that is normal, and \
             the next open makes one; else see `fswal recover --dry-run`"
                .into(),
        ),
    }
}

fn by_counters(log: &Log, metrics: &MetricsSnapshot, found: &mut Status) -> Outcome<()> {
    let wrong = [
        (metrics.missing_segments, "segment was removed by somebody else"),
        (metrics.damaged_segments, "segment was found damaged: see `fswal verify`"),
    ];
    for (n, what) in wrong.into_iter().filter(|(n, _)| *n > 0) {
        found.problems.push(format!("{n}: {what}"));
    }
    if log.state != State::Live {
        return Ok(());
    }
    let silent = Duration::from_nanos(metrics.heartbeat_age_ns);
    if silent >= SILENCE {
        found.problems.push(format!(
            "its threads have been silent for {}: the process is stopped, or hangs in a call to \
             the disk",
            span(silent)
        ));
    }
    let newest = log.inventory.hot.last().map(|&index| file_name::hot(index));
    let newest = newest.map(|name| log.wal.status_of(&name)).transpose()?.flatten();
    if newest.is_some_and(|newest| found.disk_free_bytes < newest.size) {
        found.problems.push(format!(
            "the disk is full: {} free are less than a segment; `fswal ls` and `fswal holds` show \
             what takes the room",
            bytes(found.disk_free_bytes)
        ));
    }
    if metrics.held_bytes > 0 {
        found.notes.push(format!(
            "holds and snapshots keep {} beyond the limits: see `fswal holds`",
            bytes(metrics.held_bytes)
        ));
    }
    if metrics.no_space > 0 {
        let appends = count(metrics.no_space, "append");
        found.notes.push(format!(
            "{appends} turned away since it was opened, because disk or memory was full"
        ));
    }
    if metrics.memory_locked == 0 {
        found.notes.push("its memory is not locked: an append may wait for a swapped page".into());
    }
    Ok(())
}
