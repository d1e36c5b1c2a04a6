//! The time of day, as it stands in headers.

use std::time::{SystemTime, UNIX_EPOCH};

/// Wall clock, ns since 1970. Never 0, which in a segment's header means "not closed".
pub fn now_ns() -> u64 {
    ns_of(SystemTime::now())
}

/// A clock that stands at or before 1970 gives 1, one after 2554 the highest time there is.
fn ns_of(time: SystemTime) -> u64 {
    let elapsed = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn f11_no_time_is_written_as_not_closed() {
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        assert_eq!(ns_of(UNIX_EPOCH), 1);
        assert_eq!(ns_of(UNIX_EPOCH - century), 1);
        assert_eq!(ns_of(UNIX_EPOCH + Duration::from_nanos(7)), 7);
        // 2^64 ns after 1970: the lower 64 bits alone would be 0.
        let wraps = Duration::from_secs(18_446_744_073) + Duration::from_nanos(709_551_616);
        assert_eq!(ns_of(UNIX_EPOCH + wraps), u64::MAX);
    }
}
