//! `orphans`: active directories whose log is not found. They may hold events that exist nowhere
//! else, and an unmounted volume looks as if its log were gone: nothing that holds events is
//! removed unasked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flashstrike_wal::config::DEFAULT_ACTIVE_PARENT;
use flashstrike_wal::directory::{
    load_identity, own_active, remove_active, ControlView, Identity, Inventory, LogState,
};
use flashstrike_wal::error::Cause;
use flashstrike_wal::format::{file_name, IdentityRecord, Layout, RequestEvent, Rule, SegmentScan};
use flashstrike_wal::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENT_SIZE};
use flashstrike_wal::storage::{Directory, File, Links, Open, PosixStorage, Storage};
use serde::Serialize;

use crate::failure::{Failure, Outcome, Verdict};
use crate::new_log::NewLog;
use crate::output::Output;
use crate::table::{bytes, count};

const NAME_BEGIN: &str = "flashstrike-wal-";
const HEARTBEATS: Duration = Duration::from_millis(100);

/// Active directories in memory whose log is not found where they say it is
///
/// That path may be on a volume that is not mounted: an orphan is not called gone. --remove takes
/// only those that were shut down cleanly, whose events are all in their log. One that holds events
/// is removed only if it is named with --discard-events, or saved first with --save. One that a
/// process has open is never touched, nor is one that its log still needs.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where active directories are made; may be given again
    #[arg(long = "in", value_name = "DIR", default_value = DEFAULT_ACTIVE_PARENT)]
    parents: Vec<PathBuf>,
    /// Show those that are no orphans, too
    #[arg(long)]
    all: bool,
    /// Remove the orphans whose log was shut down cleanly
    #[arg(long)]
    remove: bool,
    /// Remove this one, with the events that it holds: the name of its directory, whole
    #[arg(long, value_name = "ID", conflicts_with_all = ["save", "remove"])]
    discard_events: Option<String>,
    /// Save the events of the one named by --id as a log of their own, in a new directory
    #[arg(long, value_name = "OUT", requires = "id")]
    save: Option<PathBuf>,
    /// The one that --save is for: the name of its directory, whole. With --remove it is removed
    /// when its events are saved
    #[arg(long, value_name = "ID", requires = "save")]
    id: Option<String>,
}

/// What an active directory is to its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// A process has it open.
    Open,
    /// Its log is where it says, and its next open needs it.
    Needed,
    /// Its log is where it says, was opened or shut down since, and removes it at its next open.
    Leftover,
    /// Its log is not found there.
    Orphan,
    /// It cannot be read, or does not say whose it is.
    Unknown,
}

#[derive(Debug, Serialize)]
struct Found {
    id: String,
    path: String,
    kind: Kind,
    /// The log was shut down, and all its events are in it.
    clean: bool,
    log_path: Option<String>,
    log_id: Option<String>,
    generation: Option<u64>,
    events: u64,
    /// Those behind what is known to be durable: they exist nowhere else.
    only_here: u64,
    bytes: u64,
    removed: bool,
    saved_to: Option<String>,
    why: Option<String>,
    #[serde(skip)]
    directory: Option<Arc<dyn Directory>>,
}

pub fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let storage = PosixStorage::for_writing();
    let mut found = Vec::new();
    for parent in &arguments.parents {
        found.extend(all_in(&storage, parent)?);
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    if let Some(name) = &arguments.discard_events {
        let one = named(&mut found, name)?;
        remove(&storage, one, true)?;
    } else if let (Some(out), Some(name)) = (&arguments.save, &arguments.id) {
        let one = named(&mut found, name)?;
        save(one, out)?;
        one.saved_to = Some(out.display().to_string());
        if arguments.remove {
            remove(&storage, one, true)?;
        }
    } else if arguments.remove {
        let clean = found.iter_mut().filter(|one| one.kind == Kind::Orphan && one.clean);
        for one in clean {
            remove(&storage, one, false)?;
        }
    }
    show(arguments, &found, output)?;
    Ok(Verdict::Well)
}

/// The one whose directory has this name, which is to be acted upon.
fn named<'a>(found: &'a mut [Found], name: &str) -> Outcome<&'a mut Found> {
    let Some(one) = found.iter_mut().find(|one| one.id == name) else {
        let message = format!("there is no active directory {name}");
        return Err(Failure::usage(message).next("`fswal orphans` lists them, with their names"));
    };
    let what = match one.kind {
        Kind::Orphan => return Ok(one),
        Kind::Open => "a process has it open",
        Kind::Needed => "its log is there and needs it: open that, or see `fswal recover`",
        Kind::Leftover => "its log is there, and removes it when it is opened",
        Kind::Unknown => "it does not say whose it is",
    };
    Err(Failure::usage(format!("{}: is no orphan: {what}", one.path))
        .next("look at `fswal orphans --all`"))
}

