//! A log on a simulated disk whose workers a test steps by hand.

use std::path::Path;
use std::sync::Arc;

use common::crash::SEGMENT;
use common::event;
use common::planted::{Bug, Planted};
use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::format::cold_frame;
use flashstrike_wal::log_sink::LogSink;
use flashstrike_wal::recorder::{Crew, Manager, Role, Writer};
use flashstrike_wal::storage::simulated::{Call, Fault, Machine, DISK, MEMORY};
use flashstrike_wal::storage::{create, Directory, Links, Open, Storage};

/// A log whose workers are stepped by hand.
pub struct Stepped {
    pub machine: Machine,
    pub manager: Manager,
    pub writer: Writer,
    pub crew: Crew,
}

impl Stepped {
    /// Three full segments are closed, and nothing has expired yet.
    pub fn with_three(cold: Keep) -> Stepped {
        Self::telling(cold, LogSink::default())
    }

    /// The same, with a log function.
    pub fn telling(cold: Keep, log: LogSink) -> Stepped {
        Self::with_bug(cold, log, None)
    }

    /// The same, with a bug under it.
    pub fn with_bug(cold: Keep, log: LogSink, bug: Option<Bug>) -> Stepped {
        let machine = Machine::new(1);
        let config = Config {
            num_blocks: 16,
            prepared_segments: 2,
            max_segments: Keep::AtMost(3),
            max_compressed_segments: cold,
            active_parent: MEMORY.into(),
            log,
            ..Config::default()
        };
        let directory = Path::new(DISK).join("log");
        let storage: Arc<dyn Storage> = match bug {
            Some(bug) => Arc::new(Planted::new(Arc::new(machine.process()), bug, &directory)),
            None => Arc::new(machine.process()),
        };
        let opened = Manager::open_by_hand(storage, &directory, config);
        let (manager, writer, crew) = opened.unwrap();
        let mut stepped = Stepped { machine, manager, writer, crew };
        for id in 1..=3 * SEGMENT {
            stepped.append(id);
        }
        stepped
    }

    /// The same, and the first one has expired.
    pub fn with_one_to_freeze() -> Stepped {
        let mut stepped = Self::with_three(Keep::All);
        stepped.append(3 * SEGMENT + 1);
        stepped
    }

    pub fn append(&mut self, id: u64) {
        self.writer.append(&event(id)).unwrap();
        if id % 1024 <= 1 {
            self.step(&[Role::Persister, Role::Preparer, Role::Maintainer]);
        }
    }

    /// Steps these workers until none has anything to do.
    pub fn step(&mut self, roles: &[Role]) {
        for _ in 0..20 {
            for &role in roles {
                let _ = self.crew.step(role);
            }
        }
    }

    pub fn fail_next(&self, call: Call) {
        self.machine.plan(Fault { call, nth: 1, errno: libc::EIO });
    }

    pub fn directory(&self) -> Arc<dyn Directory> {
        let directory = Path::new(DISK).join("log");
        self.machine.process().open_directory(&directory, Links::Follow).unwrap().unwrap()
    }

    pub fn has(&self, name: &str) -> bool {
        self.directory().status_of(name).unwrap().is_some()
    }

    pub fn put(&self, name: &str, bytes: &[u8]) {
        create(&*self.directory(), name).unwrap().write_at(bytes, 0).unwrap();
    }

    /// Compresses a segment, as `lz4 --rm` does.
    pub fn compress_by_hand(&self, name: &str) {
        let file = self.directory().open(name, Open::Read).unwrap().unwrap();
        let mut bytes = vec![0; file.size().unwrap() as usize];
        file.read_at(&mut bytes, 0).unwrap();
        let mut frame = Vec::new();
        cold_frame::compress(&mut &bytes[..], bytes.len() as u64, &mut frame).unwrap();
        self.put(&format!("{name}.lz4"), &frame);
        self.directory().remove(name).unwrap();
    }
}
