//! `status`: how a log is, from its control file while it is live, else from what it left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use flashstrike_wal::directory::metrics_of;
use flashstrike_wal::format::{file_name, BLOCK_SIZE, EVENTS_PER_BLOCK};
use flashstrike_wal::keep::{Keepers, KeptFor};
use flashstrike_wal::storage::{now_ns, Links, Storage};
use flashstrike_wal::telemetry::MetricsSnapshot;
use serde::Serialize;

use crate::clock::{span, utc_seconds};
use crate::directory::{Log, State};
use crate::failure::{Outcome, Verdict};
use crate::history::{opens, Opened};
use crate::output::{Output, Tone};
use crate::table::{bytes, count, grouped, id};

/// Is it healthy, live, clean? Who has it open, how far is it, how long does the disk last?
///
/// A live log's answers come from its control file, without touching the log. Ends with 1 if
/// something is wrong with the log, or if its next open would need a decision.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The WAL directory
    dir: PathBuf,
    /// Show it again and again, as `top` does
    #[arg(long)]
    watch: bool,
    /// How long the rate is measured, and between two looks with --watch, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 500)]
    #[arg(value_parser = clap::value_parser!(u64).range(10..=60_000))]
    interval: u64,
}

#[derive(Debug, Serialize)]
struct Status {
    dir: String,
    state: State,
    healthy: bool,
    problems: Vec<String>,
    notes: Vec<String>,
    log_id: Option<String>,
    generation: Option<u64>,
    pid: Option<u64>,
    opened_ns: Option<u64>,
    active_dir: Option<String>,
    appended_event_id: Option<u64>,
    durable_event_id: u64,
    oldest_event_id: Option<u64>,
    lag_events: Option<u64>,
    lag_ns: Option<u64>,
    events_per_second: Option<f64>,
    hot_segments: usize,
    cold_segments: usize,
    disk_bytes: u64,
    disk_free_bytes: u64,
    /// Seconds until the disk is full at this rate; none where the limits end the growth before.
    runway_seconds: Option<u64>,
    holds: usize,
    held_from_event_id: Option<u64>,
    broken_holds: usize,
    snapshots: usize,
    newest_snapshot_event_id: Option<u64>,
    kept_aside_files: usize,
    last_cut: Option<Cut>,
    last_open: Option<LastOpen>,
}

/// What the last open of the log decided: the newest line of `wal_history`.
#[derive(Debug, Serialize)]
struct LastOpen {
    time: String,
    decision: String,
    events_carried_over: u64,
    events_accepted: u64,
    events_kept_aside: u64,
    notes: String,
}

impl From<Opened> for LastOpen {
    fn from(open: Opened) -> Self {
        LastOpen {
            time: open.time,
            decision: open.decision,
            events_carried_over: open.carried_over,
            events_accepted: open.accepted,
            events_kept_aside: open.kept_aside,
            notes: open.notes,
        }
    }
}

#[derive(Debug, Serialize)]
struct Cut {
    generation: u64,
    last_event_id: u64,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let interval = Duration::from_millis(arguments.interval);
    loop {
        let status = look(arguments, interval)?;
        let verdict = if status.healthy { Verdict::Well } else { Verdict::Wrong };
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
    let log = Log::look(&arguments.dir)?;
    let is_live = matches!(log.state, State::Live | State::Failed);
    let rate = log.metrics.filter(|_| is_live).and_then(|before| measure(&log, before, interval));
    let live = log.metrics;
    let status = log.wal.status()?;
    let durable = log.known_durable();
    let disk_bytes = log.segment_bytes()? + log.snapshot_bytes()?;
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
        found.runway_seconds = runway(&log, &metrics, rate, status.available)?;
    }
    add_kept(&log, &mut found);
    judge(&log, &mut found)?;
    found.healthy = found.problems.is_empty();
    Ok(found)
}

/// Events a second, between two looks at the control file.
fn measure(log: &Log, before: MetricsSnapshot, interval: Duration) -> Option<f64> {
    let begin = Instant::now();
    std::thread::sleep(interval);
    let after = metrics_of(&*log.storage, &log.path).ok()?;
    let events = after.appended_events.checked_sub(before.appended_events)?;
    (after.generation == before.generation).then(|| events as f64 / begin.elapsed().as_secs_f64())
}

