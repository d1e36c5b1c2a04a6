"""The files of a log: names, modes, cold frames, and what retention leaves."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import lz4.frame
import pytest

from flashstrike_wal import KEEP_ALL, KEEP_NONE, Log, read
from fs_decode import read_directory
from fs_format import Identity, SegmentHeader, cold_name, hot_name
from support import SEGMENT_EVENTS, SMALL, make_events, run_python, segment_files
from support import wait_for_segments

OWN_FILES = {"wal_history", "wal_holds", "wal_identity", "wal_lock", "wal_meta.dat"}


def write_segments(directory, segments, hot, cold, **options):
    """Write this many full segments and half of one more, of which these are to be left."""
    count = segments * SEGMENT_EVENTS + SEGMENT_EVENTS // 2
    with Log(directory, **SMALL, **options) as wal:
        for start in range(0, count, SEGMENT_EVENTS):
            wal.append_batch(make_events(min(SEGMENT_EVENTS, count - start), start + 1))
        wait_for_segments(directory, hot, cold)
    return count


@pytest.mark.parametrize("options, hot, cold", [
    ({"max_segments": 2, "max_compressed_segments": 3}, range(9, 11), range(6, 9)),
    ({"max_segments": 1, "max_compressed_segments": 1}, range(10, 11), range(9, 10)),
    ({"max_segments": 4, "max_compressed_segments": KEEP_ALL}, range(7, 11), range(7)),
    ({"max_segments": 4, "max_compressed_segments": KEEP_NONE}, range(7, 11), ()),
    ({"max_segments": 4, "compression": False}, range(11), ()),
    ({"max_segments": 4, "max_compressed_segments": KEEP_NONE, "compression": False},
     range(7, 11), ()),
    ({"max_segments": KEEP_ALL}, range(11), ()),
    ({"max_segments": 32, "max_compressed_segments": 2}, range(11), ()),
])
def test_g11_retention_leaves_exactly_what_is_allowed(tmp_path, options, hot, cold):
    count = write_segments(tmp_path, 10, hot, cold, **options)
    names = {*map(hot_name, hot), *map(cold_name, cold), *OWN_FILES}
    assert {path.name for path in tmp_path.iterdir()} == names
    oldest = min([*hot, *cold])
    kept = make_events(count).tobytes()[oldest * SEGMENT_EVENTS * 64 :]
    assert read_directory(tmp_path).events() == read(tmp_path).tobytes() == kept


def test_g11_retention_holds_over_many_opens(tmp_path):
    options = {"max_segments": 2, "max_compressed_segments": 2, **SMALL}
    for index in range(12):
        with Log(tmp_path, **options) as wal:
            wal.append_batch(make_events(SEGMENT_EVENTS, index * SEGMENT_EVENTS + 1))
            hot, cold = range(index + 1)[-2:], range(index + 1)[-4:-2]
            wait_for_segments(tmp_path, hot, cold)
    assert segment_files(tmp_path) == ([*map(hot_name, hot)], [*map(cold_name, cold)])
    kept = make_events(4 * SEGMENT_EVENTS, 8 * SEGMENT_EVENTS + 1)
    assert read(tmp_path).tobytes() == kept.tobytes()


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    directory = tmp_path_factory.mktemp("frozen")
    options = {"max_segments": 1, "max_compressed_segments": KEEP_ALL}
    write_segments(directory, 4, range(4, 5), range(4), **options)
    return [directory / cold_name(index) for index in range(4)]


def test_cold_files_are_one_frame_with_size_and_checksum(frozen):
    for path in frozen:
        frame = path.read_bytes()
        info = lz4.frame.get_frame_info(frame)
        assert info["content_size"] == 64 + 16 * 16448
        assert info["content_checksum"]
        data = lz4.frame.decompress(frame)
        assert len(data) == info["content_size"]
        assert SegmentHeader.decode(data).block_count == 16
        broken = frame[:-4] + bytes(byte ^ 0xFF for byte in frame[-4:])
        with pytest.raises(RuntimeError):
            lz4.frame.decompress(broken)


@pytest.mark.skipif(shutil.which("lz4") is None, reason="the lz4 tool is not installed")
def test_cold_files_are_accepted_by_the_lz4_tool(frozen, tmp_path):
    for path in frozen:
        subprocess.run(["lz4", "-t", "-q", path], check=True, stdin=subprocess.DEVNULL)
        out = tmp_path / path.stem
        subprocess.run(["lz4", "-d", "-q", path, out], check=True, stdin=subprocess.DEVNULL)
        assert out.read_bytes() == lz4.frame.decompress(path.read_bytes())
        listed = subprocess.run(["lz4", "--list", path], check=True, capture_output=True,
                                text=True, stdin=subprocess.DEVNULL).stdout
        assert "257.06K" in listed, f"the content size is not listed: {listed}"


MODES = """
import os, stat, sys
from pathlib import Path
os.umask(int(sys.argv[2], 8))
import flashstrike_wal
from fs_format import Identity
from support import SMALL, SEGMENT_EVENTS, make_events
directory = Path(sys.argv[1])
def show(kind, path):
    try:
        status = path.lstat()
    except FileNotFoundError:  # recycled by a worker since it was listed
        return
    print(kind, path.name, oct(stat.S_IMODE(status.st_mode))[2:], status.st_uid)
