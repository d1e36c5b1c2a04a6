//! A reader's metrics, as C has them.

use std::time::Duration;

use crate::replay::{Effort, ReaderMetrics};

use super::sized::CStruct;

/// What a reader has done since it was opened. Times are in nanoseconds, and those of its threads
/// are added up. What was read ahead counts when the reader comes to it.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct WalReaderMetrics {
    /// Set it to `sizeof(fs_wal_reader_metrics_t)`. On return: how many bytes were filled in.
    pub struct_size: u32,
    /// Threads that read ahead. 0 in a child of the process that opened the reader.
    pub threads: u32,
    /// 1 = this user may not read the log's active directory: the reader gives what is durable on
    /// disk, and then `FS_WAL_END`.
    pub active_denied: u32,
    /// Reserved.
    pub reserved: u32,
    /// Segments opened.
    pub segments_opened: u64,
    /// Blocks whose checksums were verified.
    pub blocks_verified: u64,
    /// Bytes of blocks, uncompressed.
    pub bytes: u64,
    /// Events given out.
    pub events: u64,
    /// Reads that failed because of damage.
    pub damages: u64,
    /// Finding and opening segments.
    pub open_ns: u64,
    /// Reading hot segments.
    pub read_ns: u64,
    /// Reading and decompressing cold segments.
    pub decompress_ns: u64,
    /// Verifying blocks.
    pub verify_ns: u64,
    /// Waiting for the reader's threads.
    pub wait_ns: u64,
}

// SAFETY: repr(C), `struct_size` first, integers only.
unsafe impl CStruct for WalReaderMetrics {}

impl WalReaderMetrics {
    pub(super) fn of(metrics: &ReaderMetrics) -> Self {
        let counts = &metrics.counts;
        let Effort { blocks, bytes, read, decompress, verify } = counts.effort;
        let ns = |time: Duration| time.as_nanos() as u64;
        WalReaderMetrics {
            struct_size: 0,
            threads: metrics.threads,
            active_denied: metrics.active_denied.into(),
            reserved: 0,
            segments_opened: counts.opened,
            blocks_verified: blocks,
            bytes,
            events: counts.events,
            damages: counts.damages,
            open_ns: ns(counts.open),
            read_ns: ns(read),
            decompress_ns: ns(decompress),
            verify_ns: ns(verify),
            wait_ns: ns(counts.wait),
        }
    }
}
