//! What must be in the new log and in the list of losses, by the bytes before and after the damage.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use flashstrike_wal::error::Error;
use flashstrike_wal::replay::{verify, Reader, ReaderOptions};
use serde_json::Value;

use super::damage::Damaged;
use super::logs::{index_of, Event, Original, Part, BLOCK, HEADER};
use crate::support::Said;

type Checked<T = ()> = Result<T, String>;

macro_rules! hold {
    ($it:expr, $($why:tt)*) => {
        if !$it {
            return Err(format!($($why)*));
        }
    };
}

struct Case<'a> {
    log: &'a Original,
    damaged: &'a Damaged,
    said: Value,
    /// The new log.
    given: BTreeMap<u64, Vec<u8>>,
    /// What must be in it.
    outside: HashSet<u64>,
    /// The oldest segment of which there is a file on disk, or an event in the new log.
    first: Option<u32>,
}

/// Checks a salvage of a damaged log. Returns what came of it.
pub fn check(log: &Original, damaged: &Damaged, said: &Said, out: &Path) -> Checked<&'static str> {
    hold!(said.code == 0 || said.code == 1, "ends with {}: {}", said.code, said.err);
    let (said_json, given) = (said.json(), events_of(out)?);
    let on_disk = damaged.files.keys().filter(|path| path.starts_with(log.place.log()));
    let is_given = |event: &&Event| given.contains_key(&event.id);
    let in_new = log.events.iter().find(is_given).map(|event| event.segment);
    let first = on_disk.filter_map(|path| index_of(path)).chain(in_new).min();
    let mut case = Case { log, damaged, said: said_json, given, outside: HashSet::new(), first };
    case.find_outside();
    case.nothing_else_is_there()?;
    let absent = case.nothing_whole_is_absent()?;
    case.losses_are_exact(&absent)?;
    let is_empty = |list: &str| case.said[list].as_array().is_some_and(Vec::is_empty);
    let is_whole = is_empty("lost") && is_empty("damaged");
    hold!(is_whole == (said.code == 0), "the exit code is {}", said.code);
    let reported = case.said["events"].as_u64();
    hold!(reported == Some(case.given.len() as u64), "says {reported:?} events");
    Ok(match (is_whole, absent.is_empty()) {
        (true, true) => "whole",
        (false, true) => "damaged at no cost",
        (_, false) => "events lost",
    })
}

/// The events of the new log, which is sound and a log of its own.
fn events_of(out: &Path) -> Checked<BTreeMap<u64, Vec<u8>>> {
    let found = verify(out).map_err(|error| format!("the new log: {error}"))?;
    found.result().map_err(|error| format!("the new log: {error}"))?;
    hold!(!found.is_copy, "the new log has the old one's id");
    let options = ReaderOptions { verify: true };
    let mut reader = Reader::open(out, options).map_err(|error| error.to_string())?;
    let mut events = BTreeMap::new();
    loop {
        match reader.next() {
            Ok(event) => drop(events.insert(event.event_id, event.encode().to_vec())),
            Err(Error::End) => return Ok(events),
            Err(error) => return Err(error.to_string()),
        }
    }
}

