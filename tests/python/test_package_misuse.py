"""The package: nothing that is wrong is accepted silently, and nothing that is gone is used."""

import datetime
import pickle

import numpy as np
import pandas
import polars
import pyarrow
import pytest

import flashstrike_wal as fs
from support import SMALL, fails, make_events


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with fs.Log(tmp_path_factory.mktemp("misuse") / "wal", **SMALL) as opened:
        opened.append_batch(make_events(1))
        yield opened


@pytest.fixture
def log(shared):
    """A log with one event, and no more of them after a test of misuse."""
    yield shared
    assert shared.meta().last_event_id == 1


@pytest.mark.parametrize("options, kind, words", [
    ({"num_block": 16}, TypeError, "num_block"),
    ({"num_blocks": 16.0}, TypeError, "num_blocks must be an integer, not float"),
    ({"num_blocks": "16"}, TypeError, "num_blocks"),
    ({"num_blocks": True}, TypeError, "num_blocks must be an integer, not a bool"),
    ({"num_blocks": -1}, ValueError, "num_blocks is -1"),
    ({"num_blocks": 2**32 + 16}, ValueError, "num_blocks"),
    ({"max_segments": 0}, ValueError, "leave it out for the default"),
    ({"max_compressed_segments": 0}, ValueError, "KEEP_NONE"),
    ({"backpressure": 1}, ValueError, "'block', 'fail_fast'"),
    ({"sync_mode": "Rotation"}, ValueError, "'continuous', 'interval', 'rotation'"),
    ({"compression": 0}, TypeError, "compression must be True or False"),
    ({"accept_loss": "no"}, TypeError, "accept_loss"),
    ({"active_dir": b"/dev/shm\0x"}, ValueError, "active_dir has a NUL"),
    ({"worker_nice": 20}, ValueError, "worker_nice is 20"),
    ({"worker_nice": 1.5}, TypeError, "worker_nice"),
    ({"persister_cpus": 3}, TypeError, "several processor numbers"),
    ({"persister_cpus": [64]}, ValueError, "0 to 63"),
    ({"worker_cpus": []}, ValueError, "no processor"),
    ({"log": 5}, TypeError, "log must be a function"),
    ({"num_blocks": 15}, fs.InvalidArgumentError, "num_blocks"),
])
def test_options(tmp_path, options, kind, words):
    with pytest.raises(kind, match=words):
        fs.Log(tmp_path / "wal", **options)
    assert not (tmp_path / "wal").exists(), "nothing is made for a call that is refused"


@pytest.mark.parametrize("path, kind", [
    ("a\0b", ValueError), (b"a\0b", ValueError), ("", ValueError), (5, TypeError),
    (None, TypeError), (["wal"], TypeError), (1.5, TypeError),
])
@pytest.mark.parametrize("call", [
    fs.Log, fs.read, fs.Reader, fs.verify, fs.status, fs.metrics_of, fs.SnapshotReader,
    lambda path: fs.SnapshotWriter(path, 1), lambda path: fs.Hold(path, "h"),
    lambda path: fs.remove_hold(path, "h"),
])
def test_paths(call, path, kind):
    with pytest.raises(kind):
        call(path)


@pytest.mark.parametrize("call", [
    lambda log, number: log.wait_durable(number, 1),
    lambda log, number: log.set_retention_floor(number),
    lambda log, number: log.append(event_id=number),
    lambda log, number: log.claim().commit(number),
    lambda log, number: log.create_snapshot(number),
    lambda log, number: log.open_snapshot(number),
    lambda log, number: log.hold("h", number),
    lambda log, number: log.follow(number),
    lambda log, number: fs.read(log.directory, from_id=number),
    lambda log, number: fs.read(log.directory, to_id=number),
    lambda log, number: fs.read(log.directory, from_time=number),
    lambda log, number: fs.Reader(log.directory).seek(number),
    lambda log, number: fs.Reader(log.directory).seek_time(number),
    lambda log, number: fs.Reader(log.directory, threads=number),
])
@pytest.mark.parametrize("number", [1.0, "1", True, -1, 2**64, np.float64(1)])
def test_numbers(log, call, number):
    with pytest.raises((TypeError, ValueError)):
        call(log, number)


