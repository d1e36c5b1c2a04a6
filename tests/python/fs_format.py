"""The on-disk format, version 1: encodes and decodes every structure.

Written from the format's description alone, so that it can disagree with the library. No I/O here;
fs_decode.py reads files and directories. Offsets in errors are relative to the file.
"""

import re
import struct
from typing import NamedTuple

import xxhash

SEGMENT_MAGIC = 0x4653
FORMAT_VERSION = 1
HEADER_SIZE = 64
EVENT_SIZE = 64
EVENTS_PER_BLOCK = 256
BLOCK_SIZE = HEADER_SIZE + EVENTS_PER_BLOCK * EVENT_SIZE
U32_MAX = 2**32 - 1
U64_MAX = 2**64 - 1

EVENT = struct.Struct("<QQqqIIBBB21s")
SEGMENT_HEADER = struct.Struct("<HBBIIIQQQQQQ")
BLOCK_HEADER = struct.Struct("<QQQQQIHHQQ")
META = struct.Struct("<IIQQ")
assert EVENT.size == SEGMENT_HEADER.size == BLOCK_HEADER.size == 64 and META.size == 24
assert BLOCK_SIZE == 16448


class FormatError(Exception):
    """Bytes that break the format: which file, at which offset, and how."""

    def __init__(self, where, offset, what):
        super().__init__(f"{where}: offset {offset}: {what}")
        self.where, self.offset, self.what = where, offset, what


def xxh64(data, seed=0):
    return xxhash.xxh64_intdigest(data, seed)


def xxh64_around(data, hole):
    """Checksum of a 64-byte header with the 8 bytes at `hole` (its own checksum) left out."""
    return xxh64(data[hole + 8 : 64], xxh64(data[0:hole]))


class Event(NamedTuple):
    event_id: int
    timestamp: int
    price: int
    quantity: int
    user_id: int
    order_id: int
    type: int
    order_type: int
    side: int
    reserved: bytes = bytes(21)

    def encode(self):
        return EVENT.pack(*self)

    @classmethod
    def decode(cls, data):
        return cls(*EVENT.unpack(data))


class SegmentHeader(NamedTuple):
    segment_index: int
    block_count: int = 0
    event_count: int = 0
    first_event_id: int = 0
    last_event_id: int = 0
    created_ts_ns: int = 0
    closed_ts_ns: int = 0
    last_chained_checksum: int = 0

    def encode(self):
        def pack(checksum):
            fixed = (SEGMENT_MAGIC, FORMAT_VERSION, HEADER_SIZE)
            return SEGMENT_HEADER.pack(*fixed, *self[:7], checksum, self.last_chained_checksum)

        return pack(xxh64_around(pack(0), 48))

    @classmethod
    def decode(cls, data, where="segment header"):
        if len(data) < HEADER_SIZE:
            raise FormatError(where, len(data), "ends inside the segment header")
        magic, version, size, *fields, checksum, chained = SEGMENT_HEADER.unpack(data[:64])
        if magic != SEGMENT_MAGIC:
            raise FormatError(where, 0, f"magic {magic:#06x}, not {SEGMENT_MAGIC:#06x}")
        if version != FORMAT_VERSION:
            raise FormatError(where, 2, f"version {version}, not {FORMAT_VERSION}")
        if size != HEADER_SIZE:
            raise FormatError(where, 3, f"header size {size}, not {HEADER_SIZE}")
        expect_checksum(where, 48, "segment header", checksum, xxh64_around(data[:64], 48))
        return cls(*fields, chained)


