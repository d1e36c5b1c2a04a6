//! Opens a log, starts its workers, and shuts it down. Owns its parts; the append path goes
//! through [`Writer`] alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::config::Config;
use crate::directory::{
    check_filesystem, filesystem_name, filesystem_note, load_identity, remove_active,
    remove_leftovers, save_meta, Identity, Ownership, PlannedActive, Use,
};
use crate::error::{Cause, Error, Result};
use crate::format::{file_name, IdentityRecord};
use crate::keep::{prepare_holds, settle, Keepers};
use crate::log_sink::LogSink;
use crate::storage::{check_processor, replace_small};
use crate::storage::{Directory, Links, PosixStorage, Storage};
use crate::telemetry::CONTROL_SIZE;

use super::history::add_to_history;
use super::log::{create_control, Log, SharedControl};
use super::recovery::{self, check_refusal, survey, OpenSegment, Purpose, Recovered};
use super::report::RecoveryReport;
use super::segment::Segment;
use super::segment_writer::Writer;
use super::threads::{Decided, Placements};
use super::workers::{
    close, create_active as create_active_file, Crew, Held, Persister, SegmentMaintainer,
    SegmentPreparer, Threads,
};

/// A log open for writing, and its workers.
#[derive(Debug)]
pub struct Manager {
    log: Arc<Log>,
    identity: IdentityRecord,
    _ownership: Ownership,
    /// `None` when the workers are stepped by hand.
    threads: Option<Threads>,
}

impl Manager {
    /// Locks the directory, recovers, prepares segments, starts the workers.
    pub fn open(directory: &Path, config: Config) -> Result<(Manager, Writer)> {
        Self::open_with(Arc::new(PosixStorage::for_writing()), directory, config)
    }

    /// The same, on any storage.
    pub fn open_with(
        storage: Arc<dyn Storage>,
        directory: &Path,
        config: Config,
    ) -> Result<(Manager, Writer)> {
        let sink = config.log.clone().of(directory);
        sink.info("opening");
        let by_hand = Self::open_by_hand(storage, directory, config);
        let opened = by_hand.and_then(|(mut manager, writer, crew)| match crew.start() {
            Ok(threads) => {
                manager.threads = Some(threads);
                Ok((manager, writer))
            }
            Err(error) => Err(manager.give_up(writer, error)),
        });
        match &opened {
            Ok(_) => sink.info("open"),
            Err(error) => sink.error(&format!("not opened: {error}")),
        }
        opened
    }

