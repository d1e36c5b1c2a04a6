"""The decoder itself: it must find every planted fault, name its place, and end logs correctly.

A decoder that accepts anything would agree with any library.
"""

import os
import subprocess
import sys
from pathlib import Path

import lz4.frame
import pytest

from fs_decode import decode_open, read_directory, read_file
from fs_format import (
    BLOCK_SIZE, FormatError, Identity, Meta, SegmentHeader, cold_name, encode_block,
    encode_segment, event_ids, hot_name, xxh64, xxh64_around,
)
from make_golden import CLOSED, CREATED, packed_events

DECODER = Path(__file__).with_name("fs_decode.py")


def sealed(index, count, first=0, num_blocks=4):
    return encode_segment(index, packed_events(count, first), CREATED, CLOSED, num_blocks)


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


@pytest.fixture
def segment(tmp_path):
    path = tmp_path / hot_name(3)
    path.write_bytes(sealed(3, 600))
    return path


def test_sealed_segment_gives_its_events(segment):
    assert read_file(segment).events() == packed_events(600)


BLOCK2 = 64 + 2 * BLOCK_SIZE


@pytest.mark.parametrize("offset, names", [
    (0, "offset 0: magic"),
    (2, "offset 2: version"),
    (3, "offset 3: header size"),
    (4, "offset 48: segment header checksum"),
    (50, "offset 48: segment header checksum"),
    (60, "offset 48: segment header checksum"),
    (64 + 5, "offset 96: block header checksum"),
    (64 + 64 + 17, "offset 80: block 0 checksum"),
    (BLOCK2 + 50, f"offset {BLOCK2 + 32}: block header checksum"),
    (BLOCK2 + 64 + 64 * 87 + 63, f"offset {BLOCK2 + 16}: block 2 checksum"),
])
def test_a_flipped_bit_is_found_and_located(segment, offset, names):
    flip(segment, offset)
    with pytest.raises(FormatError, match=names) as caught:
        read_file(segment)
    assert str(segment) in str(caught.value)


def reseal(path, start, hole, offset, value):
    """Change a header's bytes and correct its own checksum."""
    data = bytearray(path.read_bytes())
    data[start + offset : start + offset + len(value)] = value
    header = bytes(data[start : start + 64])
    data[start + hole : start + hole + 8] = xxh64_around(header, hole).to_bytes(8, "little")
    path.write_bytes(data)


@pytest.mark.parametrize("start, offset, value, says", [
    (0, 4, b"\x09", "offset 4: segment index 9"),
    (0, 8, b"\x02", "offset 56: last chained checksum"),
    (0, 8, b"\x05", "ends before its 5 blocks"),
    (0, 12, b"\x01", "offset 12: header says 513 events"),
    (0, 16, b"\xff", "offset 12: header says"),
    (0, 24, b"\xff", "offset 12: header says"),
    (0, 56, b"\xff", "offset 56: last chained checksum"),
    (64, 0, b"\xff", "offset 64: block 0 says ids"),
    (64, 8, b"\xff", "offset 64: block 0 says ids"),
    (64, 16, b"\xff", "offset 80: block 0 checksum"),
    (64, 24, b"\xff", "offset 88: block 0 chained checksum"),
    (64, 40, b"\x01", "offset 104: block index 1, not 0"),
    (64, 44, b"\xff\x00", "offset 80: block 0 checksum"),
    (64, 44, b"\x00\x00", "offset 108: event count 0"),
    (64, 46, b"\x01", "offset 110: reserved"),
    (64, 56, b"\x01", "offset 120: reserved"),
])
def test_a_header_that_lies_under_a_good_checksum_is_found(segment, start, offset, value, says):
    reseal(segment, start, 32 if start else 48, offset, value)
    with pytest.raises(FormatError, match=says):
        read_file(segment)


def test_a_short_block_before_the_last_is_found(tmp_path):
    """Valid and chained, but not full where the format demands it."""
    parts = [packed_events(256), packed_events(100, 256), packed_events(50, 356)]
    body, chained = b"", 0
    for number, part in enumerate(parts):
        block, data = encode_block(number, part, chained)
        chained = block.chained_checksum
        body += data.ljust(BLOCK_SIZE, b"\0")
    last = event_ids(parts[2])[-1]
    header = SegmentHeader(0, 3, 406, 1000, last, CREATED, CLOSED, chained)
    path = tmp_path / hot_name(0)
    path.write_bytes(header.encode() + body)
    with pytest.raises(FormatError, match="block 1 is not the last and has 100 events"):
        read_file(path)


def test_a_cold_segment_that_was_never_closed_is_found(tmp_path):
    path = tmp_path / cold_name(0)
    path.write_bytes(lz4.frame.compress(open_segment(600)))
    with pytest.raises(FormatError, match="offset 32: a cold segment that was never closed"):
        read_file(path)


@pytest.mark.parametrize("offset, value", [(40, b"\x07"), (16, b"\xff"), (24, b"\xff")])
def test_an_open_block_whose_header_lies_proves_nothing(tmp_path, offset, value):
    path = tmp_path / hot_name(0)
    path.write_bytes(open_segment(600, stamps=(2000, 2001, 2002)))
    reseal(path, 64 + BLOCK_SIZE, 32, offset, value)
    assert decode_open(path.read_bytes(), 0, 0) == (packed_events(256), True)


