//! The harnesses, which cause faults in great numbers. Each writes rows of the table in
//! `docs/durability.md`, must catch planted bugs, and runs longer in `make torture`.

mod call_failures;
mod call_kills;
mod clean_up_jobs;
mod follow_storm;
mod fuzz_bytes;
mod fuzz_directories;
mod hold_races;
mod kill_storm;
mod model;
mod open_kills;
mod parallel_replay;
mod power_cut;
mod recovery_errors;
mod recovery_twice;
mod replay_gap;
mod retention_floor;
#[path = "../simulation/mod.rs"]
mod simulation;
mod snapshot_crashes;
mod snapshot_kills;
mod standing;
mod two_writers;
mod verify_flips;
mod verify_live;