@pytest.mark.parametrize("events, kind, words", [
    (make_events(4)[::2], ValueError, "contiguous"),
    (make_events(4)[::-1], ValueError, "contiguous"),
    (make_events(4).reshape(2, 2), ValueError, "one dimension"),
    (make_events(4).view(np.uint8), TypeError, "EVENT_DTYPE"),
    (make_events(4).astype(make_events(0).dtype.newbyteorder(">")), TypeError, "EVENT_DTYPE"),
    (make_events(4)["event_id"], TypeError, "EVENT_DTYPE"),
    (make_events(4).tobytes(), TypeError, "bytes"),
    ([1, 2, 3], TypeError, "list"),
    (np.ma.array(make_events(4), mask=True), TypeError, "MaskedArray"),
    ({"event_id": np.ma.array([1, 2], mask=[False, True])}, TypeError, "masked"),
    ({"event_id": pandas.array([1, None], dtype="UInt64")}, TypeError, "integers"),
    (polars.DataFrame({"event_id": [1, None]}), TypeError, "integers"),
    (pyarrow.table({"event_id": [1, None]}), TypeError, "integers"),
    (np.frombuffer(b"x" + make_events(1).tobytes(), fs.EVENT_DTYPE, offset=1),
     fs.InvalidArgumentError, "aligned"),
    (None, TypeError, "NoneType"),
    ({"event_id": [1.0, 2.0]}, TypeError, "'event_id' must be of integers"),
    ({"event_id": [1, 2], "price": [1.5, 2]}, TypeError, "'price' must be of integers"),
    ({"event_id": [1, 2], "side": [0, 256]}, ValueError, "do not fit"),
    ({"event_id": [1, -2]}, ValueError, "do not fit"),
    ({"event_id": [1, 2], "price": [1]}, ValueError, "'price' has the shape"),
    ({"event_id": [1, 2], "prize": [1, 2]}, ValueError, "no column 'prize'"),
    ({"event_id": 5}, TypeError, "'event_id' must be several values, not int"),
    ({"event_id": iter([1, 2])}, TypeError, "several values"),
    ({"event_id": np.arange(2, 6).reshape(2, 2)}, ValueError, "'event_id' has the shape"),
    ({"price": [1, 2]}, ValueError, "no column 'event_id'"),
    ({"event_id": [1], "reserved": [b"short"]}, ValueError, "21 bytes a row"),
    ({"event_id": [1], "reserved": np.zeros((1, 21))}, TypeError, "reserved"),
    ({"event_id": [1], "timestamp": np.array(["2026-01-01"], "M8[ns]")}, TypeError, "integers"),
])
def test_batches(log, events, kind, words):
    with pytest.raises(kind, match=words):
        log.append_batch(events)


@pytest.mark.parametrize("event, fields, kind", [
    (make_events(2), {}, ValueError), (make_events(1).view(np.uint8), {}, TypeError),
    (make_events(1).tobytes(), {}, TypeError), (None, {}, TypeError),
    (make_events(1), {"price": 1}, TypeError), (None, {"price": 1}, TypeError),
    (None, {"event_id": 1, "prize": 1}, TypeError),
    (None, {"event_id": 1, "side": 256}, ValueError),
    (None, {"event_id": 1, "price": 1.0}, ValueError),
    (None, {"event_id": 1, "reserved": b"x"}, ValueError),
    (None, {"event_id": 0}, fs.OutOfOrderError), (None, {"event_id": 2**64 - 1}, ValueError),
])
def test_single_events(log, event, fields, kind):
    with pytest.raises(kind):
        log.append(event, **fields)


@pytest.mark.parametrize("time, kind", [
    (1.5, TypeError), ("2026-01-01", TypeError), (-1, ValueError), (2**64, ValueError),
    (datetime.datetime(2026, 1, 1), ValueError), (np.datetime64("NaT"), ValueError),
    (np.datetime64("1969-01-01"), ValueError), (datetime.date(2026, 1, 1), TypeError),
    (np.datetime64("3000-01-01"), ValueError), (np.datetime64(1500, "ps"), ValueError),
    (pandas.NaT, ValueError), (pandas.Timestamp("2026-01-01"), ValueError),
])
def test_times(log, time, kind):
    with pytest.raises(kind):
        fs.read(log.directory, from_time=time)
    with pytest.raises(kind):
        fs.read(log.directory, to_time=time)


