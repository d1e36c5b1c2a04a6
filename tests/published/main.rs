//! What is published is what the code does: the header, the file format, the page on durability.

mod durability_page;
mod format;
mod header;
