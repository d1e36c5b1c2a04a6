//! Where reading stops: the end of the log, if nothing contradicts that, and what retention took.

use crate::error::{Cause, Error, Place, Result};
use crate::format::MAX_EVENT_ID;

use super::in_memory::MissingEvents;
use super::reader::{look_again, Reader};

/// How often the oldest event behind a gap is looked for: retention may have deleted it meanwhile.
const GAP_LOOKS: u32 = 200;

impl Reader {
    /// The end of the log, after the event `end`, unless more is known to be durable.
    pub(super) fn stop_at(&mut self, end: u64, looks: &mut u32) -> Result<()> {
        let durable_id = match self.files.durable_id() {
            Err(_) if self.salvages => 0,
            read => read?.min(MAX_EVENT_ID),
        };
        let mut overlap = None;
        if let Some(segment) = &self.segment {
            if durable_id <= end && segment.cursor.is_open_on_disk() && !self.salvages {
                overlap = self.files.overlap(segment.index, self.floor, end)?;
            }
            let unchanged = match self.files.is_unchanged(segment) {
                // What cannot be read was reported already.
                Err(_) if self.salvages => true,
                unchanged => unchanged?,
            };
            let is_open = !segment.cursor.is_closed();
            if unchanged && is_open && self.files.seems_to_go_on(segment) && self.goes_on(looks)? {
                return Ok(());
            }
            if !unchanged || !self.segment.as_ref().is_some_and(|found| found.cursor.is_live()) {
                // The next call finds it again, and passes over what was read of it.
                self.segment = None;
            }
            if !unchanged && self.look_again(looks) {
                return Ok(());
            }
        }
        if let Some(overlap) = overlap {
            return Err(overlap);
        }
        if durable_id <= end || (self.salvages && durable_id < self.from) {
            return Err(Error::End);
        }
        if self.look_again(looks) {
            return Ok(());
        }
        let (cause, why) = self.files.cause_of_lack();
        let message = format!("events {} to {durable_id} were durable and are gone{why}", end + 1);
        let place = Place {
            segment_index: self.next_index,
            offset: None,
            event_ids: Some((end + 1, durable_id)),
            len: 0,
        };
        if self.salvages {
            self.from = durable_id + 1;
        }
        Err(Error::new(cause, message).at(place))
    }

    /// Whether there is more to read behind the end of an open segment, which looks like it. Fails
    /// with the events that its memory should have; a salvaging reader then goes on where they are,
    /// or behind them.
    fn goes_on(&mut self, looks: &mut u32) -> Result<bool> {
        let Some(segment) = &mut self.segment else { return Ok(false) };
        // Written since the end was met.
        if segment.cursor.memory_goes_on()? {
            return Ok(true);
        }
        // If it was opened again meanwhile, what follows is not in this memory. On disk, events
        // arrive late.
        let is_settled = segment.found.disk.is_some() && self.files.is_unchanged(segment)?;
        if !is_settled && look_again(&self.files, looks) {
            self.segment = None;
            return Ok(true);
        }
        let missing = match self.files.missing_from_memory(segment, self.floor) {
            Err(_) if self.salvages => None,
            missing => missing?,
        };
        let Some(MissingEvents { damage, on_disk }) = missing else { return Ok(false) };
        if !self.salvages {
            return Err(damage.to_error());
        }
        if on_disk {
            self.segment = self.files.salvage_on_disk(segment, self.floor)?;
        } else {
            self.next_index = segment.index.checked_add(1);
            (self.floor, self.segment) = (segment.cursor.last_event_id(), None);
        }
        if !self.is_news(&damage) {
            return Ok(true);
        }
        self.reported = Some(damage.order());
        Err(damage.to_error())
    }

    pub(super) fn look_again(&self, looks: &mut u32) -> bool {
        look_again(&self.files, looks)
    }

    /// Retention was faster: goes on at the oldest event there is, and reports what is gone.
    pub(super) fn pass_gap(&mut self, index: u32) -> Result<()> {
        let mut looks = 0;
        let (mut next_index, mut first) = (self.next_index, 0);
        while let Some(&oldest) = self.files.indexes()?.first() {
            next_index = Some(oldest);
            if let Ok(Some(segment)) = self.files.open_segment(oldest, self.floor) {
                first = segment.cursor.first_event_id().unwrap_or(0);
                if first != 0 {
                    self.segment = Some(segment);
                    break;
                }
            }
            // It is gone as well, or damaged, which the next read reports.
            looks += 1;
            if looks == GAP_LOOKS {
                break;
            }
            self.files.pause();
        }
        self.next_index = next_index;
        let from = self.from;
        self.from = from.max(first);
        let (message, event_ids) = match first {
            0 => (format!("retention has removed events from {from} on"), None),
            _ if first <= from => return Ok(()),
            _ => {
                let ids = (from, first - 1);
                (format!("retention has removed events {} to {}", ids.0, ids.1), Some(ids))
            }
        };
        let place = Place { segment_index: Some(index), event_ids, ..Place::default() };
        Err(Error::new(Cause::Gap, message).at(place))
    }
}
