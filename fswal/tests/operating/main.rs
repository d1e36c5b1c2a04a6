//! Runs the program itself on real directories: healthy, damaged, foreign, empty, crashed by a real
//! SIGKILL, copied, and live.

mod backup;
mod bench;
mod browser;
mod crashed;
mod damage;
mod deploy;
mod export;
mod exporter;
mod generate;
mod keeping;
mod looking;
mod orphan_views;
mod orphans;
mod other_users;
mod recovering;
mod report;
mod salvage;
mod salvage_storm;
mod scenes;
mod support;
mod transcripts;
