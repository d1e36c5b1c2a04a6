//! Where output goes: to people, with colour only on a terminal, or to programs, as JSON.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use rustix::fs::{flock, FlockOperation};
use serde::Serialize;

use crate::failure::{Failure, Outcome};

/// Standard output.
pub struct Output {
    to: BufWriter<Stdout>,
    json: bool,
    colour: bool,
}

/// What a word says of the log, for those who see colour.
#[derive(Debug, Clone, Copy)]
pub enum Tone {
    Good,
    Bad,
    Doubtful,
}

impl Output {
    pub fn new(json: bool) -> Self {
        let stdout = io::stdout();
        let colour = stdout.is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Output { to: BufWriter::with_capacity(64 * 1024, stdout), json, colour }
    }

    /// Whether a program reads it.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Writes an object as a line of JSON.
    pub fn object(&mut self, object: &impl Serialize) -> Outcome<()> {
        serde_json::to_writer(&mut self.to, object).map_err(io::Error::from)?;
        Ok(self.to.write_all(b"\n")?)
    }

    /// Writes a line for people.
    pub fn line(&mut self, line: &str) -> Outcome<()> {
        Ok(writeln!(self.to, "{line}")?)
    }

    /// The text, coloured where it is seen.
    pub fn toned(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Doubtful => 33,
        };
        match self.colour {
            true => format!("\x1b[1;{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    /// Begins a screen anew, where there is one.
    pub fn clear(&mut self) -> Outcome<()> {
        if io::stdout().is_terminal() {
            self.to.write_all(b"\x1b[H\x1b[2J")?;
        }
        Ok(())
    }

    /// The stream itself, for many events.
    pub fn stream(&mut self) -> &mut impl Write {
        &mut self.to
    }

    pub fn flush(&mut self) -> Outcome<()> {
        Ok(self.to.flush()?)
    }
}

/// A file that is written, whose failures name it.
pub struct NamedFile {
    file: File,
    path: PathBuf,
}

impl NamedFile {
    /// Makes the file, or takes over one that nobody is writing.
    pub fn create(path: &Path) -> Outcome<Self> {
        let open = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = open.map_err(|error| named(path, &error))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Failure::usage(format!("{}: another run is writing it", path.display()))
                .next("wait for that, or name another file")
        })?;
        file.set_len(0).map_err(|error| named(path, &error))?;
        Ok(NamedFile { file, path: path.to_owned() })
    }
}

impl Write for NamedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| named(&self.path, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The failure, with what it concerns.
pub fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A bar for so many bytes.
pub fn byte_bar(total: u64) -> ProgressBar {
    let template = "{bar:40} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, \
                    {eta} left";
    progress_bar(total, template)
}

/// A bar on standard error, where that is a terminal.
pub fn progress_bar(total: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
