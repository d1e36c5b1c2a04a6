//! Random histories: what happens to a log, as data.

use flashstrike_wal::config::{Backpressure, Config, Keep, SyncMode};
use flashstrike_wal::recorder::Role;
use flashstrike_wal::storage::simulated::{Call, Crash, Fault, Random, MEMORY};

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Op {
    /// Events are appended, one by one or as a batch.
    Append { count: u32, batch: bool },
    /// A slot is claimed and not committed.
    AbandonClaim,
    /// A worker makes some steps.
    Step { role: Role, times: u32 },
    /// Every worker steps until there is nothing to do.
    Drain,
    /// A thread waits until everything is durable.
    Sync,
    /// The log is read while it is open.
    Read,
    /// The log is shut down and opened again.
    Restart,
    /// The process ends, and another one opens the log.
    Crash(Crash),
    /// The process will end at a later call.
    CrashAt { nth: u64, crash: Crash },
    /// A later call will fail.
    Fault(Fault),
    /// Disk or memory have only this much free space; `None` = no limit.
    Limit { disk: Option<u64>, memory: Option<u64> },
}

/// The options of a log, and what happens to it.
#[derive(Debug, Clone)]
pub struct History {
    /// The seed, which decides everything that is left to chance.
    pub seed: u64,
    /// Options of the log.
    pub config: Config,
    /// What happens, in order.
    pub ops: Vec<Op>,
}

/// The accidents in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accidents {
    /// Processes are killed, the power fails, at any moment, also in recovery.
    Crashes,
    /// Calls fail and disks are full as well.
    CrashesAndFaults,
}

impl History {
    /// Makes the history of a seed.
    pub fn new(seed: u64, accidents: Accidents) -> Self {
        let mut random = Random::new(seed);
        let config = config(&mut random);
        let count = 4 + random.below(28);
        let ops = (0..count).map(|_| op(&mut random, accidents)).collect();
        History { seed, config, ops }
    }
}

fn config(random: &mut Random) -> Config {
    Config {
        num_blocks: 16,
        prepared_segments: 1 + random.below(3) as u32,
        max_segments: match random.below(4) {
            0 => Keep::All,
            n => Keep::AtMost(n as u32),
        },
        max_compressed_segments: match random.below(4) {
            0 => Keep::All,
            n => Keep::AtMost(n as u32 - 1),
        },
        sync_mode: if random.coin() { SyncMode::Continuous } else { SyncMode::Rotation },
        backpressure: Backpressure::FailFast,
        active_parent: MEMORY.into(),
        ..Config::default()
    }
}

fn op(random: &mut Random, accidents: Accidents) -> Op {
    let faults = accidents == Accidents::CrashesAndFaults;
    match random.below(if faults { 30 } else { 22 }) {
        0..=5 => Op::Append { count: count(random), batch: random.coin() },
        6 => Op::AbandonClaim,
        7..=12 => Op::Step {
            role: Role::ALL[random.below(Role::ALL.len() as u64) as usize],
            times: 1 + random.below(4) as u32,
        },
        13 => Op::Drain,
        14..=15 => Op::Sync,
        16 => Op::Read,
        17 => Op::Restart,
        18..=20 => Op::Crash(crash(random)),
        21 => Op::CrashAt { nth: 1 + random.below(400), crash: crash(random) },
        22 => Op::Limit {
            disk: random.coin().then(|| random.below(600_000)),
            memory: random.coin().then(|| random.below(600_000)),
        },
        _ => Op::Fault(fault(random)),
    }
}

/// How many events to append: from one to more than a segment.
fn count(random: &mut Random) -> u32 {
    let most = [3, 40, 300, 5000][random.below(4) as usize];
    1 + random.below(most) as u32
}

fn crash(random: &mut Random) -> Crash {
    if random.below(3) == 0 {
        Crash::Kill
    } else {
        Crash::PowerCut { seed: random.number() }
    }
}

fn fault(random: &mut Random) -> Fault {
    // Half of them in the calls that durability depends on.
    let call = if random.coin() {
        [Call::Write, Call::Sync, Call::SyncNames, Call::Rename][random.below(4) as usize]
    } else {
        Call::ALL[random.below(Call::ALL.len() as u64) as usize]
    };
    let errnos: &[i32] = match call {
        Call::Write | Call::Allocate | Call::Create => {
            &[libc::EIO, libc::ENOSPC, libc::EDQUOT, libc::EFBIG]
        }
        Call::Open | Call::OpenDirectory => &[libc::EIO, libc::EACCES, libc::EMFILE, libc::ENFILE],
        Call::Map => &[libc::ENOMEM, libc::EAGAIN],
        _ => &[libc::EIO, libc::ENOSPC, libc::ENOMEM],
    };
    let errno = errnos[random.below(errnos.len() as u64) as usize];
    let most = 1 + random.below(if matches!(call, Call::Write | Call::Read) { 100 } else { 8 });
    Fault { call, nth: 1 + random.below(most), errno }
}