    /// The same, but the workers get no threads: the caller steps them, and so decides what happens
    /// when. To be ended by [`Manager::shutdown_by_hand`].
    pub fn open_by_hand(
        storage: Arc<dyn Storage>,
        directory: &Path,
        config: Config,
    ) -> Result<(Manager, Writer, Crew)> {
        let begin = Instant::now();
        let config = Config { log: config.log.clone().of(directory), ..config };
        let (config, placements) = check_config(config)?;
        let wal = open_wal(&*storage, directory, config.allow_any_filesystem)?;
        let mut ownership = Ownership::take(&wal)?;
        let mut survey = survey(&*storage, &*wal, &config, Purpose::Open)?;
        survey.notes.extend(ownership.note().cloned());
        survey.notes.extend(filesystem_note(&*wal, Use::Wal)?);
        check_refusal(&survey, &*wal, config.accept_loss)?;
        let closed = recovery::closed_identity(&*storage, &*wal, &survey)?;
        let planned = PlannedActive::new(&*storage, &config, closed.id)?;
        // What opens left that were killed may have the room that this one needs. It may also have
        // events that are yet to be kept aside: then it waits for that.
        let beside = [planned.path.as_path(), survey.active_path()];
        let old = survey.origin.active.as_ref().map(|active| &*active.directory);
        if !survey.needs_later_memory() {
            remove_leftovers(&*storage, beside, &closed, old);
        }
        let has_run = closed.generation > 0 && !survey.needs_new_id();
        let least = has_run.then(|| survey.least_memory(&config) + CONTROL_SIZE as u64);
        let room_note = planned.check_room(config.memory_size(), least, old)?;
        survey.notes.extend(room_note);
        recovery::reserve(&mut survey, &*wal, &config)?;
        recovery::announce_cut(&*wal, &survey)?;
        let holds = prepare_holds(&*storage, &*wal)?;
        let end = (!survey.is_new()).then_some(survey.log.last_event_id);
        survey.notes.extend(settle(&*wal, &*holds, end, survey.is_copy())?);
        let mut recovered = recovery::apply(&mut survey, &*wal, &config)?;
        log_recovery(&config.log, &recovered, closed.generation.saturating_add(1));
        let identity = recovery::next_generation(&closed, &planned.path);
        recovery::close_log(&*storage, &*wal, survey, &closed, &identity)?;
        let active = planned.make(&*storage, &identity, wal.path())?;
        ownership.include(&active);
        if let Ok(Some(note)) = filesystem_note(&*active, Use::Active) {
            config.log.warn(&note);
            recovered.notes.push(note);
        }
        let (last, control) =
            enter(&*wal, &*active, &recovered, &identity, &config).inspect_err(|_| {
                // If the identity names it, or may name it, the next open needs it.
                let needed = match load_identity(&*wal) {
                    Ok(Identity::Known(now)) => now == identity,
                    unknown => unknown.is_err(),
                };
                if !needed {
                    let _ = remove_active(&*storage, &*active);
                }
            })?;
        let mut report = report_of(&recovered, &identity, &*wal, &*active)?;
        report.placement = placements.decided;
        debug_assert!(
            config.accept_loss || report.durable_event_id <= report.last_event_id,
            "recovery does not lose durable events silently"
        );
        log_placement(&config.log, placements.decided);
        let log = Arc::new(Log::new(config, report, control, storage, wal, active));
        let shared = Arc::clone(&log);
        let manager = Manager { log: shared, identity, _ownership: ownership, threads: None };
        let at = last.as_ref().map(|(segment, count)| (segment, *count));
        let writer = Writer::new(Arc::clone(&log), recovered.end.last_event_id, at);
        let held = Held::new(Keepers::new(Arc::clone(&log.wal), holds, log.config.max_snapshots));
        match manager.prepare(&recovered, last, placements, held) {
            Ok(crew) => {
                if let Err(error) = add_to_history(&*log.wal, &log.recovery_report()) {
                    log.config.log.warn(&format!("this open is not in the history: {error}"));
                }
                log.counts.beat();
                log.counters().meta.open.add(begin.elapsed());
                Ok((manager, writer, crew))
            }
            Err(error) => Err(manager.give_up(writer, error)),
        }
    }

    /// The log, as its threads share it.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Prepares the first segments and makes the workers.
    fn prepare(
        &self,
        recovered: &Recovered,
        last: Option<(Segment, u32)>,
        placements: Placements,
        held: Held,
    ) -> Result<Crew> {
        let log = &self.log;
        let mapped = usize::from(last.is_some());
        log.note_memory(log.control.mapping().is_locked());
        if let Some((segment, _)) = &last {
            log.note_memory(segment.active.mapping.is_locked());
        }
        let last_index = last.as_ref().map(|(segment, _)| segment.index);
        let inventory = &recovered.inventory;
        let maintainer = SegmentMaintainer::new(Arc::clone(log), inventory, last_index, held);
        let persister = Persister::new(Arc::clone(log), last)?;
        let mut preparer = SegmentPreparer::new(Arc::clone(log), recovered.next_index, mapped);
        match preparer.prepare_ahead() {
            // There is a segment to go on in; the worker tries again.
            Err(error)
                if error.cause() == Some(Cause::NoSpace)
                    && (!log.queues.prepared.is_empty() || recovered.next_index.is_none()) => {}
            result => result?,
        }
        Ok(Crew::new(log, placements, persister, preparer, maintainer))
    }

