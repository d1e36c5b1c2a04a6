//! From one segment to the next: which one reading goes on in, and what it means when that is
//! missing or cannot be opened.

use std::time::Instant;

use crate::error::{Error, Place, Result};
use crate::segment::DamageKind;

use super::preloader::Preloader;
use super::reader::Reader;

impl Reader {
    /// A segment that cannot be read at all, or is missing. A salvaging reader reports it once.
    fn pass_over(&mut self, index: u32, next: Option<u32>, error: Error) -> Result<()> {
        if !self.salvages {
            return Err(error);
        }
        let error = error.in_segment(index);
        let order = Some((index, u64::MAX, DamageKind::MissingSegment));
        let is_news = order > self.reported;
        self.reported = self.reported.max(order);
        if let Some(next) = next {
            self.next_index = Some(next);
        } else if !is_news {
            return Err(Error::End);
        }
        if is_news {
            return Err(error);
        }
        Ok(())
    }

    /// Opens the next segment.
    pub(super) fn enter(&mut self, looks: &mut u32) -> Result<()> {
        // A directory is listed only when it must be: with a thousand segments that takes longer
        // than opening one.
        let next_index = match self.next_index {
            None => self.files.indexes()?.first().copied(),
            known => known,
        };
        let Some(index) = next_index else { return self.stop_at(0, looks) };
        if let Some(mut segment) = self.prepared.take().filter(|found| found.index == index) {
            segment.cursor.begin_above(self.floor);
            self.segment = Some(segment);
            self.next_index = Some(index);
            return Ok(());
        }
        let is_next = |preloader: &mut Preloader| preloader.enter(index, self.floor);
        if self.next_index.is_some() && self.preloader.as_mut().is_some_and(is_next) {
            self.ahead = true;
            return Ok(());
        }
        let begin = Instant::now();
        let opened = self.files.open_segment(index, self.floor);
        self.counts.open += begin.elapsed();
        match opened {
            Ok(Some(mut segment)) => {
                segment.cursor.lend(self.memory.drain(..));
                (self.segment, self.is_new) = (Some(segment), true);
                self.counts.opened += 1;
                self.next_index = Some(index);
                return Ok(());
            }
            Ok(None) => {}
            Err(error) => return self.pass_over(index, index.checked_add(1), error),
        }
        let indexes = self.files.indexes()?;
        let Some(&next) = indexes.iter().find(|&&other| other >= index) else {
            return self.stop_at(self.floor, looks);
        };
        // The oldest may go before anything of it was read; or it was not in the first listing.
        if (self.next_index.is_none() || next == index) && self.look_again(looks) {
            return Ok(());
        }
        // Prepared segments that were never used are removed in any order, so that none is missing
        // when one before it is gone.
        if !self.has_events_from(index)? {
            return self.stop_at(self.floor, looks);
        }
        if indexes.first() == Some(&next) {
            return self.pass_gap(index);
        }
        if self.look_again(looks) {
            return Ok(());
        }
        let path = self.files.path_of(index);
        let (cause, why) = self.files.cause_of_lack();
        let path = path.display();
        let message = format!("{path}: missing, though segment {next} is there{why}");
        let place = Place { segment_index: Some(index), ..Place::default() };
        let missing = Error::new(cause, message).at(place);
        self.pass_over(index, Some(next), missing)
    }

    /// Goes on behind a segment that is read to its end.
    pub(super) fn leave(&mut self, looks: &mut u32) -> Result<()> {
        let Some(segment) = &self.segment else { return Ok(()) };
        let end = segment.cursor.last_event_id();
        let Some(next) = segment.index.checked_add(1) else { return self.stop_at(end, looks) };
        if segment.cursor.has_room() {
            // A log that was shut down goes on in its last segment. So a segment behind one with
            // room counts only if it holds events and the one before has not changed meanwhile.
            if !self.has_events_from(next)? {
                return self.stop_at(end, looks);
            }
            if !self.files.is_unchanged(segment)? {
                self.segment = None;
                return Ok(());
            }
        }
        if let Some(segment) = &mut self.segment {
            self.memory.clear();
            self.memory.extend(segment.cursor.take_memory());
        }
        self.segment = None;
        self.next_index = Some(next);
        self.floor = end;
        // Of a damaged segment more is passed than its blocks show.
        self.from = self.from.max(end.saturating_add(1));
        Ok(())
    }

    /// Whether a segment of this index or a later one holds events.
    fn has_events_from(&self, index: u32) -> Result<bool> {
        for &later in self.files.indexes()?.iter().filter(|&&other| other >= index) {
            match self.files.open_segment(later, 0) {
                // A salvaging reader enters a damaged segment and reports the damage.
                Ok(Some(segment))
                    if segment.cursor.first_event_id()? != 0 || segment.cursor.is_damaged() =>
                {
                    return Ok(true);
                }
                Ok(_) => {}
                Err(_) if self.salvages => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}
