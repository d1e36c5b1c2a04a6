//! G3, G4: the power is cut while a process records, hundreds of times, on ext4 and on xfs. Data
//! that was not yet written to the disk is lost, and so is the memory with the active segments.
//! Afterwards every event up to the watermark is there, whole, once and in order; no event is there
//! that was never appended; and events that were once cut never come back.

use common::child;
use common::disk::{can_make, Kind};

/// The harness runs in the child (`tests/child/power_cut.rs`), which needs a separate mount
/// namespace.
fn power_cuts(kind: Kind) {
    if can_make(kind) {
        let output = child::output_under(&["unshare", "-m"], "cut-power", &[&kind.name()]);
        child::assert_succeeded("cut-power", &output);
        println!("{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn g3_power_cuts_on_ext4_lose_nothing_durable() {
    power_cuts(Kind::Ext4);
}

#[test]
fn g3_power_cuts_on_xfs_lose_nothing_durable() {
    power_cuts(Kind::Xfs);
}
