//! What may and what must be in a log.

use flashstrike_wal::config::{Config, Keep};
use flashstrike_wal::format::RequestEvent;

/// Events in a segment of the smallest size.
const SEGMENT: usize = 16 * 256;

/// An appended event: its id, and in which life of the log it was appended. Ids may be reused after
/// a power cut; the life distinguishes the new event from the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The event's id.
    pub id: u64,
    life: u64,
}

impl Appended {
    /// The event itself.
    pub fn event(self) -> RequestEvent {
        let event = common::event(self.id);
        RequestEvent { user_id: event.user_id ^ self.life as u32, ..event }
    }
}

/// The log as it must be.
#[derive(Debug)]
pub struct Model {
    appended: Vec<Appended>,
    life: u64,
    /// Everything up to this id survives a power cut.
    durable: u64,
    /// Whether the power was cut since the log was last opened.
    cut: bool,
    /// How many of the newest events retention must keep.
    kept: Option<usize>,
    /// How many of the oldest events it may have deleted.
    removable: usize,
}

impl Model {
    /// An empty log.
    pub fn new(config: &Config) -> Self {
        let kept = match (config.max_segments, config.max_compressed_segments) {
            (Keep::AtMost(_), Keep::AtMost(1..)) if config.no_compression => None,
            (Keep::AtMost(hot), Keep::AtMost(cold)) => Some((hot + cold - 1) as usize * SEGMENT),
            _ => None,
        };
        Model { appended: Vec::new(), life: 1, durable: 0, cut: false, kept, removable: 0 }
    }

    /// The next event: ids have gaps.
    pub fn next(&self) -> Appended {
        let last = self.last();
        Appended { id: last + 1 + if last % 5 == 0 { last % 3 } else { 0 }, life: self.life }
    }

    /// The next events.
    pub fn next_batch(&mut self, count: u32) -> Vec<Appended> {
        let length = self.appended.len();
        for _ in 0..count {
            self.appended.push(self.next());
        }
        self.appended.split_off(length)
    }

    /// An event was appended.
    pub fn append(&mut self, event: Appended) {
        self.appended.push(event);
        if let Some(kept) = self.kept {
            self.removable = self.removable.max(self.appended.len().saturating_sub(kept));
        }
    }

    /// The last id, 0 = none.
    pub fn last(&self) -> u64 {
        self.appended.last().map_or(0, |event| event.id)
    }

    /// The log reports everything up to this id as durable, which it may not take back.
    pub fn promise(&mut self, durable: u64) -> Result<(), String> {
        if durable < self.durable || durable > self.last() {
            let (promised, last) = (self.durable, self.last());
            return Err(format!("durable {durable}, after {promised} of {last}"));
        }
        self.durable = durable;
        Ok(())
    }

    /// The power fails.
    pub fn cut_power(&mut self) {
        self.cut = true;
    }

    /// The log was opened again and ends with this event, which is now durable.
    pub fn reopen(&mut self, last: u64) -> Result<(), String> {
        let least = if self.cut { self.durable } else { self.last() };
        if !(least..=self.last()).contains(&last) {
            return Err(format!(
                "LOST OR INVENTED: ends at {last}, not in {least}..={}",
                self.last()
            ));
        }
        let kept = self.appended.partition_point(|event| event.id <= last);
        self.appended.truncate(kept);
        if self.last() != last {
            return Err(format!("INVENTED: ends at {last}, which was never appended"));
        }
        self.durable = last;
        self.cut = false;
        self.life += 1;
        Ok(())
    }

    /// Checks that the events read are the log, except those that retention may have deleted.
    pub fn check(&self, read: &[RequestEvent]) -> Result<(), String> {
        let removed = self.appended.len().checked_sub(read.len());
        let Some(removed) = removed.filter(|removed| *removed <= self.removable) else {
            let (n, of, may) = (read.len(), self.appended.len(), self.removable);
            let ends = (read.first().map(|e| e.event_id), read.last().map(|e| e.event_id));
            return Err(format!("LOST: read {n} {ends:?} of {of}, of which {may} may be gone"));
        };
        for (found, wanted) in read.iter().zip(&self.appended[removed..]) {
            if *found != wanted.event() {
                return Err(format!("INVENTED: {found:?} instead of {:?}", wanted.event()));
            }
        }
        Ok(())
    }
}
