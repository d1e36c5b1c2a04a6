//! The words of a control file, wherever they are read from.

use crate::storage::Mapping;

/// The words of a control file, by their offsets.
pub trait ControlWords {
    /// One word.
    fn word(&self, offset: usize) -> u64;
    /// Two words that are stored together, of which the first one only rises.
    fn pair(&self, offset: usize) -> (u64, u64);
}

impl ControlWords for Mapping {
    fn word(&self, offset: usize) -> u64 {
        self.load_word(offset)
    }

    fn pair(&self, offset: usize) -> (u64, u64) {
        self.load_pair(offset)
    }
}

/// The offset of a field of the control file.
macro_rules! at {
    ($($field:tt)+) => { std::mem::offset_of!(ControlFile, $($field)+) };
}
pub(super) use at;
