//! `snapshots`: states of an engine in its log's directory.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Subcommand;
use flashstrike_wal::error::Error;
use flashstrike_wal::format::{file_name, SnapshotHeader, SNAPSHOT_HEADER_SIZE};
use flashstrike_wal::keep::{Keepers, SnapshotReader, SnapshotWriter, WalDirectory};
use flashstrike_wal::storage::{read_small, Links, Storage};
use serde::Serialize;

use crate::clock::utc_seconds;
use crate::directory::{writable, Log};
use crate::failure::{Failure, Outcome, Verdict};
use crate::output::Output;
use crate::table::{bytes, Table};

/// States of the engine, from which it recovers without replaying the log from its beginning: list,
/// set, remove
///
/// Without a command, lists them.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The WAL directory
    #[arg(required = true)]
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All of them. Ends with 1 if one is not good
    List {
        /// The WAL directory
        dir: PathBuf,
        /// Read each to its end, and look whether the events that follow it are there
        #[arg(long)]
        check: bool,
    },
    /// Store a state, read from a file or from standard input, as that after an event
    Set {
        /// The WAL directory
        dir: PathBuf,
        /// The event that the state is of
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
        event: u64,
        /// The state; - is standard input
        #[arg(default_value = "-")]
        state: PathBuf,
        /// How many seconds to wait for the event to be durable
        #[arg(long, value_name = "SECONDS", default_value_t = 10)]
        wait: u64,
    },
    /// Remove the snapshot of an event; retention may then delete the events it kept
    Remove {
        /// The WAL directory
        dir: PathBuf,
        /// Its event
        event: u64,
    },
}

#[derive(Debug, Serialize)]
struct Row {
    event_id: u64,
    state: &'static str,
    created_ns: Option<u64>,
    /// Bytes of the state.
    size: Option<u64>,
    /// Bytes of the file.
    bytes: Option<u64>,
    why: Option<String>,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    match (&arguments.command, &arguments.dir) {
        (Some(Command::Set { dir, event, state, wait }), _) => {
            set(dir, *event, state, Duration::from_secs(*wait), output)
        }
        (Some(Command::Remove { dir, event }), _) => remove(dir, *event, output),
        (Some(Command::List { dir, check }), _) => list(dir, *check, output),
        (None, Some(dir)) => list(dir, false, output),
        (None, None) => Err(Failure::usage("which log?").next("fswal snapshots DIR")),
    }
}

fn list(dir: &Path, check: bool, output: &mut Output) -> Outcome {
    let log = Log::look(dir)?;
    let mut rows = Vec::new();
    for &event_id in &log.inventory.snapshots {
        rows.extend(look(&log, event_id, check)?);
    }
    let is_wrong = rows.iter().any(|row| row.state == "not good");
    if output.is_json() {
        rows.iter().try_for_each(|row| output.object(row))?;
    } else if rows.is_empty() {
        output.line("no snapshots")?;
    } else {
        show(&rows, output)?;
    }
    Ok(if is_wrong { Verdict::Wrong } else { Verdict::Well })
}

/// `None` when it has expired since it was listed.
fn look(log: &Log, event_id: u64, check: bool) -> Outcome<Option<Row>> {
    let name = file_name::snapshot(event_id);
    let Some(status) = log.wal.status_of(&name)? else { return Ok(None) };
    let head = read_small(&*log.wal, &name, SNAPSHOT_HEADER_SIZE)?.unwrap_or_default();
    let header = head.first_chunk().and_then(SnapshotHeader::decode);
    let why = match header {
        None => Some("its header is damaged".to_owned()),
        Some(header) if header.event_id != event_id => {
            Some(format!("its header is that of event {}", header.event_id))
        }
        Some(_) if check => why_not_good(&writable(&log.path)?, event_id),
        Some(_) => None,
    };
    Ok(Some(Row {
        event_id,
        state: match (&why, check) {
            (Some(_), _) => "not good",
            (None, true) => "good",
            (None, false) => "not checked",
        },
        created_ns: header.map(|header| header.created_ns),
        size: header.map(|header| header.size),
        bytes: Some(status.size),
        why,
    }))
}

fn why_not_good(directory: &WalDirectory, event_id: u64) -> Option<String> {
    match SnapshotReader::open(directory, event_id) {
        Ok((reader, _)) if reader.info().event_id == event_id => None,
        Ok((_, passed_over)) => passed_over.map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

fn show(rows: &[Row], output: &mut Output) -> Outcome<()> {
    let mut table = Table::new(&[">after event", "state", "made", ">state size", ">file"]);
    for row in rows {
        table.row(vec![
            row.event_id.to_string(),
            row.state.to_owned(),
            row.created_ns.map_or_else(|| "-".to_owned(), utc_seconds),
            row.size.map_or_else(|| "-".to_owned(), bytes),
            row.bytes.map_or_else(|| "-".to_owned(), bytes),
        ]);
    }
    table.write(output)?;
    for row in rows {
        if let Some(why) = &row.why {
            output.line(&format!("  {}: {why}", row.event_id))?;
        }
    }
    Ok(())
}

fn set(dir: &Path, event: u64, state: &Path, patience: Duration, output: &mut Output) -> Outcome {
    const PAUSE: Duration = Duration::from_millis(20);
    const PIECE: usize = 64 * 1024;
    Log::look(dir)?;
    let mut from: Box<dyn Read> = match state.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => Box::new(File::open(state).map_err(|error| {
            Failure::usage(format!("{}: {error}", state.display())).next("name a file to read")
        })?),
    };
    let mut snapshot = SnapshotWriter::create(writable(dir)?, event)?;
    let mut piece = vec![0; PIECE];
    let mut size = 0;
    loop {
        let n = from.read(&mut piece)?;
        if n == 0 {
            break;
        }
        snapshot.write(&piece[..n])?;
        size += n as u64;
    }
    let begin = Instant::now();
    loop {
        match snapshot.commit() {
            Ok(()) => break,
            Err(Error::WouldBlock) if begin.elapsed() < patience => std::thread::sleep(PAUSE),
            Err(Error::WouldBlock) => {
                let message =
                    format!("event {event} is not durable, and a snapshot never is first");
                return Err(Failure::wrong(message).next("`fswal status` says what is durable"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let told = format!("snapshot after event {event}: {} stored", bytes(size));
    tell(output, event, "stored", told)
}

/// Under the lock that retention takes, as who publishes one does.
fn remove(dir: &Path, event: u64, output: &mut Output) -> Outcome {
    let log = Log::look(dir)?;
    if !log.inventory.snapshots.contains(&event) {
        let message = format!("{}: there is no snapshot after event {event}", dir.display());
        return Err(Failure::usage(message).next("`fswal snapshots DIR` lists them"));
    }
    let path = log.wal.path_of(file_name::HOLDS);
    let holds = log.storage.open_directory(&path, Links::Refuse)?.ok_or_else(|| {
        Failure::wrong(format!("{}: is missing", path.display()))
            .next("open the log for writing, which makes it")
    })?;
    let keepers = Keepers::new(log.wal.clone(), holds, u32::MAX);
    let lock = keepers.lock()?;
    keepers.remove_snapshot(event)?;
    drop(lock);
    tell(output, event, "removed", format!("snapshot after event {event}: removed"))
}

fn tell(output: &mut Output, event_id: u64, state: &'static str, told: String) -> Outcome {
    match output.is_json() {
        true => {
            let (created_ns, size, bytes, why) = (None, None, None, None);
            output.object(&Row { event_id, state, created_ns, size, bytes, why })?;
        }
        false => output.line(&told)?,
    }
    Ok(Verdict::Well)
}
