"""Every error code that a script can cause, with a message that names the cause."""

import ctypes
import os
import threading
import time

import pytest

import flashstrike_wal
from flashstrike_wal import KEEP_ALL, KEEP_NONE, Log, Reader, _abi, read
from flashstrike_wal._abi import LIB, STATUS, Config, ReaderConfig
from flashstrike_wal._errors import check
from support import SEGMENT_EVENTS, SMALL, fails, make_events, run_python, wait_until


@pytest.mark.parametrize("field, value", [
    ("num_blocks", 1), ("num_blocks", 15), ("num_blocks", 261121), ("num_blocks", 2**32 - 1),
    ("prepared_segments", 65), ("prepared_segments", 2**32 - 1), ("max_segments", KEEP_NONE),
    ("flags", 1 << 31), ("backpressure", 2), ("sync_mode", 3), ("struct_size", 1),
    ("worker_nice", 20), ("worker_nice", -21), ("reserved", 1),
])
def test_invalid_argument_names_the_field(tmp_path, field, value):
    config, out = Config(), ctypes.c_void_p()
    LIB.fs_wal_config_init(ctypes.byref(config), ctypes.sizeof(config))
    setattr(config, field, value)
    with fails("INVALID_ARGUMENT", field):
        check(LIB.fs_wal_open(os.fsencode(tmp_path / "wal"), ctypes.byref(config),
                              ctypes.byref(out)))
    assert not (tmp_path / "wal").exists(), "nothing is made for a call that is refused"


@pytest.fixture
def wal(tmp_path):
    with Log(tmp_path / "wal", **SMALL) as log:
        yield log


def test_invalid_argument_for_every_null(wal):
    handle, event, size = wal._handle, make_events(1), ctypes.c_size_t()
    state, out = _abi.MetaState(), ctypes.c_void_p()
    address = event.ctypes.data
    calls = [
        LIB.fs_wal_open(None, None, ctypes.byref(out)), LIB.fs_wal_open(b"/tmp/x", None, None),
        LIB.fs_wal_append(None, address), LIB.fs_wal_append(handle, None),
        LIB.fs_wal_append_batch(None, address, 1, ctypes.byref(size)),
        LIB.fs_wal_append_batch(handle, None, 1, ctypes.byref(size)),
        LIB.fs_wal_claim(None, ctypes.byref(out)), LIB.fs_wal_claim(handle, None),
        LIB.fs_wal_commit(None, 1), LIB.fs_wal_meta(None, ctypes.byref(state)),
        LIB.fs_wal_meta(handle, None), LIB.fs_wal_durable(None, ctypes.byref(state)),
        LIB.fs_wal_durable(handle, None), LIB.fs_wal_sync(None),
        LIB.fs_wal_wait_durable(None, 1, 1), LIB.fs_wal_recovery_report(handle, None),
        LIB.fs_wal_metrics(handle, None), LIB.fs_wal_reader_open(None, None, ctypes.byref(out)),
        LIB.fs_wal_reader_open(b"/tmp", None, None), LIB.fs_wal_reader_next(None, address),
        LIB.fs_wal_reader_next_batch(None, ctypes.byref(out), ctypes.byref(size)),
        LIB.fs_wal_reader_seek(None, 1), LIB.fs_wal_reader_seek_time(None, 1),
        LIB.fs_wal_reader_metrics(None, None), LIB.fs_wal_last_error_detail(None),
    ]
    assert calls == [STATUS["INVALID_ARGUMENT"]] * len(calls)
    assert not out.value and wal.meta().last_event_id == 0


def test_invalid_argument_for_commit_without_claim(wal):
    with fails("INVALID_ARGUMENT", "claim"):
        check(LIB.fs_wal_commit(wal._handle, 1))
    wal.claim()
    wal.append(make_events(1))
    with fails("INVALID_ARGUMENT", "claim"):
        check(LIB.fs_wal_commit(wal._handle, 2))
    assert wal.meta().last_event_id == 1


