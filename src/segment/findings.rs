//! What a salvaging walk has found to be wrong, in the order in which it is reported.

use std::collections::VecDeque;

use crate::format::BLOCK_SIZE;

use super::damage::{Damage, DamageKind, Site};
use super::frame::Fault;

/// Damage that was found, and damage whose end is not known yet.
#[derive(Debug, Default)]
pub struct Findings {
    found: VecDeque<Damage>,
    /// In the order of their places. Each ends where the next one begins, or the next event that is
    /// right.
    pending: Vec<Damage>,
    /// The end of what looks like events in that, and not like the unused end of a file.
    pending_used_to: u64,
    /// What is wrong with the frame around here, and whether it was reported.
    faults: VecDeque<(Fault, bool)>,
    any: bool,
}

impl Findings {
    pub fn any(&self) -> bool {
        self.any
    }

    /// Whether [`Findings::take`] has something.
    pub fn has_found(&self) -> bool {
        !self.found.is_empty()
    }

    /// Whether there is damage whose end is not known yet.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub fn take(&mut self) -> Option<Damage> {
        self.found.pop_front()
    }

    /// Damage whose events are known.
    pub fn report(&mut self, damage: Damage) {
        self.any = true;
        self.found.push_back(damage);
    }

    /// Damage of which only the first event is known, in a block. More of the same kind in a row is
    /// one damage; not so where the ids themselves are wrong.
    pub fn pend(&mut self, damage: Damage, looks_used: bool) {
        self.any = true;
        if looks_used {
            self.pending_used_to = damage.offset + BLOCK_SIZE as u64;
        }
        let goes_on = |last: &Damage| last.kind == damage.kind && damage.kind != DamageKind::Order;
        if !self.pending.last().is_some_and(goes_on) {
            self.pending.push(damage);
        }
    }

    /// Blames a bad block on a fault of the frame around it. `false` when there is none.
    pub fn blame_frame(&mut self, site: &Site, offset: u64, len: u64, from: u64) -> bool {
        let around = |(fault, _): &&mut (Fault, bool)| is_around(fault, offset, len);
        let Some((fault, reported)) = self.faults.iter_mut().find(around) else { return false };
        if !*reported || self.pending.is_empty() {
            *reported = true;
            let damage = of_frame(site, fault);
            self.pending.push(Damage { offset, event_ids: (from, 0), ..damage });
        }
        self.any = true;
        self.pending_used_to = offset + len;
        true
    }

    /// Whether there is a fault of the frame around here.
    pub fn has_fault(&self, offset: u64, len: u64) -> bool {
        self.faults.iter().any(|(fault, _)| is_around(fault, offset, len))
    }

    /// What is pending ends with the event `last` at the latest, and before `end` of the segment.
    /// Returns the last event that may be lost, 0 = none.
    pub fn close(&mut self, last: u64, end: u64) -> u64 {
        self.end_pending_before(end);
        let mut lost = 0;
        for mut damage in self.pending.drain(..) {
            if damage.kind != DamageKind::Order {
                let first = damage.event_ids.0;
                damage.event_ids = if first <= last { (first, last) } else { (0, 0) };
                lost = lost.max(damage.event_ids.1);
            }
            self.found.push_back(damage);
        }
        lost
    }

    fn end_pending_before(&mut self, mut end: u64) {
        for damage in self.pending.iter_mut().rev() {
            damage.len = end.saturating_sub(damage.offset);
            end = damage.offset;
        }
        self.pending_used_to = 0;
    }

    /// At the end of a file whose events nothing counts. What is pending has no known end, or it
    /// is no damage but the unused end of the file.
    pub fn end_of_file(&mut self) {
        let used_to = self.pending_used_to;
        self.pending.retain(|damage| damage.offset < used_to);
        self.end_pending_before(used_to);
        self.found.extend(self.pending.drain(..));
    }

    pub fn add_fault(&mut self, fault: Fault) {
        self.faults.push_back((fault, false));
    }

    /// Reports what is wrong with the frame before `end` and has cost no event, behind what is
    /// pending.
    pub fn report_faults(&mut self, site: &Site, end: u64) {
        if !self.pending.is_empty() {
            return;
        }
        while self.faults.front().is_some_and(|(fault, _)| fault.content.end <= end) {
            if let Some((fault, false)) = self.faults.pop_front() {
                self.report(of_frame(site, &fault));
            }
        }
    }
}

fn is_around(fault: &Fault, offset: u64, len: u64) -> bool {
    fault.content.start < offset + len && offset < fault.content.end && !fault.trailing
}

/// What is wrong with a frame, as damage.
pub fn of_frame(site: &Site, fault: &Fault) -> Damage {
    let kind = match fault {
        Fault { error: Some(_), .. } => DamageKind::Unreadable,
        Fault { trailing: true, .. } => DamageKind::Trailing,
        _ => DamageKind::Frame,
    };
    let damage = Damage::at(site, kind, fault.content.start, (0, 0), &fault.what);
    Damage { file_offset: fault.file_offset, error: fault.error.clone(), ..damage }
}
