//! `recover`: what an open would decide, or the open itself.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use flashstrike_wal::config::{Config, Keep, DEFAULT_ACTIVE_PARENT};
use flashstrike_wal::error::Cause;
use flashstrike_wal::format::{file_name, Layout, MAX_BLOCKS, MIN_BLOCKS};
use flashstrike_wal::recorder::{foresee, Foresight, Manager};
use flashstrike_wal::storage::PosixStorage;
use serde::Serialize;

use crate::directory::{Log, State};
use crate::failure::{Failure, Outcome, Verdict};
use crate::output::{Output, Tone};
use crate::table::{count, id};

/// What an open would decide (--dry-run), or does it, and shuts the log down cleanly
///
/// An engine recovers its log by itself when it opens it; this is for looking first, and for where
/// the engine's open is refused. Nothing is ever deleted: what is behind the end of the log is kept
/// aside as *.corrupt. Ends with 1 if the open is refused.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The WAL directory
    dir: PathBuf,
    /// Say what would be decided, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Open at the last event that can be proved where recovery refuses
    #[arg(long)]
    accept_loss: bool,
    /// The directory in which active directories are made, if it is not /dev/shm
    #[arg(long, value_name = "DIR", default_value = DEFAULT_ACTIVE_PARENT)]
    active_dir: PathBuf,
    /// Open on filesystems where preallocation does not hold, too
    #[arg(long)]
    any_filesystem: bool,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    dir: String,
    done: bool,
    /// The label of the recovery table.
    decision: String,
    words: Vec<String>,
    refused: Option<String>,
    last_event_id: u64,
    durable_event_id: u64,
    events_carried_over: u64,
    events_accepted: Option<u64>,
    events_kept_aside: u64,
    notes: Vec<String>,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let log = Log::look(&arguments.dir)?;
    if matches!(log.state, State::Live | State::Failed) {
        let pid = log.metrics.map_or(0, |metrics| metrics.writer_pid);
        let message = format!("{}: process {pid} has the log open", arguments.dir.display());
        return Err(Failure::usage(message).next("stop the engine first; `fswal status` looks on"));
    }
    let config = config(arguments, &log)?;
    let foresight = foresee(&PosixStorage::for_reading(), &arguments.dir, &config)?;
    let report = match arguments.dry_run {
        true => foreseen(&arguments.dir, &foresight),
        false => {
            refuse_unless_accepted(&foresight, arguments.accept_loss)?;
            recover(&arguments.dir, config)?
        }
    };
    let refused = report.refused.is_some();
    match output.is_json() {
        true => output.object(&report)?,
        false => show(&report, output)?,
    }
    Ok(if refused { Verdict::Wrong } else { Verdict::Well })
}

/// Opens the log as it is: with segments of its own size, and with no limit that would delete
/// anything of it.
fn config(arguments: &Arguments, log: &Log) -> Outcome<Config> {
    let newest = log.inventory.hot.last().map(|&index| file_name::hot(index));
    let size = newest.map(|name| log.wal.status_of(&name)).transpose()?.flatten();
    let blocks = size.map_or(MIN_BLOCKS, |status| Layout::of_file(status.size).blocks);
    Ok(Config {
        num_blocks: blocks.clamp(MIN_BLOCKS, MAX_BLOCKS),
        max_segments: Keep::All,
        max_compressed_segments: Keep::All,
        prepared_segments: 1,
        max_snapshots: u32::MAX,
        no_compression: true,
        accept_loss: arguments.accept_loss,
        allow_any_filesystem: arguments.any_filesystem,
        active_parent: arguments.active_dir.clone(),
        ..Config::default()
    })
}

/// Accepting loss must change nothing where nothing needs to be accepted, and a refusal is told
/// before anything is touched.
fn refuse_unless_accepted(foresight: &Foresight, accept_loss: bool) -> Outcome<()> {
    match &foresight.refusal {
        Some(error) if !accept_loss => {
            let is_damage = error.cause() == Some(Cause::Corrupt);
            let failure = Failure::from(error.clone());
            Err(match is_damage {
                true => failure.next(
                    "save the directory first (`cp -a`), then restore what is named, or run \
                     `fswal recover --accept-loss`",
                ),
                false => failure,
            })
        }
        _ => Ok(()),
    }
}

fn recover(dir: &Path, config: Config) -> Outcome<Report> {
    let (manager, writer) = Manager::open(dir, config)?;
    let found = manager.log().recovery_report();
    manager.shutdown(writer)?;
    Ok(Report {
        dir: dir.display().to_string(),
        done: true,
        words: vec![in_words(&found.decision)],
        decision: found.decision,
        refused: None,
        last_event_id: found.last_event_id,
        durable_event_id: found.durable_event_id,
        events_carried_over: found.events_carried_over,
        events_accepted: Some(found.events_accepted),
        events_kept_aside: found.events_kept_aside,
        notes: found.notes.split("; ").filter(|note| !note.is_empty()).map(String::from).collect(),
    })
}

