//! `fswal` operates flashstrike-wal logs from a shell. One file a command, in `commands`; the rooms
//! they share: `failure` (errors and exit codes), `output` (people or programs), `table`,
//! `clock` (times in words), `selection` (ranges and filters of events), `directory` (what state a
//! log is in), `new_log` (a log made of events from elsewhere), `events` (reading them), `columns`
//! (events as columns, for Arrow and for `parquet_file`).

mod clock;
mod columns;
mod commands;
mod directory;
mod events;
mod failure;
mod history;
mod hold_files;
mod new_log;
mod output;
mod parquet_file;
mod salvaged;
mod selection;
mod table;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use failure::Outcome;
use output::Output;

const AFTER_HELP: &str = "\
What is it?
  Is the log well, and who has it open?       status DIR
  The engine died: was anything lost?         status DIR, recover --dry-run DIR
  The engine's open is refused                recover --dry-run DIR
  Is a file damaged, and where?               verify DIR, then salvage DIR OUT
  The disk fills up                           status DIR, ls DIR, holds DIR
  /dev/shm fills up, a log was moved          orphans
  A copy; the events of an hour               backup DIR OUT, export DIR OUT

Exit codes: 0 all is well, 1 something is wrong with the log, 2 wrong usage or there is no log \
here, 3 something cannot be read or written (input or output, permission).

Begin with `fswal status DIR`. Only recover (without --dry-run), holds and snapshots set and \
remove, and orphans --remove and --discard-events change a log or take anything away; backup sets \
a hold while it runs. No command holds up a log that is being written, but for bench: it loads the \
disk and the processors.";

/// Operates flashstrike-wal logs: is it healthy, what is in it, can it be recovered
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP, max_term_width = 100)]
struct Arguments {
    /// One JSON object on standard output, or one a line where there are many
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(commands::status::Arguments),
    Ls(commands::ls::Arguments),
    Cat(commands::cat::Arguments),
    Verify(commands::verify::Arguments),
    Recover(commands::recover::Arguments),
    Holds(commands::holds::Arguments),
    Snapshots(commands::snapshots::Arguments),
    Orphans(commands::orphans::Arguments),
    Salvage(commands::salvage::Arguments),
    Report(commands::report::Arguments),
    Backup(commands::backup::Arguments),
    Export(commands::export::Arguments),
    Exporter(commands::exporter::Arguments),
    Bench(commands::bench::Arguments),
    #[command(hide = true)]
    Generate(commands::generate::Arguments),
}

fn run(command: &Command, output: &mut Output) -> Outcome {
    match command {
        Command::Status(arguments) => commands::status::run(arguments, output),
        Command::Ls(arguments) => commands::ls::run(arguments, output),
        Command::Cat(arguments) => commands::cat::run(arguments, output),
        Command::Verify(arguments) => commands::verify::run(arguments, output),
        Command::Recover(arguments) => commands::recover::run(arguments, output),
        Command::Holds(arguments) => commands::holds::run(arguments, output),
        Command::Snapshots(arguments) => commands::snapshots::run(arguments, output),
        Command::Orphans(arguments) => commands::orphans::run(arguments, output),
        Command::Salvage(arguments) => commands::salvage::run(arguments, output),
        Command::Report(arguments) => commands::report::run(arguments, output),
        Command::Backup(arguments) => commands::backup::run(arguments, output),
        Command::Export(arguments) => commands::export::run(arguments, output),
        Command::Exporter(arguments) => commands::exporter::run(arguments, output),
        Command::Bench(arguments) => commands::bench::run(arguments, output),
        Command::Generate(arguments) => commands::generate::run(arguments, &Arguments::command()),
    }
}

fn main() -> ExitCode {
    // clap ends with 2 on wrong usage, as this tool does.
    let arguments = Arguments::parse();
    let mut output = Output::new(arguments.json);
    let outcome = run(&arguments.command, &mut output);
    let flushed = output.flush().map(|()| failure::Verdict::Well);
    match outcome.and_then(|verdict| flushed.map(|_| verdict)) {
        Ok(verdict) => verdict.exit_code(),
        Err(failure) => failure.report(),
    }
}
