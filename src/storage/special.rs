//! What the kernel says: files that it makes up, and random bits.

use rustix::fs::{major, minor, openat, Mode, OFlags, CWD};
use rustix::io::{read, Errno};
use rustix::rand::{getrandom, GetRandomFlags};
use rustix::time::{clock_gettime, ClockId};

use super::calls::{read_full, retry};
use super::standard::open_above_standard;
use crate::error::{Cause, Error, Result};

/// The id of this boot.
pub fn boot_id() -> Result<String> {
    const NEEDED: &str = "a log is opened for writing only where the kernel's boot id can be read \
                          (systemd: ProcSubset=all)";
    let mut bytes = [0; 64];
    let read = read_special("/proc/sys/kernel/random/boot_id", &mut bytes).map_err(|error| {
        let cause = error.cause().unwrap_or(Cause::Io);
        Error::with_errno(cause, format!("{NEEDED}: {error}"), error.errno())
    })?;
    Ok(String::from_utf8_lossy(&bytes[..read]).trim().to_owned())
}

/// Nanoseconds by the clock that all processes of this boot have in common, which never goes back.
/// No system call, where the kernel's clock source allows that.
pub fn clock_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
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
    // The kernel lists a page at a time, and skips a lock when others before it are given back
    // meanwhile.
    const TRIES: u32 = 5;
    let mut bytes = vec![0; MAX_SIZE];
    (0..TRIES).find_map(|_| {
        let read = read_special("/proc/locks", &mut bytes).ok()?;
        owner_in(&String::from_utf8_lossy(&bytes[..read]), dev, ino)
    })
}

/// Processors that the administrator has set apart from what the scheduler places by itself: those
/// of `isolcpus` and `nohz_full`.
pub fn processors_set_apart() -> Vec<usize> {
    let lists = ["isolated", "nohz_full"].map(|name| {
        let mut bytes = [0; 4096];
        let read = read_special(&format!("/sys/devices/system/cpu/{name}"), &mut bytes);
        processors_in(&String::from_utf8_lossy(&bytes[..read.unwrap_or(0)]))
    });
    lists.concat()
}

/// The processors of a list such as `1-3,8`. What is no such list has none: "(null)" or an empty
/// line.
fn processors_in(list: &str) -> Vec<usize> {
    /// More than any machine has, so that a long range costs nothing.
    const MAX: usize = 1 << 16;
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse::<usize>().ok()?.min(MAX))
    };
    list.trim().split(',').filter_map(range).flatten().collect()
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

    #[test]
    fn f33_lists_of_processors() {
        assert_eq!(processors_in("1-3,8\n"), [1, 2, 3, 8]);
        assert_eq!(processors_in("70"), [70]);
        for none in ["", "\n", "(null)\n", "3-1", "a-b", "-"] {
            assert_eq!(processors_in(none), [0; 0], "{none}");
        }
    }
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
