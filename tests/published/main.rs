//! The published files match the code: the header, the file format, the page on durability.

mod durability_page;
mod field_faults;
mod format;
mod header;
