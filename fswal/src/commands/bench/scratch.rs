//! What a bench leaves: nothing, however it ends.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

use crate::failure::{Failure, Outcome};

const NAME: &str = "fswal-bench.tmp";

/// A directory on the disk that is measured. It goes with all that is in it.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn make(dir: &Path) -> Outcome<Self> {
        let path = dir.join(NAME);
        match std::fs::create_dir(&path) {
            Ok(()) => Ok(Scratch(path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let message = format!("{}: is there already", path.display());
                Err(Failure::usage(message).next(
                    "another bench is at work here, or one that was killed has left it: remove it \
                     then",
                ))
            }
            Err(error) => Err(Failure::unreadable(format!("{}: {error}", path.display()))
                .next("run this as a user who may write there")),
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("fswal: {}: {error}; remove it", self.0.display());
        }
    }
}

/// Whether a signal asks the bench to end. A second one ends it at once, for a disk that hangs.
pub struct Interrupt {
    is_wanted: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    pub fn watch() -> Outcome<Self> {
        let interrupt = Interrupt { is_wanted: Arc::default(), signal: Arc::default() };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the first signal finds that none was there before.
            flag::register_conditional_default(signal, interrupt.is_wanted.clone())?;
            flag::register(signal, interrupt.is_wanted.clone())?;
            flag::register_usize(signal, interrupt.signal.clone(), signal as usize)?;
        }
        Ok(interrupt)
    }

    /// Fails once the bench is to end.
    pub fn check(&self) -> Outcome<()> {
        match self.is_wanted.load(Ordering::Relaxed) {
            true => Err(Failure::usage("interrupted")),
            false => Ok(()),
        }
    }

    /// Ends the process as the signal would have, if there was one, so that a shell sees it.
    pub fn obey(&self) -> Outcome<()> {
        match self.signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Ok(low_level::emulate_default_handler(signal as i32)?),
        }
    }
}
