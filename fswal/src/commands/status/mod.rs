//! `status`: how a log is, from its control file while it is live, else from what it left.

mod found;
mod judge;
mod runway;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use flashstrike_wal::directory::metrics_of;
use flashstrike_wal::storage::now_ns;

use crate::clock::{span, utc_seconds};
use crate::directory::{Log, State};
use crate::failure::{Outcome, Verdict};
use crate::history::opens;
use crate::output::{Output, Tone};
use crate::table::{bytes, count, grouped, id};

use found::{LastOpen, Status};
use judge::{add_kept, judge};
use runway::Runway;

/// Is it healthy, live, clean? Who has it open, how far is it, how long does the disk last?
///
/// A live log's answers come from its control file, without touching the log. Ends with 1 if
/// something is wrong with the log, or if its next open would need a decision; with 3 if this user
/// cannot see how it is.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The WAL directory
    dir: PathBuf,
    /// Show it again and again, as `top` does, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// How long the rate is measured, and between two looks with --watch, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 500)]
    #[arg(value_parser = clap::value_parser!(u64).range(10..=60_000))]
    interval: u64,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let interval = Duration::from_millis(arguments.interval);
    loop {
        let status = look(arguments, interval)?;
        let verdict = match status.healthy {
            true => Verdict::Well,
            // Nothing of the log is known to be wrong.
            false if status.state == State::MemoryUnreadable && status.problems.len() == 1 => {
                Verdict::Unreadable
            }
            false => Verdict::Wrong,
        };
        if arguments.watch && !output.is_json() {
            output.clear()?;
        }
        match output.is_json() {
            true => output.object(&status)?,
            false => show(&status, output)?,
        }
        output.flush()?;
        if !arguments.watch {
            return Ok(verdict);
        }
        if status.events_per_second.is_none() {
            std::thread::sleep(interval);
        }
    }
}

fn look(arguments: &Arguments, interval: Duration) -> Outcome<Status> {
    let mut log = Log::look(&arguments.dir)?;
    let is_live = matches!(log.state, State::Live | State::Failed);
    let rate = if is_live { measure(&mut log, interval) } else { None };
    let live = log.metrics;
    let status = log.wal.status()?;
    // What is on disk of a live log may be newer than its counters were.
    let durable = match live.filter(|_| is_live) {
        Some(metrics) => metrics.durable_event_id,
        None => log.known_durable(),
    };
    let disk_bytes = log.segment_bytes()? + log.snapshot_bytes()? + log.kept_aside_bytes()?;
    let mut found = Status {
        dir: log.path.display().to_string(),
        state: log.state,
        healthy: true,
        problems: Vec::new(),
        notes: Vec::new(),
        log_id: log.identity.as_ref().map(|identity| format!("{:032x}", identity.id)),
        generation: log.identity.as_ref().map(|identity| identity.generation),
        pid: live.filter(|_| is_live).map(|metrics| metrics.writer_pid),
        opened_ns: live.map(|metrics| metrics.opened_ns),
        active_dir: log.identity.as_ref().filter(|i| !i.clean).map(|i| i.active_path.clone()),
        appended_event_id: live.map(|metrics| metrics.appended_event_id),
        durable_event_id: durable,
        oldest_event_id: live.map(|metrics| metrics.oldest_event_id),
        lag_events: None,
        lag_ns: live.filter(|_| is_live).map(|metrics| metrics.durable_lag_ns),
        events_per_second: rate,
        hot_segments: log.inventory.hot.len(),
        cold_segments: log.inventory.cold.len(),
        disk_bytes,
        disk_free_bytes: status.available,
        runway_seconds: None,
        runway: None,
        holds: 0,
        held_from_event_id: None,
        broken_holds: 0,
        snapshots: log.inventory.snapshots.len(),
        newest_snapshot_event_id: log.inventory.snapshots.last().copied(),
        kept_aside_files: 0,
        last_cut: None,
        last_open: opens(&log)?.pop().map(LastOpen::from),
    };
    found.lag_events = live.map(|m| m.appended_event_id.saturating_sub(m.durable_event_id));
    if let (Some(metrics), Some(rate)) = (live, rate) {
        let runway = Runway::of(&log, &metrics, rate, status.available)?;
        (found.runway, found.runway_seconds) = (Some(runway), runway.seconds());
    }
    add_kept(&log, &mut found)?;
    judge(&log, &mut found)?;
    found.healthy = found.problems.is_empty();
    Ok(found)
}