    /// Seals, makes durable, drains every ring, joins the workers, writes meta and identity, and
    /// releases the lock. A log that has failed returns its error, and is left for the next open.
    pub fn shutdown(mut self, writer: Writer) -> Result<()> {
        let threads = self.threads.take();
        let log = Arc::clone(&self.log);
        let ended = self.end(writer, || threads.map_or((), Threads::stop));
        log.notices.failure(log.poison());
        let (sink, last) = (&log.config.log, log.durable().last_event_id);
        match &ended {
            Ok(()) => sink.info(&format!("shut down: everything up to event {last} is durable")),
            Err(error) => sink.error(&format!("shut down: {error}")),
        }
        ended
    }

    /// The same, for a log whose workers are stepped by hand.
    pub fn shutdown_by_hand(self, writer: Writer, crew: Crew) -> Result<()> {
        self.end(writer, || crew.finish())
    }

    /// Ends a log whose workers could not be started, and returns why.
    fn give_up(self, writer: Writer, error: Error) -> Error {
        let _ = self.end(writer, || {});
        error
    }

    fn end(self, writer: Writer, finish_work: impl FnOnce()) -> Result<()> {
        let log = Arc::clone(&self.log);
        // Whoever waits for a clean end learns if none will come.
        let ended = self.try_end(writer, finish_work).inspect_err(|error| log.control.fail(error));
        log.durability.end();
        ended
    }

    fn try_end(mut self, writer: Writer, finish_work: impl FnOnce()) -> Result<()> {
        drop(writer);
        let log = Arc::clone(&self.log);
        log.durability.close();
        finish_work();
        log.poison().check_failed()?;
        // Something is left only if the workers were never started.
        while let Some(finished) = log.queues.to_close.pop() {
            close(&finished)?;
        }
        if log.appended() != log.durable() {
            return Err(Error::new(Cause::Internal, "defect: shut down with events not durable"));
        }
        self.remove_unused()?;
        save_meta(&*log.wal, log.durable())?;
        self.identity.clean = true;
        replace_small(&*log.wal, file_name::IDENTITY, self.identity.encode().as_bytes())?;
        log.control.close();
        // What is left costs only memory; the next open removes it.
        let _ = remove_active(&*log.storage, &*log.active);
        Ok(())
    }

    /// Removes the disk files that were prepared and never used.
    fn remove_unused(&self) -> Result<()> {
        let log = &self.log;
        let prepared = std::iter::from_fn(|| log.queues.prepared.pop());
        let entered = std::iter::from_fn(|| log.queues.to_persist.pop());
        for segment in prepared.chain(entered) {
            log.wal.remove(&file_name::hot(segment.index))?;
        }
        while let Some(spare) = log.queues.spare_files.pop() {
            log.wal.remove(&spare.name)?;
        }
        log.wal.sync()
    }
}

/// The options, checked, with an active parent that the next open finds from another working
/// directory too; and where the threads will run.
fn check_config(config: Config) -> Result<(Config, Placements)> {
    config.validate()?;
    check_processor()?;
    let placements = Placements::of(&config)?;
    let active_parent = std::path::absolute(&config.active_parent).map_err(|error| {
        let message = format!("active_dir {}: {error}", config.active_parent.display());
        Error::new(Cause::InvalidArgument, message)
    })?;
    Ok((Config { active_parent, ..config }, placements))
}

/// Opens the WAL directory, and makes it if only that one is missing.
fn open_wal(
    storage: &dyn Storage,
    path: &Path,
    allow_any_filesystem: bool,
) -> Result<Arc<dyn Directory>> {
    storage.ensure_directory(path)?;
    let wal = storage.open_directory(path, Links::Follow)?.ok_or_else(|| {
        let message = format!("{}: vanished as it was opened", path.display());
        Error::new(Cause::NotFound, message)
    })?;
    check_filesystem(&*wal, allow_any_filesystem)?;
    Ok(wal)
}

