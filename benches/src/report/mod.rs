//! The report of a run (`document`), which is printed as text (`text`), saved as JSON, and drawn
//! (`pictures`, made of `chart`).

mod chart;
mod document;
pub mod pictures;
mod text;

pub use document::{Report, Row, Spread};
pub use text::print;
