//! The part of the walk that is for open segments: their events are found by the rules of
//! `format::log_end`.

use std::sync::Arc;

use crate::error::Result;
use crate::format::{BlockHeader, Layout, RequestEvent, Rule, SegmentScan};
use crate::format::{EVENTS_PER_BLOCK, MAX_EVENT_ID};
use crate::storage::File;

use super::super::block_check::first_id_of;
use super::super::damage::{Damage, DamageKind};
use super::super::Site;
use super::{Judge, SalvagedSegment, Source};

impl SalvagedSegment {
    /// A segment on disk that is open, of a log of which everything up to `durable_id` is known
    /// durable; in another segment the log goes on or does not.
    pub fn open(
        site: Site,
        file: Arc<dyn File>,
        durable_id: u64,
        goes_on: bool,
        floor: u64,
    ) -> Result<Self> {
        let size = file.size()?;
        let layout = Layout::of_file(size);
        let judge = Judge::Open { durable_id, goes_on };
        let mut walk = Self::new(site, Source::Hot(file), judge, layout.blocks, floor);
        walk.is_exact = layout.is_exact(size);
        Ok(walk)
    }

    /// Looks at the block in the buffer.
    pub(super) fn open_block(
        &mut self,
        read: Result<usize>,
        durable_id: u64,
        from: u64,
        events: &mut Vec<RequestEvent>,
    ) {
        let offset = Layout::block_offset(self.block);
        let next = self.last_event_id + 1;
        if let Err(error) = read {
            let ids = (next, 0);
            let damage = self.damage(DamageKind::Unreadable, offset, ids, "cannot be read");
            self.findings.pend(Damage { error: Some(error), ..damage }, true);
            self.chained = None;
            return;
        }
        let header = self.buffer.first_chunk().and_then(BlockHeader::decode);
        let rule = Rule::Disk { durable_id };
        let mut scan = SegmentScan::from_block(rule, self.last_event_id, self.block);
        let accepted = scan.block(&self.buffer);
        if let Some(ids) = scan.damaged() {
            self.close_pending(ids.0 - 1);
            self.tell(DamageKind::Block, offset, ids, "the block checksum does not match");
            self.last_event_id = ids.1.min(MAX_EVENT_ID);
            self.chained = header.map(|header| header.chained_checksum);
            return;
        }
        let first_id = first_id_of(&self.buffer);
        let sealed = header.filter(|h| h.first_event_id == first_id && h.covers(&self.buffer));
        if accepted > 0 {
            self.close_pending(first_id - 1);
            if first_id <= durable_id && header.is_none() {
                // It is written and synced before its events count as durable.
                let what = "the block header is not valid, though its events were durable";
                self.tell(DamageKind::BlockHeader, offset, (0, 0), what);
            }
            if let Some(sealed) = &sealed {
                self.check_chain(sealed, from);
            }
            let ids = (first_id, scan.end().last_event_id);
            self.give(accepted, ids, from, events);
        }
        self.chained = sealed.map(|header| header.chained_checksum);
        if !scan.has_ended() || self.findings.has_pending() {
            return;
        }
        if self.last_event_id >= durable_id {
            self.block_limit = self.block + 1;
        } else {
            let n = self.block * EVENTS_PER_BLOCK as u32 + accepted as u32;
            let (at, ids) = (Layout::event_offset(n), (self.last_event_id + 1, 0));
            let what = "events that were durable are gone";
            self.findings.pend(self.damage(DamageKind::DurableLost, at, ids, what), true);
        }
    }

    /// Behind the last block of an open segment: nothing may follow one that is not full.
    pub(super) fn finish_open(&mut self, durable_id: u64, goes_on: bool) {
        if !self.is_exact {
            let lost = (self.last_event_id + 1, durable_id);
            let ids = if lost.0 <= lost.1 && goes_on { lost } else { (0, 0) };
            let what = "the file is not of whole blocks";
            self.tell(DamageKind::Truncated, Layout::block_offset(self.block), ids, what);
        } else if goes_on && !self.is_full() && !self.findings.any() {
            self.doubt_header("not that of a closed segment, though the log goes on behind it");
        }
        self.close_pending(durable_id);
    }
}
