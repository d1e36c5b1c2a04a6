//! Snapshots on the simulated machine: the process or the power ends at every call with which one
//! is begun, written, committed, and older ones expire. Afterwards the newest good one is opened,
//! and replay from it gives the state that replay of everything gives. What a commit has promised
//! is there, and no snapshot is ahead of the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::event;
use common::ledger::{self, Row};
use common::planted::{Bug, Planted};
use common::seed;
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::keep::{SnapshotReader, SnapshotWriter, WalDirectory};
use flashstrike_wal::recorder::{Crew, Manager, Role, Writer};
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::simulated::{Crash, Machine, DISK, MEMORY};
use flashstrike_wal::storage::Storage;

/// Bytes of a state, behind its eight bytes of value.
const PADDING: usize = 3_000;
/// Seeds within which a planted bug must be found.
const SEEDS_TO_CATCH: u64 = 12;

fn log_path() -> PathBuf {
    Path::new(DISK).join("log")
}

/// The state of an engine: what all events up to one make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Engine(u64);

impl Engine {
    fn apply(&mut self, event: &RequestEvent) {
        let mixed = event.timestamp ^ (event.event_id << 17) ^ u64::from(event.user_id);
        self.0 = (self.0 ^ mixed).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }

    fn after(event_id: u64) -> Self {
        let mut engine = Engine(1);
        (1..=event_id).for_each(|id| engine.apply(&event(id)));
        engine
    }

    fn bytes(self) -> Vec<u8> {
        let padding = (0..PADDING).map(|n| (self.0 >> (n % 57)) as u8);
        self.0.to_le_bytes().into_iter().chain(padding).collect()
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let engine = Engine(u64::from_le_bytes(*bytes.first_chunk()?));
        (engine.bytes() == bytes).then_some(engine)
    }
}

struct Case {
    machine: Machine,
    bug: Option<Bug>,
    /// The last snapshot whose commit has returned, and the last one that was begun.
    committed: u64,
    begun: u64,
    appended: u64,
    durable: u64,
}

struct Open {
    manager: Manager,
    writer: Writer,
    crew: Crew,
}

type Done<T = ()> = Result<T, String>;

fn words(error: Error) -> String {
    error.to_string()
}

impl Case {
    fn new(seed: u64, bug: Option<Bug>) -> Self {
        let machine = Machine::new(seed);
        Case { machine, bug, committed: 0, begun: 0, appended: 0, durable: 0 }
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.machine.process())
    }

    /// What takes the snapshots has the bug; the log has not.
    fn directory(&self) -> Result<WalDirectory, Error> {
        let storage = match self.bug {
            Some(bug) => Arc::new(Planted::new(self.storage(), bug, &log_path())),
            None => self.storage(),
        };
        WalDirectory::open(storage, &log_path())
    }

    fn open(&self) -> Result<Open, Error> {
        let config = Config {
            num_blocks: 16,
            prepared_segments: 1,
            max_segments: Keep::AtMost(2),
            max_compressed_segments: Keep::AtMost(0),
            max_snapshots: 1,
            active_parent: MEMORY.into(),
            ..Config::default()
        };
        let (manager, writer, crew) = Manager::open_by_hand(self.storage(), &log_path(), config)?;
        Ok(Open { manager, writer, crew })
    }

    fn append(&mut self, open: &mut Open, count: u64) -> Result<(), Error> {
        for _ in 0..count {
            open.writer.append(&event(self.appended + 1))?;
            self.appended += 1;
        }
        Ok(())
    }

    fn step(&mut self, open: &mut Open) -> Result<(), Error> {
        for role in Role::ALL {
            open.crew.step(role)?;
        }
        self.durable = open.manager.log().durable().last_event_id;
        Ok(())
    }

    /// Takes a snapshot of the last event, which is not durable yet.
    fn take(&mut self, open: &mut Open) -> Result<(), Error> {
        self.append(open, 150)?;
        let event_id = self.appended;
        self.begun = event_id;
        let mut snapshot = SnapshotWriter::create(self.directory()?, event_id)?;
        for piece in Engine::after(event_id).bytes().chunks(1_000) {
            snapshot.write(piece)?;
        }
        loop {
            match snapshot.commit() {
                Err(Error::WouldBlock) => self.step(open)?,
                committed => break committed?,
            }
        }
        self.committed = event_id;
        self.append(open, 50)?;
        (0..3).try_for_each(|_| self.step(open))
    }

    /// Opens the log, takes snapshots, and opens it again, where the last one but one expires.
    fn live(&mut self) -> Result<(), Error> {
        let mut open = self.open()?;
        self.take(&mut open)?;
        self.take(&mut open)?;
        open.manager.shutdown_by_hand(open.writer, open.crew)?;
        self.durable = self.appended;
        let mut open = self.open()?;
        self.take(&mut open)?;
        open.manager.shutdown_by_hand(open.writer, open.crew)
    }

    /// The snapshot that is opened, and the state in it.
    fn opened(&self) -> Done<Option<(u64, Engine)>> {
        let directory = match WalDirectory::open(self.storage(), &log_path()) {
            Err(error) if error.cause() == Some(Cause::NotFound) => return Ok(None),
            directory => directory.map_err(words)?,
        };
        let (mut reader, passed_over) = match SnapshotReader::open(&directory, 0) {
            Err(error) if error.cause() == Some(Cause::NotFound) => return Ok(None),
            opened => opened.map_err(words)?,
        };
        if let Some(why) = passed_over {
            return Err(format!("a snapshot that is not good has a name: {why}"));
        }
        let mut bytes = vec![0; PADDING + 100];
        let got = reader.read(&mut bytes).map_err(words)?;
        let engine = Engine::of(&bytes[..got]).ok_or("the state is not whole")?;
        Ok(Some((reader.info().event_id, engine)))
    }

    /// After the crash, before and after the log is opened.
    fn check(&mut self) -> Done {
        let found = self.opened()?;
        let event_id = found.map_or(0, |(event_id, _)| event_id);
        if event_id < self.committed || event_id > self.begun {
            let Case { committed, begun, .. } = self;
            return Err(format!("{event_id} is opened, of {committed} to {begun}"));
        }
        let open = self.open().map_err(words)?;
        let last = open.manager.log().appended().last_event_id;
        if last < event_id.max(self.durable) {
            return Err(format!("the log ends at {last}, before its snapshot of {event_id}"));
        }
        let again = self.opened()?;
        if again != found {
            return Err(format!("opened again, it has {again:?}, after {found:?}"));
        }
        let left = open_names(&*self.storage()).map_err(words)?;
        if let Some(left) = left.iter().find(|name| name.ends_with(".fss.tmp")) {
            return Err(format!("{left} is left"));
        }
        if let Some((event_id, engine)) = found {
            self.check_replay(event_id, engine, last)?;
        }
        open.manager.shutdown_by_hand(open.writer, open.crew).map_err(words)
    }

    /// Recovery from the snapshot gives the state that all events give.
    fn check_replay(&self, event_id: u64, mut engine: Engine, last: u64) -> Done {
        let options = ReaderOptions { verify: true };
        let mut reader = Reader::open_with(self.storage(), &log_path(), options).map_err(words)?;
        reader.seek(event_id + 1).map_err(words)?;
        let mut next = event_id + 1;
        loop {
            match reader.next() {
                Ok(event) if event.event_id == next => engine.apply(&event),
                Ok(event) => return Err(format!("{} comes for {next}", event.event_id)),
                Err(Error::End) => break,
                Err(error) => return Err(words(error)),
            }
            next += 1;
        }
        match engine == Engine::after(last) && next == last + 1 {
            true => Ok(()),
            false => Err(format!("replay from {event_id} to {last} gives another state")),
        }
    }
}

