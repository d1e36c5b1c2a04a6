//! The log engine of TiKV: one `put` of 64 bytes per write, with `sync` off. Events survive a kill,
//! but not a power cut. Keys are used again, so that its table in memory stays small.

use std::path::Path;

use raft_engine::{Config, Engine, LogBatch};

use super::write_each::bytes;
use super::Contestant;
use crate::abi::Event;

const REGION: u64 = 1;
const KEYS: u64 = 1024;

pub struct RaftEngine {
    engine: Engine,
    batch: LogBatch,
}

impl RaftEngine {
    pub fn new(directory: &Path) -> Self {
        let dir = directory.join("raft-engine").to_str().expect("a path in UTF-8").to_owned();
        let engine = Engine::open(Config { dir, ..Config::default() }).expect("an engine");
        RaftEngine { engine, batch: LogBatch::default() }
    }
}

impl Contestant for RaftEngine {
    fn append(&mut self, event: &Event) {
        let key = (event.event_id % KEYS).to_be_bytes().to_vec();
        self.batch.put(REGION, key, bytes(event).to_vec()).expect("a put");
        self.engine.write(&mut self.batch, false).expect("a write");
    }

    fn settle(&mut self) {
        self.engine.sync().expect("a sync");
        self.engine.purge_expired_files().expect("a purge");
    }
}
