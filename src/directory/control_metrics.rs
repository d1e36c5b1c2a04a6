//! The counters in a control file, as they are handed out.

use std::mem::offset_of;
use std::ops::Range;

use crate::format::{Layout, MetaState};
use crate::storage::clock_ns;
use crate::telemetry::{ControlFile, ControlWorker, Histogram, HistogramSnapshot, LatencySnapshot};
use crate::telemetry::{LogMetrics, MetricsSnapshot, RingSnapshot, TimingSnapshot, WorkerSnapshot};
use crate::telemetry::{CONTROL_PAGE, STATE_FAILED};

use super::control_words::{at, ControlWords};

const WORD: usize = 8;

/// The counters in a control file. Allocates nothing and waits for nobody.
pub fn metrics_in(words: &impl ControlWords) -> MetricsSnapshot {
    let timing = |offset| TimingSnapshot {
        count: words.word(offset + offset_of!(TimingSnapshot, count)),
        total_ns: words.word(offset + offset_of!(TimingSnapshot, total_ns)),
        max_ns: words.word(offset + offset_of!(TimingSnapshot, max_ns)),
    };
    let ring = |n, into, out| ring(words, n, into, out);
    // In this order, so that what is durable was appended.
    let durable = MetaState::of_pair(words.pair(at!(durable)));
    let appended = MetaState::of_pair(words.pair(at!(appended)));
    let is_behind = durable.last_event_id < appended.last_event_id;
    let word = |offset| words.word(offset);
    MetricsSnapshot {
        struct_size: 0,
        memory_locked: word(at!(pulse.memory_locked)) as u32,
        appended_event_id: appended.last_event_id,
        durable_event_id: durable.last_event_id,
        appended_events: appended_events(words, appended),
        durable_events: word(at!(persister.durable_events)),
        bytes_written: word(at!(persister.bytes_written)),
        segments_created: word(at!(preparer.segments_created)),
        segments_recycled: word(at!(preparer.segments_recycled)),
        segments_deleted: word(at!(maintainer.segments_deleted)),
        hot_segments: word(at!(maintainer.hot_segments)),
        cold_segments: word(at!(maintainer.cold_segments)),
        compression_failures: word(at!(freezers.compression_failures)),
        compression_bytes_in: word(at!(freezers.compression_bytes_in)),
        compression_bytes_out: word(at!(freezers.compression_bytes_out)),
        would_block: word(at!(writer.would_block)),
        no_space: word(at!(writer.no_space)),
        open: timing(at!(meta.open)),
        prepare: timing(at!(preparer.prepare)),
        rotation: timing(at!(writer.rotation)),
        append_wait: timing(at!(writer.append_wait)),
        persist: timing(at!(persister.persist)),
        sync: timing(at!(persister.sync)),
        close: timing(at!(maintainer.close)),
        meta_flush: timing(at!(meta.meta_flush)),
        compression: timing(at!(freezers.compression)),
        prepared_segments: ring(0, at!(preparer.prepared_in), at!(writer.prepared_out)),
        segments_to_persist: ring(1, at!(writer.to_persist_in), at!(persister.to_persist_out)),
        segments_to_close: ring(2, at!(persister.to_close_in), at!(maintainer.to_close_out)),
        segments_to_freeze: ring(3, at!(maintainer.to_freeze_in), at!(freezers.to_freeze_out)),
        segments_to_free: ring(4, at!(freezers.to_free_in), at!(maintainer.to_free_out)),
        poisoned: u64::from(word(at!(state.state)) == STATE_FAILED),
        oldest_event_id: word(at!(maintainer.oldest_event_id)),
        hot_bytes: word(at!(maintainer.hot_bytes)),
        cold_bytes: word(at!(maintainer.cold_bytes)),
        durable_lag_ns: match word(at!(persister.behind_since_ns)) {
            since if is_behind && since > 0 => clock_ns().saturating_sub(since),
            _ => 0,
        },
        missing_segments: word(at!(maintainer.missing_segments)),
        damaged_segments: word(at!(maintainer.damaged_segments)),
        held_bytes: word(at!(maintainer.held_bytes)),
        broken_holds: word(at!(maintainer.broken_holds)),
        state: word(at!(state.state)) as u32,
        failed_errno: word(at!(state.failed_errno)) as u32,
        generation: word(at!(identity.generation)),
        writer_pid: word(at!(identity.pid)),
        opened_ns: word(at!(identity.opened_ns)),
        heartbeat_age_ns: clock_ns().saturating_sub(word(at!(pulse.heartbeat_ns))),
        max_segments: word(at!(limits.max_segments)),
        max_compressed_segments: word(at!(limits.max_compressed_segments)),
        active_set_bytes: word(at!(limits.active_set_bytes)),
        retention_floor: word(at!(limits.retention_floor)),
        sample_appends: word(at!(limits.sample_appends)),
        deletion: timing(at!(maintainer.deletion)),
        integrity_failures: std::array::from_fn(|n| word(at!(integrity_failures) + n * WORD)),
        persister: worker(words, 0..1),
        preparer: worker(words, 1..2),
        maintainer: worker(words, 2..3),
        freezers: worker(words, 3..7),
        coordinator: worker(words, 7..8),
        watcher: worker(words, 8..9),
        append_latency: LatencySnapshot::of(buckets(words, 0)),
        rotation_latency: LatencySnapshot::of(buckets(words, 1)),
        append_wait_latency: LatencySnapshot::of(buckets(words, 2)),
        sync_latency: LatencySnapshot::of(buckets(words, 3)),
        close_latency: LatencySnapshot::of(buckets(words, 4)),
        compression_latency: LatencySnapshot::of(buckets(words, 5)),
    }
}

