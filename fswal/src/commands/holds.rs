//! `holds`: what retention must leave, and for whom.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use flashstrike_wal::error::Cause;
use flashstrike_wal::keep::Hold;
use serde::Serialize;

use crate::clock::utc_seconds;
use crate::directory::{writable, Log};
use crate::failure::{Failure, Outcome, Verdict};
use crate::hold_files::hold_files;
use crate::output::Output;
use crate::table::{grouped, Table};

/// Who keeps old events from being deleted, and from which one on: list, set, remove
///
/// Nothing at or above the event of a hold is deleted. A hold that nobody moves fills the disk,
/// unless the engine's max_held_bytes breaks it: `holds remove` lets go what it keeps. Without a
/// command, lists them.
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
    /// All of them, broken ones too. Ends with 1 if one cannot be read, for that holds everything
    List {
        /// The WAL directory
        dir: PathBuf,
    },
    /// Make a hold, or move one that is there up; it never goes back
    Set {
        /// The WAL directory
        dir: PathBuf,
        /// 1 to 64 of A-Z, a-z, 0-9, _ and -
        name: String,
        /// The event to keep, and all after it; without, a new hold stands at the oldest there is
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
        event: Option<u64>,
    },
    /// Remove a hold that nobody has open; retention may then delete what it kept
    Remove {
        /// The WAL directory
        dir: PathBuf,
        /// Its name
        name: String,
    },
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    state: &'static str,
    event_id: Option<u64>,
    /// Ids between it and the last durable event.
    behind: Option<u64>,
    updated_ns: Option<u64>,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    match (&arguments.command, &arguments.dir) {
        (Some(Command::Set { dir, name, event }), _) => set(dir, name, *event, output),
        (Some(Command::Remove { dir, name }), _) => {
            Log::look(dir)?;
            Hold::remove(&writable(dir)?, name).map_err(|error| {
                let is_none = error.cause() == Some(Cause::NotFound);
                let failure = Failure::from(error);
                if is_none {
                    failure.next("`fswal holds DIR` lists them")
                } else {
                    failure
                }
            })?;
            told(output, name, "removed", None)
        }
        (Some(Command::List { dir }), _) | (None, Some(dir)) => list(dir, output),
        (None, None) => Err(Failure::usage("which log?").next("fswal holds DIR")),
    }
}

fn set(dir: &Path, name: &str, event: Option<u64>, output: &mut Output) -> Outcome {
    Log::look(dir)?;
    let mut hold = Hold::open(writable(dir)?, name, event.unwrap_or(0))?;
    if let Some(event) = event {
        let stood = hold.event_id()?;
        if stood > event {
            let message = format!("hold {name} stands at event {stood}: a hold never goes back");
            return Err(Failure::usage(message).next("remove it, and set it anew"));
        }
        hold.move_to(event)?;
    }
    let event_id = hold.event_id()?;
    told(output, name, "held", Some(event_id))
}

fn told(output: &mut Output, name: &str, state: &'static str, event_id: Option<u64>) -> Outcome {
    let name = name.to_owned();
    match (output.is_json(), event_id) {
        (true, _) => {
            output.object(&Row { name, state, event_id, behind: None, updated_ns: None })?;
        }
        (false, Some(id)) => output.line(&format!("{name}: holds events from {id} on"))?,
        (false, None) => output.line(&format!("{name}: {state}"))?,
    }
    Ok(Verdict::Well)
}

fn list(dir: &Path, output: &mut Output) -> Outcome {
    let log = Log::look(dir)?;
    let rows = rows(&log)?;
    let is_wrong = rows.iter().any(|row| row.event_id.is_none());
    show(&rows, output)?;
    Ok(if is_wrong { Verdict::Wrong } else { Verdict::Well })
}

fn rows(log: &Log) -> Outcome<Vec<Row>> {
    let durable = log.known_durable();
    let rows = hold_files(log)?.into_iter().map(|hold| Row {
        state: hold.state(),
        event_id: hold.event_id(),
        behind: hold.event_id().map(|id| (durable + 1).saturating_sub(id)),
        updated_ns: hold.record.map(|record| record.updated_ns),
        name: hold.name,
    });
    Ok(rows.collect())
}

fn show(rows: &[Row], output: &mut Output) -> Outcome<()> {
    if output.is_json() {
        return rows.iter().try_for_each(|row| output.object(row));
    }
    if rows.is_empty() {
        return output.line("no holds");
    }
    let mut table = Table::new(&["name", "state", ">from event", ">ids held", "updated"]);
    for row in rows {
        let number = |n: Option<u64>| n.map_or_else(|| "everything".to_owned(), grouped);
        table.row(vec![
            row.name.clone(),
            row.state.to_owned(),
            row.event_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            number(row.behind),
            row.updated_ns.map_or_else(|| "-".to_owned(), utc_seconds),
        ]);
    }
    table.write(output)
}
