//! `wal_identity`: which log this is, and where its active segments are.

use super::xxh64;

/// How many ancestors and how many cuts a record keeps, the newest ones.
const KEPT: usize = 16;

/// An open that may have taken events back: it took the log from the disk alone, or cut it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The generation that this open began.
    pub generation: u64,
    /// The last event that was kept.
    pub last_event_id: u64,
}

/// A log that this one is a copy of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ancestor {
    /// Its id.
    pub id: u128,
    /// Its generation when it was copied: what it did in later ones is not in the copy.
    pub generation: u64,
}

/// The text record, a `key=value` a line, closed by its checksum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityRecord {
    /// This log.
    pub id: u128,
    /// Device of the WAL directory when the id was given.
    pub wal_dev: u64,
    /// Inode of the WAL directory when the id was given.
    pub wal_ino: u64,
    /// Counts opens.
    pub generation: u64,
    /// Of the kernel at this open.
    pub boot_id: String,
    /// The active directory of this generation.
    pub active_path: String,
    /// Everything was persisted and synced by a clean shutdown.
    pub clean: bool,
    /// The logs that this one is a copy of, the newest first.
    pub ancestors: Vec<Ancestor>,
    /// Where the log was cut, the newest cut last. Whoever stands above a cut that is newer than
    /// what it has read knows that some of that was taken back.
    pub cuts: Vec<Cut>,
    /// The WAL directory, for people who find an active directory. Only there.
    pub wal_path: Option<String>,
}

impl IdentityRecord {
    /// The file's text.
    pub fn encode(&self) -> String {
        debug_assert!(!self.active_path.contains('\n') && !self.boot_id.contains('\n'));
        let mut text = format!(
            "id={:032x}\nwal_dev={}\nwal_ino={}\ngeneration={}\nboot_id={}\n\
             active_path={}\nclean={}\n",
            self.id,
            self.wal_dev,
            self.wal_ino,
            self.generation,
            self.boot_id,
            self.active_path,
            u8::from(self.clean),
        );
        if !self.ancestors.is_empty() {
            let id = |ancestor: &Ancestor| format!("{:032x}", ancestor.id);
            let generation = |ancestor: &Ancestor| ancestor.generation.to_string();
            text.push_str(&format!("ancestors={}\n", listed(&self.ancestors, id)));
            text.push_str(&format!("copied_in={}\n", listed(&self.ancestors, generation)));
        }
        if !self.cuts.is_empty() {
            let pair = |cut: &Cut| format!("{}:{}", cut.generation, cut.last_event_id);
            text.push_str(&format!("cuts={}\n", listed(&self.cuts, pair)));
        }
        if let Some(path) = &self.wal_path {
            debug_assert!(!path.contains('\n'));
            text.push_str(&format!("wal_path={path}\n"));
        }
        text.push_str(&checksum_line(&text));
        text
    }

    /// The record in `bytes`, or `None` when anything about it is not right.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let body_len = text.strip_suffix('\n')?.rfind('\n')? + 1;
        let (body, last) = text.split_at(body_len);
        if last != checksum_line(body) {
            return None;
        }
        let value =
            |key: &str| body.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        Some(IdentityRecord {
            id: u128::from_str_radix(value("id")?, 16).ok()?,
            wal_dev: value("wal_dev")?.parse().ok()?,
            wal_ino: value("wal_ino")?.parse().ok()?,
            generation: value("generation")?.parse().ok()?,
            boot_id: value("boot_id")?.to_owned(),
            active_path: value("active_path")?.to_owned(),
            clean: value("clean")? == "1",
            ancestors: ancestors(value("ancestors"), value("copied_in"))?,
            cuts: parsed(value("cuts"), Cut::parse)?,
            wal_path: value("wal_path").map(str::to_owned),
        })
    }
}

impl IdentityRecord {
    /// Notes a cut. An open that was ended and came again has cut once, at the lowest place.
    pub fn add_cut(&mut self, cut: Cut) {
        let same = self.cuts.iter().find(|other| other.generation == cut.generation);
        let last_event_id =
            same.map_or(cut.last_event_id, |s| s.last_event_id.min(cut.last_event_id));
        self.cuts.retain(|other| other.generation != cut.generation);
        self.cuts.push(Cut { last_event_id, ..cut });
        self.cuts.drain(..self.cuts.len().saturating_sub(KEPT));
    }

    /// Gives the log a new id: the one it has becomes an ancestor.
    pub fn rename(&mut self, id: u128) {
        let generation = self.generation;
        self.ancestors.insert(0, Ancestor { id: std::mem::replace(&mut self.id, id), generation });
        self.ancestors.truncate(KEPT);
    }

    /// Whether this is the log `id`, or a copy of it.
    pub fn descends_from(&self, id: u128) -> bool {
        self.last_generation_of(id).is_some()
    }

