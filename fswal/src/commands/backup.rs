//! `backup`: a copy of a log that always opens, and says up to which event.
//!
//! It is made beside its name, synced, checked, and only then named: a run that was killed leaves
//! an earlier backup as it was. A hold keeps what the run needs, and the next run takes it over.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flashstrike_wal::config::Config;
use flashstrike_wal::directory::{load_identity, load_meta, save_meta, Identity, Inventory};
use flashstrike_wal::error::Error;
use flashstrike_wal::format::{
    file_name, xxh64, IdentityRecord, Layout, MetaState, SegmentHeader, SnapshotHeader, MIN_BLOCKS,
    SEGMENT_HEADER_SIZE, SNAPSHOT_HEADER_SIZE,
};
use flashstrike_wal::keep::Hold;
use flashstrike_wal::recorder::foresee;
use flashstrike_wal::replay::{closed_header, verify, Reader, ReaderOptions};
use flashstrike_wal::storage::{self, Directory, Open, PosixStorage, Storage};
use indicatif::ProgressBar;
use rustix::fs::{renameat_with, RenameFlags, CWD};
use serde::Serialize;

use crate::directory::{open, writable, Log, State};
use crate::failure::{Failure, Outcome, Verdict};
use crate::new_log::{name, partial_of};
use crate::output::{progress_bar, Output};
use crate::segment_file::{copy, create, place_behind, SegmentWriter};
use crate::table::{bytes, count};

/// A copy that always opens, and says up to which event; run again, it adds what is new
///
/// Of a live log it has what was durable when it began, of a crashed one all that an open would
/// recover, what is in memory too. An earlier backup of the same log in OUT is gone on from; what
/// differs from it is copied anew. To restore, copy the backup to where the log was, and open it:
/// that gives it an id of its own.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The WAL directory
    dir: PathBuf,
    /// The directory of the backup: a new one, or that of an earlier backup of this log
    out: PathBuf,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    dir: String,
    out: String,
    up_to_event_id: u64,
    first_event_id: u64,
    events: u64,
    segments_kept: u64,
    segments_copied: u64,
    /// Of them, those that were written event by event.
    segments_written: u64,
    snapshots: u64,
    bytes_copied: u64,
    notes: Vec<String>,
}

/// A backup that an earlier run has made.
struct Earlier {
    directory: Arc<dyn Directory>,
    identity: IdentityRecord,
}

/// A backup that is being made.
struct Backup {
    log: Log,
    source: IdentityRecord,
    partial: PathBuf,
    /// The last event that it is to have.
    last: u64,
    /// Behind the last event that it has.
    end: MetaState,
    report: Report,
    bar: ProgressBar,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let (dir, out) = (&arguments.dir, &arguments.out);
    let log = Log::look(dir)?;
    let earlier = earlier(&log, out)?;
    let partial = partial_of(out)?;
    let hold_name = hold_name(out)?;
    let (hold, note) = hold(&log, &hold_name)?;
    let made = make(log, out, &partial, earlier);
    // Only a run that is killed leaves its hold: one that fails may not be run again for long.
    if let Some(hold) = hold {
        drop(hold);
        let removed = Hold::remove(&writable(dir)?, &hold_name);
        if made.is_ok() {
            removed?;
        }
    }
    let mut report = made?;
    report.notes.extend(note);
    show(&report, output)?;
    Ok(Verdict::Well)
}

/// Makes it, and puts it in its place.
fn make(log: Log, out: &Path, partial: &Path, earlier: Option<Earlier>) -> Outcome<Report> {
    clear(partial)?;
    let last = last_event(&log)?;
    std::fs::DirBuilder::new().mode(0o750).create(partial)?;
    let report = Report {
        dir: log.path.display().to_string(),
        out: out.display().to_string(),
        up_to_event_id: last,
        ..Report::default()
    };
    let source = log.identity.clone().unwrap_or_default();
    let (bar, end) = (progress(&log)?, MetaState::default());
    let partial = partial.to_owned();
    let mut backup = Backup { log, source, partial, last, end, report, bar };
    backup.make(out, earlier.as_ref())?;
    backup.bar.finish_and_clear();
    put_in_place(&backup.partial, out, earlier.is_some())?;
    Ok(backup.report)
}

/// The name of the hold of a backup to this place, the same in every run.
fn hold_name(out: &Path) -> Outcome<String> {
    let path = std::path::absolute(out)?;
    Ok(format!("backup-{:016x}", xxh64(path.as_os_str().as_encoded_bytes(), 0)))
}