fn all_in(storage: &PosixStorage, parent: &Path) -> Outcome<Vec<Found>> {
    let Some(above) = storage.open_directory(parent, Links::Follow)? else {
        let message = format!("{}: there is no such directory", parent.display());
        return Err(Failure::usage(message).next("name the engine's active_dir with --in"));
    };
    let names = above.list()?.into_iter().filter(|name| name.starts_with(NAME_BEGIN));
    Ok(names.filter_map(|name| look(storage, parent, name)).collect())
}

/// `None` when it went meanwhile.
fn look(storage: &PosixStorage, parent: &Path, name: String) -> Option<Found> {
    let path = parent.join(&name);
    let mut found = Found {
        id: name,
        path: path.display().to_string(),
        kind: Kind::Unknown,
        clean: false,
        log_path: None,
        log_id: None,
        generation: None,
        events: 0,
        only_here: 0,
        bytes: 0,
        removed: false,
        saved_to: None,
        why: None,
        directory: None,
    };
    match storage.open_directory(&path, Links::Refuse) {
        Ok(None) => return None,
        Ok(Some(directory)) => {
            if let Err(failure) = describe(storage, &*directory, &mut found) {
                (found.kind, found.why) = (Kind::Unknown, Some(failure.message().to_owned()));
            }
            found.directory = Some(directory);
        }
        Err(error) => found.why = Some(error.to_string()),
    }
    Some(found)
}

fn describe(storage: &PosixStorage, active: &dyn Directory, found: &mut Found) -> Outcome<()> {
    let Identity::Known(identity) = load_identity(active)? else {
        found.why = Some("its identity is missing or damaged".into());
        return Ok(());
    };
    found.log_path = identity.wal_path.clone();
    found.log_id = Some(format!("{:032x}", identity.id));
    found.generation = Some(identity.generation);
    let control = ControlView::open(active)?;
    found.clean = control.as_ref().is_some_and(|control| control.state() == LogState::Closed);
    let durable = control.as_ref().map_or(0, |control| control.durable().last_event_id);
    let mut floor = 0;
    for (_, file) in files(active)? {
        found.bytes += file.size()?;
        for_each_event(&*file, &mut floor, &mut |event| {
            found.events += 1;
            found.only_here += u64::from(event.event_id > durable);
            Ok(())
        })?;
    }
    found.kind = kind_of(storage, active, &identity, control.as_ref())?;
    Ok(())
}

fn kind_of(
    storage: &PosixStorage,
    active: &dyn Directory,
    identity: &IdentityRecord,
    control: Option<&ControlView>,
) -> Outcome<Kind> {
    // In another sandbox a log may be open whose lock cannot be seen from here: it moves.
    let moves = control
        .is_some_and(|control| control.state() == LogState::Open && control.is_alive(HEARTBEATS));
    match own_active(active) {
        _ if moves => return Ok(Kind::Open),
        Ok(()) => active.unlock(),
        Err(error) if error.cause() == Some(Cause::Locked) => return Ok(Kind::Open),
        Err(error) => return Err(error.into()),
    }
    let path = identity.wal_path.as_deref().unwrap_or_default();
    let Some(wal) = storage.open_directory(Path::new(path), Links::Follow)? else {
        return Ok(Kind::Orphan);
    };
    // A mount point without its volume is an empty directory.
    let Identity::Known(log) = load_identity(&*wal)? else { return Ok(Kind::Orphan) };
    if log.id != identity.id {
        return Ok(Kind::Orphan);
    }
    let is_past = log.generation > identity.generation
        || (log.generation == identity.generation && log.clean);
    Ok(if is_past { Kind::Leftover } else { Kind::Needed })
}

/// The segments of an active directory, in order.
fn files(active: &dyn Directory) -> Outcome<Vec<(u32, Arc<dyn File>)>> {
    let mut files = Vec::new();
    for index in Inventory::of(active)?.hot {
        if let Some(file) = active.open(&file_name::hot(index), Open::Read)? {
            files.push((index, file));
        }
    }
    Ok(files)
}

