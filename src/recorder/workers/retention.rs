//! Retention as a pure function: from the segments there are and the policy to what expires.

use std::collections::BTreeSet;

use crate::config::Keep;

#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Hot segments, the active one included.
    pub max_hot: Keep,
    /// Cold segments. `AtMost(0)`: none are wanted, so hot ones are deleted and not compressed.
    pub max_cold: Keep,
    /// Whether hot segments are compressed. If not, they stay where cold ones are wanted.
    pub compresses: bool,
    /// Nothing at or above this event id is deleted; 0 = no floor.
    pub floor: u64,
}

/// The segments there are, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    pub hot: BTreeSet<u32>,
    /// Those of them that were handed to the freezer.
    pub freezing: BTreeSet<u32>,
    pub cold: BTreeSet<u32>,
    /// Those hot ones that cannot be compressed, because they are damaged.
    pub damaged: BTreeSet<u32>,
    /// Whether there is an active segment as well.
    pub active: bool,
}

impl Kept {
    pub fn contains(&self, index: u32) -> bool {
        self.hot.contains(&index) || self.cold.contains(&index)
    }
}

/// What happens to a segment that has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    Freeze(u32),
    DeleteHot(u32),
    DeleteCold(u32),
    /// A damaged hot segment, when it would have been deleted as a cold one.
    SetAside(u32),
}

/// What expires now, oldest first. `last_event_id` is asked only when there is a floor; a segment
/// whose last id it does not know is not deleted.
///
/// Segments are deleted from the old end only, so that the log never gets a hole: a hot segment is
/// deleted only when no cold one is left.
pub fn plan(
    kept: &Kept,
    policy: Policy,
    mut last_event_id: impl FnMut(u32) -> Option<u64>,
) -> Vec<Expiry> {
    debug_assert!(policy.max_hot != Keep::AtMost(0), "the active segment is hot");
    debug_assert!(kept.freezing.is_subset(&kept.hot) && kept.damaged.is_subset(&kept.hot));
    debug_assert!(kept.hot.is_disjoint(&kept.cold));
    let mut actions = Vec::new();
    let mut deletable = |index: u32| is_below(policy.floor, || last_event_id(index));
    // What cannot be compressed takes the place it would have as a cold segment.
    let old: BTreeSet<u32> = kept.cold.union(&kept.damaged).copied().collect();
    let old_excess = excess(old.len(), policy.max_cold);
    let hot: BTreeSet<u32> = kept.hot.difference(&kept.damaged).copied().collect();
    // A hot segment that could not be frozen stays, and so do all older ones after it.
    let oldest_hot = hot.first().copied().unwrap_or(u32::MAX);
    let expired = old.iter().take(old_excess).copied();
    let expired = expired.take_while(|&index| index < oldest_hot && deletable(index));
    actions.extend(expired.map(|index| match kept.damaged.contains(&index) {
        true => Expiry::SetAside(index),
        false => Expiry::DeleteCold(index),
    }));
    let old_ones_left = old.len() > actions.len();
    let hot_excess = excess(hot.len() + usize::from(kept.active), policy.max_hot);
    let expired = hot.iter().take(hot_excess).copied();
    if policy.max_cold == Keep::AtMost(0) {
        if !old_ones_left {
            actions.extend(expired.take_while(|&index| deletable(index)).map(Expiry::DeleteHot));
        }
    } else if policy.compresses {
        let waiting = expired.filter(|index| !kept.freezing.contains(index));
        actions.extend(waiting.map(Expiry::Freeze));
    }
    actions
}

/// Whether all of a segment is below the floor. False if its last event is not known and there is a
/// floor.
pub fn is_below(floor: u64, last_event_id: impl FnOnce() -> Option<u64>) -> bool {
    floor == 0 || last_event_id().is_some_and(|last| last < floor)
}