/// Keeps retention from what is to be copied. Where nobody writes, a hold that cannot be made is
/// not needed.
fn hold(log: &Log, name: &str) -> Outcome<(Option<Hold>, Option<String>)> {
    match writable(&log.path).and_then(|wal| Ok(Hold::open(wal, name, 0)?)) {
        Ok(hold) => Ok((Some(hold), None)),
        Err(failure) if matches!(log.state, State::Live | State::Failed) => Err(failure),
        Err(failure) => {
            let why = failure.message();
            Ok((None, Some(format!("without a hold, as nobody writes to the log: {why}"))))
        }
    }
}

/// The earlier backup in OUT, if it is one of this log and was not opened since.
fn earlier(log: &Log, out: &Path) -> Outcome<Option<Earlier>> {
    if out.symlink_metadata().is_err() {
        return Ok(None);
    }
    let storage = PosixStorage::for_reading();
    let directory = open(&storage, out)?;
    let path = out.display();
    let refuse = |what: &str| {
        Err(Failure::usage(format!("{path}: {what}"))
            .next("name a directory that does not exist yet"))
    };
    let Identity::Known(record) = load_identity(&*directory)? else {
        return refuse("is there, and is no backup");
    };
    if (record.wal_dev, record.wal_ino) != (0, 0) {
        return refuse("is a log that was opened, and no backup any more");
    }
    let of = log.identity.as_ref().map(|identity| identity.id);
    if record.ancestors.first().map(|ancestor| ancestor.id) != of {
        return refuse("is a backup of another log");
    }
    Ok(Some(Earlier { directory, identity: record }))
}

/// The event that the backup is to end with.
fn last_event(log: &Log) -> Outcome<u64> {
    let last = match (log.state, &log.metrics) {
        (State::Live | State::Failed, Some(metrics)) => metrics.durable_event_id,
        (State::Live | State::Failed, None) => {
            let trouble = log.trouble.clone();
            return Err(
                trouble.map_or_else(|| Failure::wrong("its control file is gone"), Failure::from)
            );
        }
        _ => {
            let config = Config::default();
            let foreseen = foresee(&PosixStorage::for_reading(), &log.path, &config)?;
            if let Some(refusal) = foreseen.refusal {
                return Err(Failure::from(refusal).next(
                    "a backup always opens, and this log does not: see `fswal recover --dry-run`, \
                     or make a log of what can be read with `fswal salvage`",
                ));
            }
            foreseen.last_event_id
        }
    };
    match last {
        0 => {
            let message = format!("{}: no event is durable yet", log.path.display());
            Err(Failure::usage(message).next("run it again when there is something to keep"))
        }
        last => Ok(last),
    }
}

impl Backup {
    fn make(&mut self, out: &Path, earlier: Option<&Earlier>) -> Outcome<()> {
        if let Some(earlier) = earlier {
            self.keep_older(out, &*earlier.directory)?;
        }
        let mut index = None;
        for n in self.log.inventory.indexes() {
            index = Some(n);
            if !self.take(n, out, earlier.map(|earlier| &*earlier.directory))? {
                break;
            }
            index = n.checked_add(1);
        }
        self.write_rest(index)?;
        self.add_snapshots()?;
        self.add_records(earlier.map(|earlier| &earlier.identity))?;
        self.check()
    }

    /// Segments of an earlier backup that are gone from the log, if they end where it begins.
    fn keep_older(&mut self, out: &Path, earlier: &dyn Directory) -> Outcome<()> {
        let Some(oldest) = self.log.inventory.indexes().first().copied() else { return Ok(()) };
        let inventory = Inventory::of(earlier)?;
        let older: Vec<u32> = inventory.indexes().range(..oldest).copied().collect();
        let Some(&last) = older.last() else { return Ok(()) };
        if last + 1 != oldest {
            self.report.notes.push(format!(
                "segments {} to {last} of the earlier backup are left out: those between them and \
                 {oldest}, the log's oldest, are in neither",
                older[0]
            ));
            return Ok(());
        }
        for index in older {
            let is_cold = !inventory.hot.contains(&index);
            link(out, &self.partial, &file_name::of(index, is_cold))?;
            self.report.segments_kept += 1;
        }
        Ok(())
    }

