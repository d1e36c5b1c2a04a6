//! G3, G4: the power is cut while a process records, hundreds of times, on ext4 and on xfs. What
//! the disk was not made to keep is gone, and so is the memory with the active segments.
//! Everything at or below the watermark is there afterwards, whole, once, in order; nothing that
//! was not appended is; and what was once cut never comes back.

use common::child;
use common::disk::{can_make, Kind};

/// The harness plays in the child (`tests/child/power_cut.rs`): it needs a mount namespace of its
/// own.
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
