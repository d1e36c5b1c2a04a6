//! A frame in another one's place.

use std::io::Read;

use flashstrike_wal::error::Result;
use flashstrike_wal::format::cold_frame;
use flashstrike_wal::storage::{create, Directory, Open};

/// Replaces a cold file by another one: a whole frame, in which one bit of the last event differs.
pub fn exchange(directory: &dyn Directory, name: &str) -> Result<()> {
    let file = directory.open(name, Open::Read)?.expect("it was just made");
    let mut frame = vec![0; file.size()? as usize];
    file.read_at(&mut frame, 0)?;
    let mut content = Vec::new();
    cold_frame::decompress(&frame[..]).unwrap().read_to_end(&mut content).unwrap();
    *content.last_mut().unwrap() ^= 1;
    frame.clear();
    cold_frame::compress(&mut &content[..], content.len() as u64, &mut frame).unwrap();
    directory.remove(name)?;
    let other = create(directory, name)?;
    other.write_at(&frame, 0)?;
    other.sync()
}
