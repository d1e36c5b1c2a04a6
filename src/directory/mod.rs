//! What a log consists of on disk: the files of a WAL directory, its identity, and the active
//! directory that belongs to it. Used by the recorder, which writes it, and by readers.

mod active;
mod filesystem;
mod inventory;
mod segment_file;

pub use active::{
    create_active, open_active, remove_active, remove_older_generations, ActiveDirectory,
};
pub use filesystem::{check_filesystem, filesystem_name, filesystem_note, Use};
pub use inventory::{load_identity, load_meta, save_meta, Identity, Inventory};
pub use segment_file::{
    as_io, begins_among, cold_header, durable_stamp, first_slot, for_each_block, read_header,
    scan_segment, FileStream,
};
