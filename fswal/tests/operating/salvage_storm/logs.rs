//! Logs of several kinds as they were before the damage, and where each event lies in their files:
//! found in the files, by the published layout.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::format::RequestEvent;
use flashstrike_wal::recorder::Manager;

use super::random::Random;
use crate::crashed::{crashed, Full};
use crate::support::{event, wait_until, Place};

pub const HEADER: usize = 64;
pub const BLOCK: usize = 16_448;
const EVENT: usize = 64;

pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A piece of a file that must be as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub file: PathBuf,
    pub range: Range<usize>,
    /// The file must be as long as it was, too.
    pub whole: bool,
}

/// An event, and where it lies: in each copy of it all parts are needed.
#[derive(Debug)]
pub struct Event {
    pub id: u64,
    pub bytes: Vec<u8>,
    pub segment: u32,
    pub block: u64,
    pub is_closed: bool,
    pub copies: Vec<Vec<Part>>,
}

pub struct Original {
    pub name: &'static str,
    pub place: Place,
    pub files: Files,
    pub events: Vec<Event>,
}

pub fn all() -> Vec<Original> {
    vec![
        Original::of("hot segments", recorded(16, 64, 5 * 4096 + 700)),
        Original::of("cold segments", recorded(16, 1, 5 * 4096 + 1500)),
        Original::of("cold segments of many frame blocks", recorded(80, 1, 3 * 20_480 + 900)),
        Original::of("frames of another program", frozen_by_another(3 * 4096 + 3000)),
        Original::of("a crashed log and its memory", crashed(Full::MemoryIsReused)),
        Original::of("a crashed log, and a closed segment in memory", crashed(Full::MemoryIsKept)),
        Original::of(
            "a crashed log, and a cold segment in memory",
            crashed(Full::MemoryIsKeptOfCold),
        ),
        Original::of("a crashed log, and a full segment that is open", crashed(Full::NotClosed)),
    ]
}

/// A log that was shut down, with ids that have gaps.
fn recorded(num_blocks: u32, hot: u32, events: usize) -> Place {
    let place = Place::new();
    let config = Config { num_blocks, max_segments: Keep::AtMost(hot), ..place.config() };
    let (manager, mut writer) = Manager::open(&place.log(), config).unwrap();
    let (mut random, mut id) = (Random::new(u64::from(num_blocks)), 0);
    for n in 0..events {
        id += if n % 100 == 99 { 1 + random.next() % 1000 } else { 1 };
        writer.append(&hardly_compressible(id, &mut random)).unwrap();
    }
    let full = events as u32 / (num_blocks * 256);
    let cold = (full + 1).saturating_sub(hot);
    wait_until("the old segments are compressed", || {
        let name = |n: u32| place.log().join(format!("FS.{n:08}.wal"));
        (0..cold).all(|n| name(n).with_extension("wal.lz4").exists() && !name(n).exists())
    });
    manager.shutdown(writer).unwrap();
    place
}

/// The blocks of a frame are of different lengths then.
fn hardly_compressible(id: u64, random: &mut Random) -> RequestEvent {
    let mut event = event(id);
    if id % 4 == 0 || (id / 3000) % 2 == 0 {
        event.reserved.iter_mut().for_each(|byte| *byte = random.next() as u8);
    }
    event
}

/// The same as a log whose frames another program has written.
fn frozen_by_another(events: usize) -> Place {
    let place = recorded(16, 64, events);
    for segment in 0..events / 4096 {
        let hot = place.log().join(format!("FS.{segment:08}.wal"));
        let content = std::fs::read(&hot).unwrap();
        let content = &content[..HEADER + number(&content, 8, 4) as usize * BLOCK];
        let to = std::fs::File::create(hot.with_extension("wal.lz4")).unwrap();
        let mut encoder = lz4::EncoderBuilder::new()
            .block_size(lz4::BlockSize::Max64KB)
            .block_mode(lz4::BlockMode::Independent)
            .block_checksum(lz4::liblz4::BlockChecksum::NoBlockChecksum)
            .content_size(content.len() as u64)
            .checksum(lz4::ContentChecksum::ChecksumEnabled)
            .build(to)
            .unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().1.unwrap();
        std::fs::remove_file(hot).unwrap();
    }
    place
}