with flashstrike_wal.Log(directory, max_segments=1, **SMALL) as wal:
    wal.append_batch(make_events(2 * SEGMENT_EVENTS + 1))
    wal.sync()
    active = Path(Identity.decode((directory / "wal_identity").read_bytes()).active_path)
    show("active", active)
    for path in active.iterdir():
        show("inside", path)
show("dir", directory)
for path in directory.rglob("*"):
    show("dir" if path.is_dir() else "file", path)
"""


@pytest.mark.parametrize("umask, directory_mode, file_mode", [
    ("000", "750", "640"), ("022", "750", "640"), ("077", "700", "600"),
])
def test_g13_files_are_private(tmp_path, umask, directory_mode, file_mode):
    done = run_python(MODES, tmp_path / "wal", umask)
    assert done.returncode == 0, done.stderr
    seen = [line.split() for line in done.stdout.splitlines()]
    assert {"active", "inside", "dir", "file"} == {kind for kind, *_ in seen}
    for kind, name, mode, owner in seen:
        assert owner == str(os.geteuid()), name
        if kind == "active":
            assert mode in ("700", "750") and mode <= directory_mode, name
        elif kind == "dir":
            assert mode == directory_mode
        elif kind == "inside":
            assert int(mode, 8) & 0o027 == 0, f"{name} {mode}"
        else:
            assert mode == ("600" if name in ("wal_lock", ".lock") else file_mode), name


def active_path(directory):
    identity = Identity.decode((Path(directory) / "wal_identity").read_bytes())
    return Path(identity.active_path)


def test_g13_the_active_directory_has_a_random_name_below_its_parent(tmp_path):
    parent = tmp_path / "parent"
    parent.mkdir()
    names = set()
    for number in range(3):
        with Log(tmp_path / f"wal{number}", active_dir=parent, **SMALL):
            active = active_path(tmp_path / f"wal{number}")
            assert parent in active.parents
            assert stat.S_IMODE(active.lstat().st_mode) in (0o700, 0o750)
            assert any(path.name.startswith("FS.") for path in active.iterdir())
            names.add(active.name)
    assert len(names) == 3, "a name that can be guessed can be taken"
    assert list(parent.iterdir()) == [], "a clean shutdown leaves no active directory"


def test_g13_links_are_not_followed(tmp_path):
    """A link under a name that the library creates is refused or replaced, never followed."""
    directory, victim = tmp_path / "wal", tmp_path / "victim"
    directory.mkdir()
    victim.write_bytes(b"precious")
    for name in ("wal_identity.tmp", "wal_meta.dat.tmp", "FS.00000000.tmp"):
        (directory / name).symlink_to(victim)
    with Log(directory, **SMALL) as wal:
        wal.append_batch(make_events(10))
    assert victim.read_bytes() == b"precious"
    assert read(directory).tobytes() == make_events(10).tobytes()
