//! Logs in scratch directories, the program, and a writer to be killed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use flashstrike_wal::config::{Config, Keep, SyncMode};
use flashstrike_wal::directory::load_meta;
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::recorder::{Manager, Writer};
use flashstrike_wal::storage::{Links, PosixStorage, Storage};
use serde_json::Value;
use tempfile::TempDir;

/// Events in a segment of these logs.
pub const PER_SEGMENT: u64 = 16 * 256;

/// A log's directories: on disk and in memory. Both are removed in the end.
pub struct Place {
    disk: TempDir,
    memory: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let memory = tempfile::Builder::new().prefix("fswal-test-").tempdir_in("/dev/shm");
        Place { disk: tempfile::tempdir().unwrap(), memory: memory.unwrap() }
    }

    pub fn base(&self) -> &Path {
        self.disk.path()
    }

    pub fn log(&self) -> PathBuf {
        self.disk.path().join("wal")
    }

    pub fn memory(&self) -> &Path {
        self.memory.path()
    }

    /// The active directories that are there.
    pub fn actives(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.memory()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    pub fn config(&self) -> Config {
        config(self.memory())
    }

    /// Records these events and shuts the log down.
    pub fn record(&self, ids: std::ops::RangeInclusive<u64>) {
        let (manager, mut writer) = self.open();
        ids.for_each(|id| writer.append(&event(id)).unwrap());
        manager.shutdown(writer).unwrap();
    }

    pub fn open(&self) -> (Manager, Writer) {
        Manager::open(&self.log(), self.config()).unwrap()
    }

    /// Records the events up to `last` in a process that is killed. Those up to `durable` are on
    /// disk; of the others nobody knows.
    pub fn crash(&self, durable: u64, last: u64) {
        self.crash_by("support::writer", durable, last);
    }

    /// The same, by the ignored test of this name.
    pub fn crash_by(&self, name: &str, durable: u64, last: u64) {
        let mut child = self.spawn(name, durable, last);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A process that has recorded the events up to `last`, and waits.
    pub fn spawn_writer(&self, durable: u64, last: u64) -> Child {
        self.spawn("support::writer", durable, last)
    }

    /// The same, by the ignored test of this name.
    pub fn spawn(&self, name: &str, durable: u64, last: u64) -> Child {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .env("FSWAL_TEST_LOG", self.log())
            .env("FSWAL_TEST_MEMORY", self.memory())
            .env("FSWAL_TEST_IDS", format!("{durable} {last}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines.map_while(Result::ok).any(|line| line.ends_with("recorded"));
        assert!(told, "the writer has ended before its time");
        child
    }
}

pub fn config(memory: &Path) -> Config {
    Config {
        num_blocks: 16,
        max_segments: Keep::AtMost(64),
        max_compressed_segments: Keep::All,
        prepared_segments: 1,
        active_parent: memory.to_owned(),
        ..Config::default()
    }
}

/// The event that belongs to an id.
pub fn event(event_id: u64) -> RequestEvent {
    RequestEvent {
        event_id,
        timestamp: 1_795_910_220_000_000_000 + event_id * 1_000_000,
        price: 10_000 + (event_id % 17) as i64 - 8,
        quantity: 100 * (1 + event_id % 5) as i64,
        user_id: (event_id % 7) as u32,
        order_id: (event_id / 2) as u32,
        r#type: if event_id % 4 == 0 { 3 } else { 0 },
        order_type: 0,
        side: (event_id % 2) as u8,
        reserved: [0; 21],
    }
}

/// The process that is killed: not a test.
#[test]
#[ignore = "it is the process that other tests kill"]
fn writer() {
    let Told { log, memory, durable, last } = Told::here();
    // What is durable is what was asked for, and what is on disk has no more than that.
    let config = Config { sync_mode: SyncMode::Rotation, ..config(&memory) };
    let (manager, mut writer) = Manager::open(&log, config).unwrap();
    let begin = manager.log().recovery_report().last_event_id;
    for id in begin + 1..=last {
        writer.append(&event(id)).unwrap();
        if id == durable {
            manager.log().sync().unwrap();
        }
    }
    // What the workers do behind it is done, so that what is left does not depend on the moment.
    wait_until("a segment is prepared", || manager.log().metrics().prepared_segments.fill == 1);
    let wal = PosixStorage::for_reading().open_directory(&log, Links::Follow);
    let wal = wal.unwrap().unwrap();
    let on_disk = || load_meta(&*wal).unwrap().flatten().map(|meta| meta.last_event_id);
    wait_until("the durable id is on disk", || durable <= begin || on_disk() >= Some(durable));
    await_the_kill();
}

/// What a process that is to be killed is told.
pub struct Told {
    pub log: PathBuf,
    pub memory: PathBuf,
    pub durable: u64,
    pub last: u64,
}

impl Told {
    pub fn here() -> Told {
        let of = |name: &str| std::env::var(name).expect("the test that starts this sets it");
        let ids = of("FSWAL_TEST_IDS");
        let (durable, last) = ids.split_once(' ').unwrap();
        Told {
            log: of("FSWAL_TEST_LOG").into(),
            memory: of("FSWAL_TEST_MEMORY").into(),
            durable: durable.parse().unwrap(),
            last: last.parse().unwrap(),
        }
    }
}

pub fn await_the_kill() {
    println!("recorded");
    std::thread::sleep(Duration::from_secs(600));
}

/// What the program said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().expect("it is not killed");
        Said { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// Its one JSON object.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {} {}", self.out, self.err))
    }

    /// Its JSON objects, one a line.
    pub fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }
}

/// Runs a command that is the program in the end.
pub fn said_by(command: &mut Command) -> Said {
    Said::of(command.output().unwrap())
}

/// Runs the program.
pub fn fswal(arguments: &[&str]) -> Said {
    fswal_with(arguments, "")
}

/// The same, with standard input.
pub fn fswal_with(arguments: &[&str], input: &str) -> Said {
    use std::io::Write;
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that does not read has its answer already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Said::of(child.wait_with_output().unwrap())
}

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fswal"));
    command.args(arguments);
    command
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Everything in a directory: names, sizes, contents, times of change.
pub fn state_of(directory: &Path) -> Vec<(PathBuf, u64, Vec<u8>)> {
    use std::os::unix::fs::MetadataExt;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let about = path.symlink_metadata().unwrap();
        let changed = about.ctime() as u64 * 1_000_000_000 + about.ctime_nsec() as u64;
        if about.is_dir() {
            found.extend(state_of(&path));
            found.push((path, changed, Vec::new()));
        } else {
            let content = std::fs::read(&path).unwrap();
            found.push((path, changed, content));
        }
    }
    found.sort();
    found
}

/// Waits for what must come.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a tool says, where it is installed.
pub fn say(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(said) => Some(said),
        Err(error) => {
            eprintln!("skipped: {:?}: {error}", command.get_program());
            None
        }
    }
}

/// A tool that is installed found nothing wrong.
#[track_caller]
pub fn is_well(said: Option<Output>) {
    let Some(said) = said else { return };
    let text = [said.stdout, said.stderr].concat();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&text));
}
