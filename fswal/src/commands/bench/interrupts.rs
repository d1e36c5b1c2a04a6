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
        let disk = whole(&format!("/sys/dev/block/{}:{}", major(dev), minor(dev)))?;
        let name = disk.file_name()?.to_str()?.to_owned();
        Some(Device { name, lines: lines_of(&disk) })
    }

    pub fn counts(&self) -> Counts {
        fs::read_to_string("/proc/interrupts")
            .map_or_else(|_| Counts::new(), |text| counts_in(&text, &self.lines))
    }
}

/// The directory in /sys of a disk, also by one of its partitions.
fn whole(path: &str) -> Option<PathBuf> {
    let path = fs::canonicalize(path).ok()?;
    match path.join("partition").exists() {
        true => path.parent().map(Path::to_owned),
        false => Some(path),
    }
}

fn lines_of(disk: &Path) -> Vec<u32> {
    let names = |path: PathBuf| -> Vec<String> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    };
    // A RAID or an encrypted volume is made of others.
    let parts = names(disk.join("slaves"));
    if !parts.is_empty() {
        let disks = parts.iter().filter_map(|part| whole(&format!("/sys/class/block/{part}")));
        return disks.flat_map(|disk| lines_of(&disk)).collect();
    }
    // Those of the adapter that the disk is behind.
    let lines = disk.ancestors().map(|device| names(device.join("msi_irqs")));
    let lines = lines.into_iter().find(|lines| !lines.is_empty()).unwrap_or_default();
    lines.iter().filter_map(|line| line.parse().ok()).collect()
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
