//! The changes to a log's files: noise, and changes by somebody who knows the format and corrects
//! the checksums.

use flashstrike_wal::format::{file_name, MetaState, BLOCK_HEADER_SIZE, BLOCK_SIZE, EVENT_SIZE};

use super::forge::{
    block_field, block_start, forge, identity_field, put, recompress, segment_field,
};
use super::logs::{Files, Start, ACTIVE};
use super::source::Source;

/// The longest file a change may produce.
const LONGEST: usize = 1 << 18;

/// One change. A missing file is not changed.
#[derive(Debug, Clone)]
pub enum Mutation {
    /// A file of noise: this many bytes from this seed.
    Noise {
        file: String,
        seed: u64,
        len: usize,
    },
    Flip {
        file: String,
        at: usize,
        bit: u8,
    },
    Overwrite {
        file: String,
        at: usize,
        value: u64,
    },
    Zero {
        file: String,
        at: usize,
        len: usize,
    },
    Truncate {
        file: String,
        len: usize,
    },
    Extend {
        file: String,
        len: usize,
    },
    /// Copies bytes from one place to another.
    Splice {
        from: String,
        from_at: usize,
        to: String,
        to_at: usize,
        len: usize,
    },
    SwapFiles {
        a: String,
        b: String,
    },
    SwapBlocks {
        a: String,
        block_a: usize,
        b: String,
        block_b: usize,
    },
    Copy {
        from: String,
        to: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Delete {
        file: String,
    },
    /// Changes a field of a segment header and corrects its checksum.
    SegmentField {
        file: String,
        field: usize,
        value: u64,
    },
    /// Changes a field of a block header and corrects its checksum.
    BlockField {
        file: String,
        block: usize,
        field: usize,
        value: u64,
    },
    /// Replaces an event and corrects every checksum: nothing can detect it.
    Forge {
        file: String,
        block: usize,
        slot: usize,
    },
    /// Changes meta and corrects its checksum.
    Meta {
        last_event_id: u64,
    },
    /// Changes a line of an identity and corrects its checksum.
    Identity {
        file: String,
        key: usize,
        value: String,
    },
    /// Compresses the content of a cold file again.
    Recompress {
        file: String,
        at: usize,
        value: u64,
    },
}

impl Mutation {
    /// Whether no reader could detect it.
    pub fn is_perfect(&self) -> bool {
        matches!(self, Mutation::Forge { .. })
    }

    /// Makes one change or several, each to the result of the ones before.
    pub fn some(source: &mut Source, start: &Start) -> Vec<Self> {
        let count = if source.one_in(2) { 1 } else { 1 + source.below(6) };
        let mut files = start.files.clone();
        let mut mutations = Vec::new();
        for _ in 0..count {
            let mutation = Mutation::any(source, &files);
            mutation.apply(&mut files);
            mutations.push(mutation);
        }
        mutations
    }

    /// Makes any change to one of these files.
    fn any(source: &mut Source, files: &Files) -> Self {
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        if names.is_empty() {
            return Mutation::Meta { last_event_id: source.interesting() };
        }
        let mut name = || source_name(source, &names);
        let (file, other) = (name(), name());
        let size = files[&file].len();
        let at = place(source, size);
        match source.below(18) {
            0 => Mutation::Noise {
                file,
                seed: source.word(),
                len: source.below(LONGEST) >> source.below(16),
            },
            1 => Mutation::Flip { file, at, bit: source.below(8) as u8 },
            2 => Mutation::Overwrite { file, at: at & !7, value: source.interesting() },
            3 => Mutation::Zero { file, at, len: 1 + source.below(BLOCK_SIZE) },
            4 => Mutation::Truncate { file, len: at },
            5 => Mutation::Extend { file, len: source.below(4 * BLOCK_SIZE) },
            6 => {
                let from_at = place(source, files[&other].len());
                let len = source.pick(&[8, 64, 1024, BLOCK_SIZE]);
                Mutation::Splice { from: other, from_at, to: file, to_at: at, len }
            }
            7 => Mutation::SwapFiles { a: file, b: other },
            8 => Mutation::SwapBlocks {
                a: file,
                block_a: source.below(4),
                b: other,
                block_b: source.below(4),
            },
            9 => Mutation::Copy { from: file, to: new_name(source) },
            10 => Mutation::Rename { from: file, to: new_name(source) },
            11 => Mutation::Delete { file },
            12 => {
                Mutation::SegmentField { file, field: source.below(9), value: source.interesting() }
            }
            13 => Mutation::BlockField {
                file,
                block: source.below(4),
                field: source.below(7),
                value: source.interesting(),
            },
            14 => Mutation::Forge { file, block: source.below(3), slot: source.below(256) },
            15 => Mutation::Meta { last_event_id: source.interesting() },
            16 => identity_line(source),
            _ => Mutation::Recompress {
                file: file_name::cold(source.below(2) as u32),
                at: source.below(2000) * 8,
                value: source.interesting(),
            },
        }
    }

