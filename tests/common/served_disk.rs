//! A disk that this process serves to the kernel as a file, over FUSE, until its power is cut. The
//! kernel's loop driver makes a block device of the file: it turns a flush of the device into an
//! fsync of the file.
//!
//! The protocol is that of `linux/fuse.h`, as far as one file needs it; the file is the root of the
//! filesystem. Nothing of it stays in the page cache (`FOPEN_DIRECT_IO`), so that the device has
//! seen every write that the kernel takes for done.

use std::ffi::CString;
use std::io::BufRead;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use rustix::thread::{unshare_unsafe, UnshareFlags};

use super::cached_disk::{CachedDisk, SECTOR};
use super::flow::Random;

/// Where the kernel speaks FUSE.
pub const FUSE: &str = "/dev/fuse";
/// What the process prints when the disk can be used.
pub const READY: &str = "ready";
/// What it is told to give the disk power again.
pub const POWER_ON: &str = "power on";

const MAX_WRITE: usize = 1 << 20;
const REQUEST_HEADER: usize = 40;
const WRITE_HEADER: usize = 40;
const LONGEST_FLUSH_US: u64 = 4_000;

/// Without power, every request fails.
struct Machine {
    disk: CachedDisk,
    has_power: bool,
    /// How long a flush takes. For so long a power cut finds data that was written and not flushed.
    flush_time: Duration,
    is_flushing: bool,
}