impl Case<'_> {
    fn is_intact(&self, part: &Part) -> bool {
        let (before, after) = (&self.log.files[&part.file], self.damaged.files.get(&part.file));
        !self.damaged.misplaced.contains(&part.file)
            && after.is_some_and(|after| {
                after.get(part.range.clone()) == before.get(part.range.clone())
                    && (!part.whole || after.len() == before.len())
            })
    }

    /// The events of which a copy is outside the damage. Those of a block lie in the same parts.
    fn find_outside(&mut self) {
        let mut last: Option<(&Vec<Vec<Part>>, bool)> = None;
        for event in &self.log.events {
            let known = last.filter(|(copies, _)| **copies == event.copies).map(|(_, it)| it);
            let is_outside = known.unwrap_or_else(|| {
                event.copies.iter().any(|copy| copy.iter().all(|part| self.is_intact(part)))
            });
            last = Some((&event.copies, is_outside));
            if is_outside {
                self.outside.insert(event.id);
            }
        }
    }

    fn is_outside(&self, event: &Event) -> bool {
        self.outside.contains(&event.id)
    }

    /// Every event of the new log was one of the old, as it was. Only what nothing seals may be
    /// changed without being noticed: an event of an open segment, whose every copy is damaged.
    fn nothing_else_is_there(&self) -> Checked {
        let of_id: BTreeMap<u64, &Event> = self.log.events.iter().map(|it| (it.id, it)).collect();
        for (id, bytes) in &self.given {
            match of_id.get(id) {
                Some(event) if event.bytes == *bytes => {}
                Some(event) if !event.is_closed && !self.is_outside(event) => {}
                None if self.stands_in_an_open_segment(bytes) => {}
                Some(_) => return Err(format!("event {id} is not as it was")),
                None => return Err(format!("event {id} was never written")),
            }
        }
        Ok(())
    }

    fn stands_in_an_open_segment(&self, bytes: &[u8]) -> bool {
        let open: BTreeSet<u32> =
            self.log.events.iter().filter(|it| !it.is_closed).map(|it| it.segment).collect();
        let files = self.damaged.files.iter();
        let mut files =
            files.filter(|(path, _)| index_of(path).is_some_and(|index| open.contains(&index)));
        files.any(|(_, file)| {
            file.get(HEADER..).unwrap_or_default().chunks(HEADER).any(|slot| slot == bytes)
        })
    }

    /// Whether a segment's header is damaged, which says how many blocks there are, and what is
    /// behind its blocks is not as it was either.
    fn looks_used(&self, segment: u64, block: u64) -> bool {
        let begin = HEADER + block as usize * BLOCK;
        self.damaged.files.iter().any(|(path, after)| {
            let before = self.log.files.get(path);
            let is_it = index_of(path).map(u64::from) == Some(segment);
            is_it
                && before.is_some_and(|before| {
                    before.get(..HEADER) != after.get(..HEADER)
                        && before.get(begin..) != after.get(begin..)
                })
        })
    }

    fn nothing_whole_is_absent(&self) -> Checked<Vec<&Event>> {
        let is_given = |event: &Event| self.given.get(&event.id) == Some(&event.bytes);
        let absent: Vec<&Event> = self.log.events.iter().filter(|it| !is_given(it)).collect();
        let whole = absent.iter().find(|event| self.is_outside(event));
        if let Some(Event { id, segment, block, .. }) = whole {
            let n = absent.iter().filter(|event| self.is_outside(event)).count();
            return Err(format!(
                "event {id} (segment {segment}, block {block}), and {n} in all, are outside the \
                 damage and not in the new log\n{:#}",
                self.said
            ));
        }
        Ok(absent)
    }

    fn losses_are_exact(&self, absent: &[&Event]) -> Checked {
        let list = self.said["lost"].as_array().ok_or("no list")?;
        let per_block =
            (count_of_blocks(self.log.events.iter()), count_of_blocks(absent.iter().copied()));
        for lost in list {
            self.is_exact(lost, &per_block).map_err(|why| format!("{why}\n{lost:#}"))?;
        }
        // One that is there, but changed where nothing seals it, counts as there.
        let absent = absent.iter().filter(|it| it.is_closed || !self.given.contains_key(&it.id));
        for event in absent {
            if !list.iter().any(|lost| names(lost, event)) && !self.may_be_unknown(event) {
                let Event { id, segment, block, .. } = event;
                return Err(format!(
                    "event {id} (segment {segment}, block {block}) is lost, and not named\n{:#}",
                    self.said
                ));
            }
        }
        Ok(())
    }

    /// A place that is said to be lost holds no event that is in the new log, ends where a block
    /// ends, and lies between the right events.
    fn is_exact(&self, lost: &Value, (all, absent): &(PerBlock, PerBlock)) -> Checked {
        let number = |field: &str| lost[field].as_u64();
        let after = number("after_event_id").ok_or("no bound")?;
        let before = number("before_event_id");
        let next = self.given.range(after + 1..).next().map(|(id, _)| *id);
        hold!(after == 0 || self.given.contains_key(&after), "event {after} is not there");
        hold!(next == before, "the next event behind {after} is {next:?}");
        let (Some(segment), Some(block)) = (number("segment"), number("block")) else {
            return Ok(());
        };
        let last = number("last_block").unwrap_or(block);
        let (first_byte, last_byte) = (number("first_byte"), number("last_byte"));
        let begin = (HEADER as u64) + block * BLOCK as u64;
        let end = (HEADER as u64) + (last + 1) * BLOCK as u64;
        let is_begin = first_byte == Some(begin);
        // In an open segment what follows an event may be lost.
        let is_slot = first_byte.is_some_and(|byte| byte > begin && byte % 64 == begin % 64);
        hold!(is_begin || is_slot, "block {block} begins at byte {begin}");
        hold!(last_byte.is_none_or(|last| last + 1 == end), "block {last} ends before byte {end}");
        for block in block..=last {
            let of_block = |counts: &PerBlock| counts.get(&(segment, block)).copied();
            let (there, lost) = (of_block(all).unwrap_or(0), of_block(absent).unwrap_or(0));
            let is_whole = lost == there || (is_slot && lost > 0);
            if there == 0 {
                hold!(self.looks_used(segment, block), "segment {segment} has no block {block}");
                continue;
            }
            hold!(is_whole, "{} events of block {block} are not lost", there - lost);
        }
        Ok(())
    }

    /// Events whose loss nothing that is left can show.
    fn may_be_unknown(&self, event: &Event) -> bool {
        // Retention takes the oldest.
        if self.first.is_none_or(|first| event.segment < first) {
            return true;
        }
        let damaged = &self.said["damaged"];
        let is_told = |segment: u32| {
            damaged.as_array().is_some_and(|list| list.iter().any(|it| it["segment"] == segment))
        };
        // Only meta says how far the log went.
        let meta = self.log.place.log().join("wal_meta.dat");
        let is_meta_whole = self.damaged.files.get(&meta) == self.log.files.get(&meta);
        let is_behind = self.given.last_key_value().is_none_or(|(last, _)| event.id > *last);
        if is_behind && !is_meta_whole {
            return damaged.to_string().contains("wal_meta.dat");
        }
        // And that of what is in memory the control file, which the writer has mapped.
        if is_behind && !event.is_closed && damaged.to_string().contains("wal_control") {
            return true;
        }
        // An id that is changed to a higher one hides those behind it, where nothing seals them.
        let is_written = |id: &u64| self.log.events.iter().any(|event| event.id == *id);
        let hides = |id: &u64| *id > event.id && !is_written(id);
        let last = self.given.last_key_value().map(|(id, _)| id);
        if !event.is_closed && last.is_some_and(hides) {
            return true;
        }
        // How many blocks a segment has its header says.
        self.is_header_damaged(event) && is_told(event.segment)
    }

    /// Whether the header of an event's segment is damaged, and the file is shorter than it was.
    fn is_header_damaged(&self, event: &Event) -> bool {
        let Some(part) = event.copies.last().and_then(|copy| copy.first()) else { return false };
        let (before, after) = (&self.log.files[&part.file], self.damaged.files.get(&part.file));
        after.is_some_and(|after| after.get(..HEADER) != before.get(..HEADER))
    }
}

/// How many events there are, by segment and block.
type PerBlock = HashMap<(u64, u64), usize>;

fn count_of_blocks<'a>(events: impl Iterator<Item = &'a Event>) -> PerBlock {
    let mut counts = PerBlock::new();
    for event in events {
        *counts.entry((u64::from(event.segment), event.block)).or_default() += 1;
    }
    counts
}

/// Whether a place that is said to be lost is that of an event.
fn names(lost: &Value, event: &Event) -> bool {
    let within = |first: &str, last: &str, it: u64| {
        let first = lost[first].as_u64();
        first.is_none_or(|first| first <= it && lost[last].as_u64().is_none_or(|last| it <= last))
    };
    let bounds = lost["after_event_id"].as_u64() < Some(event.id)
        && lost["before_event_id"].as_u64().is_none_or(|before| event.id < before);
    bounds
        && within("segment", "last_segment", u64::from(event.segment))
        && within("block", "last_block", event.block)
}
