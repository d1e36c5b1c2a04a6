//! Reads and opens a damaged directory in every way, and checks it.
//!
//! No panic, no endless reading; ids rise; every event returned is the one that was appended; the
//! log has no hole; a refused open leaves everything unchanged; accepting loss deletes nothing;
//! opened again, the log is the same.

use flashstrike_wal::error::{Cause, Error};
use flashstrike_wal::format::{file_name, file_name::FileName, RequestEvent};
use flashstrike_wal::format::{BlockHeader, EVENT_SIZE};
use flashstrike_wal::recorder::Manager;
use flashstrike_wal::replay::{verify, Reader, ReaderOptions};

use super::bench::{blocks_of, event_ids, slots, stated_durable, Bench};
use super::logs::{Files, Start, ACTIVE};
use super::mutation::Mutation;
use crate::event;

/// The outcome of a case, so that a run can show that it met every outcome.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Opened without `accept_loss`.
    pub opened: bool,
    /// Opened only with `accept_loss`.
    pub accepted_loss: bool,
    /// A reader met damage and reported it.
    pub damage_found: bool,
    /// A changed event was returned that nothing on disk could prove or disprove.
    pub unprovable: bool,
}

/// The events a reader returned, and what it ended with.
struct Reading {
    events: Vec<RequestEvent>,
    end: Error,
}

impl Reading {
    fn is_whole(&self) -> bool {
        matches!(self.end, Error::End)
    }

    fn ids(&self) -> Vec<u64> {
        self.events.iter().map(|event| event.event_id).collect()
    }
}

/// A log, its mutations, and the resulting files.
pub struct Case<'a> {
    pub bench: &'a Bench,
    pub start: &'a Start,
    pub mutations: &'a [Mutation],
    pub files: Files,
}