    /// Copies a closed segment, or keeps that of the earlier backup. `false` when the log's rest
    /// begins with it.
    fn take(&mut self, index: u32, out: &Path, earlier: Option<&dyn Directory>) -> Outcome<bool> {
        /// The freezer and recycling may be at work on it.
        const LOOKS: usize = 1000;
        const PAUSE: Duration = Duration::from_millis(1);
        for _ in 0..LOOKS {
            let now = Inventory::of(&*self.log.wal)?;
            let (is_hot, is_cold) = (now.hot.contains(&index), now.cold.contains(&index));
            if !is_hot && !is_cold {
                break;
            }
            let name = file_name::of(index, !is_hot);
            let Some(file) = held(&*self.log.wal, &name)? else {
                std::thread::sleep(PAUSE);
                continue;
            };
            let header = match is_hot {
                true => hot_header(&*file, index)?,
                false => closed_header(&*self.log.wal, index, false)?,
            };
            let Some(header) = header else { return Ok(false) };
            if header.event_count == 0 || header.last_event_id > self.last {
                return Ok(false);
            }
            let kept = earlier.map(|it| same_segment(it, &header)).transpose()?.flatten();
            match kept {
                Some(name) => {
                    link(out, &self.partial, &name)?;
                    self.report.segments_kept += 1;
                }
                None => {
                    let bar = &self.bar;
                    copy(&*file, &self.partial.join(&name), &mut |n| bar.inc(n))?;
                    self.report.segments_copied += 1;
                    self.report.bytes_copied += file.size()?;
                }
            }
            file.unlock()?;
            self.end = place_behind(&header);
            return Ok(true);
        }
        let path = self.log.wal.path_of(&file_name::hot(index));
        Err(Failure::wrong(format!("{}: went while it was to be copied", path.display()))
            .next("somebody removes the log's files; find who, and run it again"))
    }

