//! Replay: reading a log, while it is written or at rest. Writes nothing, anywhere.
//!
//! In reading order: `reader` (across segments), `segment_source` (which file holds a segment right
//! now, and the locks that keep it), `segment_reader` (the events of one file, block by block).

mod reader;
mod segment_reader;
mod segment_source;

pub use reader::{Reader, ReaderOptions};