def test_words_that_help(log):
    with pytest.raises(ValueError, match="price is 1.5: it must be an integer .* int64"):
        log.append(event_id=1, quantity=3, price=1.5)
    with pytest.raises(ValueError, match="side is 256: .* uint8"):
        log.append(event_id=1, side=256)
    with pytest.raises(TypeError, match="a datetime with a time zone or a numpy.datetime64, not"):
        fs.read(log.directory, from_time=datetime.date(2026, 1, 1))


@pytest.mark.parametrize("timeout", ["1", -1, float("nan"), True, -0.001])
def test_timeouts(log, timeout):
    with pytest.raises((TypeError, ValueError)):
        log.wait_durable(1, timeout)
    with fs.Reader(log.directory, follow=True) as reader:
        for call in (reader.wait, lambda value: reader.read(1, value)):
            with pytest.raises((TypeError, ValueError)):
                call(timeout)


@pytest.mark.parametrize("options", [
    {"columns": "price"}, {"columns": ["prize"]}, {"columns": ["price", "price"]},
    {"columns": []}, {"verify": 1}, {"threads": 17}, {"to_id": 0}, {"from": 1},
])
def test_read_options(log, options):
    with pytest.raises((TypeError, ValueError)):
        fs.read(log.directory, **options)


@pytest.mark.parametrize("options", [
    {"follow": 1}, {"follow": True, "salvage": True}, {"verify": False, "salvage": True},
    {"spin_ns": 0}, {"hold": 5}, {"hold": "a/b"}, {"hold": "a\0b"}, {"hold": ""},
])
def test_reader_options(log, options):
    with pytest.raises((TypeError, ValueError)):
        fs.Reader(log.directory, **options)


def test_waiting_needs_a_follower(log):
    with fs.Reader(log.directory) as reader:
        with pytest.raises(ValueError, match="follow"):
            reader.read(timeout=1)
        with pytest.raises(ValueError, match="follow"):
            reader.wait(1)


def test_a_slot_is_used_while_it_is_claimed_only(tmp_path):
    """After whatever ends a claim, reading and writing the slot raise, and change no event."""
    log = fs.Log(tmp_path, **SMALL)
    ends = [
        lambda slot, first: slot.commit(first), lambda slot, first: log.append(event_id=first),
        lambda slot, first: log.append_batch(make_events(1, first)),
        lambda slot, first: log.claim().commit(first),
    ]
    for first, end in enumerate(ends, 1):
        slot = log.claim()
        slot["price"] = 5
        assert slot["price"] == 5
        end(slot, first)
        uses = [lambda: slot.commit(first + 1), lambda: slot["price"],
                lambda: slot.__setitem__("price", 9), lambda: slot.payload,
                lambda: setattr(slot, "payload", bytes(56))]
        for use in uses:
            with fails("INVALID_ARGUMENT", "claimed"):
                use()
        assert log.meta().last_event_id == first
    slot = log.claim()
    for field, value, kind in [("event_id", 1, KeyError), ("prize", 1, KeyError),
                               ("price", 1.5, TypeError), ("side", 256, ValueError)]:
        with pytest.raises(kind):
            slot[field] = value
    with pytest.raises(ValueError):
        slot.payload = bytes(55)
    log.close()
    with fails("CLOSED"):
        slot.commit(9)
    assert fs.read(log.directory)["price"][0] == 5


def test_what_is_closed_says_so(tmp_path):
    log = fs.Log(tmp_path / "wal", **SMALL)
    log.append_batch(make_events(10))
    hold, reader = log.hold("h"), fs.Reader(tmp_path / "wal", follow=True)
    snapshot = log.create_snapshot()
    for each in (hold, reader, snapshot, log):
        each.close()
        each.close()
    calls = [
        lambda: log.append(event_id=11), lambda: log.append_batch(make_events(1, 11)),
        lambda: log.append_batch(make_events(0)), log.claim, log.meta, log.durable, log.sync,
        lambda: log.wait_durable(1), log.metrics, log.recovery_report, log.metrics_prometheus,
        log.durable_fd, log.follow, lambda: log.set_retention_floor(1), log.create_snapshot,
        log.open_snapshot, lambda: log.hold("h"), lambda: hold.move(5), lambda: hold.event_id,
        reader.read, reader.wait, lambda: reader.seek(1), lambda: reader.seek_time(1),
        reader.metrics, lambda: next(reader), snapshot.commit, lambda: snapshot.write(b"x"),
    ]
    for call in calls:
        with pytest.raises(ValueError) as caught:
            call()
        assert "closed" in str(caught.value)
    assert log.closed and reader.closed and snapshot.closed


