"""Errors from the system: permissions, full or refused filesystems, failing disks."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import flashstrike_wal
from flashstrike_wal import KEEP_ALL, Log, read
from support import SEGMENT_EVENTS, SMALL, fails, identity_of, make_events, needs_root
from support import run_python

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


AS_NOBODY = """
import os, sys, flashstrike_wal
os.setgroups([]), os.setgid(65534), os.setuid(65534)
for call in (lambda path: flashstrike_wal.Log(path, num_blocks=16), flashstrike_wal.Reader):
    try:
        call(sys.argv[1])
        print("OK")
    except flashstrike_wal.WalError as error:
        print(error.status, error.os_errno, error.text)
"""


@needs_root
def test_permission():
    """The parent directory is open to everybody, so that only the log itself is denied."""
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        directory = Path(parent) / "private"
        with Log(directory, **SMALL) as wal:
            wal.append(make_events(1))
        directory.chmod(0o700)
        lines = run_python(AS_NOBODY, directory).stdout.splitlines()
        assert len(lines) == 2
        for line in lines:
            assert line.startswith("PERMISSION 13 ") and str(directory) in line, line


READ_AS_NOBODY = """
import os, sys, warnings, flashstrike_wal
os.setgroups([]), os.setuid(65534)  # still of root's group, which may read the log's files
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    print(len(flashstrike_wal.read(sys.argv[1])), *(each.message for each in said))
"""


@needs_root
def test_who_may_not_read_the_active_directory_is_told():
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        directory = Path(parent) / "wal"
        with Log(directory, sync_mode="rotation", **SMALL) as wal:
            wal.append_batch(make_events(SEGMENT_EVENTS))
            wal.sync()
            wal.append(make_events(1, SEGMENT_EVENTS + 1))
            Path(identity_of(directory).active_path).chmod(0o700)
            said = run_python(READ_AS_NOBODY, directory).stdout
            assert said.startswith(f"{SEGMENT_EVENTS} ") and "are missing" in said, said
            assert str(directory) in said
        assert run_python(READ_AS_NOBODY, directory).stdout == f"{SEGMENT_EVENTS + 1}\n"


@pytest.fixture
def small_tmpfs(tmp_path):
    """A filesystem of 16 MB."""
    where = tmp_path / "tmpfs"
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", where]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.strip()}")
    yield where
    subprocess.run(["umount", "--lazy", where], check=True)


@needs_root
def test_no_space_for_the_active_set(tmp_path, small_tmpfs):
    with fails("NO_SPACE", small_tmpfs):
        Log(tmp_path / "wal", num_blocks=1024, prepared_segments=8, active_dir=small_tmpfs)
    assert list(small_tmpfs.iterdir()) == []
    with Log(tmp_path / "wal", active_dir=small_tmpfs, **SMALL) as wal:
        wal.append(make_events(1))
    assert len(read(tmp_path / "wal")) == 1


@needs_root
def test_no_space_for_the_log_and_going_on_when_it_comes_back(small_tmpfs):
    ballast = small_tmpfs / "ballast"
    with Log(small_tmpfs / "wal", max_segments=KEEP_ALL, compression=False, **SMALL) as wal:
        ballast.write_bytes(bytes(12 << 20))
        written = 0
        with fails("NO_SPACE") as caught:
            while written < 300_000:
                written += wal.append_batch(make_events(1000, written + 1))
        written += caught.value.appended
        assert SEGMENT_EVENTS <= written < (4 << 20) // 64
        assert wal.meta().last_event_id == written
        wal.sync()
        ballast.unlink()
        deadline = time.monotonic() + 120
        while wal.meta().last_event_id == written:
            assert time.monotonic() < deadline, "space came back, appends did not"
            try:
                wal.append(make_events(1, written + 1))
            except flashstrike_wal.WalError as error:
                assert error.status == "NO_SPACE", error
    assert read(small_tmpfs / "wal").tobytes() == make_events(written + 1).tobytes()


@needs_root
def test_opening_on_a_full_disk_changes_nothing(small_tmpfs):
    directory = small_tmpfs / "wal"
    with Log(directory, **SMALL) as wal:
        wal.append_batch(make_events(10))
    with open(small_tmpfs / "ballast", "wb", buffering=0) as ballast:
        with pytest.raises(OSError):
            while True:
                ballast.write(bytes(4096))

    def content():
        return {path: path.read_bytes() for path in directory.rglob("*")
                if path.is_file() and path.name != "wal_lock"}

    before = content()
    with fails("NO_SPACE", directory):
        Log(directory, **SMALL)
    assert content() == before
    assert read(directory).tobytes() == make_events(10).tobytes()


@needs_root
@pytest.mark.skipif(shutil.which("mkfs.btrfs") is None, reason="mkfs.btrfs is not installed")
def test_unsupported_filesystem(tmp_path):
    """G12: without working preallocation, opening is refused unless a flag allows it."""
    image, where = tmp_path / "image", tmp_path / "btrfs"
    where.mkdir()
    with open(image, "wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, where], capture_output=True, text=True,
                             check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount btrfs: {mounted.stderr.strip()}")
    try:
        with fails("UNSUPPORTED", where):
            Log(where / "wal", **SMALL)
        with Log(where / "wal", allow_any_filesystem=True, **SMALL) as wal:
            wal.append(make_events(1))
        assert len(read(where / "wal")) == 1
    finally:
        subprocess.run(["umount", "--lazy", where], check=True)


POISON = """
import sys, flashstrike_wal
from support import SMALL, make_events
wal = flashstrike_wal.Log(sys.argv[1], sync_mode="rotation", **SMALL)
wal.append(make_events(1))
for call in (wal.sync, lambda: wal.append(make_events(1, 2)), wal.sync):
    try:
        call()
        print("OK")
    except flashstrike_wal.WalError as error:
        print(error)
print(wal.durable().last_event_id)
"""


@needs_strace
def test_poisoned_by_a_failed_sync(tmp_path):
    with Log(tmp_path, **SMALL):
        pass
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(tmp_path / "FS.00000000.wal"),
              "-e", "trace=pwritev2,fdatasync",
              "-e", "inject=pwritev2,fdatasync:error=EIO:when=1+"]
    done = run_python(POISON, tmp_path, before=strace)
    lines = done.stdout.splitlines()
    assert len(lines) == 4, done.stderr
    assert lines[0].split(":")[0] in ("IO", "POISONED") and "Input/output error" in lines[0]
    assert all(line.startswith("POISONED") and "Input/output error" in line for line in lines[1:3])
    assert lines[3] == "0", "the watermark never moves again"


READ = """
import sys, flashstrike_wal
try:
    print(len(flashstrike_wal.read(sys.argv[1])))
except flashstrike_wal.WalError as error:
    print(error.status, error.os_errno, error.text)
"""


@needs_strace
def test_a_bad_sector_is_an_io_error_and_not_corruption(tmp_path):
    with Log(tmp_path, **SMALL) as wal:
        wal.append_batch(make_events(1000))
    assert run_python(READ, tmp_path).stdout == "1000\n"
    segment = str(tmp_path / "FS.00000000.wal")
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", segment, "-e", "trace=pread64,read",
              "-e", "inject=pread64,read:error=EIO:when=1+"]
    said = run_python(READ, tmp_path, before=strace).stdout
    assert said.startswith("IO 5 ") and segment in said, said