impl Original {
    fn of(name: &'static str, place: Place) -> Self {
        let mut files = Files::new();
        read_all(&place.log(), &mut files);
        read_all(place.memory(), &mut files);
        let mut log = Original { name, place, files, events: Vec::new() };
        for path in log.names_in(&log.place.log()) {
            log.find_events(&path);
        }
        assert!(log.events.windows(2).all(|pair| pair[0].id < pair[1].id), "{name}");
        assert!(log.events.len() > 9000, "{name}: {}", log.events.len());
        log
    }

    /// The files in a directory, by name.
    pub fn names_in(&self, directory: &Path) -> Vec<PathBuf> {
        let names = self.files.keys().filter(|path| path.parent() == Some(directory));
        names.cloned().collect()
    }

    /// The segments on disk.
    pub fn segments(&self) -> Vec<PathBuf> {
        let names = self.names_in(&self.place.log()).into_iter();
        names.filter(|path| index_of(path).is_some()).collect()
    }

    fn find_events(&mut self, path: &Path) {
        let Some(segment) = index_of(path) else { return };
        let bytes = &self.files[path];
        let mut found = if path.extension().is_some_and(|extension| extension == "lz4") {
            sealed(segment, &decompressed(bytes), &|range| frame_parts(path, bytes, range))
        } else if number(bytes, 40, 8) != 0 {
            sealed(segment, bytes, &|range| vec![part(path, range)])
        } else {
            self.open(segment, path)
        };
        self.add_copies_in_memory(segment, &mut found);
        self.events.extend(found);
    }

    /// The memory of a closed segment that was not used again has all blocks, sealed.
    fn add_copies_in_memory(&self, segment: u32, events: &mut [Event]) {
        let Some(active) = self.place.actives().pop() else { return };
        let memory = active.join(format!("FS.{segment:08}.wal"));
        if !self.files.contains_key(&memory) {
            return;
        }
        // What says that it is this log's and this segment's, and full.
        let header = Part { whole: true, ..part(&memory, 0..2 * HEADER + 8) };
        let last_block = self.files[&memory].len() - BLOCK;
        let seal = part(&memory, last_block..last_block + HEADER);
        let identity = active.join("wal_identity");
        let identity = part(&identity, 0..self.files[&identity].len());
        for event in events.iter_mut().filter(|event| event.is_closed) {
            let block = HEADER + event.block as usize * BLOCK;
            let block = part(&memory, block..block + BLOCK);
            event.copies.push(vec![header.clone(), seal.clone(), identity.clone(), block]);
        }
    }

    /// The events of an open segment: in memory, and as far as they are sealed on disk, too.
    fn open(&self, segment: u32, path: &Path) -> Vec<Event> {
        let disk = &self.files[path];
        let name = path.file_name().unwrap();
        let Some(active) = self.place.actives().pop() else { return Vec::new() };
        let Some(memory) = self.files.get(&active.join(name)) else { return Vec::new() };
        let mut events: Vec<Event> = Vec::new();
        let floor = self.events.last().map_or(0, |event| event.id);
        for slot in 0..(memory.len() - HEADER) / BLOCK * 256 {
            let block = HEADER + slot / 256 * BLOCK;
            let at = block + HEADER + slot % 256 * EVENT;
            let id = number(memory, at, 8);
            if id <= events.last().map_or(floor, |event| event.id) {
                break;
            }
            let whole = Part { whole: true, ..part(&active.join(name), 0..at + EVENT) };
            let identity = active.join("wal_identity");
            let all = 0..self.files[&identity].len();
            let mut copies = vec![vec![whole, part(&identity, all)]];
            let is_sealed = number(disk, block, 8) == number(memory, block + HEADER, 8);
            let count = number(disk, block + 44, 2) as usize;
            if is_sealed && slot % 256 < count {
                copies.push(vec![part(path, block..block + HEADER + count * EVENT)]);
            }
            let bytes = memory[at..at + EVENT].to_vec();
            let block = (slot / 256) as u64;
            events.push(Event { id, bytes, segment, block, is_closed: false, copies });
        }
        events
    }
}

