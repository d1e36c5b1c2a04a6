//! G3, G4: the power is cut while a process records, hundreds of times, on ext4 and on xfs, on a
//! disk with a cache. Lost is what the kernel has not written, any part of what the disk has not
//! flushed, and the memory with the active segments. Afterwards every event up to the watermark is
//! there, whole, once and in order; no event is there that was never appended; and events that were
//! once cut never come back. A follower in another process was shown nothing as durable that is not
//! there then.

use common::cached_disk::{CachedDisk, SECTOR};
use common::child;
use common::disk::{can_make, Kind};
use common::flow::Random;

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

/// The disk itself: what was flushed always survives, and of two sectors written since then each
/// does or does not, the first of them as it was written first or last.
#[test]
fn a_disk_loses_any_sectors_that_were_not_flushed_and_no_others() {
    const WRITTEN: [[u8; 2]; 6] = [[0, 0], [0, 2], [1, 0], [1, 2], [3, 0], [3, 2]];
    let mut seen = Vec::new();
    for seed in 1..=200 {
        let mut disk = CachedDisk::new(4 * SECTOR);
        disk.write(0, &[9; SECTOR]);
        disk.flush();
        disk.write(SECTOR, &[[1; SECTOR], [2; SECTOR]].concat());
        disk.write(SECTOR, &[3; SECTOR]);
        let written = [[9; SECTOR], [3; SECTOR], [2; SECTOR], [0; SECTOR]].concat();
        assert_eq!(disk.read(0, 4 * SECTOR), written);
        assert_eq!(disk.cut(&mut Random(seed)), 3 * SECTOR);
        let survived = disk.read(0, 4 * SECTOR).to_vec();
        let sectors: Vec<u8> = survived.chunks(SECTOR).map(|sector| sector[0]).collect();
        assert!(survived.chunks(SECTOR).all(|sector| sector.iter().all(|b| *b == sector[0])));
        assert_eq!((sectors[0], sectors[3]), (9, 0));
        seen.push([sectors[1], sectors[2]]);
        assert_eq!(disk.cut(&mut Random(seed)), 0);
        assert_eq!(disk.read(0, 4 * SECTOR), survived);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, WRITTEN);
}
