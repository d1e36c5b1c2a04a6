//! A module for each aim: what it runs, and what it measures.

pub mod following;
pub mod footprint;
pub mod hot_thread;
pub mod latency;
pub mod open;
pub mod recovery;
pub mod replay;
pub mod sustained;
pub mod throughput;
pub mod time_to_durable;
pub mod timeline;
