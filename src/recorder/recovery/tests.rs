//! Every combination of what can be found hits exactly one row, and every row is hit.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt::Debug;

use crate::directory::Ground;
use crate::segment::{ColdFound, HotFound, PairFound};

use super::table::*;

const BOTH: [bool; 2] = [false, true];

/// Of each combination exactly one row holds; together they hit every row. Returns each with its
/// label.
fn exactly_one<F: Debug, D>(rows: &'static [Row<F, D>], all: Vec<F>) -> Vec<(F, &'static str)> {
    let mut decided = Vec::new();
    for found in all {
        let holding = rows.iter().filter(|row| (row.holds)(&found)).map(|row| row.label);
        let labels: Vec<_> = holding.collect();
        assert_eq!(labels.len(), 1, "{found:?} hits {labels:?}");
        assert_eq!(decide(rows, &found).unwrap().label, labels[0]);
        decided.push((found, labels[0]));
    }
    let hit: BTreeSet<_> = decided.iter().map(|(_, label)| *label).collect();
    for row in rows {
        assert!(hit.contains(row.label), "nothing that can be found hits {}", row.label);
    }
    decided
}

fn origins() -> Vec<OriginFound> {
    let mut all = Vec::new();
    for identity in [IdentityFound::Missing, IdentityFound::Damaged, IdentityFound::Whole] {
        for ground in [Ground::Same, Ground::OtherDevice, Ground::Other] {
            for active in [
                ActiveFound::Gone,
                ActiveFound::Foreign,
                ActiveFound::Unreadable,
                ActiveFound::Ours,
            ] {
                for bits in 0..16 {
                    let [has_segments, clean, same_boot, in_memory] =
                        [1, 2, 4, 8].map(|bit| bits & bit != 0);
                    all.push(OriginFound {
                        identity,
                        has_segments,
                        ground,
                        clean,
                        same_boot,
                        active,
                        in_memory,
                    });
                }
            }
        }
    }
    all
}

#[test]
fn where_the_log_is_looked_for_hits_exactly_one_row() {
    let decided = exactly_one(&ORIGIN, origins());
    assert_eq!(decided.len(), 3 * 3 * 4 * 16, "identities, grounds, active directories, flags");
    for (found, _) in decided {
        let then = decide(&ORIGIN, &found).unwrap().then;
        // What was acknowledged may be in memory only: it is carried over or the log is refused.
        let whole = found.identity == IdentityFound::Whole;
        let is_there = matches!(found.active, ActiveFound::Ours | ActiveFound::Unreadable);
        let proves_memory = is_there && found.in_memory;
        let live = !found.clean && (found.same_boot || proves_memory);
        if whole && found.ground == Ground::Same && live {
            assert!(then == Origin::Memory || then.is_refused(), "{found:?}");
        }
        assert_eq!(then == Origin::New, !whole && !found.has_segments, "{found:?}");
    }
}

#[test]
fn both_files_of_a_segment_hit_exactly_one_row() {
    let mut all = Vec::new();
    for cold in [ColdFound::Good, ColdFound::Bad] {
        for hot in [HotFound::Nothing, HotFound::Within, HotFound::More, HotFound::Another] {
            all.push(PairFound { cold, hot });
        }
    }
    for (found, _) in exactly_one(&PAIR, all) {
        let stays = decide(&PAIR, &found).unwrap().then;
        assert!(stays == Pair::Hot || found.hot != HotFound::More, "no event is lost: {found:?}");
        assert_eq!(stays != Pair::Hot, found.cold_counts(), "readers agree: {found:?}");
    }
}

#[test]
fn every_segment_hits_exactly_one_row() {
    use crate::segment::HeaderState::{Closed, Invalid, Open, OtherIndex};
    let mut all = Vec::new();
    for is_cold in BOTH {
        for header in [Invalid, OtherIndex, Open, Closed] {
            let found = BOTH.map(|has_events| SegmentFound { is_cold, header, has_events });
            all.extend(found);
        }
    }
    for (found, label) in exactly_one(&SEGMENT, all) {
        let discarded = decide(&SEGMENT, &found).unwrap().then == SegmentAction::Discard;
        assert!(!discarded || !found.has_events, "{label}: {found:?}");
    }
}

#[test]
fn every_end_hits_exactly_one_row() {
    let mut all = Vec::new();
    let breaks = [Break::Slot, Break::Missing, Break::Misnamed, Break::Overlap];
    let others =
        [Break::Unclosed, Break::BeyondShutdown, Break::ActiveLost, Break::ActiveContradicts];
    for at in breaks.into_iter().chain(others) {
        for last_to_durable in [Ordering::Less, Ordering::Equal, Ordering::Greater] {
            for beyond in BOTH {
                all.extend(BOTH.map(|proven_beyond| EndFound {
                    at,
                    beyond,
                    proven_beyond,
                    last_to_durable,
                }));
            }
        }
    }
    for (found, label) in exactly_one(&ENDING, all) {
        let refused = decide(&ENDING, &found).unwrap().then == Ending::Refuse;
        // Below D nothing is ever cut without being asked.
        assert!(refused || found.last_to_durable != Ordering::Less, "{label}: {found:?}");
    }
}