    /// The last generation of the log `id` that this one has in it: the own one, or that in which
    /// the ancestor was copied. `None` if it is neither.
    pub fn last_generation_of(&self, id: u128) -> Option<u64> {
        if self.id == id {
            return Some(self.generation);
        }
        self.ancestors.iter().find(|other| other.id == id).map(|other| other.generation)
    }
}

impl Cut {
    fn parse(text: &str) -> Option<Self> {
        let (generation, last) = text.split_once(':')?;
        Some(Cut { generation: generation.parse().ok()?, last_event_id: last.parse().ok()? })
    }
}

/// The ancestors by their ids and the generations they were copied in, which older versions have
/// not noted.
fn ancestors(ids: Option<&str>, copied_in: Option<&str>) -> Option<Vec<Ancestor>> {
    let ids = parsed(ids, |id| u128::from_str_radix(id, 16).ok())?;
    let generations = match copied_in {
        None => vec![u64::MAX; ids.len()],
        line => parsed(line, |generation| generation.parse().ok())?,
    };
    let both = ids.iter().zip(&generations);
    (ids.len() == generations.len())
        .then(|| both.map(|(&id, &generation)| Ancestor { id, generation }).collect())
}

/// The values of a line, with commas between them.
fn listed<T>(values: &[T], text: impl Fn(&T) -> String) -> String {
    values.iter().map(text).collect::<Vec<_>>().join(",")
}

/// The values of such a line; none where there is no line.
fn parsed<T>(line: Option<&str>, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    line.map_or_else(|| Some(Vec::new()), |line| line.split(',').map(parse).collect())
}

/// The last line of a record, in its one spelling.
pub(super) fn checksum_line(body: &str) -> String {
    format!("xxh64={:016x}\n", xxh64(body.as_bytes(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_noticed_anywhere() {
        let record = IdentityRecord {
            id: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
            wal_dev: 7,
            wal_ino: 8,
            generation: 9,
            boot_id: "b".into(),
            active_path: "/dev/shm/with = sign".into(),
            clean: false,
            ancestors: vec![
                Ancestor { id: 10, generation: 8 },
                Ancestor { id: u128::MAX, generation: 2 },
            ],
            cuts: vec![Cut { generation: 3, last_event_id: 4 }],
            wal_path: Some("/var/lib/log".into()),
        };
        let text = record.encode();
        assert_eq!(IdentityRecord::decode(text.as_bytes()), Some(record.clone()));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert_ne!(IdentityRecord::decode(&bytes), Some(record.clone()), "byte {at}");
        }
        for len in 0..text.len() - 1 {
            assert_eq!(IdentityRecord::decode(&text.as_bytes()[..len]), None, "cut at {len}");
        }
    }

    #[test]
    fn a_record_keeps_the_newest_cuts_and_ancestors() {
        let mut record = IdentityRecord { id: 1, ..IdentityRecord::default() };
        for generation in 1..=20 {
            record.add_cut(Cut { generation, last_event_id: 100 });
            record.add_cut(Cut { generation, last_event_id: 90 });
            record.add_cut(Cut { generation, last_event_id: 95 });
            record.rename(u128::from(generation) + 1);
        }
        let cuts: Vec<_> =
            record.cuts.iter().map(|cut| (cut.generation, cut.last_event_id)).collect();
        assert_eq!(cuts, (5..=20).map(|generation| (generation, 90)).collect::<Vec<_>>());
        assert_eq!((record.id, record.ancestors.len()), (21, 16));
        assert!(record.descends_from(21) && record.descends_from(5) && !record.descends_from(4));
        assert_eq!(IdentityRecord::decode(record.encode().as_bytes()), Some(record));
    }

    #[test]
    fn an_ancestor_is_known_up_to_the_generation_it_was_copied_in() {
        let mut record = IdentityRecord { id: 1, generation: 5, ..IdentityRecord::default() };
        record.rename(2);
        record.generation = 9;
        let known = |record: &IdentityRecord| [1, 2, 3].map(|id| record.last_generation_of(id));
        assert_eq!(known(&record), [Some(5), Some(9), None]);
        // As older versions wrote it.
        let text = record.encode();
        let (body, _) = text.rsplit_once("xxh64=").unwrap();
        let older = body.replace("copied_in=5\n", "");
        assert_ne!(older, body);
        let older = IdentityRecord::decode((older.clone() + &checksum_line(&older)).as_bytes());
        assert_eq!(known(&older.unwrap()), [Some(u64::MAX), Some(9), None]);
        let odd = body.replace("copied_in=5\n", "copied_in=5,6\n");
        assert_eq!(IdentityRecord::decode((odd.clone() + &checksum_line(&odd)).as_bytes()), None);
    }
}
