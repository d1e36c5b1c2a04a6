//! A log that is made of events from elsewhere. It is written beside its name, shut down, checked,
//! and only then named: a run that was killed leaves nothing that looks like a log.

use std::fs::File;
use std::path::{Path, PathBuf};

use flashstrike_wal::config::{Config, Keep, DEFAULT_NUM_BLOCKS};
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::recorder::{Manager, Writer};
use flashstrike_wal::replay::verify;

use crate::failure::{Failure, Outcome};

/// A log that is being written.
pub struct NewLog {
    out: PathBuf,
    partial: PathBuf,
    log: Option<(Manager, Writer)>,
    events: u64,
}

impl NewLog {
    /// Begins one. Nothing may have its name.
    pub fn create(out: &Path) -> Outcome<Self> {
        let partial = reserve(out)?;
        let config = Config {
            num_blocks: DEFAULT_NUM_BLOCKS,
            max_segments: Keep::All,
            max_compressed_segments: Keep::All,
            prepared_segments: 1,
            no_compression: true,
            ..Config::default()
        };
        let log = Some(Manager::open(&partial, config)?);
        Ok(NewLog { out: out.to_owned(), partial, log, events: 0 })
    }

    /// Adds an event, whose id must rise.
    pub fn append(&mut self, event: &RequestEvent) -> Outcome<()> {
        if let Some((_, writer)) = &mut self.log {
            writer.append(event)?;
            self.events += 1;
        }
        Ok(())
    }

    /// Shuts it down, checks that it has just the events that were added, and names it.
    pub fn finish(mut self) -> Outcome<u64> {
        if let Some((manager, writer)) = self.log.take() {
            manager.shutdown(writer)?;
        }
        let report = verify(&self.partial)?;
        report.result()?;
        if report.events != self.events {
            let path = self.partial.display();
            let message = format!("{path}: has {} of {} events", report.events, self.events);
            return Err(Failure::wrong(message).next("look at the disk; write it elsewhere"));
        }
        name(&self.partial, &self.out)?;
        Ok(self.events)
    }
}

impl Drop for NewLog {
    /// What is not whole is not kept: its memory above all.
    fn drop(&mut self) {
        if let Some((manager, writer)) = self.log.take() {
            let _ = manager.shutdown(writer);
            let _ = std::fs::remove_dir_all(&self.partial);
        }
    }
}

/// The same path, where neither may be there.
fn reserve(out: &Path) -> Outcome<PathBuf> {
    let partial = partial_of(out)?;
    for (path, next) in [
        (out, "name a directory that does not exist yet"),
        (&partial, "a run that was killed has left it: remove it, and run this again"),
    ] {
        if path.symlink_metadata().is_ok() {
            let message = format!("{}: is there already", path.display());
            return Err(Failure::usage(message).next(next));
        }
    }
    Ok(partial)
}

/// The path beside `out` under which what is to become `out` is written.
pub fn partial_of(out: &Path) -> Outcome<PathBuf> {
    let Some(last) = out.file_name() else {
        let message = format!("{}: is not the name of a directory to make", out.display());
        return Err(Failure::usage(message).next("name a directory that does not exist yet"));
    };
    let mut name = last.to_owned();
    name.push(".partial");
    Ok(out.with_file_name(name))
}

/// Gives a directory that is whole and durable its name, durably.
pub fn name(partial: &Path, out: &Path) -> Outcome<()> {
    std::fs::rename(partial, out)?;
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok(File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?)
}