fn excess(count: usize, keep: Keep) -> usize {
    match keep {
        Keep::All => 0,
        Keep::AtMost(most) => count.saturating_sub(most as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Expiry::{DeleteCold, DeleteHot, Freeze};

    fn kept(hot: &[u32], freezing: &[u32], cold: &[u32]) -> Kept {
        let set = |indexes: &[u32]| indexes.iter().copied().collect();
        Kept {
            hot: set(hot),
            freezing: set(freezing),
            cold: set(cold),
            active: true,
            damaged: set(&[]),
        }
    }

    fn policy(max_hot: Keep, max_cold: Keep, floor: u64) -> Policy {
        Policy { max_hot, max_cold, compresses: true, floor }
    }

    #[test]
    fn the_active_segment_counts_as_hot() {
        let policy = policy(Keep::AtMost(3), Keep::AtMost(9), 0);
        assert_eq!(plan(&kept(&[5, 6], &[], &[]), policy, |_| None), []);
        assert_eq!(plan(&kept(&[4, 5, 6], &[], &[]), policy, |_| None), [Freeze(4)]);
        assert_eq!(plan(&kept(&[3, 4, 5, 6], &[3], &[]), policy, |_| None), [Freeze(4)]);
        let at_rest = Kept { active: false, ..kept(&[4, 5, 6], &[], &[]) };
        assert_eq!(plan(&at_rest, policy, |_| None), []);
    }

    #[test]
    fn keep_all_does_nothing_and_keep_none_compresses_nothing() {
        let all = policy(Keep::All, Keep::All, 0);
        assert_eq!(plan(&kept(&[4, 5, 6], &[], &[1, 2, 3]), all, |_| None), []);
        let none = policy(Keep::AtMost(2), Keep::AtMost(0), 0);
        let actions = plan(&kept(&[4, 5, 6], &[], &[2, 3]), none, |_| None);
        assert_eq!(actions, [DeleteCold(2), DeleteCold(3), DeleteHot(4), DeleteHot(5)]);
    }

    /// Not to compress is no reason to delete: what is cold obeys its own limit, and what is hot
    /// goes only where no cold segments are wanted.
    #[test]
    fn f35_without_compression_only_the_limits_delete() {
        let without =
            |max_cold| Policy { compresses: false, ..policy(Keep::AtMost(2), max_cold, 0) };
        let planned =
            |max_cold| plan(&kept(&[4, 5, 6], &[], &[1, 2, 3]), without(max_cold), |_| None);
        assert_eq!(planned(Keep::All), []);
        assert_eq!(planned(Keep::AtMost(3)), []);
        assert_eq!(planned(Keep::AtMost(1)), [DeleteCold(1), DeleteCold(2)]);
        let none = [DeleteCold(1), DeleteCold(2), DeleteCold(3), DeleteHot(4), DeleteHot(5)];
        assert_eq!(planned(Keep::AtMost(0)), none);
    }

    #[test]
    fn nothing_at_or_above_the_floor_is_deleted() {
        let last = |index: u32| Some(u64::from(index) * 100);
        let cold_limit = policy(Keep::AtMost(9), Keep::AtMost(1), 200);
        let actions = plan(&kept(&[], &[], &[1, 2, 3]), cold_limit, last);
        assert_eq!(actions, [DeleteCold(1)], "2 ends at the floor");
        assert_eq!(plan(&kept(&[], &[], &[1, 2]), cold_limit, |_| None), []);
        let no_cold = policy(Keep::AtMost(1), Keep::AtMost(0), 200);
        assert_eq!(plan(&kept(&[1, 2, 3], &[], &[]), no_cold, last), [DeleteHot(1)]);
        let held = plan(&kept(&[3], &[], &[2]), no_cold, last);
        assert_eq!(held, [], "a hot segment never goes before an older cold one");
        let held_cold = plan(
            &kept(&[4, 5, 6], &[], &[2, 3]),
            policy(Keep::AtMost(3), Keep::AtMost(1), 1),
            last,
        );
        assert_eq!(held_cold, [Freeze(4)], "the floor stops deleting, not compressing");
    }

    #[test]
    fn a_segment_that_cannot_be_frozen_leaves_no_hole_behind_it() {
        let policy = policy(Keep::AtMost(2), Keep::AtMost(1), 0);
        let stuck = kept(&[0, 5], &[0], &[1, 2, 3]);
        assert_eq!(plan(&stuck, policy, |_| None), []);
    }

    #[test]
    fn f44_a_damaged_segment_is_set_aside_when_it_would_have_been_deleted() {
        let policy = policy(Keep::AtMost(2), Keep::AtMost(2), 0);
        let damaged = |hot: &[u32], cold: &[u32], damaged: u32| Kept {
            damaged: [damaged].into(),
            ..kept(hot, &[], cold)
        };
        assert_eq!(plan(&damaged(&[3, 6], &[4, 5], 3), policy, |_| None), [Expiry::SetAside(3)]);
        assert_eq!(plan(&damaged(&[4, 6], &[3, 5], 4), policy, |_| None), [DeleteCold(3)]);
        assert_eq!(plan(&damaged(&[4, 6], &[5], 4), policy, |_| None), [], "it is kept so long");
        let actions = plan(&damaged(&[5, 6, 7, 8], &[4], 5), policy, |_| None);
        assert_eq!(actions, [Freeze(6), Freeze(7)], "it is not tried again");
        let floor = Policy { floor: 1, ..policy };
        assert_eq!(plan(&damaged(&[3, 6], &[4, 5], 3), floor, |_| Some(1)), []);
    }
}
