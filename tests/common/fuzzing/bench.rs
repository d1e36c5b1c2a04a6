//! The directories in which logs are damaged, and the content of their files.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::format::{cold_frame, file_name, file_name::FileName, RequestEvent};
use flashstrike_wal::format::{BlockHeader, Layout, MetaState};
use flashstrike_wal::format::{BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENT_SIZE};
use tempfile::TempDir;

use super::check::{Case, Outcome};
use super::logs::{Files, Home, Start, ACTIVE};
use super::mutation::Mutation;
use crate::event;

/// The directories in which one log after another is damaged. All are in memory, for speed.
pub struct Bench {
    pub place: TempDir,
    /// Whether the reader checks checksums: in the planted bug it does not.
    pub verify: bool,
}

impl Bench {
    pub fn new() -> Self {
        let place = tempfile::Builder::new().prefix("flashstrike-fuzz-").tempdir_in("/dev/shm");
        let bench = Bench { place: place.unwrap(), verify: true };
        fs::create_dir(bench.log()).unwrap();
        fs::create_dir(bench.memory()).unwrap();
        bench
    }

    pub fn home(&self) -> Home {
        let here = fs::metadata(self.log()).unwrap();
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        Home {
            dev: here.dev(),
            ino: here.ino(),
            boot_id: boot_id.trim().to_owned(),
            active_path: self.active().to_str().unwrap().to_owned(),
        }
    }

    pub fn log(&self) -> PathBuf {
        self.place.path().join("log")
    }

    fn memory(&self) -> PathBuf {
        self.place.path().join("memory")
    }

    fn active(&self) -> PathBuf {
        self.memory().join("active")
    }

    pub fn config(&self, accept_loss: bool) -> Config {
        Config {
            num_blocks: 16,
            prepared_segments: 1,
            max_segments: Keep::All,
            accept_loss,
            active_parent: self.memory(),
            ..Config::default()
        }
    }

    /// Makes the directories hold exactly these files.
    pub fn write(&self, files: &Files) {
        // The directory itself stays: a new one would be a copy.
        for entry in fs::read_dir(self.log()).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => fs::remove_dir_all(path).unwrap(),
                false => fs::remove_file(path).unwrap(),
            }
        }
        for entry in fs::read_dir(self.memory()).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
        for (name, bytes) in files {
            let path = match name.strip_prefix(ACTIVE) {
                None => self.log().join(name),
                Some(name) => {
                    let _ = fs::create_dir(self.active());
                    fs::set_permissions(self.active(), fs::Permissions::from_mode(0o700)).unwrap();
                    self.active().join(name)
                }
            };
            fs::write(path, bytes).unwrap();
        }
    }

    /// The files in the directories, without the lock and the holds, of which there are none.
    pub fn files(&self) -> Files {
        let mut files = Files::new();
        let mut add = |directory: &Path, prefix: &str| {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                if ![file_name::LOCK, file_name::HOLDS].contains(&&*name) {
                    files.insert(format!("{prefix}{name}"), fs::read(entry.path()).unwrap());
                }
            }
        };
        add(&self.log(), "");
        for entry in fs::read_dir(self.memory()).unwrap() {
            let path = entry.unwrap().path();
            let is_old = path == self.active();
            add(&path, if is_old { ACTIVE } else { "another active directory/" });
        }
        files
    }

    /// Runs one case. A panic is a failure like any other.
    pub fn run(
        &self,
        start: &Start,
        mutations: &[Mutation],
        seek_to: u64,
    ) -> Result<Outcome, String> {
        let mut files = start.files.clone();
        mutations.iter().for_each(|mutation| mutation.apply(&mut files));
        self.write(&files);
        files.remove(file_name::LOCK);
        let case = Case { bench: self, start, mutations, files };
        catch_unwind(AssertUnwindSafe(|| case.check(seek_to))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(format!("panic: {}", text.unwrap_or_default()))
        })
    }
}

pub fn blocks_of(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.get(Layout::block_offset(0) as usize..).unwrap_or(&[]).chunks_exact(BLOCK_SIZE)
}

pub fn slots(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block[BLOCK_HEADER_SIZE..].chunks_exact(EVENT_SIZE)
}

/// The durable id that a file claims.
pub fn stated_durable(name: &str, bytes: &[u8]) -> u64 {
    match file_name::parse(name) {
        _ if name == file_name::META => MetaState::decode(bytes).map_or(0, |m| m.last_event_id),
        Some(FileName::Hot(_)) => stamps(bytes).max().unwrap_or(0),
        _ => 0,
    }
}

fn stamps(file: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let headers = blocks_of(file).filter_map(|block| BlockHeader::decode(block.first_chunk()?));
    headers.map(|header| header.durable_event_id)
}

/// The ids of intact events in the blocks of files, hot or cold, whatever the files are called.
pub fn event_ids<'a>(files: impl Iterator<Item = (&'a String, &'a Vec<u8>)>) -> BTreeSet<u64> {
    let mut ids = BTreeSet::new();
    for (name, bytes) in files {
        let mut content = Vec::new();
        let bytes = if name.contains(".lz4") {
            // As much of a frame as can be read.
            if let Ok(mut stream) = cold_frame::decompress(&bytes[..]) {
                let _ = stream.read_to_end(&mut content);
            }
            &content
        } else {
            bytes
        };
        for slot in blocks_of(bytes).flat_map(slots) {
            let found = RequestEvent::decode(slot.try_into().expect("a slot"));
            if found == event(found.event_id) && found.event_id != 0 {
                ids.insert(found.event_id);
            }
        }
    }
    ids
}
