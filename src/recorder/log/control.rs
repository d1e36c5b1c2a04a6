//! The words of `wal_control`: how far the log is and what it counts, for this process and for
//! others. Laid out as [`ControlFile`], which says what each is and who writes it.

use std::mem::offset_of;
use std::ops::Deref;

use crate::error::Error;
use crate::storage::now_ns;
use crate::storage::{Mapped, Pair, Shared};
#[cfg(not(all(test, loom)))]
use crate::telemetry::{ControlFile, ControlHistograms, CONTROL_PAGE};
use crate::telemetry::{Counter, Gauge, Histogram, Timing};
use crate::telemetry::{STATE_CLOSED, STATE_FAILED, STATE_OPEN};

use super::meta_store::Progress;

/// What one thread writes: two cache lines to itself, because they are fetched in pairs.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct Lines<T>(T);

impl<T> Deref for Lines<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

#[derive(Debug)]
#[repr(C)]
pub struct Control {
    pub identity: Lines<Identity>,
    pub limits: Lines<Limits>,
    pub state: Lines<State>,
    pub pulse: Lines<Pulse>,
    /// The last appended event. Written by the appending thread.
    pub appended: Lines<Progress>,
    /// The last durable event. Written by the persister, after the sync that covers it.
    pub durable: Lines<Progress>,
    pub writer: Lines<WriterCounts>,
    pub persister: Lines<PersisterCounts>,
    pub preparer: Lines<PreparerCounts>,
    pub maintainer: Lines<MaintainerCounts>,
    pub freezers: Lines<FreezerCounts>,
    pub meta: Lines<MetaCounts>,
    pub integrity_failures: Lines<[Counter; 16]>,
    pub workers: [Lines<WorkerCounts>; 9],
    reserved: [Gauge; 144],
    pub histograms: Lines<Histograms>,
}

#[derive(Debug, Default)]
#[repr(C)]
pub struct Identity {
    pub magic: Gauge,
    /// Version, and the file's size in the upper half.
    pub version_and_size: Gauge,
    pub log_id_high: Gauge,
    pub log_id_low: Gauge,
    pub generation: Gauge,
    pub pid: Gauge,
    pub opened_ns: Gauge,
    pub opened_clock_ns: Gauge,
}

#[derive(Debug, Default)]
#[repr(C)]
pub struct Limits {
    pub num_blocks: Gauge,
    pub max_segments: Gauge,
    pub max_compressed_segments: Gauge,
    pub active_set_bytes: Gauge,
    pub sync_mode: Gauge,
    pub sync_interval_ns: Gauge,
    pub sample_appends: Gauge,
    pub retention_floor: Gauge,
    pub ring_capacity: [Gauge; 5],
}

#[derive(Debug, Default)]
#[repr(C)]
pub struct State {
    state: Gauge,
    failed_ns: Gauge,
    failed_errno: Gauge,
}

#[derive(Debug, Default)]
#[repr(C)]
pub struct Pulse {
    pub heartbeat_ns: Gauge,
    pub memory_locked: Gauge,
}

/// One end of a ring.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RingEnd {
    pub moved: Counter,
    pub missed: Counter,
}

#[derive(Debug)]
#[repr(C)]
pub struct WriterCounts {
    /// The segment entered, and the events appended before.
    pub entered: Pair,
    pub rotation: Timing,
    pub append_wait: Timing,
    pub would_block: Counter,
    pub no_space: Counter,
    pub prepared_out: RingEnd,
    pub to_persist_in: RingEnd,
    pub sampled_ns: Counter,
}

#[derive(Debug, Default)]
#[repr(C)]
pub struct PersisterCounts {
    pub durable_events: Counter,
    pub bytes_written: Counter,
    pub persist: Timing,
    pub sync: Timing,
    pub behind_since_ns: Gauge,
    pub to_persist_out: RingEnd,
    pub to_close_in: RingEnd,
}

#[derive(Debug, Default)]
#[repr(C)]
pub struct PreparerCounts {
    pub prepare: Timing,
    pub segments_created: Counter,
    pub segments_recycled: Counter,
    pub prepared_in: RingEnd,
}

#[derive(Debug, Default)]
#[repr(C)]
pub struct MaintainerCounts {
    pub close: Timing,
    pub deletion: Timing,
    pub hot_segments: Gauge,
    pub cold_segments: Gauge,
    pub oldest_event_id: Gauge,
    pub hot_bytes: Gauge,
    pub cold_bytes: Gauge,
    pub segments_deleted: Counter,
    pub missing_segments: Counter,
    pub damaged_segments: Counter,
    pub held_bytes: Gauge,
    pub broken_holds: Counter,
    pub to_close_out: RingEnd,
    pub to_freeze_in: RingEnd,
    pub to_free_out: RingEnd,
}

#[derive(Debug, Default)]
#[repr(C)]
pub struct FreezerCounts {
    pub compression: Timing,
    pub compression_failures: Counter,
    pub compression_bytes_in: Counter,
    pub compression_bytes_out: Counter,
    pub to_freeze_out: RingEnd,
    pub to_free_in: RingEnd,
}

#[derive(Debug, Default)]
#[repr(C)]
pub struct MetaCounts {
    pub open: Timing,
    pub meta_flush: Timing,
}

#[derive(Debug, Default)]
#[repr(C)]
pub struct Histograms {
    pub append: Histogram,
    pub rotation: Histogram,
    pub append_wait: Histogram,
    pub sync: Histogram,
    pub close: Histogram,
    pub compression: Histogram,
}

#[derive(Debug, Default)]
#[repr(C)]
pub struct WorkerCounts {
    pub steps: Counter,
    pub work_ns: Counter,
}

// SAFETY: atomics and pairs only, aligned to 128.
unsafe impl Shared for Control {}

