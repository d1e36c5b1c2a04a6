//! What a log consists of on disk: the files of a WAL directory, its identity, and the active
//! directory that belongs to it. Used by the recorder, which writes it, and by readers.

mod active;
mod aside;
mod control;
mod control_copy;
mod control_metrics;
mod control_words;
mod filesystem;
mod inventory;
mod left_behind;
mod ownership;

pub use active::{
    find_active, is_same_run, may_be_waiting, open_active, remove_active, ActiveDirectory, Ground,
    PlannedActive,
};
pub use aside::rename_aside;
pub use control::{ControlView, LogState};
pub use control_copy::{log_metrics_of, metrics_of};
pub use control_metrics::{log_metrics_in, metrics_in};
pub use filesystem::{check_filesystem, filesystem_name, filesystem_note, is_memory, Use};
pub use inventory::{load_identity, load_meta, save_meta, Identity, Inventory};
pub use left_behind::{
    is_left_behind, newer_generations, relocated, remove_abandoned, remove_leftovers, witness,
};
pub use ownership::{is_open_for_writing, own_active, Ownership};