fn open_names(storage: &dyn Storage) -> Result<Vec<String>, Error> {
    let links = flashstrike_wal::storage::Links::Follow;
    storage.open_directory(&log_path(), links)?.map_or(Ok(Vec::new()), |wal| wal.list())
}

/// Ends the process or the power at one call. `false` = there are not so many.
fn crash_at(seed: u64, nth: u64, bug: Option<Bug>) -> Done<bool> {
    let mut case = Case::new(seed, bug);
    let crash = match seed % 3 {
        0 => Crash::Kill,
        _ => Crash::PowerCut { seed: seed * 1_000_003 + nth },
    };
    case.machine.crash_at(nth, crash);
    if case.live().is_ok() {
        let names = open_names(&*case.storage()).map_err(words)?;
        let kept = names.iter().filter(|name| name.starts_with("SNAP.")).count();
        // The last one came after the last look for those that have expired.
        assert_eq!(kept, 2, "{names:?}");
        return Ok(false);
    }
    case.check().map_err(|what| format!("seed {seed}, {crash:?} at call {nth}: {what}"))?;
    Ok(true)
}

/// Crashes at every call, or at some of them. Returns how many there were.
fn crash_everywhere(seed: u64, step: u64, bug: Option<Bug>) -> Done<u64> {
    let _named = seed::Named(seed);
    let mut crashes = 0;
    let mut nth = 1 + seed % step;
    while crash_at(seed, nth, bug)? {
        crashes += 1;
        nth += step;
    }
    Ok(crashes)
}

#[test]
fn a_snapshot_survives_a_crash_at_any_call_whole_or_not_at_all() {
    if let Some(seed) = seed::chosen() {
        crash_everywhere(seed, 1, None).unwrap();
        return;
    }
    let bugs = [Bug::SnapshotNotSynced, Bug::WatermarkAhead];
    for bug in bugs {
        let found =
            (1..=SEEDS_TO_CATCH).find_map(|seed| crash_everywhere(seed, 3, Some(bug)).err());
        let found = found.unwrap_or_else(|| panic!("{} was not caught", bug.name()));
        println!("{}: {found}", bug.name());
    }
    let mut crashes = 0;
    for seed in 0..ledger::times(6, 300) {
        crashes += crash_everywhere(seed, 1, None).unwrap_or_else(|what| panic!("{what}"));
    }
    ledger::record(Row {
        name: "snapshot-crashes",
        fault: "a process or the power ends at any call while snapshots are taken and expire",
        test: "tests/faults/snapshot_crashes.rs",
        tried: crashes,
        lost: 0,
        invented: 0,
        undetected: 0,
        planted: &bugs.map(Bug::name),
    });
}
