//! A backup as a tar stream on standard output.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use flashstrike_wal::storage::{self, now_ns};
use tar::{EntryType, Header};

use crate::directory::Log;
use crate::failure::{Failure, Outcome};

use super::target::{for_each_piece, Target};

/// Tar pads every file to whole blocks, and ends with two of zeros.
const TAR_BLOCK: usize = 512;

pub struct Stream {
    to: File,
    /// Whose the files are where root extracts them: the log's owner.
    owner: (u32, u32),
}

impl Stream {
    /// Refuses a terminal.
    pub fn on_stdout(log: &Log) -> Outcome<Self> {
        let stdout = io::stdout();
        if stdout.is_terminal() {
            return Err(Failure::usage("standard output is a terminal")
                .next("fswal backup DIR --to-tar > backup.tar"));
        }
        let about = std::fs::metadata(&log.path)?;
        // By itself, for io::stdout looks for the ends of lines.
        let to = File::from(stdout.as_fd().try_clone_to_owned()?);
        Ok(Stream { to, owner: (about.uid(), about.gid()) })
    }

    /// Writes the end mark, and syncs it if it is a file.
    pub fn finish(mut self) -> Outcome<()> {
        self.put(&[0; 2 * TAR_BLOCK])?;
        if self.to.metadata()?.is_file() {
            self.to.sync_all().map_err(not_written)?;
        }
        Ok(())
    }

    fn begin_file(&mut self, name: &str, size: u64) -> Outcome<()> {
        let mut header = Header::new_gnu();
        header.set_path(name)?;
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o640);
        header.set_uid(self.owner.0.into());
        header.set_gid(self.owner.1.into());
        header.set_size(size);
        header.set_mtime(now_ns() / 1_000_000_000);
        header.set_cksum();
        self.put(header.as_bytes())
    }

    fn put_zeros(&mut self, mut bytes: u64) -> Outcome<()> {
        const ZEROS: [u8; 8192] = [0; 8192];
        while bytes > 0 {
            let some = bytes.min(ZEROS.len() as u64);
            self.put(&ZEROS[..some as usize])?;
            bytes -= some;
        }
        Ok(())
    }

    fn end_file(&mut self, size: u64) -> Outcome<()> {
        self.put_zeros(size.next_multiple_of(TAR_BLOCK as u64) - size)
    }

    fn put(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.to.write_all(bytes).map_err(not_written)
    }
}

impl Target for Stream {
    fn copy(
        &mut self,
        name: &str,
        from: &dyn storage::File,
        tell: &mut dyn FnMut(u64),
    ) -> Outcome<()> {
        let size = from.size()?;
        self.begin_file(name, size)?;
        for_each_piece(name, from, size, tell, |_, piece| self.put(piece))?;
        self.end_file(size)
    }

    fn write(&mut self, name: &str, parts: [&[u8]; 2], size: u64) -> Outcome<()> {
        self.begin_file(name, size)?;
        parts.iter().try_for_each(|part| self.put(part))?;
        let written: usize = parts.iter().map(|part| part.len()).sum();
        self.put_zeros(size - written as u64)?;
        self.end_file(size)
    }
}

/// A reader that goes before the end has no backup, so that is a failure.
fn not_written(error: io::Error) -> Failure {
    Failure::unreadable(format!("standard output: {error}"))
        .next("what was written is no backup: remove it, and run this again")
}
