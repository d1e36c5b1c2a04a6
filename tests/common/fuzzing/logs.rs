//! The logs that are damaged: undamaged and as small as possible, one for every state that a
//! directory can be in.

use std::collections::BTreeMap;

use flashstrike_wal::format::{cold_frame, file_name, IdentityRecord, MetaState};

use crate::segments::Image;

/// Files by name; names in the active directory start with [`ACTIVE`].
pub type Files = BTreeMap<String, Vec<u8>>;

/// The prefix of names in the active directory.
pub const ACTIVE: &str = "active/";

/// Where the log is, according to its identity.
#[derive(Debug, Clone)]
pub struct Home {
    pub dev: u64,
    pub ino: u64,
    pub boot_id: String,
    pub active_path: String,
}

/// A log before any mutation: the events 1 to `last`.
#[derive(Debug, Clone)]
pub struct Start {
    pub name: &'static str,
    pub files: Files,
    pub last: u64,
}

impl Start {
    fn new(name: &'static str, last: u64) -> Self {
        Start { name, files: Files::new(), last }
    }

    fn segment(mut self, image: &Image) -> Self {
        self.files.insert(file_name::hot(image.index), image.bytes());
        self
    }

    fn active(mut self, image: &Image) -> Self {
        self.files.insert(format!("{ACTIVE}{}", file_name::hot(image.index)), image.bytes());
        self
    }

    /// A cold segment; its hot file stays or is removed.
    fn frozen(mut self, image: &Image, hot_stays: bool) -> Self {
        let content = image.bytes();
        let mut frame = Vec::new();
        cold_frame::compress(&mut &content[..], content.len() as u64, &mut frame).unwrap();
        self.files.insert(file_name::cold(image.index), frame);
        if hot_stays {
            return self.segment(image);
        }
        self
    }

    fn meta(mut self, last_event_id: u64) -> Self {
        let state = MetaState { last_segment_index: 0, last_offset: 0, last_event_id };
        self.files.insert(file_name::META.into(), state.encode().to_vec());
        self
    }

    fn identity(mut self, home: &Home, boot_id: &str, clean: bool) -> Self {
        let record = IdentityRecord {
            id: 7,
            wal_dev: home.dev,
            wal_ino: home.ino,
            generation: 3,
            boot_id: boot_id.to_owned(),
            active_path: home.active_path.clone(),
            clean,
            ..IdentityRecord::default()
        };
        let text = record.encode().into_bytes();
        if !clean && boot_id == home.boot_id {
            self.files.insert(format!("{ACTIVE}{}", file_name::IDENTITY), text.clone());
        }
        self.files.insert(file_name::IDENTITY.into(), text);
        self
    }
}

/// A closed segment with room for more.
fn closed_with_room(index: u32, ids: impl IntoIterator<Item = u64>) -> Image {
    Image { closed: true, ..open(index, ids, 0) }
}

/// An open segment whose headers say that everything up to `stamp` is durable.
fn open(index: u32, ids: impl IntoIterator<Item = u64>, stamp: u64) -> Image {
    Image { stamp, ..Image::open(index, ids) }
}

/// An open segment that never held an event.
fn prepared(index: u32) -> Image {
    Image::open(index, [])
}

/// A log with segments so large that several threads walk one: hot, cold, and one that goes on.
pub fn large(home: &Home) -> Start {
    Start::new("large", 119_900)
        .segment(&Image::closed(0, 1..=40_000))
        .frozen(&Image::closed(1, 40_001..=60_000), false)
        .segment(&Image::closed(2, 60_001..=61_000))
        .segment(&Image { blocks: 160, ..closed_with_room(3, 61_001..=100_100) })
        .segment(&Image::closed(4, 100_101..=119_000))
        .segment(&open(5, 119_001..=119_900, 119_800))
        .meta(119_850)
        .identity(home, "11111111-2222-3333-4444-555555555555", false)
}

/// Every state a log can be in.
pub fn all(home: &Home) -> Vec<Start> {
    const OLDER_BOOT: &str = "11111111-2222-3333-4444-555555555555";
    let boot = &home.boot_id;
    // A recycled file whose old events are not yet all overwritten.
    let mut recycled = open(2, 801..=1000, 950);
    recycled.ids.extend(700..=790);
    recycled.sealed_blocks = 0;
    // Memory is ahead of the disk by a part of a block.
    let mut ahead = open(2, 801..=1300, 0);
    ahead.sealed_blocks = 1;
    vec![
        Start::new("clean", 1000)
            .segment(&Image::closed(0, 1..=600))
            .segment(&closed_with_room(1, 601..=1000))
            .meta(1000)
            .identity(home, boot, true),
        Start::new("rebooted", 1500)
            .segment(&Image::closed(0, 1..=300))
            .segment(&Image::closed(1, 301..=800))
            .segment(&open(2, 801..=1500, 1400))
            .segment(&prepared(3))
            .meta(1200)
            .identity(home, OLDER_BOOT, false),
        Start::new("crashed", 1300)
            .segment(&Image::closed(0, 1..=300))
            .segment(&Image::closed(1, 301..=800))
            .segment(&open(2, 801..=1100, 1000))
            .segment(&prepared(3))
            .active(&ahead)
            .active(&prepared(3))
            .meta(1050)
            .identity(home, boot, false),
        Start::new("frozen", 1500)
            .frozen(&Image::closed(0, 1..=300), false)
            .frozen(&Image::closed(1, 301..=800), false)
            .segment(&Image::closed(2, 801..=1200))
            .segment(&open(3, 1201..=1500, 1300))
            .meta(1400)
            .identity(home, OLDER_BOOT, false),
        Start::new("all-frozen", 800)
            .frozen(&Image::closed(0, 1..=300), false)
            .frozen(&Image::closed(1, 301..=800), true)
            .meta(800)
            .identity(home, boot, true),
        Start::new("closing-lags", 2400)
            .segment(&Image::closed(0, 1..=300))
            .segment(&open(1, 301..=1324, 1300))
            .segment(&open(2, 1325..=2348, 2300))
            .segment(&open(3, 2349..=2400, 2348))
            .meta(2000)
            .identity(home, OLDER_BOOT, false),
        Start::new("recycled", 950)
            .segment(&Image::closed(0, 1..=300))
            .segment(&Image::closed(1, 301..=800))
            .segment(&recycled)
            .meta(950)
            .identity(home, OLDER_BOOT, false),
        Start::new("foreign", 1000)
            .segment(&Image::closed(0, 1..=600))
            .segment(&Image::closed(1, 601..=1000)),
    ]
}
