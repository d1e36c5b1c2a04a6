//! Runs a history: a log, the machine it runs on, and the model it is compared with.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flashstrike_wal::config::{Config, SyncMode};
use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::recorder::{Crew, Manager, Role, Step, Writer};
use flashstrike_wal::replay::{Reader, ReaderOptions};
use flashstrike_wal::storage::simulated::{Crash, Machine, SimulatedStorage, DISK, MEMORY};
use flashstrike_wal::storage::Storage;

use super::history::{History, Op};
use super::model::Model;
use common::planted::{Bug, Planted};

/// After this many rounds of steps, a worker that is still busy counts as never stopping.
const MANY_STEPS: u32 = 100_000;
/// How often an append that finds no prepared segment lets the workers step and retries.
const PATIENCE: u32 = 8;

/// What was seen in a history.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    pub appended: u64,
    pub crashes: u64,
    pub power_cuts: u64,
    pub poisoned: u64,
    pub refused_opens: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, more: Seen) {
        self.appended += more.appended;
        self.crashes += more.crashes;
        self.power_cuts += more.power_cuts;
        self.poisoned += more.poisoned;
        self.refused_opens += more.refused_opens;
    }
}

struct Running {
    process: SimulatedStorage,
    manager: Manager,
    writer: Writer,
    crew: Crew,
    /// The watermark at the moment the log failed, if it did.
    poisoned_at: Option<u64>,
}

pub struct World {
    machine: Machine,
    config: Config,
    bug: Option<Bug>,
    model: Model,
    running: Option<Running>,
    /// A crash that is planned, or that has happened in a call and was not noticed yet.
    coming: Option<Crash>,
    /// Whether calls were made to fail or room was limited.
    trouble: bool,
    seen: Seen,
}

type Done = Result<(), String>;

impl World {
    pub fn new(history: &History, bug: Option<Bug>) -> Self {
        World {
            machine: Machine::new(history.seed),
            config: history.config.clone(),
            bug,
            model: Model::new(&history.config),
            running: None,
            coming: None,
            trouble: false,
            seen: Seen::default(),
        }
    }

    /// Runs the history, and at the end a power cut and a clean shutdown.
    pub fn run(mut self, ops: &[Op]) -> super::Outcome {
        self.open()?;
        for (n, op) in ops.iter().enumerate() {
            self.apply(op).map_err(|what| format!("at {n}, {op:?}: {what}"))?;
        }
        self.end().map_err(|what| format!("in the end: {what}"))?;
        Ok(self.seen)
    }

    fn end(&mut self) -> Done {
        self.machine.forgive();
        self.machine.limit(None, None);
        self.crash(Crash::PowerCut { seed: 7 })?;
        self.trouble = false;
        self.restart()?;
        self.read()
    }

    fn apply(&mut self, op: &Op) -> Done {
        match op {
            Op::Append { count, batch: false } => self.append(*count)?,
            Op::Append { count, batch: true } => self.append_batch(*count)?,
            Op::AbandonClaim => drop(self.running().writer.claim()),
            Op::Step { role, times } => {
                for _ in 0..*times {
                    self.step(*role)?;
                }
            }
            Op::Drain => self.drain()?,
            Op::Sync => self.sync()?,
            Op::Read => self.read()?,
            Op::Restart => self.restart()?,
            Op::Crash(crash) => self.crash(*crash)?,
            Op::CrashAt { nth, crash } => {
                self.machine.crash_at(*nth, *crash);
                self.coming = Some(*crash);
            }
            Op::Fault(fault) => {
                self.machine.plan(*fault);
                self.trouble = true;
            }
            Op::Limit { disk, memory } => {
                let limit = |root, room: &Option<u64>| room.map(|n| n + self.machine.used(root));
                self.machine.limit(limit(DISK, disk), limit(MEMORY, memory));
                self.trouble = true;
            }
        }
        self.check_log()
    }

