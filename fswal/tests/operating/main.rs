//! Runs the program itself on real directories: healthy, damaged, foreign, empty, crashed by a real
//! SIGKILL, copied, and live.

mod backup;
mod bench;
mod browser;
mod damage;
mod deploy;
mod export;
mod exporter;
mod generate;
mod keeping;
mod looking;
mod orphans;
mod other_users;
mod recovering;
mod report;
mod salvage;
mod scenes;
mod support;
mod transcripts;
