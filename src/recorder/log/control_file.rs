//! Makes the control file of a generation.

use std::sync::Arc;

use crate::config::{Config, Keep, SyncMode};
use crate::error::Result;
use crate::format::{file_name, IdentityRecord, Layout, MetaState};
use crate::storage::now_ns;
use crate::storage::{clock_ns, create_temporary, rename_if_there, Directory, Mapped};
use crate::telemetry::{CONTROL_MAGIC, CONTROL_SIZE, CONTROL_VERSION};

use super::control::{Control, SharedControl};

/// Makes the control file of a log that ends at `end`. It is whole before it gets its name.
pub fn create_control(
    active: &dyn Directory,
    identity: &IdentityRecord,
    config: &Config,
    end: MetaState,
) -> Result<SharedControl> {
    let temporary = file_name::temporary(file_name::CONTROL);
    loop {
        let file = create_temporary(active, &temporary)?;
        file.allocate(CONTROL_SIZE as u64)?;
        let control: Mapped<Control> = Mapped::new(file.map(CONTROL_SIZE as u64, true)?);
        fill(&control, identity, config, end);
        control.pulse.memory_locked.set(control.mapping().is_locked().into());
        if rename_if_there(active, &temporary, file_name::CONTROL)? {
            return Ok(Arc::new(control));
        }
    }
}

fn fill(control: &Control, identity: &IdentityRecord, config: &Config, end: MetaState) {
    let who = &control.identity;
    who.magic.set(CONTROL_MAGIC);
    who.version_and_size.set((CONTROL_SIZE as u64) << 32 | u64::from(CONTROL_VERSION));
    who.log_id_high.set((identity.id >> 64) as u64);
    who.log_id_low.set(identity.id as u64);
    who.generation.set(identity.generation);
    who.pid.set(std::process::id().into());
    who.opened_ns.set(now_ns());
    who.opened_clock_ns.set(clock_ns());
    let limits = &control.limits;
    limits.num_blocks.set(config.num_blocks.into());
    limits.max_segments.set(kept(config.max_segments));
    limits.max_compressed_segments.set(kept(config.max_compressed_segments));
    limits.active_set_bytes.set(config.active_set_size());
    let (mode, interval) = match config.sync_mode {
        SyncMode::Continuous => (0, 0),
        SyncMode::Interval(interval) => (1, interval.as_nanos() as u64),
        SyncMode::Rotation => (2, 0),
    };
    limits.sync_mode.set(mode);
    limits.sync_interval_ns.set(interval);
    limits.sample_appends.set(config.sample_appends.into());
    limits.retention_floor.set(config.retention_floor);
    control.pulse.heartbeat_ns.set(clock_ns());
    // Both triples begin at the end of the recovered log.
    control.appended.begin(end);
    control.durable.begin(end);
    let in_segment = Layout::events_before(end.last_offset);
    let entered = end.last_segment_index.into();
    control.writer.entered.store(entered, u64::from(in_segment).wrapping_neg());
    control.open();
}

/// As `fs_wal_config` has it: no limit is the highest number of 32 bits.
fn kept(keep: Keep) -> u64 {
    match keep {
        Keep::All => u32::MAX.into(),
        Keep::AtMost(count) => count.into(),
    }
}
