//! `wal_identity`: which log this is, and where its active segments are.

use super::xxh64;

/// The text record, a `key=value` a line, closed by its checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
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
            wal_path: value("wal_path").map(str::to_owned),
        })
    }
}

/// The last line of a record, in its one spelling.
fn checksum_line(body: &str) -> String {
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
}
