//! The storage traits, on the simulated state.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fault::Call;
use super::inode::{Inode, SECTOR_SIZE};
use super::state::{failed, Lockable, State};
use crate::error::{Cause, Error, Result};
use crate::storage::{Directory, DirectoryLock, DirectoryStatus, File, FileStatus};
use crate::storage::{Links, Mapping, Open, Pages, Storage, PAGE};

/// As `statfs(2)` calls them.
const EXT4: u64 = 0xEF53;
const TMPFS: u64 = 0x0102_1994;

/// The file system of one process.
#[derive(Debug, Clone)]
pub struct SimulatedStorage {
    pub(super) shared: Arc<Mutex<State>>,
    pub(super) process: u64,
}

impl SimulatedStorage {
    /// Whether its process is still alive.
    pub fn is_alive(&self) -> bool {
        self.state().process == self.process
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for SimulatedStorage {
    fn open_directory(&self, path: &Path, _links: Links) -> Result<Option<Arc<dyn Directory>>> {
        let mut state = self.state();
        state.call(self.process, Call::OpenDirectory, path)?;
        let Some(index) = state.find(path) else { return Ok(None) };
        let handle = state.new_handle();
        Ok(Some(Arc::new(DirectoryHandle {
            handle,
            shared: Arc::clone(&self.shared),
            index,
            path: path.to_owned(),
            process: self.process,
        })))
    }

    fn ensure_directory(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        state.call(self.process, Call::CreateDirectory, path)?;
        if state.find(path).is_none() {
            let parent = path.parent().unwrap_or(path);
            if state.find(parent).is_none() {
                let message = format!("{}: its parent is missing", path.display());
                return Err(Error::new(Cause::NotFound, message));
            }
            state.make_directory(path.to_owned(), 0o750);
        }
        Ok(())
    }

    fn create_directory(&self, path: &Path, mode: u32) -> Result<()> {
        let mut state = self.state();
        state.call(self.process, Call::CreateDirectory, path)?;
        if state.find(path).is_some() {
            return Err(failed(Call::CreateDirectory, path, libc::EEXIST));
        }
        state.make_directory(path.to_owned(), mode);
        Ok(())
    }

    fn remove_directory(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        state.call(self.process, Call::RemoveDirectory, path)?;
        match state.find(path) {
            Some(index) if state.directories[index].now.is_empty() => {
                state.directories[index].removed = true;
                Ok(())
            }
            Some(_) => Err(failed(Call::RemoveDirectory, path, libc::ENOTEMPTY)),
            None => Err(failed(Call::RemoveDirectory, path, libc::ENOENT)),
        }
    }

    fn boot_id(&self) -> Result<String> {
        Ok(format!("boot-{}", self.state().boot))
    }

    fn random(&self) -> Result<u128> {
        let random = &mut self.state().random;
        Ok(u128::from(random.number()) << 64 | u128::from(random.number()))
    }

    fn user(&self) -> u32 {
        0
    }
}

#[derive(Debug)]
struct DirectoryHandle {
    shared: Arc<Mutex<State>>,
    handle: u64,
    index: usize,
    path: PathBuf,
    process: u64,
}

/// Locks the state for a call, which fails if its process is dead or a fault is planned.
fn enter<'a>(
    shared: &'a Mutex<State>,
    process: u64,
    call: Call,
    path: &Path,
) -> Result<MutexGuard<'a, State>> {
    let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
    state.call(process, call, path)?;
    Ok(state)
}

impl DirectoryHandle {
    fn enter(&self, call: Call, path: &Path) -> Result<MutexGuard<'_, State>> {
        enter(&self.shared, self.process, call, path)
    }

    fn file(&self, state: &mut State, name: &str, inode: u64) -> Arc<FileHandle> {
        let handle = state.new_handle();
        Arc::new(FileHandle {
            shared: Arc::clone(&self.shared),
            inode,
            handle,
            path: self.path_of(name),
            process: self.process,
        })
    }
}

impl Drop for DirectoryHandle {
    fn drop(&mut self) {
        self.unlock();
    }
}

impl Directory for DirectoryHandle {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> Result<Vec<String>> {
        let state = self.enter(Call::List, &self.path)?;
        let mut names: Vec<String> = state.directories[self.index].now.keys().cloned().collect();
        let here = |path: &Path| path.parent() == Some(&self.path);
        let below = state.directories.iter().filter(|found| !found.removed && here(&found.path));
        names.extend(below.filter_map(|found| Some(found.path.file_name()?.to_str()?.to_owned())));
        Ok(names)
    }

