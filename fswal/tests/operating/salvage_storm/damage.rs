//! Random damage to the files of a log.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::logs::{frame_blocks, index_of, Files, Original, BLOCK, HEADER};
use super::random::Random;

/// A log's files after the damage.
pub struct Damaged {
    pub files: Files,
    pub done: Vec<String>,
    /// Names of segments that hold another segment's file.
    pub misplaced: Vec<PathBuf>,
}

/// One to four things are done to a log.
pub fn some(log: &Original, random: &mut Random) -> Damaged {
    let (files, done, misplaced) = (log.files.clone(), Vec::new(), Vec::new());
    let mut damaged = Damaged { files, done, misplaced };
    for _ in 0..1 + random.below(4) {
        let targets = damaged.targets(log);
        match random.below(20) {
            0 => damaged.remove(random.one_of(&targets)),
            1 => damaged.cut(random.one_of(&targets), random),
            2 => damaged.swap(log, random),
            3 => damaged.rename(log, random),
            4 | 5 => damaged.small_file(log, random),
            6 | 7 => damaged.memory(log, random),
            _ => {
                let path = random.one_of(&targets);
                damaged.overwrite(path, random);
            }
        }
    }
    damaged
}

impl Damaged {
    /// Segments that are still there, under their own names.
    fn targets(&self, log: &Original) -> Vec<PathBuf> {
        let is_there =
            |path: &PathBuf| self.files.contains_key(path) && !self.misplaced.contains(path);
        let targets: Vec<PathBuf> = log.segments().into_iter().filter(is_there).collect();
        // There is always something to damage.
        if targets.is_empty() {
            log.names_in(&log.place.log())
        } else {
            targets
        }
    }

    fn note(&mut self, what: &str, path: &Path) {
        self.done.push(format!("{what} {}", path.display()));
    }

    fn remove(&mut self, path: PathBuf) {
        self.files.remove(&path);
        self.note("removed", &path);
    }

    fn cut(&mut self, path: PathBuf, random: &mut Random) {
        let Some(bytes) = self.files.get_mut(&path) else { return };
        let len = match random.below(3) {
            // At the end of a block.
            0 if bytes.len() > BLOCK => HEADER + random.below(bytes.len() / BLOCK) * BLOCK,
            _ => random.below(bytes.len().max(1)),
        };
        bytes.truncate(len);
        self.note(&format!("cut to {len} bytes"), &path);
    }

    fn swap(&mut self, log: &Original, random: &mut Random) {
        let kind = |path: &PathBuf| path.extension().map(|extension| extension.to_owned());
        let (targets, one) = (self.untouched(log), random.below(1 << 20));
        let Some(one) = targets.get(one % targets.len().max(1)).cloned() else { return };
        let others: Vec<PathBuf> =
            targets.into_iter().filter(|path| *path != one && kind(path) == kind(&one)).collect();
        if others.is_empty() {
            return;
        }
        let other = random.one_of(&others);
        let (first, second) = (self.files.remove(&one), self.files.remove(&other));
        self.files.extend(first.map(|bytes| (other.clone(), bytes)));
        self.files.extend(second.map(|bytes| (one.clone(), bytes)));
        self.note(&format!("swapped with {}", other.display()), &one);
        self.misplaced.extend([one, other]);
    }

    fn rename(&mut self, log: &Original, random: &mut Random) {
        let targets = self.untouched(log);
        if targets.is_empty() {
            return;
        }
        let path = random.one_of(&targets);
        let Some(bytes) = self.files.remove(&path) else { return };
        let is_cold = path.extension().is_some_and(|extension| extension == "lz4");
        let end = if is_cold { "wal.lz4" } else { "wal" };
        let index = 90 + random.below(9);
        let (name, counts) = match random.below(2) {
            0 => (format!("FS.{index:08}.{end}"), true),
            _ => (format!("FS.{index:08}.{end}.moved"), false),
        };
        let to = path.with_file_name(&name);
        self.note(&format!("renamed to {name}"), &path);
        self.files.insert(to.clone(), bytes);
        if counts {
            self.misplaced.push(to);
        }
    }