    /// After each operation: is the process alive, and does the log report what it must?
    fn check_log(&mut self) -> Done {
        if !self.running().process.is_alive() {
            return self.died();
        }
        let log = Arc::clone(self.running().manager.log());
        if log.appended().last_event_id != self.model.last() {
            let (says, last) = (log.appended().last_event_id, self.model.last());
            return Err(format!("meta says {says}, appended was {last}"));
        }
        if let Some(error) = log.poison().cause().filter(|error| is_defect(error)) {
            return Err(error.to_string());
        }
        let durable = log.durable().last_event_id;
        if let Some(frozen) = self.running().poisoned_at {
            if durable != frozen {
                return Err(format!("G5: poisoned at {frozen}, and the watermark is {durable}"));
            }
        } else if log.poison().cause().is_some() {
            self.running().poisoned_at = Some(durable);
            self.seen.poisoned += 1;
        }
        self.model.promise(durable)
    }

    /// Appends one by one. Gives up when no segment becomes prepared.
    fn append(&mut self, count: u32) -> Done {
        let mut patience = PATIENCE;
        for _ in 0..count {
            let event = self.model.next();
            loop {
                match self.running().writer.append(&event.event()) {
                    Ok(()) => break,
                    Err(error) => {
                        if !self.goes_on_after(&error, &mut patience)? {
                            return Ok(());
                        }
                    }
                }
            }
            self.model.append(event);
            self.seen.appended += 1;
        }
        Ok(())
    }

