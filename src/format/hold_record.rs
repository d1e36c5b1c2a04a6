//! A hold: the event from which on retention must leave everything, for the one who has it.

use super::identity_record::checksum_line;

/// Bytes of a hold's file.
pub const HOLD_RECORD_SIZE: usize = 114;

/// The text of a hold's file, a `key=value` a line. It always has the same size, so that it can be
/// written over in place, in one sector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HoldRecord {
    /// Nothing at or above this id is deleted.
    pub event_id: u64,
    /// The generation of the log when this was written.
    pub generation: u64,
    /// When this was written: wall clock, nanoseconds since 1970.
    pub updated_ns: u64,
}

impl HoldRecord {
    /// The file's text.
    pub fn encode(&self) -> String {
        let HoldRecord { event_id, generation, updated_ns } = self;
        let mut text = format!(
            "event_id={event_id:020}\ngeneration={generation:020}\nupdated={updated_ns:020}\n"
        );
        text.push_str(&checksum_line(&text));
        debug_assert_eq!(text.len(), HOLD_RECORD_SIZE);
        text
    }

    /// The record in `bytes`, or `None` when anything about it is not right.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line?.parse().ok()
        };
        let record = HoldRecord {
            event_id: value("event_id")?,
            generation: value("generation")?,
            updated_ns: value("updated")?,
        };
        (record.encode() == text).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_noticed_anywhere() {
        for event_id in [0, 7, u64::MAX] {
            let record = HoldRecord { event_id, generation: 8, updated_ns: u64::MAX };
            let text = record.encode();
            assert_eq!(HoldRecord::decode(text.as_bytes()), Some(record));
            for at in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1;
                assert_eq!(HoldRecord::decode(&bytes), None, "byte {at}");
                assert_eq!(HoldRecord::decode(&text.as_bytes()[..at]), None, "cut at {at}");
            }
        }
    }
}