impl Case<'_> {
    pub fn check(&self, seek_to: u64) -> Result<Outcome, String> {
        let mut outcome = Outcome::default();
        if !self.holds_a_log() {
            return self.check_not_found().map(|()| outcome);
        }
        let reading = self.read()?;
        outcome.damage_found |= !reading.is_whole();
        outcome.unprovable |= self.check_events(&reading)?;
        self.check_losses(&reading)?;
        self.check_seek(&reading, seek_to)?;
        self.check_salvage(&reading)?;
        self.check_unchanged("reading")?;
        match self.open(false)? {
            Some(()) => outcome.opened = true,
            None => outcome.accepted_loss = self.open(true)?.is_some(),
        }
        Ok(outcome)
    }

    /// Whether anything is left by which a log is known.
    fn holds_a_log(&self) -> bool {
        self.files.keys().any(|name| match file_name::parse(name) {
            Some(FileName::Hot(_) | FileName::Cold(_)) => true,
            _ => [file_name::META, file_name::IDENTITY].contains(&name.as_str()),
        })
    }

    fn check_not_found(&self) -> Result<(), String> {
        let options = ReaderOptions { verify: true };
        let results = [
            Reader::open(&self.bench.log(), options).map(drop),
            verify(&self.bench.log()).map(drop),
        ];
        match results.iter().all(|r| r.as_ref().is_err_and(|e| e.cause() == Some(Cause::NotFound)))
        {
            true => Ok(()),
            false => Err(format!("there is no log: {results:?}")),
        }
    }

    fn read(&self) -> Result<Reading, String> {
        const MOST: usize = 1 << 20;
        let mut reader = self.reader()?;
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) if events.len() < MOST => events.push(event),
                Ok(_) => return Err("reading does not end".into()),
                Err(end) => {
                    let allowed = [None, Some(Cause::Corrupt), Some(Cause::Gap)];
                    let allowed = allowed.contains(&end.cause()) || self.is_about_active(&end);
                    return if allowed {
                        Ok(Reading { events, end })
                    } else {
                        Err(format!("read: {end}"))
                    };
                }
            }
        }
    }

    fn reader(&self) -> Result<Reader, String> {
        let options = ReaderOptions { verify: self.bench.verify };
        Reader::open(&self.bench.log(), options).map_err(|error| format!("reader: {error}"))
    }

    /// An identity may name any path as the active directory, which may then be unreadable or
    /// untrusted.
    fn is_about_active(&self, error: &Error) -> bool {
        let identity = self.mutations.iter().any(|m| matches!(m, Mutation::Identity { .. }));
        identity && matches!(error.cause(), Some(Cause::Io | Cause::Permission))
    }

    /// Every event must be the one of its id, unless nothing could disprove it: returns whether
    /// there was one that no checksum in any file covers.
    fn check_events(&self, reading: &Reading) -> Result<bool, String> {
        let mut last = 0;
        let mut unprovable = false;
        for found in &reading.events {
            if found.event_id <= last {
                return Err(format!("event {} after {last}", found.event_id));
            }
            last = found.event_id;
            if *found == event(last) || self.mutations.iter().any(Mutation::is_perfect) {
                continue;
            }
            if self.is_proved(&found.encode()) {
                return Err(format!("event {last} was changed, its block says so: given out"));
            }
            unprovable = true;
        }
        Ok(unprovable)
    }

    /// Whether these bytes are only in files whose seal contradicts them. There is no such seal in
    /// memory, where the header is missing, and where the header was written before its events:
    /// events below D were proved once by an older header.
    fn is_proved(&self, bytes: &[u8; EVENT_SIZE]) -> bool {
        let durable = self.files.iter().map(|(name, bytes)| stated_durable(name, bytes)).max();
        let unproved = |name: &str, block: &[u8]| {
            let header = block.first_chunk().and_then(BlockHeader::decode);
            name.starts_with(ACTIVE)
                || header.is_none_or(|header| Some(header.last_event_id) > durable)
        };
        !self.files.iter().any(|(name, file)| {
            let mut blocks = blocks_of(file).filter(|block| unproved(name, block));
            blocks.any(|block| slots(block).any(|slot| slot == bytes))
        })
    }

    /// After a single change no event that is known durable may be missing unreported, neither at
    /// the end nor in the middle.
    fn check_losses(&self, reading: &Reading) -> Result<(), String> {
        let [mutation] = self.mutations else { return Ok(()) };
        if !reading.is_whole() || is_beyond_proof(mutation) {
            return Ok(());
        }
        let ids = reading.ids();
        if let Some(pair) = ids.windows(2).find(|pair| pair[1] != pair[0] + 1) {
            return Err(format!("read to the end, but not what is between {pair:?}"));
        }
        // The oldest segments may be missing: retention deletes those.
        let oldest = self.files.contains_key(&file_name::hot(0))
            || self.files.contains_key(&file_name::cold(0));
        if oldest && ids.first().is_some_and(|&first| first != 1) {
            return Err(format!("read to the end, but not what is before {:?}", ids.first()));
        }
        let last = ids.last().copied().unwrap_or(0);
        let durable = self.known_durable().min(self.start.last);
        if last < durable {
            return Err(format!("read to the end at {last}, though {durable} is known durable"));
        }
        Ok(())
    }

    /// The durable id that unchanged files claim: meta and the block headers.
    fn known_durable(&self) -> u64 {
        let untouched = self.files.iter().filter(|(name, _)| !name.starts_with(ACTIVE));
        let untouched =
            untouched.filter(|(name, bytes)| self.start.files.get(*name) == Some(bytes));
        untouched.map(|(name, bytes)| stated_durable(name, bytes)).max().unwrap_or(0)
    }

    fn check_seek(&self, reading: &Reading, seek_to: u64) -> Result<(), String> {
        let mut reader = self.reader()?;
        let mut found = reader.seek(seek_to).and_then(|()| reader.next());
        // The beginning of the log is gone, and with it the event: that is said once.
        let oldest = reading.events.first().map_or(0, |event| event.event_id);
        if seek_to < oldest && found.as_ref().is_err_and(|e| e.cause() == Some(Cause::Gap)) {
            found = reader.next();
        }
        if !reading.is_whole() {
            return Ok(());
        }
        let expected = reading.events.iter().find(|event| event.event_id >= seek_to);
        match (found, expected) {
            (Ok(found), Some(expected)) if found == *expected => Ok(()),
            (Err(Error::End), None) => Ok(()),
            // With several mutations a seek may meet damage that reading the whole log does not.
            (Err(_), _) if self.mutations.len() > 1 => Ok(()),
            (found, expected) => {
                Err(format!("seek to {seek_to}: {found:?}, but read whole it is {expected:?}"))
            }
        }
    }

    /// A salvaging reader ends, returns everything that a plain reader returns, and changes none of
    /// it. So does verify, which reads the same way.
    fn check_salvage(&self, reading: &Reading) -> Result<(), String> {
        /// The most events and reported ranges of a log of this size.
        const MOST: usize = 1 << 16;
        let salvaging = Reader::open_salvaging(&self.bench.log());
        let mut reader = salvaging.map_err(|error| format!("salvage: {error}"))?;
        let mut events = Vec::new();
        for n in 0.. {
            match reader.next() {
                Ok(event) => events.push(event),
                Err(Error::End) => break,
                Err(error) if error.cause().is_none() => return Err(format!("salvage: {error}")),
                Err(_) => {}
            }
            if n == MOST {
                return Err("salvaging does not end".into());
            }
        }
        let salvaged = Reading { events, end: Error::End };
        self.check_events(&salvaged)?;
        let given = |event: &&RequestEvent| {
            salvaged.events.binary_search_by_key(&event.event_id, |e| e.event_id).is_ok()
        };
        let right = |found: &&RequestEvent| **found == event(found.event_id);
        let missing = reading.events.iter().filter(right).find(|event| !given(event));
        if let Some(missing) = missing.filter(|_| !self.has_damaged_pair()) {
            return Err(format!("event {} is read, and not salvaged", missing.event_id));
        }
        let report = verify(&self.bench.log()).map_err(|error| format!("verify: {error}"))?;
        if report.damage_count == 0 && !reading.is_whole() && self.mutations.len() == 1 {
            return Err(format!("verify finds nothing, and reading ends in: {}", reading.end));
        }
        Ok(())
    }

    /// Whether both files of a pair exist and were changed: a reader takes one, salvage the one of
    /// which more is proved.
    fn has_damaged_pair(&self) -> bool {
        let changed = |name: &String| self.start.files.get(name) != self.files.get(name);
        (0..8).any(|index| {
            let pair = [file_name::hot(index), file_name::cold(index)];
            pair.iter().all(|name| self.files.contains_key(name) && changed(name))
        })
    }

    /// Whether a block was exchanged with one in the disk file of a segment that is carried over
    /// from memory, after that file's durable events: that part may be overwritten, and looks like
    /// a block from the file's former use. The resulting hole is reported.
    fn is_put_into_free_space(&self, mutation: &Mutation) -> bool {
        let carried_over = |name: &String| self.files.contains_key(&format!("{ACTIVE}{name}"));
        matches!(mutation, Mutation::SwapBlocks { a, b, .. } if carried_over(a) || carried_over(b))
    }

    fn check_unchanged(&self, what: &str) -> Result<(), String> {
        let now = self.bench.files();
        let changed = |name: &&String| now.get(*name) != self.files.get(*name);
        match now.keys().chain(self.files.keys()).find(changed) {
            None => Ok(()),
            Some(name) => Err(format!("{what} changed {name}")),
        }
    }

    /// Opens the log, appends to it, and opens it again. `None` when it is refused.
    fn open(&self, accept_loss: bool) -> Result<Option<()>, String> {
        let (manager, mut writer) =
            match Manager::open(&self.bench.log(), self.bench.config(accept_loss)) {
                Ok(opened) => opened,
                Err(error) => {
                    self.check_unchanged(&format!("{error}: refused, and yet it"))?;
                    return self.check_refusal(&error).map(|()| None);
                }
            };
        let last = manager.log().appended().last_event_id;
        let next = last.saturating_add(1);
        let appended = writer.append(&event(next));
        let used_up = appended.as_ref().is_err_and(|error| error.cause() == Some(Cause::NoSpace));
        if last < u64::MAX - 1 && !used_up {
            appended.map_err(|error| format!("append {next}: {error}"))?;
        }
        manager.shutdown(writer).map_err(|error| format!("shutdown: {error}"))?;
        self.check_kept(last)?;

        let reading = self.read()?;
        self.check_events(&reading)?;
        if reading.is_whole()
            && last < u64::MAX - 1
            && !used_up
            && reading.ids().last() != Some(&next)
        {
            return Err(format!("{next} was appended, {:?} is the last", reading.ids().last()));
        }
        let again = Manager::open(&self.bench.log(), self.bench.config(false));
        let (manager, writer) = again.map_err(|error| format!("opened again: {error}"))?;
        manager.shutdown(writer).map_err(|error| format!("second shutdown: {error}"))?;
        if self.read()?.ids() != reading.ids() {
            return Err("opened twice it is another log".into());
        }
        Ok(Some(()))
    }

    fn check_refusal(&self, error: &Error) -> Result<(), String> {
        let expected = match error.cause() {
            Some(Cause::Corrupt | Cause::NoSpace) => true,
            _ => self.is_about_active(error),
        };
        if !expected {
            return Err(format!("open: {:?}: {error}", error.cause()));
        }
        let names_it = error.to_string().contains(self.bench.place.path().to_str().unwrap());
        if !names_it && !self.is_about_active(error) {
            return Err(format!("does not say where: {error}"));
        }
        Ok(())
    }

    /// Every event that the segments held is still there: in the log, or kept aside.
    fn check_kept(&self, last: u64) -> Result<(), String> {
        // Recovery believes a header that says everything is durable, even if what follows is
        // forged.
        let forged = |m: &Mutation| matches!(m, Mutation::Meta { .. } | Mutation::Forge { .. });
        if self.mutations.len() > 1 && self.mutations.iter().any(forged) {
            return Ok(());
        }
        if self.mutations.iter().any(|mutation| self.is_put_into_free_space(mutation)) {
            return Ok(());
        }
        let before = event_ids(self.files.iter().filter(|(name, bytes)| {
            // Without a first event it is a recycled file that was not used yet: its events are
            // old.
            let in_use = bytes.get(128..136).is_some_and(|id| id != [0; 8]);
            in_use && matches!(file_name::parse(name), Some(FileName::Hot(_)))
        }));
        let files = self.bench.files();
        let after = event_ids(files.iter());
        match before.difference(&after).next() {
            None => Ok(()),
            Some(id) => Err(format!("event {id} is in no file any more; the log ended at {last}")),
        }
    }
}

/// Changes that no reader can notice, by the rules of the format.
fn is_beyond_proof(mutation: &Mutation) -> bool {
    match mutation {
        // Memory is believed; its copy on disk is checked by other rules.
        Mutation::Splice { to, .. } => to.starts_with(ACTIVE),
        Mutation::SwapBlocks { a, b, .. } => a.starts_with(ACTIVE) || b.starts_with(ACTIVE),
        Mutation::Flip { file, .. }
        | Mutation::Overwrite { file, .. }
        | Mutation::Noise { file, .. }
        | Mutation::Zero { file, .. }
        | Mutation::Identity { file, .. } => file.starts_with(ACTIVE),
        _ => false,
    }
}