    pub fn apply(&self, files: &mut Files) {
        use Mutation::*;
        match self {
            Noise { file, seed, len } => {
                change(files, file, |bytes| *bytes = Source::seeded(*seed).bytes(*len));
            }
            Flip { file, at, bit } => change(files, file, |bytes| {
                if let Some(byte) = bytes.get_mut(*at) {
                    *byte ^= 1 << bit;
                }
            }),
            Overwrite { file, at, value } => {
                change(files, file, |bytes| put(bytes, *at, &value.to_le_bytes()));
            }
            Zero { file, at, len } => change(files, file, |bytes| put(bytes, *at, &vec![0; *len])),
            Truncate { file, len } => change(files, file, |bytes| bytes.truncate(*len)),
            Extend { file, len } => change(files, file, |bytes| bytes.resize(bytes.len() + len, 0)),
            Splice { from, from_at, to, to_at, len } => {
                let piece = files.get(from).and_then(|bytes| bytes.get(*from_at..)).unwrap_or(&[]);
                let piece = piece[..piece.len().min(*len)].to_vec();
                change(files, to, |bytes| put(bytes, *to_at, &piece));
            }
            SwapFiles { a, b } => {
                if let (Some(left), Some(right)) = (files.get(a).cloned(), files.get(b).cloned()) {
                    files.insert(a.clone(), right);
                    files.insert(b.clone(), left);
                }
            }
            SwapBlocks { a, block_a, b, block_b } => {
                let (at, bt) = (block_start(*block_a), block_start(*block_b));
                let piece = |name, at| {
                    files
                        .get(name)
                        .and_then(|f: &Vec<u8>| f.get(at..at + BLOCK_SIZE))
                        .map(<[u8]>::to_vec)
                };
                if let (Some(left), Some(right)) = (piece(a, at), piece(b, bt)) {
                    change(files, a, |bytes| put(bytes, at, &right));
                    change(files, b, |bytes| put(bytes, bt, &left));
                }
            }
            Copy { from, to } => {
                if let Some(bytes) = files.get(from).cloned() {
                    files.insert(to.clone(), bytes);
                }
            }
            Rename { from, to } => {
                if let Some(bytes) = files.remove(from) {
                    files.insert(to.clone(), bytes);
                }
            }
            Delete { file } => drop(files.remove(file)),
            SegmentField { file, field, value } => {
                change(files, file, |bytes| segment_field(bytes, *field, *value));
            }
            BlockField { file, block, field, value } => {
                change(files, file, |bytes| block_field(bytes, *block, *field, *value));
            }
            Forge { file, block, slot } => change(files, file, |bytes| forge(bytes, *block, *slot)),
            Meta { last_event_id } => {
                let state = MetaState {
                    last_segment_index: 1,
                    last_offset: 64,
                    last_event_id: *last_event_id,
                };
                files.insert(file_name::META.into(), state.encode().to_vec());
            }
            Identity { file, key, value } => {
                change(files, file, |bytes| identity_field(bytes, *key, value));
            }
            Recompress { file, at, value } => {
                change(files, file, |frame| recompress(frame, *at, *value))
            }
        }
    }
}

fn source_name(source: &mut Source, names: &[&str]) -> String {
    names[source.below(names.len())].to_owned()
}

/// Prefers offsets at which something starts.
fn place(source: &mut Source, size: usize) -> usize {
    let block = block_start(source.below(5));
    let event = BLOCK_HEADER_SIZE + EVENT_SIZE * source.below(256);
    let at = match source.below(5) {
        0 => source.below(64),
        1 => block + source.below(BLOCK_HEADER_SIZE),
        2 => block + event + source.below(8),
        3 => block + event + source.below(EVENT_SIZE),
        _ => source.below(size),
    };
    at % size.max(1)
}

/// File names of the library, and some that are not.
fn new_name(source: &mut Source) -> String {
    const OTHERS: [&str; 10] = [
        "FS.4294967295.wal",
        "FS.4294967295.wal.lz4",
        "FS.00000002.wal.tmp",
        "FS.00000002.wal.corrupt",
        "FS.2.wal",
        "FS.000000002.wal",
        "wal_meta.dat",
        "wal_identity",
        "wal_lock",
        "notes",
    ];
    let index = source.below(8) as u32;
    match source.below(6) {
        0 | 1 => file_name::hot(index),
        2 => file_name::cold(index),
        3 => format!("{ACTIVE}{}", file_name::hot(index)),
        _ => source.pick(&OTHERS).to_owned(),
    }
}

fn identity_line(source: &mut Source) -> Mutation {
    const PATHS: [&str; 6] = ["/", "", ".", "/dev/zero", "/no/such/directory", "/proc/self"];
    let file = match source.below(3) {
        0 => format!("{ACTIVE}{}", file_name::IDENTITY),
        _ => file_name::IDENTITY.to_owned(),
    };
    let key = source.below(7);
    let value = match source.below(3) {
        0 => source.pick(&PATHS).to_owned(),
        _ => source.interesting().to_string(),
    };
    Mutation::Identity { file, key, value }
}

fn change(files: &mut Files, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    if let Some(bytes) = files.get_mut(name) {
        change(bytes);
    }
}
