//! The part of a walk that is for closed segments: each block is sealed, and counts as a whole or
//! not at all.

use std::time::Instant;

use crate::error::Result;
use crate::format::{Layout, BLOCK_SIZE};

use super::check::{BadBlock, BlockCheck, GoodBlock};
use super::cursor::{Cursor, WRONG_CHAIN};
use super::damage::{Damage, DamageKind};

impl Cursor {
    /// Looks at the current block.
    pub(super) fn sealed_block(&mut self, read: Result<usize>, from: u64) -> Result<()> {
        self.pull_faults(self.ids_left())?;
        let check = self.check(from);
        let begin = Instant::now();
        let examined = match read {
            Ok(read) => check.examine(self.blocks.bytes(), read),
            Err(error) => {
                let kind = DamageKind::Unreadable;
                Err(BadBlock { kind, what: "cannot be read", header: None, error: Some(error) })
            }
        };
        if self.checksums {
            self.effort.verify += begin.elapsed();
            self.effort.blocks += 1;
        }
        match examined {
            Ok(good) if good.is_stale => Ok(()),
            Ok(good) => self.good_block(good, from),
            Err(bad) if self.strict => {
                let header = bad.header;
                let ids = header.map_or(self.ids_left(), |h| (h.first_event_id, h.last_event_id));
                let offset = Layout::block_offset(self.block);
                let damage = self.damage(bad.kind, offset, ids, bad.what);
                Err(Damage { error: bad.error, ..damage }.to_error())
            }
            Err(bad) => self.block_in_memory(bad, from),
        }
    }

    fn check(&self, from: u64) -> BlockCheck<'_> {
        BlockCheck {
            block: self.block,
            last_event_id: self.last_event_id,
            chained: self.chained,
            segment: self.header.as_ref(),
            strict: self.strict,
            from,
            checksums: self.checksums,
        }
    }

    /// Gives the events of a damaged block out of memory, if they are there: then it costs none.
    fn block_in_memory(&mut self, bad: BadBlock, from: u64) -> Result<()> {
        let Some(mut retired) = self.retired.take() else {
            self.bad_block(bad);
            return Ok(());
        };
        let read = retired.load(self.block, self.block + 1);
        let found = read.ok().map(|read| self.check(from).examine(retired.bytes(), read));
        match found {
            Some(Ok(good)) if !good.is_stale => {
                self.close_pending(good.header.first_event_id - 1);
                let offset = Layout::block_offset(self.block);
                // What is wrong with the frame around it is reported by itself.
                if !self.findings.has_fault(offset, BLOCK_SIZE as u64) {
                    let what = format!("{}; its events are in memory", bad.what);
                    let damage = self.damage(bad.kind, offset, (0, 0), &what);
                    self.findings.report(Damage { error: bad.error, ..damage });
                }
                std::mem::swap(&mut self.blocks, &mut retired);
                let given = self.good_block(good, from);
                std::mem::swap(&mut self.blocks, &mut retired);
                given?;
            }
            _ => self.bad_block(bad),
        }
        self.retired = Some(retired);
        Ok(())
    }

    fn good_block(&mut self, good: GoodBlock, from: u64) -> Result<()> {
        let header = good.header;
        let ids = (header.first_event_id, header.last_event_id);
        debug_assert!(self.last_event_id < ids.0, "events are given out once, in order");
        self.close_pending(ids.0 - 1);
        if !good.continues_chain {
            let offset = Layout::block_offset(self.block);
            self.report(self.damage(DamageKind::Chain, offset, ids, WRONG_CHAIN))?;
        }
        self.chained = Some(header.chained_checksum);
        self.give(usize::from(header.event_count), ids, from);
        Ok(())
    }

    fn ids_left(&self) -> (u64, u64) {
        (self.last_event_id + 1, self.header.map_or(0, |header| header.last_event_id))
    }
}