/// Events a second, between two looks at the control file; the second is the one that counts.
fn measure(log: &mut Log, interval: Duration) -> Option<f64> {
    let (before, begin) = (log.metrics?, Instant::now());
    std::thread::sleep(interval);
    let after = metrics_of(&*log.storage, &log.path).ok()?;
    let rate = after.appended_events.checked_sub(before.appended_events)? as f64;
    if after.generation != before.generation {
        return None;
    }
    log.metrics = Some(after);
    Some(rate / begin.elapsed().as_secs_f64())
}

fn show(status: &Status, output: &mut Output) -> Outcome<()> {
    let tone = match (status.healthy, status.state) {
        (false, _) => Tone::Bad,
        (true, State::Live | State::ShutDown) => Tone::Good,
        (true, _) => Tone::Doubtful,
    };
    let state = output.toned(tone, status.state.words());
    output.line(&format!("{}: {state}", status.dir))?;
    let mut field = |name: &str, value: String| output.line(&format!("  {name:<12}{value}"));
    if let (Some(id), Some(generation)) = (&status.log_id, status.generation) {
        field("log", format!("{id}, generation {generation}"))?;
    }
    if let Some(pid) = status.pid {
        let since = status.opened_ns.unwrap_or(0);
        let age = span(Duration::from_nanos(now_ns().saturating_sub(since)));
        field("open in", format!("process {pid}, since {} ({age})", utc_seconds(since)))?;
    }
    if let Some(active) = &status.active_dir {
        field("memory", active.clone())?;
    }
    if let Some(appended) = status.appended_event_id {
        let lag = status.lag_events.unwrap_or(0);
        let age = status.lag_ns.filter(|&ns| ns > 0);
        let age =
            age.map_or_else(String::new, |ns| format!(", {}", span(Duration::from_nanos(ns))));
        let behind =
            if lag == 0 { "none".to_owned() } else { format!("{} ids{age}", grouped(lag)) };
        field("appended", id(appended))?;
        field("durable", format!("{} (behind: {behind})", id(status.durable_event_id)))?;
    } else {
        field("durable", id(status.durable_event_id))?;
    }
    if let Some(rate) = status.events_per_second {
        field("rate", format!("{} a second", count(rate.round() as u64, "event")))?;
    }
    field("segments", format!("{} hot, {} cold", status.hot_segments, status.cold_segments))?;
    let free = bytes(status.disk_free_bytes);
    field("disk", format!("{} used, {free} free", bytes(status.disk_bytes)))?;
    if let Some(runway) = status.runway {
        field("runway", runway.words(status.holds > 0))?;
    }
    let held =
        status.held_from_event_id.map_or(String::new(), |id| format!(", from event {id} on"));
    field("holds", format!("{}{held}", status.holds))?;
    let newest = status.newest_snapshot_event_id;
    let newest = newest.map_or(String::new(), |id| format!(", the newest after event {id}"));
    field("snapshots", format!("{}{newest}", status.snapshots))?;
    if let Some(open) = &status.last_open {
        let counts = [
            (open.events_carried_over, "carried over"),
            (open.events_accepted, "accepted"),
            (open.events_kept_aside, "kept aside"),
        ];
        let counts = counts.into_iter().filter(|(n, _)| *n > 0);
        let counts: Vec<_> = counts.map(|(n, what)| format!(", {} {what}", grouped(n))).collect();
        field("last open", format!("{}: {}{}", open.time, open.decision, counts.concat()))?;
    }
    for problem in &status.problems {
        let word = output.toned(Tone::Bad, "problem");
        output.line(&format!("  {word}: {problem}"))?;
    }
    for note in &status.notes {
        output.line(&format!("  note: {note}"))?;
    }
    Ok(())
}
