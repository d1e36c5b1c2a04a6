#!/usr/bin/env python3
"""Write the golden bytes under tests/golden, computed by fs_format.py, not by the library.

    make_golden.py [DIRECTORY]

The bytes are the same every time; test_golden.py checks that the committed files have them.
"""

import json
import sys
from pathlib import Path

import lz4.frame

from fs_format import (
    BLOCK_SIZE, EVENT_SIZE, EVENTS_PER_BLOCK, HEADER_SIZE, U32_MAX, U64_MAX, BlockHeader, Event,
    HoldRecord, Identity, Meta, SegmentHeader, SnapshotHeader, cold_name, encode_block,
    encode_segment, event_ids, hot_name, xxh64,
)

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
CREATED, CLOSED = 1_700_000_000_000_000_000, 1_700_000_001_234_567_891
SEGMENT_INDEX = 7
SEGMENT_EVENTS = 2 * EVENTS_PER_BLOCK + 57


def market_event(number):
    """Deterministic events with gaps in the ids, both signs, and every kind of request."""
    mix = xxh64(number.to_bytes(8, "little"))
    return Event(
        event_id=1000 + 3 * number,
        timestamp=CREATED + 1000 * number,
        price=1_000_000 + mix % 500 - 250,
        quantity=(mix >> 16) % 400 + 1 if number % 7 else -((mix >> 16) % 400) - 1,
        user_id=(mix >> 24) % 50,
        order_id=number,
        type=mix >> 40 & 3,
        order_type=mix >> 44 & 1,
        side=mix >> 48 & 1,
        reserved=bytes(21) if number % 16 else bytes(range(21)),
    )


def packed_events(count, first=0):
    return b"".join(market_event(first + number).encode() for number in range(count))


def fields_of(record):
    values = record._asdict()
    return {key: v.hex() if isinstance(v, bytes) else v for key, v in values.items()}


def case(record, **more):
    return {"fields": fields_of(record), "hex": record.encode().hex(), **more}


def damaged(data, offset, value, why):
    changed = bytearray(data)
    changed[offset : offset + len(value)] = value
    return {"why": why, "hex": bytes(changed).hex()}


def resealed(header, offset, value, hole, why):
    """A header with one wrong field and a right checksum: only the field makes it invalid."""
    changed = bytearray(header)
    changed[offset : offset + len(value)] = value
    checksum = xxh64(changed[hole + 8 : 64], xxh64(changed[:hole]))
    changed[hole : hole + 8] = checksum.to_bytes(8, "little")
    return {"why": why, "hex": bytes(changed).hex()}


def checksums():
    inputs = (b"", b"a", bytes(range(40)), packed_events(1), packed_events(3))
    return [{"hex": data.hex(), "seed": seed, "xxh64": xxh64(data, seed)}
            for data in inputs for seed in (0, 1, 0x9E3779B97F4A7C15)]


def events():
    extreme = Event(U64_MAX - 1, U64_MAX, -(2**63), 2**63 - 1, U32_MAX, U32_MAX, 255, 255, 255,
                    b"\xff" * 21)
    spelled = Event(0x0807060504030201, 0x100F0E0D0C0B0A09, 0x1817161514131211,
                    0x201F1E1D1C1B1A19, 0x24232221, 0x28272625, 0x29, 0x2A, 0x2B,
                    bytes(range(0x2C, 0x41)))
    smallest = Event(1, 0, 0, 0, 0, 0, 0, 0, 0)
    return [case(event) for event in (smallest, spelled, market_event(7), extreme)]


