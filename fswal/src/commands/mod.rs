//! The commands, a file each. None imports another.

pub mod backup;
pub mod bench;
pub mod cat;
pub mod export;
pub mod exporter;
pub mod generate;
pub mod holds;
pub mod ls;
pub mod orphans;
pub mod recover;
pub mod report;
pub mod salvage;
pub mod snapshots;
pub mod status;
pub mod verify;
