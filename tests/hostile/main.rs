//! A hostile environment: other users and processes, limits, full disks, unusual filesystems,
//! directories that somebody has tampered with.

mod child_program;
mod directories;
mod directory_lock;
mod filesystems;
mod limits;
mod lock;
mod no_space;
mod sizes;
mod users;