/// Serves a disk of this size as the file `path`, until standard input ends. A line there cuts the
/// power: it is a seed, which decides what survives; the answer is how many bytes were not flushed.
pub fn serve(path: &Path, size: usize) {
    let device = rustix::fs::open(FUSE, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let options = format!("fd={},rootmode=100000,user_id=0,group_id=0", device.as_raw_fd());
    let options = CString::new(options).unwrap();
    let (source, flags) = ("power-cut", MountFlags::empty());
    rustix::mount::mount(source, path, "fuse", flags, options.as_c_str()).unwrap();
    // The last process of a mount namespace unmounts what is mounted there. This one would wait for
    // its own disk.
    // SAFETY: descriptors stay shared between threads, and there are no other threads yet.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
    let disk = CachedDisk::new(size);
    let machine = Machine { disk, has_power: true, flush_time: Duration::ZERO, is_flushing: false };
    let machine = Arc::new(Mutex::new(machine));
    println!("{READY}");
    let ordered = Arc::clone(&machine);
    std::thread::spawn(move || {
        for order in std::io::stdin().lock().lines() {
            let order = order.unwrap();
            if order != POWER_ON {
                await_flush(&ordered);
            }
            println!("{}", ordered.lock().unwrap().obey(&order));
        }
        // Whoever started this has ended.
        std::process::exit(0);
    });
    answer_requests(&device, &machine);
}

/// Waits for the middle of a flush, if one comes soon.
fn await_flush(machine: &Mutex<Machine>) {
    for _ in 0..100 {
        std::thread::sleep(Duration::from_micros(50));
        let Machine { is_flushing, flush_time, .. } = *machine.lock().unwrap();
        if is_flushing {
            std::thread::sleep(flush_time / 2);
            return;
        }
    }
}

impl Machine {
    fn obey(&mut self, order: &str) -> usize {
        if order == POWER_ON {
            self.has_power = true;
            return 0;
        }
        let mut random = Random(order.parse::<u64>().unwrap() * 613 + 11);
        let unflushed = self.disk.cut(&mut random);
        self.has_power = false;
        let flush_time = random.below(4).min(1) * random.below(LONGEST_FLUSH_US);
        self.flush_time = Duration::from_micros(flush_time);
        unflushed
    }

    fn check_power(&self) -> Result<(), Errno> {
        self.has_power.then_some(()).ok_or(Errno::IO)
    }
}

/// Answers the kernel's requests, one after the other, until the disk is unmounted.
fn answer_requests(device: &OwnedFd, machine: &Mutex<Machine>) {
    let mut request = vec![0; REQUEST_HEADER + WRITE_HEADER + MAX_WRITE];
    loop {
        let len = match rustix::io::read(device, &mut request) {
            Ok(len) => len,
            // A request that was taken back.
            Err(Errno::INTR | Errno::NOENT) => continue,
            Err(Errno::NODEV) => return,
            Err(errno) => panic!("{FUSE}: {errno}"),
        };
        let (error, content) = match answer(&request[..len], machine) {
            Ok(content) => (0, content),
            Err(errno) => (-errno.raw_os_error(), Vec::new()),
        };
        // fuse_out_header: len, error, unique.
        let mut reply = words(&[16 + content.len() as u32, error as u32]);
        reply.extend_from_slice(&request[8..16]);
        reply.extend_from_slice(&content);
        match rustix::io::write(device, &reply) {
            Ok(_) | Err(Errno::NOENT) => {}
            Err(errno) => panic!("{FUSE}: {errno}"),
        }
    }
}

/// The answer to a request, without its header.
fn answer(request: &[u8], machine: &Mutex<Machine>) -> Result<Vec<u8>, Errno> {
    const GETATTR: u32 = 3;
    const OPEN: u32 = 14;
    const READ: u32 = 15;
    const WRITE: u32 = 16;
    const FSYNC: u32 = 20;
    const INIT: u32 = 26;
    let body = &request[REQUEST_HEADER..];
    // fuse_read_in and fuse_write_in: handle, offset, size.
    let place = || (u64_at(body, 8) as usize, u32_at(body, 16) as usize);
    match u32_at(request, 4) {
        INIT => Ok(initialised(u32_at(body, 8))),
        GETATTR => Ok(attributes(machine.lock().unwrap().disk.size())),
        OPEN => {
            // fuse_open_out: handle, flags, nothing.
            const FOPEN_DIRECT_IO: u32 = 1;
            Ok(words(&[0, 0, FOPEN_DIRECT_IO, 0]))
        }
        READ => {
            let (offset, len) = place();
            let machine = machine.lock().unwrap();
            machine.check_power()?;
            Ok(machine.disk.read(offset, len).to_vec())
        }
        WRITE => {
            let (offset, len) = place();
            let mut machine = machine.lock().unwrap();
            machine.check_power()?;
            machine.disk.write(offset, &body[WRITE_HEADER..WRITE_HEADER + len]);
            // fuse_write_out: size, nothing.
            Ok(words(&[len as u32, 0]))
        }
        FSYNC => {
            let flush_time = {
                let mut machine = machine.lock().unwrap();
                machine.is_flushing = true;
                machine.flush_time
            };
            std::thread::sleep(flush_time);
            let mut machine = machine.lock().unwrap();
            machine.is_flushing = false;
            machine.check_power()?;
            machine.disk.flush();
            Ok(Vec::new())
        }
        // The kernel does without.
        _ => Err(Errno::NOSYS),
    }
}

/// fuse_init_out: the version of the protocol, and how much a request may carry.
fn initialised(max_readahead: u32) -> Vec<u8> {
    const MAJOR: u32 = 7;
    const MINOR: u32 = 31;
    const BIG_WRITES: u32 = 1 << 5;
    const MAX_PAGES: u32 = 1 << 22;
    let pages = (MAX_WRITE / 4096) as u32;
    let mut content = words(&[
        MAJOR,
        MINOR,
        max_readahead,
        BIG_WRITES | MAX_PAGES,
        0,
        MAX_WRITE as u32,
        1,
        pages,
    ]);
    content.resize(64, 0);
    content
}

/// fuse_attr_out, of a file of this size.
fn attributes(size: usize) -> Vec<u8> {
    const VALID_SECONDS: u32 = 1 << 30;
    const FILE: u32 = 0o100_600;
    let size_and_blocks = [size as u64, (size / SECTOR) as u64];
    let [size, blocks] = size_and_blocks.map(|n| [n as u32, (n >> 32) as u32]);
    let mut content = words(&[VALID_SECONDS, 0, 0, 0, 1, 0]);
    content.extend_from_slice(&words(&[size, blocks].concat()));
    // Times; then mode, links, owner, device, block size, flags.
    content.resize(content.len() + 36, 0);
    content.extend_from_slice(&words(&[FILE, 1, 0, 0, 0, 4096, 0]));
    content
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}
