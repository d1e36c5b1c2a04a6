//! Write-ahead-log recorder for matching engines, behind a C ABI.
//!
//! One event's journey, and the reading order: `ffi` takes it in, [`recorder`] stores it in
//! memory that outlives the process, persists it behind the writer's back and recovers it after a
//! crash, [`replay`] gives it back. Below them: [`telemetry`] counts, [`directory`] knows which
//! files make up a log, [`mod@format`] knows the bytes, [`storage`] is the file system behind a trait.
//! Imports point downward only. `docs/architecture.md` has threads, rings and the order of syncs.
//!
//! The C ABI is the product: its promises are in `include/flashstrike_wal.h`. The Rust interface
//! serves it and the tests, and may change.

pub mod config;
pub mod directory;
pub mod error;
mod ffi;
pub mod format;
pub mod log_sink;
pub mod poison;
pub mod recorder;
pub mod replay;
pub mod segment;
pub mod storage;
pub mod telemetry;