/// Gives the events of a segment in memory: those whose ids rise above `floor`.
fn for_each_event(
    file: &dyn File,
    floor: &mut u64,
    each: &mut dyn FnMut(&RequestEvent) -> Outcome<()>,
) -> Outcome<()> {
    let mut scan = SegmentScan::new(Rule::Memory, *floor);
    let mut block = vec![0; BLOCK_SIZE];
    for n in 0..Layout::of_file(file.size()?).blocks {
        let is_whole = file.read_at(&mut block, Layout::block_offset(n))? == BLOCK_SIZE;
        let accepted = if is_whole { scan.block(&block) } else { 0 };
        let slots = block[BLOCK_HEADER_SIZE..].chunks_exact(EVENT_SIZE).take(accepted);
        for slot in slots.filter_map(|slot| slot.first_chunk()) {
            each(&RequestEvent::decode(slot))?;
        }
        if accepted == 0 {
            break;
        }
    }
    *floor = scan.end().last_event_id;
    Ok(())
}

/// Writes the events to a log of their own, which is checked to have them all.
fn save(one: &Found, out: &Path) -> Outcome<()> {
    let Some(active) = &one.directory else { return Ok(()) };
    own(&**active, one)?;
    let mut new = NewLog::create(out)?;
    let mut floor = 0;
    for (_, file) in files(&**active)? {
        for_each_event(&*file, &mut floor, &mut |event| new.append(event))?;
    }
    let saved = new.finish()?;
    active.unlock();
    if saved != one.events {
        let message = format!("{}: {saved} events, of {}", out.display(), one.events);
        return Err(Failure::wrong(message).next("nothing was removed; look at both"));
    }
    Ok(())
}

/// Locks it, or says who has it.
fn own(active: &dyn Directory, one: &Found) -> Outcome<()> {
    own_active(active).map_err(|error| match error.cause() {
        Some(Cause::Locked) => Failure::usage(format!("{}: a process has it open", one.path))
            .next("leave it alone: that is a log at work"),
        _ => error.into(),
    })
}

/// Removes one, with its lock held, if it is still what it was found to be.
fn remove(storage: &PosixStorage, one: &mut Found, with_events: bool) -> Outcome<()> {
    let Some(active) = one.directory.clone() else { return Ok(()) };
    own(&*active, one)?;
    let control = ControlView::open(&*active)?;
    let is_clean = control.is_some_and(|control| control.state() == LogState::Closed);
    if !with_events && !is_clean {
        active.unlock();
        return Ok(());
    }
    remove_active(storage, &*active)?;
    one.removed = true;
    Ok(())
}

fn show(arguments: &Arguments, found: &[Found], output: &mut Output) -> Outcome<()> {
    let is_shown = |one: &&Found| {
        arguments.all || one.removed || matches!(one.kind, Kind::Orphan | Kind::Unknown)
    };
    let shown: Vec<&Found> = found.iter().filter(is_shown).collect();
    if output.is_json() {
        return shown.into_iter().try_for_each(|one| output.object(one));
    }
    if shown.is_empty() {
        return output.line("no orphans");
    }
    for one in shown {
        let (size, events) = (bytes(one.bytes), count(one.events, "event"));
        let log = one.log_path.as_deref().unwrap_or("a path that it does not say");
        output.line(&one.id)?;
        let what = match one.kind {
            _ if one.removed => "removed".to_owned(),
            Kind::Open => "open in a process".to_owned(),
            Kind::Needed => format!("needed: the log in {log} was not shut down"),
            Kind::Leftover => format!("left over: the log in {log} removes it when it is opened"),
            Kind::Orphan => {
                format!("orphan: its log is not found at {log} (is the volume mounted?)")
            }
            Kind::Unknown => "not known whose it is".to_owned(),
        };
        output.line(&format!("  {what}"))?;
        let only = match (one.clean, one.only_here) {
            (true, _) => "its log was shut down cleanly and has them all".to_owned(),
            (false, 0) => "all were durable in its log".to_owned(),
            (false, n) => format!("{} EXIST NOWHERE ELSE", count(n, "event")),
        };
        output.line(&format!("  {size}, {events}: {only}"))?;
        if let Some(out) = &one.saved_to {
            output.line(&format!("  its events are saved in {out}"))?;
        }
        if let Some(why) = &one.why {
            output.line(&format!("  {why}"))?;
        }
        if one.kind == Kind::Orphan && !one.clean && !one.removed && one.saved_to.is_none() {
            output.line(&format!(
                "  next: mount the volume and open the log; or `fswal orphans --save OUT --id {}`",
                one.id
            ))?;
        }
    }
    Ok(())
}
