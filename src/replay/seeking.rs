//! Where reading begins: at an event, or at a time. Found by headers, without reading what lies
//! between.

use crate::error::{Cause, Error, Place, Result};
use crate::segment::Sought;

use super::reader::Reader;

impl Reader {
    /// Goes to the first event with this id or a higher one, of those that are still there. When
    /// retention has removed events from this id on, the next read says so, once.
    pub fn seek(&mut self, event_id: u64) -> Result<()> {
        let (next_index, floor) = self.find(event_id)?;
        self.begin_in(next_index, floor, Sought::Id(event_id));
        self.from = event_id.max(1);
        self.sought = event_id;
        if next_index.is_none() && event_id > 0 {
            self.gap = self.gap_before_oldest(event_id);
        }
        Ok(())
    }

    /// Goes to the first event of this time or a later one, of those that are still there. If the
    /// times of events do not rise, to some event of that time or a later one, behind an event that
    /// is earlier, or to the first of the log.
    pub fn seek_time(&mut self, time: u64) -> Result<()> {
        let (next_index, floor) = self.find_time(time)?;
        self.begin_in(next_index, floor, Sought::Time(time));
        let before = self.segment.as_ref().map_or(floor, |found| found.cursor.last_event_id());
        self.from = before.saturating_add(1);
        self.sought = self.from;
        self.from_time = Some(time);
        Ok(())
    }

    /// Begins anew in a segment (`None` = the oldest), where `sought` is.
    fn begin_in(&mut self, next_index: Option<u32>, floor: u64, sought: Sought) {
        self.drop_batch();
        self.behind_damage = Default::default();
        if let Some(preloader) = &mut self.preloader {
            preloader.clear();
        }
        (self.segment, self.ahead, self.outcome) = (None, false, None);
        (self.next_index, self.floor, self.from) = (next_index, floor, 1);
        (self.reported, self.gap, self.from_time) = (None, None, None);
        self.hold();
        let is_no_good =
            |segment: &mut Box<super::log_files::Segment>| !segment.cursor.go_to(sought);
        if self.segment.as_mut().is_some_and(is_no_good) {
            // The first read meets what is wrong with it, if that is not before what is sought.
            self.segment = None;
            self.hold();
        }
    }

    /// What the oldest segment, in which the reader stands, shows to be gone from this event on.
    fn gap_before_oldest(&self, event_id: u64) -> Option<Error> {
        let segment = self.segment.as_ref().filter(|segment| segment.index > 0)?;
        let first = segment.cursor.first_event_id().ok().filter(|first| *first > event_id)?;
        let ids = (event_id, first - 1);
        let message = format!("retention has removed events {} to {}", ids.0, ids.1);
        let place = Place { event_ids: Some(ids), ..Place::default() };
        Some(Error::new(Cause::Gap, message).at(place))
    }

    /// Holds the segment that reading begins in, so that retention does not take it. From here on
    /// what is lost is a gap. The first read reports what is wrong with the segment.
    pub(super) fn hold(&mut self) {
        let mut looks = 0;
        while self.segment.is_none() {
            let before = (self.next_index, self.from, self.reported);
            if self.enter(&mut looks).is_err() {
                (self.next_index, self.from, self.reported) = before;
                break;
            }
        }
    }

    /// The last segment that begins at or below an id, and an id below its first event's. Segments
    /// without events are ignored; damaged ones are stepped over, so that one does not hide the
    /// others.
    fn find(&self, event_id: u64) -> Result<(Option<u32>, u64)> {
        let indexes = self.files.indexes()?;
        let mut best = None;
        let (mut low, mut high) = (0, indexes.len());
        while low < high {
            let middle = (low + high) / 2;
            let mut probe = middle;
            let first = loop {
                match self.files.open_segment(indexes[probe], 0) {
                    Ok(Some(segment)) => break Some((segment.cursor.first_event_id()?, segment)),
                    // Retention removes the oldest, as much as it wants.
                    Ok(None) => {}
                    Err(error) if self.salvages || error.cause() == Some(Cause::Corrupt) => {}
                    Err(error) => return Err(error),
                }
                probe += 1;
                if probe == high {
                    break None;
                }
            };
            match first {
                Some((first, segment)) if first != 0 && first <= event_id => {
                    best = Some((probe, first - 1, segment.cursor.is_closed()));
                    low = probe + 1;
                }
                _ => high = middle,
            }
        }
        best.map_or(Ok((None, 0)), |best| self.begin_of_open(&indexes, best))
    }

    /// A segment, its floor, and whether it is closed: or, if it is not, the first of the open ones
    /// in a row. Whether the events of an open segment count is decided by those before it.
    fn begin_of_open(
        &self,
        indexes: &[u32],
        (mut at, mut floor, mut closed): (usize, u64, bool),
    ) -> Result<(Option<u32>, u64)> {
        while !closed && at > 0 {
            let before = match self.files.open_segment(indexes[at - 1], 0) {
                Ok(Some(before)) => before,
                Ok(None) => break,
                Err(_) if self.salvages => break,
                Err(error) => return Err(error),
            };
            closed = before.cursor.is_closed();
            if !closed {
                at -= 1;
                floor = before.cursor.first_event_id()?.saturating_sub(1);
            }
        }
        Ok((Some(indexes[at]), floor))
    }

    /// The last segment that begins before a time, and an id below its first event's.
    fn find_time(&self, time: u64) -> Result<(Option<u32>, u64)> {
        let indexes = self.files.indexes()?;
        let (mut low, mut high) = (0, indexes.len());
        let mut best = None;
        while low < high {
            let middle = (low + high) / 2;
            let first = match self.files.open_segment(indexes[middle], 0) {
                Ok(Some(mut segment)) => {
                    let time = segment.cursor.first_time();
                    let id = segment.cursor.first_event_id().unwrap_or(0);
                    let closed = segment.cursor.is_closed();
                    time.filter(|_| id != 0).map(|time| (time, id, closed))
                }
                Ok(None) => None,
                Err(error) if self.salvages || error.cause() == Some(Cause::Corrupt) => None,
                Err(error) => return Err(error),
            };
            match first {
                Some((first, id, closed)) if first < time => {
                    best = Some((middle, id - 1, closed));
                    low = middle + 1;
                }
                _ => high = middle,
            }
        }
        best.map_or(Ok((None, 0)), |best| self.begin_of_open(&indexes, best))
    }
}