    fn open(&self, name: &str, how: Open) -> Result<Option<Arc<dyn File>>> {
        let call = if how == Open::Create { Call::Create } else { Call::Open };
        let path = self.path_of(name);
        let mut state = self.enter(call, &path)?;
        let found = state.directories[self.index].now.get(name).copied();
        let inode = match (how, found) {
            (Open::Create, Some(_)) => return Err(failed(call, &path, libc::EEXIST)),
            (Open::Create, None) if state.directories[self.index].removed => return Ok(None),
            (Open::Create, None) => state.make_file(self.index, name),
            (_, None) => return Ok(None),
            (_, Some(inode)) => inode,
        };
        Ok(Some(self.file(&mut state, name, inode)))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let path = self.path_of(from);
        let mut state = self.enter(Call::Rename, &path)?;
        let directory = &mut state.directories[self.index];
        if !directory.now.contains_key(from) {
            return Err(failed(Call::Rename, &path, libc::ENOENT));
        }
        directory.rename(from, to);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<bool> {
        let mut state = self.enter(Call::Remove, &self.path_of(name))?;
        let directory = &mut state.directories[self.index];
        let found = directory.now.contains_key(name);
        if found {
            directory.unlink(name);
        }
        Ok(found)
    }

    fn sync(&self) -> Result<()> {
        self.enter(Call::SyncNames, &self.path)?.directories[self.index].sync();
        Ok(())
    }

    fn status(&self) -> Result<DirectoryStatus> {
        let state = self.enter(Call::Status, &self.path)?;
        let directory = &state.directories[self.index];
        Ok(DirectoryStatus {
            dev: 1,
            ino: self.index as u64,
            uid: 0,
            mode: directory.mode,
            links: u64::from(!directory.removed),
            filesystem: if directory.in_memory { TMPFS } else { EXT4 },
            available: state.available(directory.in_memory),
            total: state.total(directory.in_memory),
        })
    }

    fn status_of(&self, name: &str) -> Result<Option<FileStatus>> {
        let path = self.path_of(name);
        let state = self.enter(Call::Stat, &path)?;
        let Some(inode) = state.directories[self.index].now.get(name) else {
            let below = state.find(&path).map(|index| (1, index as u64));
            return Ok(below.map(|inode| FileStatus { inode, links: 1, size: 0 }));
        };
        let size = state.inodes.get(inode).map_or(0, |file| file.size() as u64);
        Ok(Some(FileStatus { inode: (1, *inode), links: 1, size }))
    }

    fn try_lock(&self) -> Result<DirectoryLock> {
        let mut state = self.enter(Call::Lock, &self.path)?;
        Ok(match state.lock(self.handle, Lockable::Directory(self.index), true) {
            true => DirectoryLock::Taken,
            false => DirectoryLock::Held,
        })
    }

    fn unlock(&self) {
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        state.locks.remove(&self.handle);
    }

    fn lock_owner(&self) -> Option<u32> {
        None
    }

    fn lock(&self, name: &str) -> Result<Arc<dyn File>> {
        let path = self.path_of(name);
        let mut state = self.enter(Call::Lock, &path)?;
        let inode = match state.directories[self.index].now.get(name) {
            Some(inode) => *inode,
            None => state.make_file(self.index, name),
        };
        let file = self.file(&mut state, name, inode);
        if !file.lock(&mut state, true) {
            let message = format!("{}: open for writing elsewhere", path.display());
            return Err(Error::new(Cause::Locked, message));
        }
        Ok(file)
    }
}

#[derive(Debug)]
struct FileHandle {
    shared: Arc<Mutex<State>>,
    inode: u64,
    handle: u64,
    path: PathBuf,
    process: u64,
}

impl Drop for FileHandle {
    fn drop(&mut self) {
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        state.locks.remove(&self.handle);
    }
}

impl FileHandle {
    fn enter(&self, call: Call) -> Result<MutexGuard<'_, State>> {
        enter(&self.shared, self.process, call, &self.path)
    }

    fn fail(&self, call: Call, error: &std::io::Error) -> Error {
        Error::io(format_args!("simulated {call:?} {}", self.path.display()), error)
    }

    fn lock(&self, state: &mut State, exclusive: bool) -> bool {
        state.lock(self.handle, Lockable::File(self.inode), exclusive)
    }