/// Fills the new active directory and makes it the log's. Only then the last segment, if the log
/// goes on in it, is open again.
fn enter(
    wal: &dyn Directory,
    active: &dyn Directory,
    recovered: &Recovered,
    identity: &IdentityRecord,
    config: &Config,
) -> Result<(Option<(Segment, u32)>, SharedControl)> {
    let load = |last| load_last(wal, active, last, config);
    let last = recovered.last.as_ref().map(load).transpose()?;
    let control = create_control(active, identity, config, recovered.end)?;
    replace_small(wal, file_name::IDENTITY, identity.encode().as_bytes())?;
    if let (Some(last), Some((segment, _))) = (&recovered.last, &last) {
        recovery::reopen(last, &*segment.disk)?;
    }
    Ok((last, control))
}

/// Maps the last segment and fills it with what is on disk.
fn load_last(
    wal: &dyn Directory,
    active: &dyn Directory,
    last: &OpenSegment,
    config: &Config,
) -> Result<(Segment, u32)> {
    const COPY_SIZE: usize = 1024 * 1024;
    debug_assert!(last.event_count <= last.layout.capacity());
    let disk = recovery::open_hot(wal, last.index)?;
    let fill = |mapping: &crate::storage::Mapping| {
        let mut buffer = vec![0; COPY_SIZE];
        for offset in (0..mapping.size()).step_by(COPY_SIZE) {
            let len = (mapping.size() - offset).min(COPY_SIZE);
            if disk.read_at(&mut buffer[..len], offset as u64)? < len {
                let path = wal.path_of(&file_name::hot(last.index));
                let message = format!("{}: shrank during recovery", path.display());
                return Err(Error::new(Cause::Io, message));
            }
            mapping.store(offset, &buffer[..len]);
        }
        mapping.store(0, &last.open_header().encode());
        Ok(())
    };
    let file = create_active_file(active, last.index, last.layout, config, fill)?;
    let segment = Segment {
        index: last.index,
        layout: last.layout,
        created_ts_ns: last.created_ts_ns,
        active: Arc::new(file),
        disk,
    };
    Ok((segment, last.event_count))
}

/// Writes to the log sink what recovery did and noticed.
fn log_recovery(sink: &LogSink, recovered: &Recovered, generation: u64) {
    recovered.notes.iter().for_each(|note| sink.warn(note));
    sink.info(&format!(
        "recovered as {}: generation {generation}, last event {}, known durable {}; {} events \
         carried over, {} accepted, {} kept aside",
        recovered.label,
        recovered.end.last_event_id,
        recovered.durable_event_id,
        recovered.carried_over,
        recovered.accepted,
        recovered.kept_aside,
    ));
}

/// Writes to the log sink where the threads run, if the library has decided on that.
fn log_placement(sink: &LogSink, decided: Decided) {
    match decided {
        Decided::Inherited | Decided::Configured => {}
        Decided::Beside(pinned) => sink.info(&format!(
            "the thread that opens is pinned to processor {pinned}: the library's threads run on \
             others"
        )),
        Decided::Shared(pinned) => sink.warn(&format!(
            "the thread that opens is pinned to processor {pinned}, and there is no other for the \
             library's threads: appends will wait for them"
        )),
    }
}

/// What the opening found and did. Whether memory is locked is not known yet.
fn report_of(
    recovered: &Recovered,
    identity: &IdentityRecord,
    wal: &dyn Directory,
    active: &dyn Directory,
) -> Result<RecoveryReport> {
    let wal_filesystem = wal.status()?.filesystem;
    let active_filesystem = active.status()?.filesystem;
    Ok(RecoveryReport {
        clean: recovered.clean,
        memory_locked: false,
        hot_segments: recovered.inventory.hot.len() as u32,
        cold_segments: recovered.inventory.cold.len() as u32,
        generation: identity.generation,
        last_event_id: recovered.end.last_event_id,
        durable_event_id: recovered.durable_event_id,
        events_carried_over: recovered.carried_over,
        events_accepted: recovered.accepted,
        events_kept_aside: recovered.kept_aside,
        wal_filesystem,
        active_filesystem,
        decision: recovered.label.clone(),
        notes: recovered.notes.join("; "),
        active_path: identity.active_path.clone(),
        placement: Decided::default(),
        wal_filesystem_name: filesystem_name(wal_filesystem),
        active_filesystem_name: filesystem_name(active_filesystem),
    })
}
