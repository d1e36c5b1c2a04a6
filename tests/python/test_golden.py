"""The golden files match the independent encoder, and its decoder reads them."""

import json

import pytest

from fs_decode import decompress, read_file
from fs_format import (
    BlockHeader, Event, FormatError, HoldRecord, Identity, Meta, SegmentHeader, SnapshotHeader,
    parse_name, xxh64,
)
from make_golden import GOLDEN, golden_files

VALUES = json.loads((GOLDEN / "format.json").read_text())


def fields(record):
    return {key: v.hex() if isinstance(v, bytes) else v for key, v in record._asdict().items()}


def test_make_golden_reproduces_the_committed_files():
    made = golden_files()
    assert {path.name for path in GOLDEN.iterdir()} == set(made)
    for name, data in made.items():
        assert (GOLDEN / name).read_bytes() == data, name


def test_xxh64_known_answers():
    """Published values of the algorithm, so that a wrong xxhash package cannot go unnoticed."""
    assert xxh64(b"") == 0xEF46DB3751D8E999
    assert xxh64(b"a") == 0xD24EC4F1A98C6E5B
    assert xxh64(b"abc") == 0x44BC2CF5AD770999


RECORDS = [("events", Event), ("segment_headers", SegmentHeader), ("meta", Meta),
           ("identity", Identity), ("snapshot_headers", SnapshotHeader), ("holds", HoldRecord)]


@pytest.mark.parametrize("key, record", RECORDS)
def test_records_decode_to_their_fields(key, record):
    cases = VALUES[key] if key == "events" else VALUES[key]["valid"]
    for case in cases:
        data = bytes.fromhex(case["hex"])
        assert fields(record.decode(data)) == case["fields"]
        assert record.decode(data).encode() == data


@pytest.mark.parametrize("key, record", RECORDS[1:])
def test_damaged_records_are_refused(key, record):
    for case in VALUES[key]["invalid"]:
        with pytest.raises(FormatError):
            record.decode(bytes.fromhex(case["hex"]))


def test_blocks():
    for case in VALUES["blocks"]["valid"]:
        header = BlockHeader.decode(bytes.fromhex(case["header_hex"]))
        events = bytes.fromhex(case["events_hex"])
        assert fields(header) == case["fields"]
        assert len(events) == 64 * header.event_count
        assert header.block_checksum == xxh64(events)
        assert header.chained_checksum == xxh64(events, case["previous_chained_checksum"])
    for case in VALUES["blocks"]["invalid_headers"]:
        with pytest.raises(FormatError):
            BlockHeader.decode(bytes.fromhex(case["hex"]))


def test_file_names():
    for case in VALUES["file_names"]["valid"]:
        assert parse_name(case["name"]) == (case["kind"], case["index"])
    for name in VALUES["file_names"]["invalid"]:
        assert parse_name(name) is None, name


def test_segment():
    case = VALUES["segment"]
    path = GOLDEN / case["file"]
    data = decompress(path.read_bytes(), str(path))
    assert (len(data), xxh64(data)) == (case["length"], case["xxh64"])
    assert fields(SegmentHeader.decode(data)) == case["fields"]
    log = read_file(path)
    assert xxh64(log.events()) == case["events_xxh64"]
    assert log.events()[-64:].hex() == case["last_event_hex"]
