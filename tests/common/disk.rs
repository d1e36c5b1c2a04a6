//! A filesystem, for one test, on a disk whose power can be cut. Use it in a separate mount
//! namespace, so that the mounts go away with the process however it ends.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::mount::{mount, mount_bind, unmount, MountFlags, UnmountFlags};

use super::{child, served_disk};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Kinds of filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ext4,
    Xfs,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ext4 => "ext4",
            Kind::Xfs => "xfs",
        }
    }

    /// Blocks of 4 KiB, as larger filesystems have.
    fn block_size(self) -> &'static str {
        match self {
            Kind::Ext4 => "4096",
            Kind::Xfs => "size=4096",
        }
    }

    /// The smallest size that `mkfs` accepts without complaint.
    fn size(self) -> u64 {
        match self {
            Kind::Ext4 => 64 << 20,
            Kind::Xfs => 300 << 20,
        }
    }
}

/// Whether filesystems of this kind can be made and mounted; if not, reports the test as skipped.
pub fn can_make(kind: Kind) -> bool {
    let program = format!("mkfs.{}", kind.name());
    let found = Command::new(&program)
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        crate::skipped(format_args!("{program} is not installed"));
    }
    found && super::may_mount() && has_fuse()
}

/// Whether a process can serve files here.
fn has_fuse() -> bool {
    let opened = File::options().read(true).write(true).open(served_disk::FUSE);
    if let Err(error) = &opened {
        crate::skipped(format_args!("{}: {error}", served_disk::FUSE));
    }
    opened.is_ok()
}

/// What still reaches the disk when the power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing more.
    Hard = 2,
    /// The journal, and with it names and sizes of files whose data may be missing.
    AfterJournal = 1,
}

/// A filesystem on a disk that a separate process serves, mounted.
pub struct Disk {
    kind: Kind,
    server: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// The disk, as a file.
    image: PathBuf,
    /// The disk, as a block device. It goes away when nobody has it open, however this process
    /// ends.
    device: PathBuf,
    held: Option<File>,
    mount_point: PathBuf,
    /// The boot id that the kernel reports.
    boot_id: PathBuf,
    boots: u64,
}

impl Disk {
    /// Makes a disk, and a filesystem on it, in the directory `base`.
    pub fn make(kind: Kind, base: &Path) -> Self {
        let image = base.join("image");
        File::create(&image).unwrap();
        let (program, arguments) = (child::program(), [&image.display() as _, &kind.size() as _]);
        let mut command = child::command(&program, &[], "serve-disk", &arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let orders = server.stdin.take();
        let answers = BufReader::new(server.stdout.take().unwrap());
        let mut disk = Disk {
            kind,
            server,
            orders,
            answers,
            image,
            device: PathBuf::new(),
            held: None,
            mount_point: base.join("disk"),
            boot_id: base.join("boot_id"),
            boots: 0,
        };
        assert_eq!(disk.answer(), served_disk::READY);
        disk.attach();
        fs::create_dir(&disk.mount_point).unwrap();
        fs::copy(BOOT_ID, &disk.boot_id).unwrap();
        mount_bind(&disk.boot_id, BOOT_ID).unwrap();
        disk.mount();
        disk
    }

    /// Makes the block device, and a filesystem on it.
    fn attach(&mut self) {
        let image = self.image.display().to_string();
        let device = run(&["losetup", "--find", "--show", &image]);
        let device = device.trim();
        self.device = device.into();
        self.held = Some(File::open(device).unwrap());
        // Takes effect when it is closed.
        run(&["losetup", "--detach", device]);
        let program = format!("mkfs.{}", self.kind.name());
        run(&[&program, "-q", "-b", self.kind.block_size(), device]);
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount_point
    }

    fn mount(&self) {
        let flags = MountFlags::empty();
        mount(&self.device, &self.mount_point, self.kind.name(), flags, None).unwrap();
    }

    /// Cuts the power: what was not flushed is lost or not, as the seed decides. Returns how many
    /// bytes that were.
    pub fn cut(&mut self, how: Cut, seed: u64) -> u64 {
        // Opened before, since afterwards it cannot be read from the disk.
        let root = File::open(&self.mount_point).unwrap();
        if how == Cut::AfterJournal {
            shut_down(&root, how);
        }
        let unflushed = self.order(&seed.to_string()).parse().unwrap();
        if how == Cut::Hard {
            // Or the filesystem would write to the dead disk again and again.
            shut_down(&root, how);
        }
        unflushed
    }

    /// Restarts the machine. No file of the filesystem may be open.
    pub fn restart(&mut self) {
        unmount(&self.mount_point, UnmountFlags::empty()).unwrap();
        self.drop_cache();
        self.boots += 1;
        let boot_id = format!("22222222-0000-4000-8000-{:012}\n", self.boots);
        fs::write(&self.boot_id, boot_id).unwrap();
        self.order(served_disk::POWER_ON);
        self.mount();
    }

    /// Drops what the kernel has cached of the block device.
    fn drop_cache(&self) {
        run(&["blockdev", "--flushbufs", &self.device.display().to_string()]);
    }

    fn order(&mut self, order: &str) -> String {
        writeln!(self.orders.as_ref().unwrap(), "{order}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(&self.mount_point, UnmountFlags::DETACH);
        let _ = unmount(BOOT_ID, UnmountFlags::DETACH);
        drop(self.held.take());
        let _ = unmount(&self.image, UnmountFlags::DETACH);
        drop(self.orders.take());
        let _ = self.server.wait();
    }
}

/// Makes a filesystem stop: from now on it writes nothing.
fn shut_down(root: &File, how: Cut) {
    // Both filesystems use the same number: _IOR('X', 125, u32).
    const SHUTDOWN: libc::c_ulong = 0x8004_587D;
    let how = how as u32;
    // SAFETY: the call reads a u32 through the pointer, which points to a live local.
    let result = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN, &raw const how) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Writes these pages of a file to the disk, and no others.
pub fn write_back(file: &File, from: u64, len: u64) {
    let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    let (from, len) = (i64::try_from(from).unwrap(), i64::try_from(len).unwrap());
    // SAFETY: the call takes no pointers.
    let result = unsafe { libc::sync_file_range(file.as_raw_fd(), from, len, flags) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Runs a command, which must succeed. Returns its output.
fn run(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