fn part(file: &Path, range: Range<usize>) -> Part {
    Part { file: file.to_owned(), range, whole: false }
}

/// The events of a closed segment. `parts`: where a range of its content is in its file.
fn sealed(segment: u32, content: &[u8], parts: &dyn Fn(Range<usize>) -> Vec<Part>) -> Vec<Event> {
    let mut events = Vec::new();
    for block in 0..number(content, 8, 4) {
        let at = HEADER + block as usize * BLOCK;
        let count = number(content, at + 44, 2) as usize;
        let slots = &content[at + HEADER..at + HEADER + count * EVENT];
        let needed = parts(at..at + HEADER + count * EVENT);
        events.extend(slots.chunks(EVENT).map(|bytes| Event {
            id: number(bytes, 0, 8),
            bytes: bytes.to_vec(),
            segment,
            block,
            is_closed: true,
            copies: vec![needed.clone()],
        }));
    }
    events
}

fn decompressed(frame: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    lz4::Decoder::new(frame).unwrap().read_to_end(&mut content).unwrap();
    content
}

/// Where the blocks of a frame lie in its file: length, data and checksum of each. Of one that is
/// damaged, those before the damage.
pub fn frame_blocks(frame: &[u8]) -> Vec<Range<usize>> {
    let checksum = if has_block_checksums(frame) { 4 } else { 0 };
    let (mut at, mut blocks) = (15, Vec::new());
    while at + 4 <= frame.len() {
        let len = number(frame, at, 4) as usize & 0x7FFF_FFFF;
        let end = at + 4 + len + checksum;
        if len == 0 || end > frame.len() {
            break;
        }
        blocks.push(at..end);
        at = end;
    }
    blocks
}

fn has_block_checksums(frame: &[u8]) -> bool {
    frame[4] & 0x10 != 0
}

/// The blocks of a frame that hold a range of its content. They are of equal length, which the
/// frame's header names. Where they have no checksums, what is before them is needed, too: nothing
/// tells where one begins behind another that is damaged.
fn frame_parts(path: &Path, frame: &[u8], content: Range<usize>) -> Vec<Part> {
    let limit = 1 << (8 + 2 * (frame[5] >> 4));
    let wanted = content.start / limit..=(content.end - 1) / limit;
    let blocks = &frame_blocks(frame)[wanted];
    match has_block_checksums(frame) {
        true => blocks.iter().map(|range| part(path, range.clone())).collect(),
        false => vec![part(path, 0..blocks[blocks.len() - 1].end)],
    }
}

/// The index of the segment that a file's name says. A temporary file is none's.
pub fn index_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?.strip_prefix("FS.")?;
    let (index, kind) = name.split_once('.')?;
    index.parse().ok().filter(|_| !kind.ends_with("tmp"))
}

pub fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    let bytes = bytes[at..at + len].iter().rev();
    bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn read_all(directory: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, files);
        } else {
            files.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
}

/// Changes files that are `before` so that they are `after`. Directories stay what they are: a log
/// knows its own by the inode.
pub fn put(before: &Files, after: &Files) {
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        std::fs::remove_file(path).unwrap();
    }
    for (path, bytes) in after.iter().filter(|(path, bytes)| before.get(*path) != Some(bytes)) {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
        file.set_len(bytes.len() as u64).unwrap();
        file.write_all_at(bytes, 0).unwrap();
    }
}