    /// Writes what follows the closed segments, up to the last event, through a reader: out of
    /// files that are not closed, or of memory.
    fn write_rest(&mut self, index: Option<u32>) -> Outcome<()> {
        if self.end.last_event_id >= self.last {
            return Ok(());
        }
        let index = index.ok_or_else(|| Failure::wrong("the log's newest segment is not there"))?;
        let name = file_name::hot(index);
        let size = self.log.wal.status_of(&name)?.map_or(0, |status| status.size);
        let layout = Layout { blocks: Layout::of_file(size).blocks.max(MIN_BLOCKS) };
        let mut reader = Reader::open(&self.log.path, ReaderOptions { verify: true })?;
        reader.seek(self.end.last_event_id + 1)?;
        reader.end_behind(self.last);
        let mut writer = SegmentWriter::new(&self.partial, index, layout, self.end);
        loop {
            match reader.next_batch() {
                Ok(events) => events.iter().try_for_each(|event| writer.add(event))?,
                Err(Error::End) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.end = writer.finish()?;
        self.report.segments_written += u64::from(self.end.last_segment_index - index) + 1;
        if self.end.last_event_id != self.last {
            let (end, last) = (self.end.last_event_id, self.last);
            let message = format!("events {} to {last} cannot be read", end + 1);
            return Err(Failure::wrong(message).next("`fswal verify DIR` names every damage"));
        }
        Ok(())
    }

    /// Snapshots of the log up to the last event.
    fn add_snapshots(&mut self) -> Outcome<()> {
        let snapshots = Inventory::of(&*self.log.wal)?.snapshots;
        for &event_id in snapshots.range(..=self.last) {
            let name = file_name::snapshot(event_id);
            // Expired since it was listed.
            let Some(file) = self.log.wal.open(&name, Open::Read)? else { continue };
            let mut head = [0; SNAPSHOT_HEADER_SIZE];
            file.read_at(&mut head, 0)?;
            let header = SnapshotHeader::decode(&head).filter(|header| header.event_id == event_id);
            if !header.is_some_and(|header| self.source.descends_from(header.log_id)) {
                self.report.notes.push(format!("{name} is damaged or another log's: left out"));
                continue;
            }
            copy(&*file, &self.partial.join(&name), &mut |_| {})?;
            self.report.snapshots += 1;
            self.report.bytes_copied += file.size()?;
        }
        Ok(())
    }

    /// `wal_meta.dat` and `wal_identity`: a log that was shut down, in no directory yet.
    fn add_records(&mut self, earlier: Option<&IdentityRecord>) -> Outcome<()> {
        let storage = PosixStorage::for_writing();
        let directory = open(&storage, &self.partial)?;
        save_meta(&*directory, self.end)?;
        let id = match earlier {
            Some(record) => record.id,
            None => storage.random()?,
        };
        let mut identity = IdentityRecord {
            wal_dev: 0,
            wal_ino: 0,
            clean: true,
            active_path: String::new(),
            wal_path: None,
            ..self.source.clone()
        };
        match identity.generation {
            // It has no identity of its own.
            0 => identity.id = id,
            _ => identity.rename(id),
        }
        let file = create(&self.partial.join(file_name::IDENTITY))?;
        std::io::Write::write_all(&mut &file, identity.encode().as_bytes())?;
        file.sync_all()?;
        Ok(std::fs::File::open(&self.partial)?.sync_all()?)
    }

    /// Every byte of it, and that it has what it says.
    fn check(&mut self) -> Outcome<()> {
        let found = verify(&self.partial)?;
        found.result().map_err(|error| {
            Failure::from(error).next(
                "if the file was kept from an earlier backup, make a new one; else verify the log",
            )
        })?;
        if found.last_event_id != self.last {
            let (last, wanted) = (found.last_event_id, self.last);
            return Err(Failure::wrong(format!("the copy ends at event {last}, not {wanted}"))
                .next("`fswal verify` the log"));
        }
        let meta = load_meta(&*open(&PosixStorage::for_reading(), &self.partial)?)?;
        debug_assert_eq!(meta.flatten().map(|meta| meta.last_event_id), Some(self.last));
        (self.report.events, self.report.first_event_id) = (found.events, found.first_event_id);
        Ok(())
    }
}

/// Opens a file of the log and keeps the recycler from it. `None` when it is about to be another's.
fn held(wal: &dyn Directory, name: &str) -> Outcome<Option<Arc<dyn storage::File>>> {
    let Some(file) = wal.open(name, Open::Read)? else { return Ok(None) };
    if !file.try_lock_shared()? {
        return Ok(None);
    }
    let now = wal.status_of(name)?.map(|status| status.inode);
    Ok((now == Some(file.inode()?)).then_some(file))
}

/// The header of a closed hot segment, out of the very file that is to be copied.
fn hot_header(file: &dyn storage::File, index: u32) -> Outcome<Option<SegmentHeader>> {
    let mut bytes = [0; SEGMENT_HEADER_SIZE];
    file.read_at(&mut bytes, 0)?;
    let header = SegmentHeader::decode(&bytes);
    Ok(header.filter(|header| header.is_closed() && header.segment_index == index))
}

/// The file of the earlier backup that is the same segment: by its header, in which the chained
/// checksum of its last block stands for all of its events.
fn same_segment(earlier: &dyn Directory, header: &SegmentHeader) -> Outcome<Option<String>> {
    let index = header.segment_index;
    let there = Inventory::of(earlier)?;
    let is_hot = there.hot.contains(&index);
    if !is_hot && !there.cold.contains(&index) {
        return Ok(None);
    }
    let key = |of: &SegmentHeader| {
        let ids = (of.first_event_id, of.last_event_id);
        (of.event_count, ids, of.last_chained_checksum)
    };
    let found = closed_header(earlier, index, is_hot)?;
    let is_same = found.is_some_and(|found| key(&found) == key(header));
    Ok(is_same.then(|| file_name::of(index, !is_hot)))
}

/// Takes a file of the earlier backup over: both have it until that one is removed.
fn link(out: &Path, partial: &Path, name: &str) -> Outcome<()> {
    Ok(std::fs::hard_link(out.join(name), partial.join(name))?)
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

/// Gives the backup its name, in one step. The earlier one goes then.
fn put_in_place(partial: &Path, out: &Path, is_there: bool) -> Outcome<()> {
    if !is_there {
        return name(partial, out);
    }
    renameat_with(CWD, partial, CWD, out, RenameFlags::EXCHANGE).map_err(std::io::Error::from)?;
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    clear(partial)
}

/// A bar on standard error, where that is a terminal.
fn progress(log: &Log) -> Outcome<ProgressBar> {
    let names = log
        .inventory
        .indexes()
        .into_iter()
        .map(|index| file_name::of(index, !log.inventory.hot.contains(&index)));
    let mut total = 0;
    for name in names {
        total += log.wal.status_of(&name)?.map_or(0, |status| status.size);
    }
    let template = "{bar:40} {decimal_bytes} of {decimal_total_bytes}, {eta} left";
    Ok(progress_bar(total, template))
}

fn show(report: &Report, output: &mut Output) -> Outcome<()> {
    if output.is_json() {
        return output.object(report);
    }
    output.line(&format!(
        "{}: a backup of {}, up to event {}, checked",
        report.out, report.dir, report.up_to_event_id
    ))?;
    output.line(&format!(
        "  {} from id {} on",
        count(report.events, "event"),
        report.first_event_id
    ))?;
    output.line(&format!(
        "  {} copied ({}), {} written, {} kept; {}",
        count(report.segments_copied, "segment"),
        bytes(report.bytes_copied),
        report.segments_written,
        report.segments_kept,
        count(report.snapshots, "snapshot")
    ))?;
    report.notes.iter().try_for_each(|note| output.line(&format!("  note: {note}")))
}