def test_invalid_argument_for_reader_flags(wal, tmp_path):
    size = ctypes.sizeof(ReaderConfig)
    for config, word in ((ReaderConfig(size, 1 << 31), "flags"), (ReaderConfig(1), "struct_size")):
        out = ctypes.c_void_p()
        with fails("INVALID_ARGUMENT", word):
            check(LIB.fs_wal_reader_open(os.fsencode(tmp_path / "wal"), ctypes.byref(config),
                                         ctypes.byref(out)))
        assert not out.value


def test_a_longer_config_of_a_newer_caller(tmp_path):
    """A caller's struct may be larger than the library's, if the rest is zeros."""
    raw = ctypes.create_string_buffer(ctypes.sizeof(Config) + 512)
    config = ctypes.cast(raw, ctypes.POINTER(Config))
    config.contents.struct_size, config.contents.num_blocks = len(raw), 16
    out = ctypes.c_void_p()
    assert LIB.fs_wal_open(os.fsencode(tmp_path), config, ctypes.byref(out)) == 0
    assert LIB.fs_wal_shutdown(out) == 0


def test_not_found(tmp_path):
    with fails("NOT_FOUND", tmp_path / "absent"):
        Reader(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_locked_in_the_same_process(wal, tmp_path):
    with fails("LOCKED", os.getpid()):
        Log(tmp_path / "wal", **SMALL)
    wal.append(make_events(1))


OPEN = """
import os, sys, flashstrike_wal
try:
    with flashstrike_wal.Log(sys.argv[1], num_blocks=16) as wal:
        print(os.getpid(), "OK")
except flashstrike_wal.WalError as error:
    print(os.getpid(), error)
"""


def test_locked_by_another_process(wal, tmp_path):
    pid, status, *words = run_python(OPEN, tmp_path / "wal").stdout.split()
    assert status == "LOCKED:" and str(os.getpid()) in " ".join(words)
    assert str(os.getpid()) != pid
    wal.close()
    assert run_python(OPEN, tmp_path / "wal").stdout.split()[1] == "OK"


@pytest.mark.parametrize("bad_ids", [[0], [2**64 - 1], [100], [99], [1]])
def test_out_of_order(wal, tmp_path, bad_ids):
    wal.append_batch(make_events(100))
    event = make_events(1)
    event["event_id"] = bad_ids
    with fails("OUT_OF_ORDER", bad_ids[0]):
        wal.append(event)
    with fails("OUT_OF_ORDER", bad_ids[0]) as caught:
        wal.append_batch(event)
    assert caught.value.appended == 0
    slot = wal.claim()
    with fails("OUT_OF_ORDER", bad_ids[0]):
        slot.commit(bad_ids[0])
    assert wal.meta().last_event_id == 100
    wal.append(make_events(1, 101))
    assert read(tmp_path / "wal").tobytes() == make_events(101).tobytes()


def test_out_of_order_in_a_batch_leaves_the_prefix(wal, tmp_path):
    events = make_events(1000)
    events["event_id"][700] = 700
    with fails("OUT_OF_ORDER", 700) as caught:
        wal.append_batch(events)
    assert caught.value.appended == 700 and wal.meta().last_event_id == 700
    assert read(tmp_path / "wal").tobytes() == events[:700].tobytes()


def test_timeout(wal):
    wal.append(make_events(1))
    wal.wait_durable(1, 120)
    for timeout_s in (0, 0.2):
        started = time.monotonic()
        with pytest.raises(flashstrike_wal.WalError, match="TIMEOUT"):
            wal.wait_durable(2, timeout_s)
        assert timeout_s <= time.monotonic() - started < 120


def test_would_block_when_failing_fast(tmp_path):
    """A tight loop outruns the disk with two prepared segments; no event is lost or doubled."""
    events = make_events(100 * SEGMENT_EVENTS)
    refused = at = 0
    with Log(tmp_path, backpressure="fail_fast", prepared_segments=1,
             max_segments=KEEP_ALL, **SMALL) as wal:
        while at < len(events):
            try:
                at += wal.append_batch(events[at:])
            except flashstrike_wal.WalError as error:
                assert error.status == "WOULD_BLOCK", error
                at += error.appended
                assert wal.meta().last_event_id == at
                refused += 1
    assert refused, "a batch of 100 segments never met an empty ring"
    assert read(tmp_path).tobytes() == events.tobytes()


def test_end(wal, tmp_path):
    event = make_events(1)
    wal.append(event)
    with Reader(tmp_path / "wal") as reader:
        with reader._handle as handle:
            assert LIB.fs_wal_reader_next(handle, event.ctypes.data) == 0
            assert LIB.fs_wal_reader_next(handle, event.ctypes.data) == STATUS["END"]
        assert event.tobytes() == make_events(1).tobytes(), "written only on success"


def test_closed_wakes_a_waiter(tmp_path):
    wal = Log(tmp_path, **SMALL)
    outcome, handle, started = [], wal._handle, threading.Event()

    def waiter():
        started.set()
        outcome.append(LIB.fs_wal_wait_durable(handle, 10, 60 * 10**9))

    thread = threading.Thread(target=waiter)
    thread.start()
    started.wait()
    waiting = f"/proc/self/task/{thread.native_id}/wchan"
    wait_until(lambda: "futex" in open(waiting).read(), "the waiter sleeps inside the library")
    wal.close()
    thread.join(120)
    assert outcome == [STATUS["CLOSED"]]


def test_gap_when_retention_overtakes_a_reader(tmp_path):
    with Log(tmp_path, max_segments=1, max_compressed_segments=KEEP_NONE, **SMALL) as wal:
        wal.append_batch(make_events(SEGMENT_EVENTS))
        with Reader(tmp_path) as reader:
            assert reader.read(1)["event_id"][0] == 1
            for number in range(1, 12):
                wal.append_batch(make_events(SEGMENT_EVENTS, number * SEGMENT_EVENTS + 1))
            wait_until(lambda: not (tmp_path / "FS.00000005.wal").exists(), "segment 5 expired")
            with fails("GAP"):
                list(reader)


def test_corrupt_block_is_located(tmp_path):
    with Log(tmp_path, **SMALL) as wal:
        wal.append_batch(make_events(1000))
    path = tmp_path / "FS.00000000.wal"
    data = bytearray(path.read_bytes())
    data[64 + 16448 + 64 + 640] ^= 1
    path.write_bytes(data)
    with fails("CORRUPT", "FS.00000000.wal") as caught:
        read(tmp_path)
    assert caught.value.segment_index == 0
    assert 64 + 16448 <= caught.value.offset < 64 + 2 * 16448


ABSURD = """
import ctypes
from flashstrike_wal._abi import LIB
out = ctypes.c_void_p()
for path in (b"", b"/tmp/" + b"x" * 300, b"x" * 5000, b"/dev/null", b"/dev/null/x"):
    print(path[:12], LIB.fs_wal_open(path, None, ctypes.byref(out)),
          LIB.fs_wal_reader_open(path, None, ctypes.byref(out)), out.value)
"""


def test_absurd_paths_end_in_codes():
    """In a new process, so that a crash would be seen."""
    done = run_python(ABSURD)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 5, done.stderr
    for line in done.stdout.splitlines():
        *_, opened, _, handle = line.split()
        assert 0 < int(opened) < 17 and int(opened) != STATUS["INTERNAL"], line
        assert handle == "None", line


def test_an_active_directory_that_the_identity_cannot_hold(tmp_path):
    """A path with a line break would forge lines of wal_identity."""
    parent = tmp_path / "a\nclean=1"
    parent.mkdir()
    with fails("INVALID_ARGUMENT", "active_dir"):
        Log(tmp_path / "wal", active_dir=parent, **SMALL)


def test_last_error_belongs_to_the_thread(wal):
    texts = []

    def other():
        texts.append(LIB.fs_wal_last_error())

    with fails("OUT_OF_ORDER"):
        event = make_events(1)
        event["event_id"] = 0
        wal.append(event)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert LIB.fs_wal_last_error() and texts[0] != LIB.fs_wal_last_error()
