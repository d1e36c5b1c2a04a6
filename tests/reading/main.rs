//! Replay, salvage and verification of whole and damaged logs.

mod active_readers;
mod cpp_segments;
mod follow;
mod frames;
mod memory_lacks;
mod not_shut_down;
mod pairs;
mod ranges;
mod replay;
mod replay_damage;
mod replay_faults;
mod replay_live;
mod replay_open;
mod salvage;
mod verify;
mod verify_access;