    fn append_batch(&mut self, count: u32) -> Done {
        let batch = self.model.next_batch(count);
        let events: Vec<RequestEvent> = batch.iter().map(|event| event.event()).collect();
        let (mut given, mut patience) = (0, PATIENCE);
        while given < events.len() {
            let mut appended = 0;
            let result = self.running().writer.append_batch(&events[given..], &mut appended);
            for event in &batch[given..given + appended] {
                self.model.append(*event);
                self.seen.appended += 1;
            }
            given += appended;
            if let Err(error) = result {
                if !self.goes_on_after(&error, &mut patience)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Checks the error of an append. Returns whether to try again.
    fn goes_on_after(&mut self, error: &Error, patience: &mut u32) -> Result<bool, String> {
        match error.cause() {
            None if *patience > 0 && matches!(error, Error::WouldBlock) => {
                *patience -= 1;
                for role in Role::ALL {
                    self.step(role)?;
                }
                Ok(self.running().process.is_alive())
            }
            None => Ok(false),
            Some(Cause::NoSpace | Cause::Poisoned) if self.trouble => Ok(false),
            Some(Cause::Poisoned) if !self.running().process.is_alive() => Ok(false),
            Some(_) => Err(format!("append: {error}")),
        }
    }

    fn step(&mut self, role: Role) -> Result<Option<Step>, String> {
        match self.running().crew.step(role) {
            Ok(step) => Ok(Some(step)),
            Err(error) => self.excuse("step", &error).map(|()| None),
        }
    }

    /// Steps the workers that a lane would step, until none has anything to do. Sleeping workers
    /// are not stepped: if nobody wakes them, events are left over.
    fn drain(&mut self) -> Done {
        for _ in 0..MANY_STEPS {
            let mut busy = false;
            for role in Role::ALL {
                if !self.running().crew.is_asleep(role) {
                    busy |= self.step(role)? == Some(Step::Busy);
                }
            }
            // The watcher comes last, and may have woken the persister.
            if !busy && (self.is_all_durable() || self.running().crew.is_asleep(Role::Persister)) {
                return self.check_drained();
            }
        }
        Err("the workers never rest".into())
    }

    fn is_all_durable(&mut self) -> bool {
        let log = self.running().manager.log();
        log.appended() == log.durable()
    }

    fn check_drained(&mut self) -> Done {
        let failed = self.running().manager.log().poison().cause().is_some();
        let waits = self.config.sync_mode == SyncMode::Rotation;
        if failed || waits || self.is_all_durable() {
            return Ok(());
        }
        Err("the workers rest, and not all is durable".into())
    }

    fn sync(&mut self) -> Done {
        let log = Arc::clone(self.running().manager.log());
        let last = log.appended().last_event_id;
        for _ in 0..MANY_STEPS {
            match log.wait_durable(last, Duration::ZERO) {
                Ok(()) => return Ok(()),
                Err(Error::Timeout) => {}
                Err(error) => return self.excuse("wait_durable", &error),
            }
            for role in [Role::Persister, Role::Maintainer] {
                if self.step(role)?.is_none() {
                    return Ok(());
                }
            }
        }
        Err("never durable".into())
    }

    fn read(&mut self) -> Done {
        let storage: Arc<dyn Storage> = Arc::new(self.machine.process());
        let options = ReaderOptions { verify: true };
        let read = || -> Result<Vec<RequestEvent>, Error> {
            let mut reader = Reader::open_with(storage, &Path::new(DISK).join("log"), options)?;
            let mut events = Vec::new();
            loop {
                match reader.next_batch() {
                    Ok(batch) => events.extend_from_slice(batch),
                    Err(Error::End) => return Ok(events),
                    Err(error) => return Err(error),
                }
            }
        };
        match read() {
            Ok(events) => self.model.check(&events),
            Err(error) => self.excuse("read", &error),
        }
    }

    fn restart(&mut self) -> Done {
        let Running { process, manager, writer, crew, .. } = self.running.take().expect("open");
        let log = Arc::clone(manager.log());
        let ended = manager.shutdown_by_hand(writer, crew);
        let durable = log.durable().last_event_id;
        drop(log);
        self.model.promise(durable)?;
        match &ended {
            Ok(()) if durable != self.model.last() => {
                return Err("shutdown: not all durable".into())
            }
            Ok(()) => {}
            Err(_) if !process.is_alive() => {}
            Err(error) => self.excuse("shutdown", error)?,
        }
        if !process.is_alive() {
            return self.died();
        }
        self.open()
    }

    fn crash(&mut self, crash: Crash) -> Done {
        self.coming = Some(crash);
        self.machine.crash(crash);
        self.died()
    }

    /// The process has ended; another one opens the log.
    fn died(&mut self) -> Done {
        self.running = None;
        self.note_death()?;
        self.open()
    }

    fn note_death(&mut self) -> Done {
        let crash = self.coming.take().ok_or("the process died without a reason")?;
        self.seen.crashes += 1;
        if crash != Crash::Kill {
            self.seen.power_cuts += 1;
            self.model.cut_power();
        }
        Ok(())
    }

    /// Opens the log, again if a crash interrupts that, and compares all of it with the model.
    fn open(&mut self) -> Done {
        loop {
            let process = self.machine.process();
            let directory = Path::new(DISK).join("log");
            let storage: Arc<dyn Storage> = match self.bug {
                Some(bug) => Arc::new(Planted::new(Arc::new(process.clone()), bug, &directory)),
                None => Arc::new(process.clone()),
            };
            match Manager::open_by_hand(storage, &directory, self.config.clone()) {
                Ok((manager, writer, crew)) => {
                    let log = Arc::clone(manager.log());
                    let poisoned_at = None;
                    self.running = Some(Running { process, manager, writer, crew, poisoned_at });
                    let last = log.appended().last_event_id;
                    self.model.reopen(last)?;
                    if log.durable().last_event_id != last {
                        return Err("opened with events not durable".into());
                    }
                    return self.read();
                }
                Err(_) if !process.is_alive() => self.note_death()?,
                Err(error) => {
                    self.excuse("open", &error)?;
                    self.seen.refused_opens += 1;
                    self.machine.forgive();
                    self.machine.limit(None, None);
                    self.coming = None;
                }
            }
        }
    }

    /// An error must have a reason: the process has died, or a call was made to fail. Even then the
    /// log may not report damage, nor a defect of the library.
    fn excuse(&mut self, what: &str, error: &Error) -> Done {
        let alive = self.running.as_ref().is_none_or(|running| running.process.is_alive());
        let honest = match error.cause() {
            Some(Cause::Io | Cause::NoSpace | Cause::Permission | Cause::Poisoned) => self.trouble,
            _ => false,
        };
        if (honest || !alive) && !is_defect(error) {
            return Ok(());
        }
        Err(format!("{what}: {error}"))
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("a log is open between operations")
    }
}

/// Whether an error reports a defect of the library, such as a panic in a worker.
fn is_defect(error: &Error) -> bool {
    error.to_string().contains("defect: ")
}