    /// Closed segments that are as they were: of one that is damaged as well its header does not
    /// tell that it is another's.
    fn untouched(&self, log: &Original) -> Vec<PathBuf> {
        let is_whole = |path: &PathBuf| self.files.get(path) == log.files.get(path);
        let is_closed = |path: &PathBuf| {
            log.events.iter().any(|event| Some(event.segment) == index_of(path) && event.is_closed)
        };
        let targets = self.targets(log).into_iter();
        targets
            .filter(|path| index_of(path).is_some() && is_whole(path) && is_closed(path))
            .collect()
    }

    fn small_file(&mut self, log: &Original, random: &mut Random) {
        let name = random.one_of(&["wal_meta.dat", "wal_identity"]);
        let path = log.place.log().join(name);
        self.break_small(path, random);
    }

    fn break_small(&mut self, path: PathBuf, random: &mut Random) {
        let Some(bytes) = self.files.get_mut(&path) else { return };
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => self.remove(path),
            1 => {
                bytes.truncate(at);
                self.note("cut", &path);
            }
            _ => {
                bytes[at] ^= 1 << random.below(8);
                self.note(&format!("flipped a bit of byte {at} of"), &path);
            }
        }
    }

    /// The files of the active directory, where there is one.
    fn memory(&mut self, log: &Original, random: &mut Random) {
        let Some(active) = log.place.actives().pop() else { return };
        let there: Vec<PathBuf> = log.names_in(&active).into_iter().collect();
        if random.below(6) == 0 {
            return there.into_iter().for_each(|path| drop(self.files.remove(&path)));
        }
        let path = random.one_of(&there);
        match index_of(&path) {
            None => self.break_small(path, random),
            Some(_) if random.below(3) == 0 => self.cut(path, random),
            Some(_) if random.below(3) == 0 => self.remove(path),
            Some(_) => self.overwrite(path, random),
        }
    }

    /// Changes a bit, a byte or many bytes, where something is.
    fn overwrite(&mut self, path: PathBuf, random: &mut Random) {
        let Some(bytes) = self.files.get_mut(&path) else { return };
        if bytes.is_empty() {
            return;
        }
        let place = place(&path, bytes, random);
        let at = random.within(place);
        let what = match random.below(5) {
            0 | 1 => {
                bytes[at] ^= 1 << random.below(8);
                format!("flipped a bit of byte {at} of")
            }
            2 => {
                bytes[at] = random.next() as u8;
                format!("changed byte {at} of")
            }
            _ => {
                let most = if random.below(2) == 0 { 100 } else { 40_000 };
                let end = (at + 1 + random.below(most)).min(bytes.len());
                let with = random.one_of(&[Some(0), Some(0xFF), None]);
                bytes[at..end].fill_with(|| with.unwrap_or_else(|| random.next() as u8));
                format!("overwrote bytes {at} to {end} of")
            }
        };
        self.note(&what, &path);
    }
}

/// Where in a file something is to be changed: anywhere, or where it hurts most.
fn place(path: &Path, bytes: &[u8], random: &mut Random) -> Range<usize> {
    let len = bytes.len();
    let anywhere = 0..len;
    let is_cold = path.extension().is_some_and(|extension| extension == "lz4");
    let place = match random.below(4) {
        0 if is_cold && len > 100 => {
            let blocks = frame_blocks(bytes);
            match random.below(4) {
                0 => 0..15,
                1 => len - 8..len,
                _ if blocks.is_empty() => anywhere.clone(),
                _ => {
                    let block = random.one_of(&blocks);
                    if random.below(2) == 0 {
                        block.start..block.start + 4
                    } else {
                        block.end - 4..block.end
                    }
                }
            }
        }
        0 if !is_cold => 0..HEADER,
        1 if !is_cold && len > BLOCK => {
            let block = HEADER + random.below(len / BLOCK) * BLOCK;
            block..block + HEADER
        }
        _ => anywhere.clone(),
    };
    place.start.min(len - 1)..place.end.min(len)
}