def segment_headers():
    closed = SegmentHeader(SEGMENT_INDEX, 3, SEGMENT_EVENTS, 1000, 1000 + 3 * (SEGMENT_EVENTS - 1),
                           CREATED, CLOSED, 0x0123456789ABCDEF)
    empty = SegmentHeader(0, created_ts_ns=CREATED, closed_ts_ns=CLOSED)
    last = SegmentHeader(U32_MAX, 261120, 261120 * 256, 1, U64_MAX - 1, 1, U64_MAX, U64_MAX)
    good = closed.encode()
    return {
        "valid": [case(SegmentHeader(SEGMENT_INDEX, created_ts_ns=CREATED)), case(closed),
                  case(empty), case(last)],
        "invalid": [
            resealed(good, 0, b"\x53\x47", 48, "magic"),
            resealed(good, 0, b"\0\0", 48, "magic zeroed"),
            resealed(good, 2, b"\x02", 48, "version 2"),
            resealed(good, 3, b"\x3f", 48, "header size 63"),
            damaged(good, 16, b"\xff", "checksum: first event id changed"),
            damaged(good, 48, b"\0" * 8, "checksum zeroed"),
            damaged(good, 63, b"\xff", "checksum: last byte of the chained checksum changed"),
            {"why": "63 bytes", "hex": good[:63].hex()},
            {"why": "all zero", "hex": bytes(64).hex()},
        ],
    }


def blocks():
    full_events = packed_events(EVENTS_PER_BLOCK)
    full, full_bytes = encode_block(0, full_events)
    partial, partial_bytes = encode_block(1, packed_events(5, EVENTS_PER_BLOCK),
                                          full.chained_checksum, durable_event_id=1765)
    single, single_bytes = encode_block(0, packed_events(1))
    good = partial.encode()
    valid = [
        {"fields": fields_of(header), "header_hex": data[:HEADER_SIZE].hex(),
         "events_hex": data[HEADER_SIZE:].hex(), "previous_chained_checksum": previous}
        for header, data, previous in (
            (full, full_bytes, 0),
            (partial, partial_bytes, full.chained_checksum),
            (single, single_bytes, 0),
        )
    ]
    invalid = [
        damaged(good, 0, b"\xff", "checksum: first event id changed"),
        damaged(good, 48, b"\xff", "checksum: stamp changed"),
        damaged(good, 32, b"\0" * 8, "checksum zeroed"),
        resealed(good, 44, b"\0\0", 32, "event count 0"),
        resealed(good, 44, b"\x01\x01", 32, "event count 257"),
        {"why": "63 bytes", "hex": good[:63].hex()},
        {"why": "all zero", "hex": bytes(64).hex()},
    ]
    return {"valid": valid, "invalid_headers": invalid}


def meta():
    good = Meta(SEGMENT_INDEX, HEADER_SIZE + 3 * BLOCK_SIZE, 4242).encode()
    return {
        "valid": [case(Meta(0, 0, 0)), case(Meta.decode(good)),
                  case(Meta(U32_MAX, U32_MAX, U64_MAX - 1))],
        "invalid": [
            damaged(good, 8, b"\xff", "checksum: event id changed"),
            damaged(good, 23, b"\xff", "checksum changed"),
            {"why": "the C++ recorder's 16 bytes", "hex": good[:16].hex()},
            {"why": "25 bytes", "hex": (good + b"\0").hex()},
            {"why": "empty", "hex": ""},
        ],
    }


def identity():
    plain = Identity("00112233445566778899aabbccddeeff", 2049, 131074, 3,
                     "1b4e28ba-2fa1-11d2-883f-b9a761bde3fb",
                     "/dev/shm/flashstrike-wal-0/1c9d2f", 0)
    odd = plain._replace(active_path="/mnt/a dir with = and ü", generation=2**64 - 1, clean=1)
    good = plain.encode()
    return {
        "valid": [case(plain), case(odd)],
        "invalid": [
            {"why": "a byte changed", "hex": good.replace(b"clean=0", b"clean=1").hex()},
            {"why": "checksum line missing", "hex": good[: good.rfind(b"xxh64=")].hex()},
            {"why": "checksum in capitals", "hex": good[:-17].hex() + good[-17:].upper().hex()},
            {"why": "cut inside the checksum", "hex": good[:-3].hex()},
            {"why": "a line after the checksum", "hex": (good + b"clean=1\n").hex()},
            {"why": "a key missing", "hex": without_key(good, b"generation").hex()},
            {"why": "empty", "hex": ""},
        ],
    }


def without_key(record, key):
    body = b"".join(line for line in record[: record.rfind(b"xxh64=")].splitlines(True)
                    if not line.startswith(key + b"="))
    return body + f"xxh64={xxh64(body):016x}\n".encode()


