//! Write-ahead-log recorder for matching engines.
pub mod config;
pub mod directory;
pub mod error;
pub mod ffi;
pub mod format;
pub mod poison;
pub mod recorder;
pub mod replay;
pub mod storage;
pub mod telemetry;
