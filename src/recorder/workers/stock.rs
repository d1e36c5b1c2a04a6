//! Compares the segments that the maintainer remembers with the files there are, as a pure
//! function. Files come and go without us: clean-up jobs, `lz4` run by hand.

use std::collections::BTreeSet;

use crate::directory::Inventory;

use super::retention::Kept;

/// What is not as remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Segments of which no file is left. They are forgotten.
    pub missing: BTreeSet<u32>,
    /// Segments that somebody else has compressed or decompressed.
    pub converted: BTreeSet<u32>,
    /// Segments that have a second file.
    pub doubled: BTreeSet<u32>,
}

/// Brings what is remembered up to date. A segment in the freezer's hands is left out: its files
/// are just changing.
pub fn take_stock(kept: &mut Kept, there: &Inventory) -> Changes {
    let mut changes = Changes::default();
    for index in kept.hot.difference(&kept.freezing).copied().collect::<Vec<_>>() {
        match (there.hot.contains(&index), there.cold.contains(&index)) {
            (true, true) => drop(changes.doubled.insert(index)),
            (true, false) => {}
            (false, has_cold) => {
                kept.hot.remove(&index);
                kept.damaged.remove(&index);
                let found = if has_cold {
                    kept.cold.insert(index);
                    &mut changes.converted
                } else {
                    &mut changes.missing
                };
                found.insert(index);
            }
        }
    }
    for index in kept.cold.iter().copied().collect::<Vec<_>>() {
        match (there.cold.contains(&index), there.hot.contains(&index)) {
            (true, true) => drop(changes.doubled.insert(index)),
            (true, false) => {}
            (false, has_hot) => {
                kept.cold.remove(&index);
                let found = if has_hot {
                    kept.hot.insert(index);
                    &mut changes.converted
                } else {
                    &mut changes.missing
                };
                found.insert(index);
            }
        }
    }
    debug_assert!(kept.hot.is_disjoint(&kept.cold));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_what_is_remembered_follows_what_is_there() {
        let set = |indexes: &[u32]| indexes.iter().copied().collect::<BTreeSet<_>>();
        let mut kept = Kept {
            hot: set(&[5, 6, 7, 8]),
            freezing: set(&[6]),
            cold: set(&[1, 2, 3, 4]),
            damaged: set(&[5]),
            active: true,
        };
        let there =
            Inventory { hot: set(&[1, 2, 7, 9]), cold: set(&[1, 4, 7, 8]), ..Inventory::default() };
        let changes = take_stock(&mut kept, &there);
        assert_eq!(changes.missing, set(&[3, 5]));
        assert_eq!(changes.converted, set(&[2, 8]));
        assert_eq!(changes.doubled, set(&[1, 7]));
        assert_eq!(kept.hot, set(&[2, 6, 7]), "the freezer has 6; 9 is not known yet");
        assert_eq!(kept.cold, set(&[1, 4, 8]));
        assert_eq!(kept.damaged, set(&[]));
    }
}
