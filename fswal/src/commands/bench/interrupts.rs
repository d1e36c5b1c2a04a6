//! Which processor the disk interrupts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

/// The disk of a directory.
pub struct Device {
    pub name: String,
    /// The numbers of its interrupts, and those of the disks that it consists of.
    lines: Vec<u32>,
}

/// How often each processor was interrupted.
pub type Counts = BTreeMap<usize, u64>;

/// Who is interrupted when a write is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Served {
    /// One processor, whoever writes.
    On(usize),
    /// The one that the writer runs on.
    ByWriter,
    /// The kernel does not say.
    #[default]
    NotKnown,
}

impl Device {
    /// `None` where no single device is behind the directory.
    pub fn of(dir: &Path) -> Option<Device> {
        let dev = fs::metadata(dir).ok()?.dev();
        let disk = whole(Path::new(&format!("/sys/dev/block/{}:{}", major(dev), minor(dev))))?;
        let name = name_of(&disk).to_owned();
        Some(Device { name, lines: lines_of(&disk) })
    }

    pub fn counts(&self) -> Counts {
        fs::read_to_string("/proc/interrupts")
            .map_or_else(|_| Counts::new(), |text| counts_in(&text, &self.lines))
    }
}

/// The directory in /sys of a disk, also by one of its partitions.
fn whole(path: &Path) -> Option<PathBuf> {
    let path = fs::canonicalize(path).ok()?;
    match path.join("partition").exists() {
        true => path.parent().map(Path::to_owned),
        false => Some(path),
    }
}

fn lines_of(disk: &Path) -> Vec<u32> {
    // A RAID or an encrypted volume is made of others.
    let parts = within(&disk.join("slaves"));
    if !parts.is_empty() {
        return parts
            .iter()
            .filter_map(|part| whole(part))
            .flat_map(|disk| lines_of(&disk))
            .collect();
    }
    // NVMe may keep its disks in a directory of their own, with links to their adapters.
    let beside = disk.parent().map(within).unwrap_or_default();
    let is_adapter = |path: &PathBuf| path.is_symlink() && name_of(path).starts_with("nvme");
    let adapters =
        beside.into_iter().filter(is_adapter).filter_map(|path| path.canonicalize().ok());
    let devices: Vec<_> = std::iter::once(disk.to_owned()).chain(adapters).collect();
    let lines = devices.iter().flat_map(|device| device.ancestors()).map(|device| {
        let lines = within(&device.join("msi_irqs"));
        lines.iter().filter_map(|line| name_of(line).parse().ok()).collect::<Vec<u32>>()
    });
    lines.into_iter().find(|lines| !lines.is_empty()).unwrap_or_default()
}

/// The paths of what is in a directory.
fn within(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The sums of these lines of /proc/interrupts.
fn counts_in(text: &str, lines: &[u32]) -> Counts {
    let mut rows = text.lines();
    let head = rows.next().unwrap_or_default().split_whitespace();
    let processors: Vec<usize> =
        head.filter_map(|name| name.strip_prefix("CPU")?.parse().ok()).collect();
    let mut counts = Counts::new();
    for row in rows {
        let Some((line, rest)) = row.split_once(':') else { continue };
        if !line.trim().parse().is_ok_and(|line| lines.contains(&line)) {
            continue;
        }
        for (&processor, count) in processors.iter().zip(rest.split_whitespace()) {
            *counts.entry(processor).or_default() += count.parse().unwrap_or(0);
        }
    }
    counts
}

impl Served {
    /// By what was counted before and after writes from each of these processors.
    pub fn of(seen: &[(usize, Counts, Counts)]) -> Self {
        let busiest = |before: &Counts, after: &Counts| {
            let rise = |(&processor, &count): (&usize, &u64)| {
                (count.saturating_sub(before.get(&processor).copied().unwrap_or(0)), processor)
            };
            after.iter().map(rise).max().filter(|(rise, _)| *rise > 0).map(|most| most.1)
        };
        let pairs: Option<Vec<_>> = seen
            .iter()
            .map(|(writer, before, after)| Some((*writer, busiest(before, after)?)))
            .collect();
        let Some(pairs) = pairs.filter(|pairs| !pairs.is_empty()) else { return Served::NotKnown };
        let first = pairs[0].1;
        match () {
            () if pairs.iter().all(|(_, served)| *served == first) => Served::On(first),
            () if pairs.iter().all(|(writer, served)| writer == served) => Served::ByWriter,
            () => Served::NotKnown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "           CPU0       CPU2       \n \
        35:          0          1  PCI-MSIX-0000:00:02.0   0-edge      virtio1-config\n \
        36:         10      64133  PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0\n\
        LOC:      94858      99625   Local timer interrupts\n\
        ERR:          0\n";

    /// A tree such as /sys has: a SATA disk with a partition, an NVMe disk, and a RAID of the two.
    #[test]
    fn the_adapter_of_a_disk_is_found() {
        let sys = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = sys.path().join(path);
            fs::create_dir_all(&path).unwrap();
            path
        };
        let link = |to: &Path, path: &str| std::os::unix::fs::symlink(to, sys.path().join(path));
        make("pci0/00:1f.2/msi_irqs/30");
        let disk = make("pci0/00:1f.2/ata1/host0/block/sda");
        let partition = make("pci0/00:1f.2/ata1/host0/block/sda/sda1");
        fs::write(partition.join("partition"), "1").unwrap();
        make("pci0/01:00.0/msi_irqs/40");
        make("pci0/01:00.0/msi_irqs/41");
        let adapter = make("pci0/01:00.0/nvme/nvme0");
        let nvme = make("virtual/nvme-subsys0/nvme0n1");
        link(&adapter, "virtual/nvme-subsys0/nvme0").unwrap();
        let raid = make("virtual/block/md0");
        make("virtual/block/md0/slaves");
        link(&partition, "virtual/block/md0/slaves/sda1").unwrap();
        link(&nvme, "virtual/block/md0/slaves/nvme0n1").unwrap();

        let sorted = |disk: &Path| {
            let mut lines = lines_of(disk);
            lines.sort();
            lines
        };
        assert_eq!(whole(&partition), disk.canonicalize().ok());
        assert_eq!(sorted(&disk), [30]);
        assert_eq!(sorted(&nvme), [40, 41]);
        assert_eq!(sorted(&raid), [30, 40, 41]);
        assert_eq!(sorted(&make("virtual/block/loop0")), [0_u32; 0]);
    }

    #[test]
    fn the_lines_of_a_disk_are_added_up() {
        assert_eq!(counts_in(TEXT, &[35, 36]), Counts::from([(0, 10), (2, 64134)]));
        assert_eq!(counts_in(TEXT, &[7]), Counts::new());
        assert_eq!(counts_in("", &[35]), Counts::new());
    }

    #[test]
    fn one_processor_or_that_of_the_writer() {
        let none = || Counts::from([(0, 5), (2, 5)]);
        let on = |processor| Counts::from([(0, 5), (2, 5), (processor, 905)]);
        assert_eq!(Served::of(&[(0, none(), on(2)), (2, none(), on(2))]), Served::On(2));
        assert_eq!(Served::of(&[(0, none(), on(0)), (2, none(), on(2))]), Served::ByWriter);
        assert_eq!(Served::of(&[(0, none(), on(2)), (2, none(), on(0))]), Served::NotKnown);
        assert_eq!(Served::of(&[(0, none(), on(2)), (2, none(), none())]), Served::NotKnown);
        assert_eq!(Served::of(&[(0, none(), on(0))]), Served::On(0));
        assert_eq!(Served::of(&[]), Served::NotKnown);
    }
}