def test_durable_ids_come_from_valid_block_headers_alone(tmp_path):
    path = tmp_path / hot_name(0)
    path.write_bytes(open_segment(600, stamps=(1100, 1200, 1300)))
    assert read_file(path).durable_id == 1300
    flip(path, BLOCK2 + 64 + 3)
    assert read_file(path).durable_id == 1200
    reseal(path, 64 + BLOCK_SIZE, 32, 40, b"\x02")
    assert read_file(path).durable_id == 1100


def test_bytes_past_the_last_event_are_not_judged(segment):
    flip(segment, BLOCK2 + 64 + 64 * 88)
    flip(segment, 64 + 3 * BLOCK_SIZE + 9)
    assert read_file(segment).events() == packed_events(600)


def test_swapped_blocks_are_found(segment):
    data = segment.read_bytes()
    one, two = data[64 : 64 + BLOCK_SIZE], data[64 + BLOCK_SIZE : BLOCK2]
    segment.write_bytes(data[:64] + two + one + data[BLOCK2:])
    with pytest.raises(FormatError, match="offset 104: block index 1, not 0"):
        read_file(segment)


def test_a_truncated_segment_is_found(segment):
    segment.write_bytes(segment.read_bytes()[: BLOCK2 + 500])
    with pytest.raises(FormatError, match="ends before its 3 blocks"):
        read_file(segment)


def test_a_renamed_segment_is_found(segment):
    segment.rename(segment.with_name(hot_name(4)))
    with pytest.raises(FormatError, match="offset 4: segment index 3, the name says 4"):
        read_file(segment.with_name(hot_name(4)))


def test_ids_that_fall_are_found(tmp_path):
    events = packed_events(300)
    first_id_at = 64 + BLOCK_SIZE + 64 + 35 * 64
    path = tmp_path / hot_name(0)
    path.write_bytes(encode_segment(0, events[64 * 9 :] + events[: 64 * 9], CREATED, CLOSED))
    with pytest.raises(FormatError, match=f"offset {first_id_at}: event id 1000"):
        read_file(path)


@pytest.mark.parametrize("store_size", [True, False])
@pytest.mark.parametrize("content_checksum", [True, False])
@pytest.mark.parametrize("num_blocks", [3, 16])
def test_cold_frames_with_and_without_options_and_untrimmed(
        tmp_path, store_size, content_checksum, num_blocks):
    path = tmp_path / cold_name(3)
    path.write_bytes(lz4.frame.compress(sealed(3, 600, num_blocks=num_blocks),
                                        store_size=store_size, content_checksum=content_checksum))
    assert read_file(path).events() == packed_events(600)


def test_damaged_frames_are_found(tmp_path):
    path = tmp_path / cold_name(3)
    frame = lz4.frame.compress(sealed(3, 600), content_checksum=True)
    for bad, says in ((frame[:-1], "cut short"), (frame + b"x", "bytes after"), (b"", "cut short"),
                      (frame[:-4] + b"\0\0\0\0", "not a good LZ4"), (b"rubbish", "not a good")):
        path.write_bytes(bad)
        with pytest.raises(FormatError, match=says):
            read_file(path)


def open_segment(count, num_blocks=4, stamps=()):
    return encode_segment(0, packed_events(count), CREATED, 0, num_blocks, stamps)


def unseal(data, number):
    start = 64 + number * BLOCK_SIZE
    return data[:start] + bytes(64) + data[start + 64 :]


def test_open_segment_beyond_the_watermark_needs_a_block_header():
    data = unseal(open_segment(600), 1)
    assert decode_open(data, 0, 0) == (packed_events(256), True)
    durable = event_ids(packed_events(300))[-1]
    assert decode_open(data, 0, durable) == (packed_events(300), True)
    assert decode_open(data, 0, None) == (packed_events(600), True)


def test_open_segment_with_all_blocks_sealed_gives_everything():
    assert decode_open(open_segment(600), 0, 0) == (packed_events(600), True)
    assert decode_open(open_segment(1024), 0, 0) == (packed_events(1024), False)


def test_old_content_of_a_recycled_file_ends_the_log():
    newest = event_ids(packed_events(1024))[-1]
    assert decode_open(open_segment(1024), newest, newest) == (b"", True)
    mixed = bytearray(open_segment(600))
    fresh = packed_events(10, 2000)
    mixed[128 : 128 + len(fresh)] = fresh
    assert decode_open(bytes(mixed), newest, None) == (fresh, True)


def make_log(directory, meta_id=None, clean=1, active_path="/nowhere", boot_id="other"):
    directory.mkdir(exist_ok=True)
    stat = os.stat(directory)
    identity = Identity("0" * 32, stat.st_dev, stat.st_ino, 1, boot_id, active_path, clean)
    (directory / "wal_identity").write_bytes(identity.encode())
    if meta_id is not None:
        (directory / "wal_meta.dat").write_bytes(Meta(0, 0, meta_id).encode())


