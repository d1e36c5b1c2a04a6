"""Library, C program read_segment and Python decoder agree on every event, bit for bit."""

import os
import subprocess
import sys
from pathlib import Path

import lz4.frame
import numpy as np
import pytest

from flashstrike_wal import EVENT_DTYPE, KEEP_ALL, Log, read
from fs_decode import read_directory
from fs_format import cold_name, encode_segment, hot_name
from make_golden import CLOSED, CREATED, GOLDEN, packed_events, sealed_segment
from support import SEGMENT_EVENTS, SMALL, Writer, make_events, wait_for_segments

READ_SEGMENT = os.environ.get("FLASHSTRIKE_READ_SEGMENT")
needs_read_segment = pytest.mark.skipif(
    not READ_SEGMENT, reason="FLASHSTRIKE_READ_SEGMENT does not name the C program")


def event_lines(events):
    """The line that both read_segment and fs_decode.py print for each event."""
    lines = []
    for event in events:
        fields = [str(event[name]) for name in event.dtype.names[:-1]]
        lines.append(" ".join([*fields, event["reserved"].tobytes().hex()]))
    return lines


def read_segment_lines(log, scratch):
    """What read_segment prints for the segments the decoder found, cold ones decompressed."""
    paths = []
    for segment in log.segments:
        path = Path(segment.where)
        if segment.cold:
            path = scratch / path.stem
            path.write_bytes(lz4.frame.decompress(Path(segment.where).read_bytes()))
        paths.append(path)
    done = subprocess.run([READ_SEGMENT, "--events", *paths], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def decoder_lines(directory):
    decoder = Path(__file__).with_name("fs_decode.py")
    done = subprocess.run([sys.executable, decoder, directory, "--events", "--verify"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def check_directory(directory, events, scratch):
    """Library and decoder must return these events, and so must read_segment if it exists."""
    log = read_directory(directory)
    assert log.events() == read(directory).tobytes() == events.tobytes()
    expected = event_lines(events)
    assert decoder_lines(directory) == expected
    if READ_SEGMENT:
        assert read_segment_lines(log, scratch) == expected
    return log


@needs_read_segment
def test_read_segment_reads_the_golden_segment_and_finds_a_flipped_bit(tmp_path):
    path = tmp_path / hot_name(7)
    events, data = sealed_segment()
    path.write_bytes(data)
    done = subprocess.run([READ_SEGMENT, "--events", path], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == event_lines(np.frombuffer(events, EVENT_DTYPE))
    path.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    done = subprocess.run([READ_SEGMENT, path], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and str(path) in done.stderr


def test_cold_hot_and_partial_segments(tmp_path):
    directory = tmp_path / "wal"
    events = make_events(6 * SEGMENT_EVENTS + 300, 5, 7)
    with Log(directory, max_segments=3, max_compressed_segments=KEEP_ALL, **SMALL) as wal:
        wal.append_batch(events)
        wait_for_segments(directory, range(4, 7), range(4))
    log = check_directory(directory, events, tmp_path)
    assert [segment.cold for segment in log.segments] == [True] * 4 + [False] * 3
    assert all(segment.sealed for segment in log.segments)
    assert not log.notes and not log.errors and log.identity.clean == 1
    assert log.durable_id == events["event_id"][-1]


def test_after_every_reopen(tmp_path):
    events = make_events(2000)
    for start in range(0, 2000, 500):
        with Log(tmp_path / "wal", **SMALL) as wal:
            wal.append_batch(events[start : start + 500])
        check_directory(tmp_path / "wal", events[: start + 500], tmp_path)


@pytest.mark.parametrize("sync_mode", ["continuous", "rotation"])
def test_of_a_killed_log(wal_dir, tmp_path, sync_mode):
    writer = Writer(wal_dir, sync_mode=sync_mode, max_segments=2, max_compressed_segments=KEEP_ALL)
    writer.wait_for(5 * SEGMENT_EVENTS)
    acknowledged = writer.kill()
    found = read(wal_dir)
    assert acknowledged <= len(found)
    check_directory(wal_dir, make_events(len(found)), tmp_path)
    on_disk = read_directory(wal_dir, disk_only=True).events()
    assert make_events(len(found)).tobytes().startswith(on_disk)
    with Log(wal_dir, **SMALL) as wal:
        assert wal.meta().last_event_id == len(found)
    check_directory(wal_dir, make_events(len(found)), tmp_path)


def test_a_directory_of_the_cpp_recorder(tmp_path):
    """Closed segments without meta and identity; cold ones untrimmed, no sizes or checksums."""
    step = 2 * 256
    for index in range(3):
        data = encode_segment(index, packed_events(step, index * step), CREATED, CLOSED, 16)
        frame = lz4.frame.compress(data, store_size=False)
        (tmp_path / cold_name(index)).write_bytes(frame)
    data = encode_segment(3, packed_events(1000, 3 * step), CREATED, CLOSED, 16)
    (tmp_path / hot_name(3)).write_bytes(data)
    before = packed_events(3 * step + 1000)
    assert read(tmp_path).tobytes() == before
    with Log(tmp_path, **SMALL) as wal:
        last = wal.meta().last_event_id
        wal.append_batch(make_events(500, last + 1))
    expected = before + make_events(500, last + 1).tobytes()
    assert read(tmp_path).tobytes() == read_directory(tmp_path).events() == expected


def test_the_golden_segment_is_read_by_the_library(tmp_path):
    name = cold_name(7)
    (tmp_path / name).write_bytes((GOLDEN / name).read_bytes())
    assert read(tmp_path).tobytes() == sealed_segment()[0]