class BlockHeader(NamedTuple):
    first_event_id: int
    last_event_id: int
    block_checksum: int
    chained_checksum: int
    block_index: int
    event_count: int
    durable_event_id: int = 0

    def encode(self):
        def pack(checksum):
            tail = (self.block_index, self.event_count, 0, self.durable_event_id, 0)
            return BLOCK_HEADER.pack(*self[:4], checksum, *tail)

        return pack(xxh64_around(pack(0), 32))

    @classmethod
    def decode(cls, data, where="block header", offset=0):
        if len(data) < HEADER_SIZE:
            raise FormatError(where, offset + len(data), "ends inside a block header")
        *ids_and_sums, checksum, index, count, zero0, stamp, zero1 = BLOCK_HEADER.unpack(data[:64])
        expect_checksum(where, offset + 32, "block header", checksum, xxh64_around(data[:64], 32))
        if not 1 <= count <= EVENTS_PER_BLOCK:
            raise FormatError(where, offset + 44, f"event count {count}, not 1..=256")
        if zero0 or zero1:
            raise FormatError(where, offset + (46 if zero0 else 56), "reserved bytes are not zero")
        return cls(*ids_and_sums, index, count, stamp)


def expect_checksum(where, offset, of, stored, computed):
    if stored != computed:
        raise FormatError(where, offset, f"{of} checksum {stored:016x}, computed {computed:016x}")


def event_ids(events):
    """The ids of packed events, as a list of integers."""
    return memoryview(events).cast("Q").tolist()[::8]


def encode_block(index, events, previous_chained=0, durable_event_id=0):
    """A block header and its packed events, without padding to the block's end."""
    ids = event_ids(events)
    header = BlockHeader(
        ids[0], ids[-1], xxh64(events), xxh64(events, previous_chained), index, len(ids),
        durable_event_id,
    )
    return header, header.encode() + events


def encode_segment(index, events, created, closed, num_blocks=None, stamps=()):
    """A whole segment. With `closed` 0 it is open, and its header counts no events.

    `num_blocks` None trims the file to the used blocks; `stamps` are the blocks' durable ids.
    """
    step = EVENTS_PER_BLOCK * EVENT_SIZE
    body, chained = [], 0
    for number, start in enumerate(range(0, len(events), step)):
        stamp = stamps[number] if number < len(stamps) else 0
        header, block = encode_block(number, events[start : start + step], chained, stamp)
        chained = header.chained_checksum
        body.append(block.ljust(BLOCK_SIZE, b"\0"))
    ids = event_ids(events) or [0]
    count = len(events) // EVENT_SIZE
    header = SegmentHeader(index, created_ts_ns=created)
    if closed:
        header = SegmentHeader(index, len(body), count, ids[0], ids[-1], created, closed, chained)
    size = HEADER_SIZE + (len(body) if num_blocks is None else num_blocks) * BLOCK_SIZE
    return (header.encode() + b"".join(body)).ljust(size, b"\0")


class Meta(NamedTuple):
    last_segment_index: int
    last_offset: int
    last_event_id: int

    def encode(self):
        state = META.pack(*self, 0)[:16]
        return state + struct.pack("<Q", xxh64(state))

    @classmethod
    def decode(cls, data, where="wal_meta.dat"):
        if len(data) != META.size:
            raise FormatError(where, len(data), f"{len(data)} bytes, not {META.size}")
        *state, checksum = META.unpack(data)
        expect_checksum(where, 16, "meta", checksum, xxh64(data[:16]))
        return cls(*state)


