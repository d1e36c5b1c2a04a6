"""fs_wal_verify and salvage, compared with the independent decoder."""

import random

import numpy as np
import pytest

from flashstrike_wal import KEEP_ALL, Log, verify
from fs_decode import read_directory
from fs_format import cold_name, hot_name
from support import SEGMENT_EVENTS, SMALL, fails, make_events, salvage, seed, wait_for_segments

EVENTS = make_events(4 * SEGMENT_EVENTS + 700)
BLOCK = 64 + 256 * 64


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log that was shut down, its oldest segments cold."""
    directory = tmp_path_factory.mktemp("verify") / "log"
    with Log(directory, **SMALL, max_segments=2, max_compressed_segments=KEEP_ALL) as wal:
        wal.append_batch(EVENTS)
        wait_for_segments(directory, range(3, 5), range(3))
    return directory


def test_a_good_log(log):
    report = verify(log)
    assert report.ok and report.damage_count == 0
    assert report.events == len(EVENTS) == len(read_directory(log).events()) // 64
    assert (report.first_event_id, report.last_event_id) == (1, len(EVENTS))
    assert report.cold_segments == len(list(log.glob("*.lz4"))) > 0
    events, errors = salvage(log)
    assert events.tobytes() == EVENTS.tobytes() and not errors


def test_there_must_be_a_directory(tmp_path):
    with fails("NOT_FOUND", "absent"):
        verify(tmp_path / "absent")


@pytest.mark.parametrize("name", [hot_name(3), cold_name(0)])
def test_what_the_decoder_refuses_verify_finds(log, name):
    """Change one byte of a file at a time, in place, and undo it."""
    path = log / name
    good = path.read_bytes()
    used = len(good) if name.endswith(".lz4") else 64 + 16 * BLOCK
    choose = random.Random(seed(7))
    try:
        for at in [0, 5, 40, *(choose.randrange(used) for _ in range(30))]:
            bad = bytearray(good)
            bad[at] ^= 1 << choose.randrange(8)
            path.write_bytes(bad)
            report = verify(log)
            assert report.damages and not report.ok, at
            assert all(damage.file == name for damage in report.damages), at
            assert read_directory(log, keep_going=True).errors, at
            events, errors = salvage(log)
            assert errors, at
            ids = events["event_id"]
            assert np.all(ids[1:] > ids[:-1])
            assert events.tobytes() == EVENTS[ids.astype(np.int64) - 1].tobytes()
            lost = np.setdiff1d(EVENTS["event_id"], ids)
            named = [(error.first_event_id, error.last_event_id) for error in errors]
            assert all(any(a <= id <= b for a, b in named) for id in lost), (at, lost, named)
    finally:
        path.write_bytes(good)
    assert verify(log).damage_count == 0
