//! What the kernel says: files that it makes up, and random bits.

use rustix::fs::{major, minor, openat, Mode, OFlags, CWD};
use rustix::io::{read, Errno};
use rustix::rand::{getrandom, GetRandomFlags};

use super::calls::{read_full, retry};
use super::standard::open_above_standard;
use crate::error::{Error, Result};

/// The id of this boot.
pub fn boot_id() -> Result<String> {
    let mut bytes = [0; 64];
    let read = read_special("/proc/sys/kernel/random/boot_id", &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..read]).trim().to_owned())
}

/// 128 random bits. By a system call: a chroot may have no /dev/urandom.
pub fn random() -> Result<u128> {
    let mut bytes = [0; 16];
    retry(|| getrandom(&mut bytes, GetRandomFlags::empty()))
        .and_then(|got| (got == bytes.len()).then_some(()).ok_or(Errno::IO))
        .map_err(|errno| Error::io("get random bits", &errno.into()))?;
    Ok(u128::from_ne_bytes(bytes))
}

/// The process that holds the `flock` on this inode, if the kernel names it to us.
pub fn lock_owner(dev: u64, ino: u64) -> Option<u32> {
    const MAX_SIZE: usize = 1024 * 1024;
    let mut bytes = vec![0; MAX_SIZE];
    let read = read_special("/proc/locks", &mut bytes).ok()?;
    owner_in(&String::from_utf8_lossy(&bytes[..read]), dev, ino)
}

/// Reads the beginning of a file, until the buffer is full or it ends.
fn read_special(path: &str, buffer: &mut [u8]) -> Result<usize> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    open_above_standard(|| retry(|| openat(CWD, path, flags, Mode::empty())))
        .and_then(|fd| read_full(buffer, 0, |buffer, _| read(&fd, buffer)))
        .map_err(|errno| Error::io(format_args!("read {path}"), &errno.into()))
}

/// Finds the owner in lines like `5: FLOCK  ADVISORY  WRITE 4711 08:01:131090 0 EOF`. A process
/// that is not in our namespace is shown as 0 and not named. The lines of those who wait for the
/// lock (`5: -> FLOCK ...`) are passed over.
fn owner_in(locks: &str, dev: u64, ino: u64) -> Option<u32> {
    let file = format!("{:02x}:{:02x}:{ino}", major(dev), minor(dev));
    let owner = locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, pid) = (words.next()?, words.nth(2)?);
        (kind == "FLOCK" && words.next()? == file).then_some(pid)
    });
    owner?.parse().ok().filter(|pid| *pid != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::makedev;

    #[test]
    fn the_owner_of_a_lock_is_found() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 08:01:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 12 08:01:771 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 13 00:1f:77 0 EOF\n\
                     4: -> FLOCK  ADVISORY  WRITE 14 08:01:77 0 EOF\n\
                     5: FLOCK  ADVISORY  WRITE 15 08:01:77 0 EOF\n\
                     6: FLOCK  ADVISORY  WRITE 0 103:15e:9 0 EOF\n\
                     7: FLOCK\n";
        assert_eq!(owner_in(locks, makedev(8, 1), 77), Some(15));
        assert_eq!(owner_in(locks, makedev(0, 31), 77), Some(13));
        assert_eq!(owner_in(locks, makedev(0x103, 0x15e), 9), None, "of another namespace");
        assert_eq!(owner_in(locks, makedev(8, 1), 7), None);
        assert_eq!(owner_in("", 0, 0), None);
    }
}