class Identity(NamedTuple):
    id: str
    wal_dev: int
    wal_ino: int
    generation: int
    boot_id: str
    active_path: str
    clean: int

    def encode(self):
        text = "".join(f"{key}={value}\n" for key, value in self._asdict().items())
        body = text.encode("utf-8", "surrogateescape")
        return body + f"xxh64={xxh64(body):016x}\n".encode()

    @classmethod
    def decode(cls, data, where="wal_identity"):
        last = data.rfind(b"xxh64=")
        match = re.fullmatch(rb"xxh64=([0-9a-f]{16})\n", data[last:]) if last >= 0 else None
        if match is None or (last > 0 and data[last - 1 : last] != b"\n"):
            raise FormatError(where, max(last, 0), "does not end in a line xxh64=<16 hex digits>")
        expect_checksum(where, last, "identity", int(match[1], 16), xxh64(data[:last]))
        values = {}
        for line in data[:last].decode("utf-8", "surrogateescape").split("\n")[:-1]:
            key, equals, value = line.partition("=")
            if not equals or key in values:
                raise FormatError(where, 0, f"line {line!r} is malformed or there twice")
            values[key] = value
        missing = [key for key in cls._fields if key not in values]
        if missing:
            raise FormatError(where, 0, f"no line {missing[0]}=")
        for key in ("wal_dev", "wal_ino", "generation", "clean"):
            if not re.fullmatch("[0-9]+", values[key]):
                raise FormatError(where, 0, f"{key}={values[key]} is not a number")
            values[key] = int(values[key])
        if not re.fullmatch("[0-9a-f]{32}", values["id"]) or values["clean"] not in (0, 1):
            raise FormatError(where, 0, "id is not 128 bits in hex, or clean is not 0 or 1")
        return cls(**{key: values[key] for key in cls._fields})


SNAPSHOT_HEADER = struct.Struct("<4sHHQ16sQQQQ")
assert SNAPSHOT_HEADER.size == HEADER_SIZE


class SnapshotHeader(NamedTuple):
    event_id: int
    log_id: str
    generation: int
    created_ns: int
    size: int

    def encode(self):
        log_id = bytes.fromhex(self.log_id)[::-1]
        fields = (b"FSSN", 1, HEADER_SIZE, self.event_id, log_id, *self[2:])
        packed = SNAPSHOT_HEADER.pack(*fields, 0)[:56]
        return packed + struct.pack("<Q", xxh64(packed))

    @classmethod
    def decode(cls, data, where="snapshot header"):
        if len(data) < HEADER_SIZE:
            raise FormatError(where, len(data), "ends inside the snapshot header")
        magic, version, size, event_id, log_id, *rest, checksum = SNAPSHOT_HEADER.unpack(data[:64])
        if (magic, version, size) != (b"FSSN", 1, HEADER_SIZE):
            raise FormatError(where, 0, f"begins with {magic!r}, version {version}, size {size}")
        expect_checksum(where, 56, "snapshot header", checksum, xxh64(data[:56]))
        return cls(event_id, log_id[::-1].hex(), *rest)


class HoldRecord(NamedTuple):
    event_id: int
    generation: int
    updated: int

    def encode(self):
        body = "".join(f"{key}={value:020d}\n" for key, value in self._asdict().items()).encode()
        return body + f"xxh64={xxh64(body):016x}\n".encode()

    @classmethod
    def decode(cls, data, where="hold"):
        match = re.fullmatch(rb"event_id=([0-9]{20})\ngeneration=([0-9]{20})\n"
                             rb"updated=([0-9]{20})\nxxh64=([0-9a-f]{16})\n", data)
        if match is None or any(int(value) > U64_MAX for value in match.groups()[:3]):
            raise FormatError(where, 0, "is not the text of a hold")
        expect_checksum(where, 91, "hold", int(match[4], 16), xxh64(data[:91]))
        return cls(*(int(value) for value in match.groups()[:3]))


def snapshot_name(event_id):
    return f"SNAP.{event_id:020d}.fss"


def hot_name(index):
    return f"FS.{index:08d}.wal"


def cold_name(index):
    return hot_name(index) + ".lz4"


def parse_name(name):
    """("hot" or "cold", index) of a segment's file name; None for any other spelling."""
    match = re.fullmatch(r"FS\.([0-9]{8,10})\.wal(\.lz4)?", name)
    if match is None:
        return None
    index, kind = int(match[1]), "cold" if match[2] else "hot"
    if index > U32_MAX or name != (cold_name if match[2] else hot_name)(index):
        return None
    return kind, index
