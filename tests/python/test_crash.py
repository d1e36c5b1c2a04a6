"""G2: of a killed writer no acknowledged event is lost, repeated or invented."""

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from flashstrike_wal import KEEP_ALL, Log, read
from fs_decode import read_directory
from support import SEGMENT_EVENTS, SMALL, Writer, fails, identity_of, make_events, seed
from support import segment_files


@pytest.mark.parametrize("how", ["append", "batch", "claim"])
@pytest.mark.parametrize("max_segments", [2, KEEP_ALL])
def test_sigkill_again_and_again(wal_dir, how, max_segments):
    pick = random.Random(seed(f"{how} {max_segments}"))
    options = {"max_segments": max_segments, "max_compressed_segments": KEEP_ALL}
    last = 0
    for _ in range(6):
        writer = Writer(wal_dir, how, last + 1, **options)
        writer.wait_for(last + 1 + pick.randrange(3 * SEGMENT_EVENTS))
        time.sleep(pick.random() / 50)
        acknowledged = writer.kill()
        decoded = read_directory(wal_dir).events()
        replayed = read(wal_dir).tobytes()
        with Log(wal_dir, **SMALL, **options) as wal:
            recovered = wal.meta().last_event_id
            assert wal.durable().last_event_id == recovered, "open makes what it keeps durable"
            assert wal.recovery_report().clean is False
            assert acknowledged <= recovered
            wal.append_batch(make_events(10, recovered + 1))
        expected = make_events(recovered + 10).tobytes()
        assert decoded == replayed == expected[: recovered * 64]
        assert read(wal_dir).tobytes() == expected
        last = recovered + 10


def test_a_killed_log_opens_where_it_ended_and_reports_it(wal_dir):
    writer = Writer(wal_dir, "idle", sync_mode="rotation")
    writer.wait_for(1000)
    assert writer.kill() == 1000
    identity = identity_of(wal_dir)
    assert identity.clean == 0 and identity.generation == 1
    assert os.path.isdir(identity.active_path)
    with Log(wal_dir, **SMALL) as wal:
        report = wal.recovery_report()
        assert report.last_event_id == 1000 and report.generation == 2
        assert report.decision and wal.meta().last_event_id == 1000
    assert not os.path.exists(identity.active_path), "an older generation's is removed"
    assert identity_of(wal_dir).clean == 1


def crash(directory):
    """A killed log with 1000 events that may be in its active directory only."""
    writer = Writer(directory, "idle", sync_mode="rotation")
    writer.wait_for(1000)
    writer.kill()
    return Path(identity_of(directory).active_path)


def snapshot(directory):
    return {path: path.read_bytes() for path in sorted(directory.rglob("*"))
            if path.is_file() and path.name != "wal_lock"}


def test_a_lost_active_directory_is_refused_until_loss_is_accepted(wal_dir):
    active = crash(wal_dir)
    shutil.rmtree(active)
    before = snapshot(wal_dir)
    with fails("CORRUPT", active):
        Log(wal_dir, **SMALL)
    assert snapshot(wal_dir) == before, "refusing changes nothing"
    with Log(wal_dir, accept_loss=True, **SMALL) as wal:
        kept = wal.meta().last_event_id
        assert kept <= 1000
        wal.append_batch(make_events(5, 2001))
    expected = make_events(kept).tobytes() + make_events(5, 2001).tobytes()
    assert read(wal_dir).tobytes() == read_directory(wal_dir).events() == expected


def test_a_copied_directory_leaves_the_original_alone(wal_dir, tmp_path):
    active = crash(wal_dir)
    copy = tmp_path / "copy"
    shutil.copytree(wal_dir, copy)
    with Log(copy, **SMALL) as wal:
        assert wal.meta().last_event_id <= 1000
    assert active.is_dir()
    assert identity_of(copy).id != identity_of(wal_dir).id
    with Log(wal_dir, **SMALL) as wal:
        assert wal.meta().last_event_id == 1000


@pytest.mark.parametrize("content", [None, b"\xff" * 24, bytes(16), b""],
                         ids=["missing", "wrong checksum", "16 bytes", "empty"])
def test_without_meta_the_segments_decide(wal_dir, content):
    crash(wal_dir)
    meta = wal_dir / "wal_meta.dat"
    meta.unlink(missing_ok=True)
    if content is not None:
        meta.write_bytes(content)
    with Log(wal_dir, **SMALL) as wal:
        assert wal.meta().last_event_id == 1000
    assert read(wal_dir).tobytes() == make_events(1000).tobytes()


def test_leftovers_are_cleared_and_foreign_files_kept(wal_dir):
    crash(wal_dir)
    temporary = ["FS.00000099.tmp", "FS.00000098.wal.lz4.tmp", "wal_meta.dat.tmp",
                 "wal_identity.tmp"]
    foreign = ["notes.txt", "FS.7.wal", "FS.00000001.wal.corrupt", "fs.00000001.wal"]
    for name in temporary + foreign:
        (wal_dir / name).write_bytes(b"not a segment")
    with Log(wal_dir, **SMALL) as wal:
        assert wal.meta().last_event_id == 1000
    left = {path.name for path in wal_dir.iterdir()}
    assert not left & set(temporary)
    assert all((wal_dir / name).read_bytes() == b"not a segment" for name in foreign)
    assert segment_files(wal_dir)[1] == []
