//! Which events are wanted.

use clap::Args;
use flashstrike_wal::format::RequestEvent;

use crate::clock;

/// A range of events.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which events")]
pub struct Range {
    /// From this event id on
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
    pub from_id: Option<u64>,
    /// Up to this event id
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
    pub to_id: Option<u64>,
    /// From this timestamp on: nanoseconds since 1970, or UTC as 2026-11-28T23:57:00; a day alone
    /// is its midnight. The place is found without reading what is before, which is exact if
    /// timestamps rise
    #[arg(long, value_name = "TIME", value_parser = clock::parse, conflicts_with = "from_id")]
    pub from_time: Option<u64>,
    /// Only events up to this timestamp, which is included
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    pub to_time: Option<u64>,
}

/// Events of one user, order or type.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which events")]
pub struct Filter {
    /// Only events of this user
    #[arg(long, value_name = "USER_ID")]
    pub user: Option<u32>,
    /// Only events of this order
    #[arg(long, value_name = "ORDER_ID")]
    pub order: Option<u32>,
    /// Only events of this type: new, modify-price, modify-quantity, cancel, or a number
    #[arg(long = "type", value_name = "TYPE", value_parser = parse_type)]
    pub kind: Option<u8>,
}

const TYPES: [&str; 4] = ["new", "modify-price", "modify-quantity", "cancel"];

fn parse_type(text: &str) -> Result<u8, String> {
    let named = TYPES.iter().position(|name| *name == text).map(|number| number as u8);
    named
        .or_else(|| text.parse().ok())
        .ok_or_else(|| format!("it is one of {}, or a number from 0 to 255", TYPES.join(", ")))
}

/// A type by its name, where it has one.
pub fn type_name(kind: u8) -> String {
    TYPES.get(usize::from(kind)).map_or_else(|| kind.to_string(), |name| (*name).to_owned())
}

impl Range {
    /// Whether an event that was read is in the range.
    pub fn has(&self, event: &RequestEvent) -> bool {
        self.from_id.is_none_or(|from| event.event_id >= from)
            && self.to_id.is_none_or(|to| event.event_id <= to)
            && self.from_time.is_none_or(|from| event.timestamp >= from)
            && self.to_time.is_none_or(|to| event.timestamp <= to)
    }
}

impl Filter {
    pub fn has(&self, event: &RequestEvent) -> bool {
        self.user.is_none_or(|user| event.user_id == user)
            && self.order.is_none_or(|order| event.order_id == order)
            && self.kind.is_none_or(|kind| event.r#type == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_and_each_filter_counts() {
        let event = RequestEvent {
            event_id: 5,
            timestamp: 50,
            user_id: 7,
            order_id: 8,
            r#type: 3,
            ..RequestEvent::default()
        };
        let range =
            |from_id, to_id, from_time, to_time| Range { from_id, to_id, from_time, to_time };
        assert!(range(Some(5), Some(5), Some(50), Some(50)).has(&event));
        assert!(!range(Some(6), None, None, None).has(&event));
        assert!(!range(None, Some(4), None, None).has(&event));
        assert!(!range(None, None, Some(51), None).has(&event));
        assert!(!range(None, None, None, Some(49)).has(&event));
        let filter = |user, order, kind| Filter { user, order, kind };
        assert!(filter(Some(7), Some(8), Some(3)).has(&event));
        assert!(!filter(Some(8), None, None).has(&event));
        assert!(!filter(None, Some(7), None).has(&event));
        assert!(!filter(None, None, Some(0)).has(&event));
        assert_eq!(parse_type("cancel"), Ok(3));
        assert_eq!((type_name(3), type_name(9)), ("cancel".into(), "9".into()));
        assert!(parse_type("256").is_err() && parse_type("deleted").is_err());
    }
}
