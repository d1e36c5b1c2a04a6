//! `generate`: man pages and shell completions, for who packages this. It is hidden: nobody who
//! operates a log wants it.

use std::fs::{create_dir_all, rename, write};
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::{generate_to, Shell};
use clap_mangen::Man;
use flashstrike_wal::storage::now_ns;

use crate::clock::utc_seconds;
use crate::failure::{Failure, Outcome, Verdict};

/// Man pages and completions, laid out as in /usr/share
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where to: made if it is not there
    out: PathBuf,
}

pub fn run(arguments: &Arguments, command: &Command) -> Outcome {
    let written = write_all(&arguments.out, &shown(command));
    written.map_err(|error| {
        let message = format!("{}: {error}", arguments.out.display());
        Failure::unreadable(message).next("name a directory that this user may write")
    })?;
    Ok(Verdict::Well)
}

fn write_all(out: &Path, command: &Command) -> io::Result<()> {
    let folder = |name: &str| {
        let path = out.join(name);
        create_dir_all(&path).map(|()| path)
    };
    let mut all = command.clone().disable_help_subcommand(true);
    all.build();
    write_pages(&folder("man/man1")?, all, &date())?;
    let complete = |shell, folder: &Path| generate_to(shell, &mut command.clone(), "fswal", folder);
    complete(Shell::Zsh, &folder("zsh/site-functions")?)?;
    complete(Shell::Fish, &folder("fish/vendor_completions.d")?)?;
    let made = complete(Shell::Bash, &folder("bash-completion/completions")?)?;
    // Found by the name of the program.
    rename(&made, made.with_extension(""))
}

/// A page for the command, and one for each below it.
fn write_pages(folder: &Path, command: Command, date: &str) -> io::Result<()> {
    for below in command.get_subcommands() {
        write_pages(folder, below.clone(), date)?;
    }
    let version = concat!("fswal ", env!("CARGO_PKG_VERSION"));
    let page = Man::new(command).date(date).source(version).manual("flashstrike-wal");
    let mut text = Vec::new();
    page.render(&mut text)?;
    // An empty line between two breaks is what a space is for, and mandoc says so.
    let text = String::from_utf8_lossy(&text).replace("\n.br\n\n.br\n", "\n.sp\n");
    write(folder.join(page.get_filename()), text)
}

/// The day of this build, or, where builds are to be repeated exactly, the one that is given.
fn date() -> String {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let seconds: u64 = given.unwrap_or(now_ns() / 1_000_000_000);
    utc_seconds(seconds.saturating_mul(1_000_000_000))[..10].to_owned()
}

/// The command without what `--help` does not show.
fn shown(command: &Command) -> Command {
    let subcommands = command.get_subcommands().filter(|one| !one.is_hide_set()).cloned();
    let about = command.get_about().cloned().unwrap_or_default();
    Command::new(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .after_help(command.get_after_help().cloned().unwrap_or_default())
        .args(command.get_arguments().cloned())
        .subcommands(subcommands)
}
