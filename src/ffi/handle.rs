//! What an `fs_wal *` points to.

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::recorder::{Log, Manager, Writer};

/// A log open for writing. Made by fs_wal_open, freed by fs_wal_shutdown.
///
/// One thread at a time, the writer, may append, append_batch, claim and commit; every other call
/// on the handle may come from any thread at any time until fs_wal_shutdown is called.
pub struct fs_wal {
    /// Touched by the one writer only, and by shutdown once the writer has stopped.
    writer: UnsafeCell<ManuallyDrop<Writer>>,
    log: Arc<Log>,
    manager: UnsafeCell<ManuallyDrop<Manager>>,
    /// Calls of other threads that are inside.
    inside: AtomicUsize,
}

/// A call of any thread is inside as long as this lives.
pub struct Inside<'a>(&'a fs_wal);

impl fs_wal {
    pub(super) fn new(manager: Manager, writer: Writer) -> Self {
        fs_wal {
            writer: UnsafeCell::new(ManuallyDrop::new(writer)),
            log: Arc::clone(manager.log()),
            manager: UnsafeCell::new(ManuallyDrop::new(manager)),
            inside: AtomicUsize::new(0),
        }
    }

    /// What every thread may use.
    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Counts a call that shutdown must wait for, and refuses it in a forked child.
    pub(super) fn enter(&self) -> Result<Inside<'_>> {
        self.inside.fetch_add(1, Ordering::AcqRel);
        let inside = Inside(self);
        if self.log.poison().is_forked() {
            self.log.poison().check()?;
        }
        Ok(inside)
    }

    /// The writer's half.
    ///
    /// # Safety
    /// The caller is the one writer, and holds no other reference from here.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the ABI's contract is one writer")]
    pub(super) unsafe fn writer(&self) -> &mut Writer {
        // SAFETY: the caller's promise makes this the only reference to the cell's content.
        unsafe { &mut *self.writer.get() }
    }

    /// Shuts the log down and waits until the last call is out.
    ///
    /// # Safety
    /// No call on the handle is begun any more, and this is not called again.
    pub(super) unsafe fn shut_down(&self) -> Result<()> {
        // SAFETY: the writer has stopped, so both cells are this thread's, and each is taken once.
        let (manager, writer) = unsafe {
            let manager = ManuallyDrop::take(&mut *self.manager.get());
            (manager, ManuallyDrop::take(&mut *self.writer.get()))
        };
        let result = manager.shutdown(writer);
        while self.inside.load(Ordering::Acquire) > 0 {
            std::thread::sleep(Duration::from_micros(50));
        }
        result
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Release);
    }
}