/// The same and the histograms, of a log that is called so.
pub fn log_metrics_in(words: &impl ControlWords, log: String) -> LogMetrics {
    LogMetrics {
        log,
        counters: metrics_in(words),
        sampled_ns: words.word(at!(writer.sampled_ns)),
        histograms: std::array::from_fn(|n| HistogramSnapshot::of(buckets(words, n))),
    }
}

/// The buckets of the `n`th histogram.
fn buckets(words: &impl ControlWords, n: usize) -> impl Fn(usize) -> u64 + '_ {
    let begin = CONTROL_PAGE + n * size_of::<Histogram>();
    move |bucket| words.word(begin + bucket * WORD)
}

/// The workers at these places, together. One that has made no step is not there.
fn worker(words: &impl ControlWords, places: Range<usize>) -> WorkerSnapshot {
    let opened = words.word(at!(identity.opened_clock_ns));
    let open_for = words.word(at!(pulse.heartbeat_ns)).saturating_sub(opened);
    let mut sum = WorkerSnapshot::default();
    for place in places {
        let begin = at!(workers) + place * size_of::<ControlWorker>();
        let steps = words.word(begin + offset_of!(ControlWorker, steps));
        let work_ns = words.word(begin + offset_of!(ControlWorker, work_ns));
        if steps > 0 {
            sum.steps += steps;
            sum.work_ns += work_ns;
            sum.idle_ns += open_for.saturating_sub(work_ns);
        }
    }
    sum
}

/// The `n`th ring, by its two ends.
fn ring(words: &impl ControlWords, n: usize, into: usize, out: usize) -> RingSnapshot {
    // In this order, so that what was taken out had been put in.
    let taken = words.word(out);
    RingSnapshot {
        fill: words.word(into).saturating_sub(taken),
        capacity: words.word(at!(limits.ring_capacity) + n * WORD),
        full: words.word(into + WORD),
        empty: words.word(out + WORD),
    }
}

/// Events appended through the writer's handle when `appended` was the last one. It was loaded
/// before, so the writer is in its segment still, or has entered the next one.
fn appended_events(words: &impl ControlWords, appended: MetaState) -> u64 {
    let (index, before) = words.pair(at!(writer));
    if index == appended.last_segment_index.into() {
        before.wrapping_add(Layout::events_before(appended.last_offset).into())
    } else {
        before
    }
}