    fn content<'a>(&self, state: &'a mut State, call: Call) -> Result<&'a mut Inode> {
        state.inodes.get_mut(&self.inode).ok_or_else(|| failed(call, &self.path, libc::EBADF))
    }
}

impl File for FileHandle {
    fn size(&self) -> Result<u64> {
        let mut state = self.enter(Call::Stat)?;
        Ok(self.content(&mut state, Call::Stat)?.size() as u64)
    }

    fn links(&self) -> Result<u64> {
        let state = self.enter(Call::Stat)?;
        let names = state.directories.iter().flat_map(|directory| directory.now.values());
        Ok(names.filter(|inode| **inode == self.inode).count() as u64)
    }

    fn inode(&self) -> Result<(u64, u64)> {
        drop(self.enter(Call::Stat)?);
        Ok((1, self.inode))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut state = self.enter(Call::Read)?;
        Ok(self.content(&mut state, Call::Read)?.read(buffer, offset as usize))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let offset = offset as usize;
        let mut state = match self.enter(Call::Write) {
            Ok(state) => state,
            Err(error) => {
                self.write_a_part(bytes, offset);
                return Err(error);
            }
        };
        state
            .reserve(self.inode, offset + bytes.len())
            .map_err(|error| self.fail(Call::Write, &error))?;
        self.content(&mut state, Call::Write)?.write(bytes, offset);
        Ok(())
    }

    /// Two steps, so that a crash can come between them: the disk has the pages, or some sectors of
    /// them, and then it says so.
    fn write_durably(&self, pages: &Pages, bytes: Range<usize>, offset: u64) -> Result<bool> {
        assert!(bytes.start % PAGE == 0 && bytes.end % PAGE == 0 && offset % PAGE as u64 == 0);
        let size = self.size()?;
        assert!(offset + bytes.len() as u64 <= size, "the file would grow");
        let range = offset as usize..offset as usize + bytes.len();
        self.write_at(&pages[bytes], offset)?;
        self.sync_range(Some(range))?;
        Ok(true)
    }

    fn allocate(&self, size: u64) -> Result<()> {
        let mut state = self.enter(Call::Allocate)?;
        state
            .reserve(self.inode, size as usize)
            .map_err(|error| self.fail(Call::Allocate, &error))?;
        self.content(&mut state, Call::Allocate)?.grow(size as usize);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.sync_range(None)
    }

    fn try_lock_exclusive(&self) -> Result<bool> {
        let mut state = self.enter(Call::Lock)?;
        Ok(self.lock(&mut state, true))
    }

    fn try_lock_shared(&self) -> Result<bool> {
        let mut state = self.enter(Call::Lock)?;
        Ok(self.lock(&mut state, false))
    }

    fn unlock(&self) -> Result<()> {
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        state.locks.remove(&self.handle);
        Ok(())
    }

    fn map(&self, size: u64, writable: bool) -> Result<Mapping> {
        let mut state = self.enter(Call::Map)?;
        let mapped = self.content(&mut state, Call::Map)?.map(size, writable);
        mapped.map_err(|error| self.fail(Call::Map, &error))
    }
}

impl FileHandle {
    /// Syncs what was written to a part of the file; `None` = to all of it.
    fn sync_range(&self, range: Option<Range<usize>>) -> Result<()> {
        let entered = self.enter(Call::Sync);
        let fails = entered.as_ref().err().cloned();
        drop(entered);
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let process_lives = state.process == self.process;
        if let (true, Some(Inode::Disk(file))) = (process_lives, state.inodes.get_mut(&self.inode))
        {
            match (fails.is_some(), range) {
                (false, None) => file.sync(),
                (false, Some(range)) => file.sync_range(range),
                (true, _) => file.fail_sync(&mut state.random),
            }
        }
        fails.map_or(Ok(()), Err)
    }

    /// A write that fails may have written a part: whole sectors, within the size of the file.
    fn write_a_part(&self, bytes: &[u8], offset: usize) {
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if state.process != self.process {
            return;
        }
        let end = offset + state.random.below(bytes.len() as u64 + 1) as usize;
        let part = (end / SECTOR_SIZE * SECTOR_SIZE).saturating_sub(offset);
        if let Some(inode) = state.inodes.get_mut(&self.inode) {
            if offset + part <= inode.size() {
                inode.write(&bytes[..part], offset);
            }
        }
    }
}