def snapshot_headers():
    plain = SnapshotHeader(4242, "00112233445566778899aabbccddeeff", 3, CREATED, 1_000_000)
    good = plain.encode()
    return {
        "valid": [case(plain), case(SnapshotHeader(U64_MAX - 1, "f" * 32, *[U64_MAX] * 3)),
                  case(SnapshotHeader(1, "0" * 32, 0, 0, 0))],
        "invalid": [
            damaged(good, 8, b"\xff", "checksum: event id changed"),
            damaged(good, 63, b"\xff", "checksum changed"),
            {"why": "63 bytes", "hex": good[:63].hex()},
            {"why": "all zero", "hex": bytes(64).hex()},
        ],
    }


def holds():
    plain = HoldRecord(4242, 3, CREATED)
    good = plain.encode()
    return {
        "valid": [case(plain), case(HoldRecord(U64_MAX - 1, U64_MAX, U64_MAX))],
        "invalid": [
            {"why": "a byte changed", "hex": good.replace(b"4242", b"4243").hex()},
            {"why": "cut", "hex": good[:-1].hex()},
            {"why": "a line more", "hex": (good + b"clean=1\n").hex()},
            {"why": "empty", "hex": ""},
        ],
    }


def file_names():
    indexes = (0, 7, 99_999_999, 100_000_000, U32_MAX)
    valid = [{"name": name(index), "kind": kind, "index": index}
             for index in indexes for kind, name in (("hot", hot_name), ("cold", cold_name))]
    invalid = [
        "", "FS.wal", "FS..wal", "FS.7.wal", "FS.0000007.wal", "FS.000000007.wal",
        "FS.0100000000.wal", "FS.4294967296.wal", "FS.99999999999.wal", "FS.0000000a.wal",
        "FS.+0000007.wal", "FS.-0000007.wal", "FS. 0000007.wal", "fs.00000007.wal",
        "FS.00000007.WAL", "FS.00000007.wal ", "FS.00000007.wal\n", " FS.00000007.wal",
        "FS.00000007.wal.tmp", "FS.00000007.tmp", "FS.00000007.wal.lz4.tmp",
        "FS.00000007.wal.corrupt", "FS.00000007.wal.corrupt.1", "FS.00000007.wal.lz4.lz4",
        "FS.00000007.lz4", "FS_00000007.wal", "FS.００００００07.wal", "wal_meta.dat",
    ]
    return {"valid": valid, "invalid": invalid}


def sealed_segment():
    stamps = (0, 1000 + 3 * (EVENTS_PER_BLOCK - 1), 1000 + 3 * (2 * EVENTS_PER_BLOCK - 1))
    packed = packed_events(SEGMENT_EVENTS)
    return packed, encode_segment(SEGMENT_INDEX, packed, CREATED, CLOSED, stamps=stamps)


def segment():
    packed, data = sealed_segment()
    start = HEADER_SIZE + 2 * BLOCK_SIZE
    return {
        "file": cold_name(SEGMENT_INDEX),
        "fields": fields_of(SegmentHeader.decode(data)),
        "last_block_fields": fields_of(BlockHeader.decode(data[start : start + HEADER_SIZE])),
        "length": len(data),
        "xxh64": xxh64(data),
        "events_xxh64": xxh64(packed),
        "first_event_ids": event_ids(packed)[:3],
        "last_event_hex": packed[-EVENT_SIZE:].hex(),
    }


def compress(data):
    return lz4.frame.compress(data, content_checksum=True, store_size=True)


def golden_files():
    """{file name: bytes} of everything under tests/golden."""
    values = {
        "checksums": checksums(), "events": events(), "segment_headers": segment_headers(),
        "blocks": blocks(), "meta": meta(), "identity": identity(), "file_names": file_names(),
        "snapshot_headers": snapshot_headers(), "holds": holds(),
        "segment": segment(),
    }
    text = json.dumps(values, indent=1, ensure_ascii=True) + "\n"
    return {"format.json": text.encode(), cold_name(SEGMENT_INDEX): compress(sealed_segment()[1])}


def main():
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in golden_files().items():
        (directory / name).write_bytes(data)
        print(f"{directory / name}: {len(data)} bytes")


if __name__ == "__main__":
    main()
