//! Write-ahead-log recorder for matching engines, behind a C ABI.
//!
//! The way of an event, and the reading order: `ffi` takes it in. [`recorder`] stores it in memory
//! that outlives the process, persists it in the background, and recovers it after a crash.
//! [`replay`] reads it back. [`keep`] is what retention must leave. Below them, `telemetry` counts,
//! `directory` knows which files make up a log, [`mod@format`] knows the bytes, and [`storage`] is
//! the file system behind traits. Imports point downward only. `docs/architecture.md` describes
//! threads, rings and the order of syncs.
//!
//! The product is the C ABI, whose promises are in `include/flashstrike_wal.h`. The Rust interface
//! serves it and the tests, and may change.

pub mod config;
pub mod directory;
pub mod error;
mod ffi;
pub mod format;
pub mod keep;
pub mod log_sink;
mod poison;
pub mod recorder;
pub mod replay;
mod segment;
pub mod storage;
pub mod telemetry;
