//! What the segments take on disk, and where the log begins, for the metrics: looked up when the
//! segments have changed, by the maintainer, so that whoever asks for metrics touches no file.

use std::collections::BTreeMap;

use crate::format::file_name;
use crate::recorder::log::Log;
use crate::segment::{closed_header, first_slot};
use crate::storage::Open;

use super::retention::Kept;

#[derive(Debug, Default)]
pub struct DiskUse {
    /// Bytes of each segment, and whether it is cold.
    sizes: BTreeMap<u32, (bool, u64)>,
    /// The oldest segment and its first event.
    oldest: Option<(u32, u64)>,
}

impl DiskUse {
    /// Looks up what has changed and publishes it. A file that cannot be read counts nothing until
    /// it has changed: others report that.
    pub fn publish(&mut self, log: &Log, kept: &Kept) {
        let active = kept.active.then(|| log.durable().last_segment_index);
        let hot = kept.hot.iter().copied().chain(active).map(|index| (index, false));
        let now: BTreeMap<u32, bool> =
            hot.chain(kept.cold.iter().map(|&index| (index, true))).collect();
        let oldest = now.first_key_value().map(|(&index, &is_cold)| (index, is_cold));
        let is_known = |&(index, id): &(u32, u64)| id != 0 && oldest.map(|o| o.0) == Some(index);
        self.oldest = self.oldest.filter(is_known).or_else(|| {
            oldest.map(|(index, is_cold)| (index, first_event_id(log, index, is_cold)))
        });
        self.sizes.retain(|index, (is_cold, _)| now.get(index) == Some(is_cold));
        for (&index, &is_cold) in &now {
            self.sizes.entry(index).or_insert_with(|| (is_cold, size(log, index, is_cold)));
        }
        let sum = |cold| {
            let of_kind = self.sizes.values().filter(|(is_cold, _)| *is_cold == cold);
            of_kind.map(|(_, bytes)| bytes).sum()
        };
        log.counts.set_disk_use(self.oldest.map_or(0, |(_, id)| id), sum(false), sum(true));
    }

    /// Bytes of these segments.
    pub fn bytes_of(&self, indexes: &[u32]) -> u64 {
        indexes.iter().filter_map(|index| self.sizes.get(index)).map(|(_, bytes)| bytes).sum()
    }

    /// The segments whose files somebody has cut short, with their names. Each is given once.
    pub fn take_cut(&mut self, log: &Log) -> Vec<(u32, String)> {
        let mut cut = Vec::new();
        for (&index, (is_cold, bytes)) in &mut self.sizes {
            let name = file_name::of(index, *is_cold);
            let now = log.wal.status_of(&name).ok().flatten();
            if let Some(now) = now.filter(|now| now.size < *bytes) {
                *bytes = now.size;
                cut.push((index, name));
            }
        }
        cut
    }
}

fn size(log: &Log, index: u32, is_cold: bool) -> u64 {
    let file = log.wal.open(&file_name::of(index, is_cold), Open::Read).ok().flatten();
    file.and_then(|file| file.size().ok()).unwrap_or(0)
}

fn first_event_id(log: &Log, index: u32, is_cold: bool) -> u64 {
    if let Ok(Some(header)) = closed_header(&*log.wal, index, !is_cold) {
        return header.first_event_id;
    }
    // It is not closed yet: what is durable is on disk.
    let file = log.wal.open(&file_name::hot(index), Open::Read).ok().flatten();
    file.and_then(|file| first_slot(&*file).ok()).unwrap_or(0)
}
