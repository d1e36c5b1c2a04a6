//! What a log consists of on disk: the files of a WAL directory, its identity, and the active
//! directory that belongs to it. Used by the recorder, which writes it, and by readers.

mod active;
mod aside;
mod filesystem;
mod inventory;

pub use active::{
    create_active, find_active, open_active, remove_active, remove_older_generations,
    ActiveDirectory, Ground,
};
pub use aside::{free_name, rename_aside};
pub use filesystem::{check_filesystem, filesystem_name, filesystem_note, Use};
pub use inventory::{load_identity, load_meta, save_meta, Identity, Inventory};