impl Control {
    /// The hot path's check. Relaxed is enough: an append during the failure may still succeed, as
    /// if it had come just before, and is in the log like every other.
    /// Here and not in [`Poison`](crate::poison::Poison), so that an append needs one address only.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        self.state.state.get() == STATE_OPEN
    }

    /// Publishes an event that was appended. Only for the appending thread.
    #[inline(always)]
    pub fn publish_appended(&self, position: u64, event_id: u64) {
        self.appended.debug_check_rises(position, event_id);
        // SAFETY: `appended` lies at that offset, and begins with a pair.
        unsafe {
            let base = std::ptr::from_ref(self).cast();
            Pair::store_behind::<{ offset_of!(Control, appended) }>(base, event_id, position);
        }
    }

    /// The log takes events from now on.
    pub fn open(&self) {
        self.state.state.set(STATE_OPEN);
    }

    /// The log has failed. The first failure is the one that stays.
    pub fn fail(&self, error: &Error) {
        if self.is_open() {
            self.state.failed_errno.set(error.errno().unsigned_abs().into());
            let _failed = Failed(&self.state);
            self.state.failed_ns.set(now_ns());
        }
    }

    /// The log was shut down, unless it has failed.
    pub fn close(&self) {
        if self.is_open() {
            self.state.state.set(STATE_CLOSED);
        }
    }
}

/// Says at its end that the log has failed, also when the clock has panicked: the writer looks at
/// nothing else.
struct Failed<'a>(&'a State);

impl Drop for Failed<'_> {
    fn drop(&mut self) {
        self.0.state.set(STATE_FAILED);
    }
}

#[cfg(all(test, loom))]
impl Control {
    /// Of an empty log.
    pub fn in_model() -> SharedControl {
        use crate::format::MetaState;
        let progress = || Lines(Progress::new(MetaState::default()));
        SharedControl::new(Mapped::in_model(Control {
            identity: Lines::default(),
            limits: Lines::default(),
            state: Lines::default(),
            pulse: Lines::default(),
            appended: progress(),
            durable: progress(),
            writer: Lines(WriterCounts {
                entered: Pair::new(0, 0),
                rotation: Timing::default(),
                append_wait: Timing::default(),
                would_block: Counter::default(),
                no_space: Counter::default(),
                prepared_out: RingEnd::default(),
                to_persist_in: RingEnd::default(),
                sampled_ns: Counter::default(),
            }),
            persister: Lines::default(),
            preparer: Lines::default(),
            maintainer: Lines::default(),
            freezers: Lines::default(),
            meta: Lines::default(),
            integrity_failures: Lines::default(),
            workers: Default::default(),
            reserved: std::array::from_fn(|_| Gauge::default()),
            histograms: Lines::default(),
        }))
    }
}

/// The control file, as the threads of a log share it.
pub type SharedControl = std::sync::Arc<Mapped<Control>>;

#[cfg(not(all(test, loom)))]
macro_rules! laid_out_as_the_file {
    ($($group:ident $(. $field:ident)?,)*) => {
        const _: () = {$(
            assert!(offset_of!(Control, $group $(.0.$field)?)
                == offset_of!(ControlFile, $group $(.$field)?));
        )*};
    };
}

#[cfg(not(all(test, loom)))]
laid_out_as_the_file! {
    identity, identity.magic, identity.log_id_high, identity.log_id_low, identity.generation,
    identity.pid, identity.opened_ns, identity.opened_clock_ns,
    limits, limits.num_blocks, limits.max_segments, limits.max_compressed_segments,
    limits.active_set_bytes, limits.sync_mode, limits.sync_interval_ns, limits.sample_appends,
    limits.retention_floor, limits.ring_capacity,
    state, state.state, state.failed_ns, state.failed_errno,
    pulse, pulse.heartbeat_ns, pulse.memory_locked,
    appended, durable,
    writer, writer.entered, writer.rotation, writer.append_wait, writer.would_block,
    writer.no_space, writer.prepared_out, writer.to_persist_in, writer.sampled_ns,
    persister, persister.durable_events, persister.bytes_written, persister.persist,
    persister.sync, persister.behind_since_ns, persister.to_persist_out, persister.to_close_in,
    preparer, preparer.prepare, preparer.segments_created, preparer.segments_recycled,
    preparer.prepared_in,
    maintainer, maintainer.close, maintainer.deletion, maintainer.hot_segments,
    maintainer.cold_segments, maintainer.oldest_event_id, maintainer.hot_bytes,
    maintainer.cold_bytes, maintainer.segments_deleted, maintainer.missing_segments,
    maintainer.damaged_segments, maintainer.held_bytes, maintainer.broken_holds,
    maintainer.to_close_out, maintainer.to_freeze_in, maintainer.to_free_out,
    freezers, freezers.compression, freezers.compression_failures, freezers.compression_bytes_in,
    freezers.compression_bytes_out, freezers.to_freeze_out, freezers.to_free_in,
    meta, meta.open, meta.meta_flush,
    integrity_failures, workers,
}

#[cfg(not(all(test, loom)))]
const _: () = {
    assert!(offset_of!(Control, histograms) == CONTROL_PAGE);
    assert!(size_of::<Histograms>() == size_of::<ControlHistograms>());
    assert!(offset_of!(Histograms, rotation) == offset_of!(ControlHistograms, rotation));
    assert!(offset_of!(Histograms, append_wait) == offset_of!(ControlHistograms, append_wait));
    assert!(offset_of!(Histograms, sync) == offset_of!(ControlHistograms, sync));
    assert!(offset_of!(Histograms, close) == offset_of!(ControlHistograms, close));
    assert!(offset_of!(Histograms, compression) == offset_of!(ControlHistograms, compression));
};