def ids(count):
    return event_ids(packed_events(count))


def test_directory_joins_cold_and_hot_in_order(tmp_path):
    make_log(tmp_path, ids(900)[-1])
    (tmp_path / cold_name(8)).write_bytes(lz4.frame.compress(sealed(8, 256, 0, None)))
    (tmp_path / hot_name(9)).write_bytes(sealed(9, 256, 256))
    (tmp_path / hot_name(10)).write_bytes(sealed(10, 388, 512))
    (tmp_path / "FS.00000011.wal.tmp").write_bytes(b"never trusted")
    (tmp_path / "FS.00000012.wal.corrupt").write_bytes(b"never read")
    log = read_directory(tmp_path)
    assert log.events() == packed_events(900)
    assert [segment.index for segment in log.segments] == [8, 9, 10]
    (tmp_path / hot_name(8)).write_bytes(b"left over")
    assert read_directory(tmp_path).events() == packed_events(900)


def test_directory_refuses_a_missing_segment_and_a_lost_durable_end(tmp_path):
    make_log(tmp_path, ids(900)[-1])
    (tmp_path / hot_name(8)).write_bytes(sealed(8, 256))
    (tmp_path / hot_name(10)).write_bytes(sealed(10, 388, 512))
    with pytest.raises(FormatError, match="segment 9 is missing"):
        read_directory(tmp_path)
    (tmp_path / hot_name(10)).unlink()
    says = f"ends at id {ids(256)[-1]}, durable up to {ids(900)[-1]}"
    with pytest.raises(FormatError, match=says):
        read_directory(tmp_path)


def test_crashed_log_takes_its_end_from_the_active_directory(tmp_path):
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    active, wal = tmp_path / "active", tmp_path / "wal"
    active.mkdir()
    make_log(wal, ids(300)[-1], 0, str(active), boot)
    (wal / hot_name(0)).write_bytes(open_segment(300))
    (active / hot_name(0)).write_bytes(unseal(open_segment(500), 1))
    (active / hot_name(1)).write_bytes(encode_segment(1, packed_events(99), CREATED, 0, 4))
    assert read_directory(wal).events() == packed_events(500)
    assert read_directory(wal, disk_only=True).events() == packed_events(300)
    good = (active / hot_name(0)).read_bytes()
    for bad, says in ((open_segment(200), "200 events, .* has 300"),
                      (encode_segment(5, packed_events(500), CREATED, 0, 4), "segment index 5"),
                      (good[:198] + b"\xff" + good[199:], "event 1 contradicts")):
        (active / hot_name(0)).write_bytes(bad)
        with pytest.raises(FormatError, match=says):
            read_directory(wal)


def test_crashed_log_without_its_active_directory_is_refused(tmp_path):
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    make_log(tmp_path, ids(300)[-1], 0, "/nowhere", boot)
    (tmp_path / hot_name(0)).write_bytes(open_segment(300))
    with pytest.raises(FormatError, match="active directory /nowhere is gone"):
        read_directory(tmp_path)
    make_log(tmp_path, ids(300)[-1], 0, "/nowhere", "an earlier boot")
    assert read_directory(tmp_path).events() == packed_events(300)


@pytest.mark.parametrize("old, new, says", [
    ("generation=1\n", "generation=1\ngeneration=2\n", "'generation=2' is malformed"),
    ("clean=1\n", "clean=1\nrubbish\n", "'rubbish' is malformed"),
    ("generation=1\n", "generation=-1\n", "generation=-1 is not a number"),
    ("clean=1\n", "clean=2\n", "clean is not 0 or 1"),
    ("id=0", "id=x", "id is not 128 bits"),
])
def test_an_identity_that_lies_under_a_good_checksum_is_found(old, new, says):
    good = Identity("0" * 32, 1, 2, 1, "boot", "/nowhere", 1).encode()
    body = good[: good.index(b"xxh64=")].decode()
    assert old in body
    body = body.replace(old, new, 1).encode()
    with pytest.raises(FormatError, match=says):
        Identity.decode(body + f"xxh64={xxh64(body):016x}\n".encode())


def test_command_line(segment):
    def run(*arguments):
        return subprocess.run([sys.executable, DECODER, *map(str, arguments)], text=True,
                              capture_output=True, check=False)

    good = run(segment, "--events")
    assert good.returncode == 0 and len(good.stdout.splitlines()) == 600
    assert good.stdout.split()[0] == "1000"
    (segment.parent / hot_name(4)).write_bytes(sealed(4, 10, 600))
    flip(segment, 100)
    bad = run(segment.parent, "--verify")
    assert bad.returncode == 1 and f"error: {segment}: offset" in bad.stderr
    assert f"{segment.with_name(hot_name(4))}: sealed, 10 events" in bad.stdout
    assert run(segment.parent / "absent").returncode == 1


def test_segment_header_fits_what_the_segments_hold():
    header = SegmentHeader.decode(sealed(3, 600))
    assert (header.block_count, header.event_count) == (3, 600)
    assert (header.first_event_id, header.last_event_id) == (ids(600)[0], ids(600)[-1])
