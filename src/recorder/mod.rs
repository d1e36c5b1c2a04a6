//! The recorder.
pub mod report;
