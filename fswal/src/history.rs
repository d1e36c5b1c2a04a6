//! `wal_history`: what each open of a log has found, a line each.

use flashstrike_wal::format::file_name;
use flashstrike_wal::storage::read_small;

use crate::clock;
use crate::directory::Log;
use crate::failure::Outcome;

/// An open of the log.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// As it stands in the line.
    pub time: String,
    pub ns: u64,
    pub generation: u64,
    pub decision: String,
    pub last_event_id: u64,
    pub carried_over: u64,
    pub accepted: u64,
    pub kept_aside: u64,
    pub notes: String,
}

/// All opens that are still known, the newest last; a line that is none is left out.
pub fn opens(log: &Log) -> Outcome<Vec<Opened>> {
    /// More than the library lets the file grow to.
    const LIMIT: usize = 1024 * 1024;
    let text = read_small(&*log.wal, file_name::HISTORY, LIMIT)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&text).lines().filter_map(Opened::parse).collect())
}

impl Opened {
    /// The line's fields, in whatever order; those that are not known are left out.
    fn parse(line: &str) -> Option<Self> {
        let (time, fields) = line.split_once(' ')?;
        let (fields, notes) = fields.split_once("notes=").unwrap_or((fields, ""));
        let value = |key: &str| {
            fields.split(' ').find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
        };
        let number = |key: &str| value(key).and_then(|text| text.parse().ok()).unwrap_or(0);
        Some(Opened {
            time: time.to_owned(),
            ns: clock::parse(time).ok()?,
            generation: number("generation"),
            decision: value("decision")?.to_owned(),
            last_event_id: number("last_event_id"),
            carried_over: number("events_carried_over"),
            accepted: number("events_accepted"),
            kept_aside: number("events_kept_aside"),
            notes: notes.trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_history_is_understood() {
        let line = "2026-11-29T02:58:07Z generation=3 decision=reboot/tail-cut last_event_id=9 \
                    durable_event_id=8 events_carried_over=0 events_accepted=1 \
                    events_kept_aside=4 hot_segments=2 cold_segments=0 later=5 notes=a=b; c";
        let open = Opened::parse(line).unwrap();
        assert_eq!(&*open.time, "2026-11-29T02:58:07Z");
        assert_eq!(clock::utc_seconds(open.ns), "2026-11-29T02:58:07Z");
        assert_eq!((open.generation, &*open.decision), (3, "reboot/tail-cut"));
        assert_eq!((open.last_event_id, open.carried_over, open.accepted), (9, 0, 1));
        assert_eq!((open.kept_aside, &*open.notes), (4, "a=b; c"));
        assert_eq!(Opened::parse("2026-11-29T02:58:07Z and so on"), None);
        assert_eq!(Opened::parse("yesterday generation=3"), None);
        assert_eq!(Opened::parse(""), None);
    }
}
