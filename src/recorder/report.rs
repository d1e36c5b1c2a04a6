//! What `open` found and did.

use std::ffi::c_char;

/// What `fs_wal_open` found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct RecoveryReport {
    /// In: bytes the caller's struct has. Out: bytes written.
    pub struct_size: u32,
    /// 1 when the log was new or its last shutdown clean.
    pub clean: u32,
    /// 1 when every mapped segment is locked in memory: only then can no append fault.
    pub memory_locked: u32,
    /// Hot segments with events, after recovery.
    pub hot_segments: u32,
    /// Cold segments.
    pub cold_segments: u32,
    /// Zero.
    pub reserved: u32,
    /// Opens of this log, this one included.
    pub generation: u64,
    /// Last event id of the log, 0 = none.
    pub last_event_id: u64,
    /// Highest event id that was known durable before recovery.
    pub durable_event_id: u64,
    /// Events that were only in the active directory and were carried over.
    pub events_carried_over: u64,
    /// Events above `durable_event_id` that were found, proved and made durable.
    pub events_accepted: u64,
    /// Events behind the end of the log, kept aside in `*.corrupt` files.
    pub events_kept_aside: u64,
    /// Filesystem of the WAL directory: magic number, as in `statfs(2)`.
    pub wal_filesystem: u64,
    /// Filesystem of the active directory.
    pub active_filesystem: u64,
    /// The row of the recovery table that was decided by: a stable label, NUL-terminated.
    pub decision: [c_char; 64],
    /// What else was noticed, separated by "; ", NUL-terminated. What does not fit is cut and ends
    /// in "..."; the log function (`fs_wal_config.log`) is given all of it.
    pub notes: [c_char; 256],
    /// The active directory, NUL-terminated; a longer path is cut and ends in "...".
    pub active_path: [c_char; 256],
    /// Name of the WAL directory's filesystem, "ext4"; "unknown" if the library has none for it.
    pub wal_filesystem_name: [c_char; 16],
    /// Name of the active directory's filesystem.
    pub active_filesystem_name: [c_char; 16],
}

/// `text` as a NUL-terminated array; what does not fit is cut at a character and ends in "...".
pub(crate) fn fixed_text<const N: usize>(text: &str) -> [c_char; N] {
    const CUT: &str = "...";
    let mut kept = text.len();
    if kept >= N {
        kept = N - 1 - CUT.len();
        while !text.is_char_boundary(kept) {
            kept -= 1;
        }
    }
    let mark = if kept < text.len() { CUT } else { "" };
    let mut chars = [0; N];
    for (to, from) in chars.iter_mut().zip(text[..kept].bytes().chain(mark.bytes())) {
        *to = from as c_char;
    }
    chars
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(chars: &[c_char]) -> String {
        let bytes = chars.iter().map(|&c| c as u8).take_while(|&byte| byte != 0).collect();
        String::from_utf8(bytes).expect("cut at a character")
    }

    #[test]
    fn what_is_cut_says_so_and_ends_with_a_whole_character() {
        for whole in ["", "1234567"] {
            assert_eq!(text(&fixed_text::<8>(whole)), whole);
        }
        assert_eq!(text(&fixed_text::<8>("12345678")), "1234...");
        assert_eq!(text(&fixed_text::<8>("123\u{e4}56789")), "123...");
        assert_eq!(text(&fixed_text::<8>("12\u{e4}56789")), "12\u{e4}...");
        assert_eq!(fixed_text::<8>("123456789")[7], 0);
    }
}
