//! A filesystem in a file, for one test, whose power can be cut. Use it in a separate mount
//! namespace, so that the mounts go away with the process however it ends.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::mount::{mount, mount_bind, unmount, MountFlags, UnmountFlags};

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

    /// The smallest size that `mkfs` accepts without complaint. The file is sparse.
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
    found && super::may_mount()
}

/// What still reaches the disk when the power is cut.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    /// Nothing more.
    Hard = 2,
    /// The journal, and with it names and sizes of files whose data may be missing.
    AfterJournal = 1,
}

/// A filesystem in a file, mounted.
pub struct Disk {
    kind: Kind,
    /// The file with the filesystem. Nobody holds it open while it is not mounted: then the kernel
    /// drops its cached pages, which would otherwise survive the power cut.
    device: PathBuf,
    mount_point: PathBuf,
    /// The boot id that the kernel reports.
    boot_id: PathBuf,
    boots: u64,
}

impl Disk {
    /// Makes a filesystem in the directory `base`.
    pub fn make(kind: Kind, base: &Path) -> Self {
        let image = base.join("image");
        File::create(&image).unwrap().set_len(kind.size()).unwrap();
        let made = run(&[&format!("mkfs.{}", kind.name()), "-q", &image.display().to_string()]);
        assert_eq!(made, "");
        let device = run(&["losetup", "--find", "--show", &image.display().to_string()]);
        let device = PathBuf::from(device.trim());
        let (mount_point, boot_id) = (base.join("disk"), base.join("boot_id"));
        fs::create_dir(&mount_point).unwrap();
        fs::copy(BOOT_ID, &boot_id).unwrap();
        mount_bind(&boot_id, BOOT_ID).unwrap();
        let disk = Disk { kind, device, mount_point, boot_id, boots: 0 };
        disk.mount();
        disk
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount_point
    }

    fn mount(&self) {
        let flags = MountFlags::empty();
        mount(&self.device, &self.mount_point, self.kind.name(), flags, None).unwrap();
    }

    /// Cuts the power: what has not reached the disk is lost.
    pub fn cut(&self, how: Cut) {
        // Both filesystems use the same number: _IOR('X', 125, u32).
        const SHUTDOWN: libc::c_ulong = 0x8004_587D;
        let root = File::open(&self.mount_point).unwrap();
        let how = how as u32;
        // SAFETY: the call reads a u32 through the pointer, which points to a live local.
        let result = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN, &raw const how) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    /// Restarts the machine. No file of the filesystem may be open.
    pub fn restart(&mut self) {
        unmount(&self.mount_point, UnmountFlags::empty()).unwrap();
        self.boots += 1;
        let boot_id = format!("22222222-0000-4000-8000-{:012}\n", self.boots);
        fs::write(&self.boot_id, boot_id).unwrap();
        self.mount();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(&self.mount_point, UnmountFlags::DETACH);
        let _ = unmount(BOOT_ID, UnmountFlags::DETACH);
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
    }
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