fn foreseen(dir: &Path, foresight: &Foresight) -> Report {
    let mut words = vec![in_words(&foresight.label)];
    if foresight.is_renamed {
        words.push("The log gets a new id.".into());
    }
    Report {
        dir: dir.display().to_string(),
        done: false,
        decision: foresight.label.clone(),
        words,
        refused: foresight.refusal.as_ref().map(ToString::to_string),
        last_event_id: foresight.last_event_id,
        durable_event_id: foresight.durable_event_id,
        events_carried_over: foresight.carried_over,
        events_accepted: None,
        events_kept_aside: foresight.kept_aside,
        notes: foresight.notes.clone(),
    }
}

/// The rows of the recovery table, for people.
const ROWS: [(&str, &str); 19] = [
    ("new-log", "There is no log yet."),
    ("unknown-identity", "wal_identity is missing or damaged: the segments on disk are the log."),
    ("copy", "A copy of another directory: the segments in it are the log."),
    ("moved", "The log was moved before it was recovered, and its newest events wait in memory."),
    ("clean", "It was shut down cleanly: there is nothing to recover."),
    ("reboot", "The machine was restarted while it was open: what is on disk is the log."),
    ("process-crash", "Its process died: what is only in memory is brought to the disk."),
    (
        "other-boot-id",
        "The boot id is another, but its memory is there: it is brought to the disk.",
    ),
    ("active-directory-lost", "Its process died, and the memory with its newest events is gone."),
    ("active-directory-unreadable", "Its process died, and its memory cannot be used."),
    (
        "tail-cut",
        "Behind the last event that is proved are some that were never durable: kept aside.",
    ),
    ("break-below-durable", "Events that were durable cannot be proved."),
    ("missing-segment", "A segment between others is missing."),
    ("misnamed", "A segment bears the name of another."),
    ("overlap", "A segment begins among the events of the one before."),
    ("unclosed", "A segment before the last one is not closed: copied while it was written."),
    ("beyond-shutdown", "Events follow those it was shut down with: files of two times are mixed."),
    ("active-segment-lost", "A segment is whole neither on disk nor in memory."),
    ("active-contradicts", "Memory and disk have different events under the same ids."),
];

fn in_words(label: &str) -> String {
    let row = |part: &str| ROWS.iter().find(|(label, _)| *label == part).map(|(_, words)| *words);
    label.split('/').filter_map(row).collect::<Vec<_>>().join(" ")
}

/// Where the log ends, and whether the disk alone proves that.
fn end_in_words(report: &Report) -> String {
    let (last, durable) = (report.last_event_id, report.durable_event_id);
    let end = match last {
        0 => "the log has no events".to_owned(),
        last => format!("the log ends with event {last}"),
    };
    match last.cmp(&durable) {
        Ordering::Equal if last == 0 => end,
        Ordering::Equal => format!("{end}, which was durable"),
        Ordering::Less => format!("{end}, though events up to {durable} were durable"),
        Ordering::Greater => format!("{end}; event {} was the last durable one", id(durable)),
    }
}

fn show(report: &Report, output: &mut Output) -> Outcome<()> {
    let tone = if report.refused.is_some() { Tone::Bad } else { Tone::Good };
    let word = match (&report.refused, report.done) {
        (Some(_), _) => "an open would be REFUSED",
        (None, true) => "recovered and shut down",
        (None, false) => "an open would succeed",
    };
    let word = output.toned(tone, word);
    output.line(&format!("{}: {word}", report.dir))?;
    output.line(&format!("  decision: {}", report.decision))?;
    for words in &report.words {
        output.line(&format!("  {words}"))?;
    }
    output.line(&format!("  {}", end_in_words(report)))?;
    let numbers = [
        (report.events_carried_over, "brought from memory to the disk"),
        (report.events_kept_aside, "behind the end, kept aside in *.corrupt"),
    ];
    for (n, what) in numbers.into_iter().filter(|(n, _)| *n > 0) {
        output.line(&format!("  {} {what}", count(n, "event")))?;
    }
    for note in &report.notes {
        output.line(&format!("  note: {note}"))?;
    }
    if let Some(refused) = &report.refused {
        output.line(&format!("  why: {refused}"))?;
        output.line(
            "  next: save the directory first (`cp -a`), then restore what is named, or run \
             `fswal recover --accept-loss`",
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_label_is_said() {
        assert_eq!(in_words("clean"), "It was shut down cleanly: there is nothing to recover.");
        let both = in_words("reboot/tail-cut");
        assert!(both.contains("restarted") && both.contains("kept aside"), "{both}");
    }
}