def test_errors_have_their_detail_and_can_be_sent_to_another_process(tmp_path):
    with fs.Log(tmp_path / "wal", **SMALL) as log:
        log.append_batch(make_events(300))
    path = tmp_path / "wal" / "FS.00000000.wal"
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    with fails("CORRUPT", path) as caught:
        fs.read(tmp_path / "wal")
    error = pickle.loads(pickle.dumps(caught.value))
    for each in (error, caught.value):
        assert isinstance(each, fs.CorruptError)
        assert (each.segment_index, each.first_event_id, each.last_event_id) == (0, 1, 256)
        assert each.offset is not None and each.os_errno == 0 and str(each).startswith("CORRUPT: ")
    with pytest.raises(FileNotFoundError) as missing:
        fs.read(tmp_path / "absent")
    assert missing.value.status == "NOT_FOUND"


@pytest.mark.parametrize("columns, kind, words", [
    ({"price": np.zeros(3)}, TypeError, "'price' must be of int64"),
    ({"price": np.zeros(3, np.int8)}, TypeError, "'price' must be of int64"),
    ({"price": np.zeros(3, ">i8")}, TypeError, "'price' must be of int64"),
    ({"price": np.zeros((3, 2), np.int64)}, TypeError, "not of int64 and .3, 2."),
    ({"price": np.array(5)}, TypeError, "'price' must be of int64"),
    ({"price": [1, 2, 3]}, TypeError, "'price' must be a numpy array, not list"),
    ({"price": np.ma.zeros(3, np.int64)}, TypeError, "must be a numpy array, not MaskedArray"),
    ({"reserved": np.zeros(3, "S21")}, TypeError, "'reserved' must be of uint8"),
    ({"reserved": np.zeros((3, 20), np.uint8)}, TypeError, "'reserved' must be of uint8"),
    ({"price": np.zeros(3, np.int64), "side": np.zeros(2, np.uint8)}, ValueError, "in length"),
    ({"prize": np.zeros(3, np.int64)}, ValueError, "no column 'prize'"),
])
def test_columns_are_what_they_are_told_to_be(columns, kind, words):
    """Who takes them as Arrow data goes by the types of an event, and reads that much memory."""
    with pytest.raises(kind, match=words):
        fs.Columns(columns)


def test_columns_of_any_layout_go_out_as_they_are():
    values = np.arange(10, dtype=np.int64)[::-2]
    rows = np.arange(5 * 42, dtype=np.uint8).reshape(5, 42)[:, ::2]
    table = fs.Columns({"price": values, "reserved": rows}).to_arrow()
    assert table["price"].to_pylist() == [9, 7, 5, 3, 1]
    assert table["reserved"].to_pylist() == [bytes(row) for row in rows]


def test_a_scrape_names_what_is_no_log_or_is_there_twice(log):
    with pytest.raises(ValueError, match="the same path"):
        fs.metrics_prometheus([log, log])
    for wrong in (log, ["wal"], None, [log, None]):
        with pytest.raises(TypeError, match="logs must be several open logs"):
            fs.metrics_prometheus(wrong)
    assert fs.metrics_prometheus([]) == ""


def test_a_log_is_the_same_wherever_the_process_goes(tmp_path, monkeypatch):
    """Its path may be that of another log there."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    with fs.Log(there / "wal", **SMALL) as other:
        other.append_batch(make_events(9, 100))
    monkeypatch.chdir(here)
    with fs.Log("wal", **SMALL) as log, fs.Reader("wal", follow=True) as early:
        log.append_batch(make_events(2))
        log.sync()
        monkeypatch.chdir(there)
        assert log.directory == b"wal"
        with log.follow() as reader, log.create_snapshot() as snapshot, log.hold("h") as hold:
            assert list(reader.read()["event_id"]) == [1, 2]
            assert hold.event_id == 1
            snapshot.commit(timeout=120)
        assert log.open_snapshot().info.event_id == 2
        log.append_batch(make_events(3 * 4096, 3))      # the reader opens segments
        seen, wanted = 0, 2 + 3 * 4096
        while seen < wanted:
            batch = early.read(timeout=120)
            assert len(batch), f"only {seen} came"
            seen += len(batch)
    assert fs.read("wal")["event_id"][0] == 100


def test_handles_are_not_copied(log):
    for each in (log, fs.Reader(log.directory), log.hold("h")):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(each)