/// Seconds until the disk is full at this rate; `None` where the log stops growing before, or does
/// not grow.
fn runway(log: &Log, metrics: &MetricsSnapshot, rate: f64, free: u64) -> Outcome<Option<u64>> {
    const BYTES_PER_EVENT: f64 = BLOCK_SIZE as f64 / EVENTS_PER_BLOCK as f64;
    let newest = log.inventory.hot.last().map(|&index| file_name::hot(index));
    let newest = newest.map(|name| log.wal.status_of(&name)).transpose()?.flatten();
    let segment = newest.map_or(0, |status| status.size);
    let ratio = match metrics.compression_bytes_in {
        0 => 1.0,
        read => metrics.compression_bytes_out as f64 / read as f64,
    };
    let room = |limit: u64, now: u64| limit.saturating_sub(now).saturating_mul(segment);
    let hot = room(metrics.max_segments, metrics.hot_segments);
    let cold = room(metrics.max_compressed_segments, metrics.cold_segments) as f64 * ratio;
    if hot.saturating_add(cold as u64) <= free || rate < 0.01 {
        return Ok(None);
    }
    // Hot segments fill first; behind their limit what stays is compressed.
    let until_limit = hot as f64 / (rate * BYTES_PER_EVENT);
    let seconds = match hot >= free {
        true => free as f64 / (rate * BYTES_PER_EVENT),
        false => until_limit + (free - hot) as f64 / (rate * BYTES_PER_EVENT * ratio.max(1e-3)),
    };
    Ok(Some(seconds as u64))
}

/// Holds and snapshots.
fn add_kept(log: &Log, found: &mut Status) {
    let path = log.wal.path_of(file_name::HOLDS);
    let holds = match log.storage.open_directory(&path, Links::Refuse) {
        Ok(Some(holds)) => holds,
        Ok(None) => return,
        Err(error) => return found.notes.push(format!("holds: {error}")),
    };
    let names = holds.list().unwrap_or_default();
    let is_broken = |name: &&String| name.ends_with(file_name::BROKEN_SUFFIX);
    found.broken_holds = names.iter().filter(is_broken).count();
    match Keepers::new(log.wal.clone(), holds, u32::MAX).look() {
        Ok(seen) => {
            let is_hold =
                |keeper: &&flashstrike_wal::keep::Keeper| matches!(keeper.of, KeptFor::Hold(_));
            found.holds = seen.keepers.iter().filter(is_hold).count();
            found.held_from_event_id = seen.lowest().map(|lowest| lowest.event_id);
            found.problems.extend(seen.unreadable.iter().map(|error| error.to_string()));
        }
        Err(error) => found.notes.push(format!("holds: {error}")),
    }
}

/// What is wrong, and what is worth knowing.
fn judge(log: &Log, found: &mut Status) -> Outcome<()> {
    let (problems, notes) = (&mut found.problems, &mut found.notes);
    let active = found.active_dir.as_deref().unwrap_or("");
    match log.state {
        State::Live | State::ShutDown => {}
        State::Failed => {
            let errno = log.metrics.map_or(0, |metrics| metrics.failed_errno);
            let cause = std::io::Error::from_raw_os_error(errno as i32);
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
            "{active} cannot be read: {}",
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
    if let Some(metrics) = &log.metrics {
        let wrong = [
            (metrics.missing_segments, "segment was removed by somebody else"),
            (metrics.damaged_segments, "segment was found damaged: see `fswal verify`"),
        ];
        for (n, what) in wrong.into_iter().filter(|(n, _)| *n > 0) {
            problems.push(format!("{n}: {what}"));
        }
        if metrics.memory_locked == 0 && log.state == State::Live {
            notes.push("its memory is not locked: an append may wait for a swapped page".into());
        }
    }
    if found.broken_holds > 0 {
        notes.push(format!(
            "{} broken: see `fswal holds`",
            count(found.broken_holds as u64, "hold")
        ));
    }
    let is_aside = |name: &&String| name.ends_with(".corrupt") || name.contains(".corrupt.");
    found.kept_aside_files = log.wal.list()?.iter().filter(is_aside).count();
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
        let age = status
            .lag_ns
            .map_or_else(String::new, |ns| format!(", {}", span(Duration::from_nanos(ns))));
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
    if status.events_per_second.is_some() {
        let runway = status.runway_seconds.map(Duration::from_secs);
        field("runway", runway.map_or("the disk is enough for its limits".into(), span))?;
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
