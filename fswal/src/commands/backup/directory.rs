//! A backup in a directory, which has another name until it is whole.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flashstrike_wal::format::{file_name, SegmentHeader};
use flashstrike_wal::storage;
use rustix::fs::{renameat_with, RenameFlags, CWD};

use crate::failure::{Failure, Outcome};
use crate::new_log::{name, partial_of};

use super::earlier::Earlier;
use super::report::Report;
use super::syncs::Syncs;
use super::target::{for_each_piece, Target};

pub struct NewDirectory {
    out: PathBuf,
    partial: PathBuf,
    earlier: Option<Earlier>,
    syncs: Syncs,
}

impl NewDirectory {
    /// Begins one beside its name, without what a run that was killed has left there.
    pub fn create(out: &Path, earlier: Option<Earlier>) -> Outcome<Self> {
        let partial = partial_of(out)?;
        clear(&partial)?;
        DirBuilder::new().mode(0o750).create(&partial)?;
        Ok(NewDirectory { out: out.to_owned(), partial, earlier, syncs: Syncs::start() })
    }

    /// Where it is until it is named.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Waits until its files and their names are durable, and gives it its name, in one step. The
    /// earlier backup goes then.
    pub fn name(self) -> Outcome<()> {
        self.syncs.finish()?;
        let (partial, out) = (&self.partial, &self.out);
        File::open(partial)?.sync_all()?;
        if self.earlier.is_none() {
            return name(partial, out);
        }
        let exchanged = renameat_with(CWD, partial, CWD, out, RenameFlags::EXCHANGE);
        exchanged.map_err(io::Error::from)?;
        let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        clear(partial)
    }

    /// Makes a file, readable as the library's own are.
    fn create_file(&self, name: &str) -> Outcome<File> {
        let path = self.partial.join(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&path);
        Ok(made.map_err(|error| failed(&path, &error))?)
    }
}

impl Target for NewDirectory {
    /// What is zeros becomes a hole.
    fn copy(
        &mut self,
        name: &str,
        from: &dyn storage::File,
        tell: &mut dyn FnMut(u64),
    ) -> Outcome<()> {
        let (file, size) = (self.create_file(name)?, from.size()?);
        let failed = |error| failed(&self.partial.join(name), &error);
        file.set_len(size).map_err(failed)?;
        for_each_piece(name, from, size, tell, |offset, piece| {
            if piece.iter().any(|byte| *byte != 0) {
                file.write_all_at(piece, offset).map_err(failed)?;
            }
            Ok(())
        })?;
        self.syncs.add(self.partial.join(name), file);
        Ok(())
    }

    fn write(&mut self, name: &str, parts: [&[u8]; 2], size: u64) -> Outcome<()> {
        let mut file = self.create_file(name)?;
        let written = file.set_len(size);
        let written = written.and_then(|()| parts.iter().try_for_each(|part| file.write_all(part)));
        written.map_err(|error| failed(&self.partial.join(name), &error))?;
        self.syncs.add(self.partial.join(name), file);
        Ok(())
    }

    fn keep_older(&mut self, oldest: u32, report: &mut Report) -> Outcome<()> {
        let Some(earlier) = &self.earlier else { return Ok(()) };
        for (name, header) in earlier.older_than(oldest)? {
            earlier.link(&name, &self.partial)?;
            report.segments_kept += 1;
            report.add(header.event_count, header.first_event_id);
        }
        Ok(())
    }

    fn keep(&mut self, header: &SegmentHeader) -> Outcome<bool> {
        let Some(earlier) = &self.earlier else { return Ok(false) };
        let Some(name) = earlier.same_segment(header)? else { return Ok(false) };
        earlier.link(&name, &self.partial)?;
        Ok(true)
    }

    fn id(&self) -> Option<u128> {
        self.earlier.as_ref().map(|earlier| earlier.id)
    }
}

/// The error, with the file it is about.
fn failed(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Removes what a run that was killed has left, and nothing else.
fn clear(partial: &Path) -> Outcome<()> {
    if partial.symlink_metadata().is_err() {
        return Ok(());
    }
    let ours = [file_name::IDENTITY, file_name::META];
    for entry in std::fs::read_dir(partial)? {
        let name = entry?.file_name();
        let is_ours = name
            .to_str()
            .is_some_and(|name| ours.contains(&name) || file_name::parse(name).is_some());
        if !is_ours {
            let path = partial.join(&name);
            let message = format!("{}: is in the way, and no part of a backup", path.display());
            return Err(Failure::usage(message).next("move it elsewhere, and run this again"));
        }
    }
    Ok(std::fs::remove_dir_all(partial)?)
}
