"""What several tests need: events to write, child processes that write them, errors to expect."""

import mmap
import os
import signal
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from flashstrike_wal import EVENT_DTYPE, Reader, WalError
from fs_format import Identity, cold_name, hot_name

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SEGMENT_EVENTS = 16 * 256  # in a segment of the smallest size
SMALL = {"num_blocks": 16}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts or changes user")


def seed(usual):
    """The seed of random choices: FLASHSTRIKE_TEST_SEED, or the usual one of the test."""
    chosen = os.environ.get("FLASHSTRIKE_TEST_SEED", usual)
    # pytest shows it when the test fails.
    print(f"run it again with FLASHSTRIKE_TEST_SEED={chosen}")
    return str(chosen)


def make_events(count, first_id=1, step=1):
    """Events whose fields, reserved bytes included, all depend on the id."""
    events = np.zeros(count, EVENT_DTYPE)
    ids = first_id + step * np.arange(count, dtype=np.uint64)
    events["event_id"] = ids
    mix = ids * np.uint64(0x9E3779B97F4A7C15)
    events["timestamp"] = ids * np.uint64(1000)
    events["price"] = mix.view(np.int64)
    events["quantity"] = -(mix >> np.uint64(40)).astype(np.int64)
    events["user_id"] = mix >> np.uint64(32)
    events["order_id"] = ids & np.uint64(0xFFFFFFFF)
    events["type"], events["order_type"], events["side"] = ids % 4, ids % 2, (mix >> 5) % 2
    events["reserved"] = (mix[:, None] >> (np.arange(21, dtype=np.uint64) % np.uint64(57))) & 0xFF
    return events


@contextmanager
def fails(status, *words):
    """The block must raise WalError with this status, and all the words in its text."""
    with pytest.raises(WalError) as caught:
        yield caught
    assert caught.value.status == status, str(caught.value)
    for word in words:
        assert str(word) in caught.value.text, f"{word!r} is not in {caught.value.text!r}"


def salvage(directory):
    """All events outside the damage of a log, and an exception for each damage."""
    batches, errors = [np.zeros(0, EVENT_DTYPE)], []
    with Reader(directory, salvage=True) as reader:
        while True:
            try:
                batches.append(next(reader))
            except StopIteration:
                return np.concatenate(batches), errors
            except WalError as error:
                errors.append(error)


def wait_until(condition, what, seconds=120):
    """Wait until the condition holds, and return what it says then."""
    deadline = time.monotonic() + seconds
    while not (said := condition()):
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(0.002)
    return said


def run_python(code, *arguments, before=(), **options):
    """Run code in a new interpreter that finds the binding; return its output and status."""
    return subprocess.run([*before, sys.executable, "-c", code, *map(str, arguments)], text=True,
                          cwd=HERE, capture_output=True, timeout=120, check=False, **options)


class Acknowledged:
    """A counter in a shared mapping: a child's last store to it survives the child's death."""

    def __init__(self, path, create=False):
        if create:
            path.write_bytes(bytes(8))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 8)

    def set(self, value):
        struct.pack_into("<Q", self.memory, 0, value)

    def get(self):
        return struct.unpack_from("<Q", self.memory)[0]


class Writer:
    """A writer in another process, to be killed."""

    def __init__(self, directory, how="batch", first_id=1, **options):
        self.ack_path = Path(f"{directory}.acknowledged")
        self.acknowledged = Acknowledged(self.ack_path, create=True)
        values = [f"{key}={value}" for key, value in {**SMALL, **options}.items()]
        command = [sys.executable, HERE / "writer_child.py", directory, self.ack_path,
                   str(first_id), how, *values]
        self.process = subprocess.Popen([str(word) for word in command], cwd=HERE,
                                        stderr=subprocess.PIPE, text=True)

    def wait_for(self, event_id):
        def there():
            assert self.process.poll() is None, self.process.stderr.read()
            return self.acknowledged.get() >= event_id

        wait_until(there, f"event {event_id} acknowledged")

    def kill(self):
        """Kill it and return the last acknowledged id."""
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL
        self.process.stderr.close()
        return self.acknowledged.get()


def identity_of(directory):
    return Identity.decode((directory / "wal_identity").read_bytes())


def segment_files(directory):
    """Names of the hot and of the cold segments, sorted."""
    names = sorted(path.name for path in Path(directory).iterdir())
    hot = [name for name in names if name.startswith("FS.") and name.endswith(".wal")]
    cold = [name for name in names if name.startswith("FS.") and name.endswith(".wal.lz4")]
    return hot, cold


def wait_for_segments(directory, hot, cold):
    """Wait until an open log has just these segments: a shutdown leaves undone what takes long."""
    wanted = [hot_name(index) for index in hot], [cold_name(index) for index in cold]

    def there():
        found_hot, found_cold = segment_files(directory)
        # Those behind the last one are prepared.
        return ([name for name in found_hot if name <= wanted[0][-1]], found_cold) == wanted

    wait_until(there, wanted)
