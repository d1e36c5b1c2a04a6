"""The package: what goes in as arrays, columns and frames comes out as them, bit for bit."""

import ctypes
import datetime
import gc
import pickle
import subprocess
import sys

import numpy as np
import pandas
import polars
import pyarrow
import pytest

import flashstrike_wal as fs
from support import SEGMENT_EVENTS, SMALL, fails, make_events

COUNT = 3 * SEGMENT_EVENTS + 77


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A log with cold and hot segments, every field of it used."""
    directory = tmp_path_factory.mktemp("package") / "wal"
    events = make_events(COUNT, 10, 10)
    with fs.Log(directory, max_segments=2, max_compressed_segments=fs.KEEP_ALL, **SMALL) as log:
        log.append_batch(events)
    return directory, events


def write(directory, events):
    with fs.Log(directory, **SMALL) as log:
        assert log.append_batch(events) == COUNT
    return fs.read(directory).tobytes()


@pytest.mark.parametrize("threads", [None, 0, 1, 16])
@pytest.mark.parametrize("verify", [True, False])
def test_read_gives_every_byte(kept, threads, verify):
    directory, events = kept
    found = fs.read(directory, threads=threads, verify=verify)
    assert isinstance(found, np.ndarray) and found.dtype == fs.EVENT_DTYPE
    assert found.tobytes() == events.tobytes()
    found["price"][0] = 5  # it is the caller's own
    assert type(found["price"]) is np.ndarray and type(found[3:5]) is fs.EventArray


@pytest.mark.parametrize("names", [fs.COLUMNS, fs.NUMERIC_COLUMNS, ["reserved"],
                                   ["side", "event_id"]])
def test_columns(kept, names):
    directory, events = kept
    columns = fs.read(directory, columns=names)
    assert list(columns) == list(names) and columns.num_events == COUNT
    for name, values in columns.items():
        assert values.dtype == events[name].dtype and values.tobytes() == events[name].tobytes()


@pytest.mark.parametrize("first, last", [
    (None, None), (10, 10), (11, 20), (15, 15), (1, 10**9), (COUNT * 10, None), (None, 9),
    (COUNT * 10 + 1, None), (SEGMENT_EVENTS * 10, SEGMENT_EVENTS * 10 + 10), (500, 400),
])
def test_ranges(kept, first, last):
    directory, events = kept
    low, high = first or 0, last or 2**63
    ids, times = events["event_id"], events["timestamp"]
    expected = events[(ids >= low) & (ids <= high)].tobytes()
    assert fs.read(directory, first, last).tobytes() == expected
    assert fs.read(directory, first, last, columns=["event_id"])["event_id"].tobytes() == (
        ids[(ids >= low) & (ids <= high)].tobytes())
    # The timestamps of these events are a thousand times their ids.
    since = None if first is None else first * 1000
    until = None if last is None else last * 1000
    found = fs.read(directory, from_time=since, to_time=until)
    assert found.tobytes() == events[(times >= low * 1000) & (times <= high * 1000)].tobytes()
    both = fs.read(directory, from_id=100, from_time=since, to_id=5000, to_time=until)
    assert both.tobytes() == events[(ids >= max(low, 100)) & (ids <= min(high, 5000))].tobytes()


def test_times_may_be_dates(tmp_path):
    zone = datetime.timezone(datetime.timedelta(hours=2))
    at = datetime.datetime(2026, 11, 28, 12, 0, 0, 123456, zone)
    same = np.datetime64("2026-11-28T10:00:00.123456")
    nanoseconds = int(same.astype("M8[ns]").astype(np.int64))
    events = make_events(3)
    events["timestamp"] = [nanoseconds - 1, nanoseconds, nanoseconds + 1]
    with fs.Log(tmp_path, **SMALL) as log:
        log.append_batch(events)
    for time in (at, same, nanoseconds, np.uint64(nanoseconds), pandas.Timestamp(at)):
        assert list(fs.read(tmp_path, from_time=time)["event_id"]) == [2, 3]
        assert list(fs.read(tmp_path, to_time=time)["event_id"]) == [1, 2]
    assert list(fs.read(tmp_path, from_time=pandas.Timestamp(at).as_unit("ns")
                        + pandas.Timedelta(1, "ns"))["event_id"]) == [3]


def test_pandas_and_back(kept, tmp_path):
    directory, events = kept
    for found in (fs.read(directory), fs.read(directory, columns=fs.COLUMNS)):
        frame = found.to_pandas()
        assert list(frame.columns) == list(fs.NUMERIC_COLUMNS)
        for name in fs.NUMERIC_COLUMNS:
            assert frame[name].dtype == events[name].dtype
            assert frame[name].to_numpy().tobytes() == events[name].tobytes()
    whole = fs.read(directory).to_pandas(columns=fs.COLUMNS)
    assert whole["reserved"][5] == events["reserved"][5].tobytes()
    assert write(tmp_path / "copy", whole) == events.tobytes()


def test_pandas_shares_the_memory_of_columns(kept):
    columns = fs.read(kept[0], columns=fs.NUMERIC_COLUMNS)
    frame = columns.to_pandas()
    for name in fs.NUMERIC_COLUMNS:
        assert np.shares_memory(frame[name].to_numpy(), columns[name])


def test_polars_and_back(kept, tmp_path):
    directory, events = kept
    for number, found in enumerate((fs.read(directory), fs.read(directory, columns=fs.COLUMNS))):
        frame = found.to_polars()
        for name in fs.COLUMNS:
            assert frame[name].to_numpy().tobytes() == events[name].tobytes()
        assert write(tmp_path / str(number), frame) == events.tobytes()


def test_arrow_and_back(kept, tmp_path):
    directory, events = kept
    for number, found in enumerate((fs.read(directory), fs.read(directory, columns=fs.COLUMNS))):
        table = found.to_arrow()
        table.validate(full=True)
        assert table.schema.field("reserved").type == pyarrow.binary(21)
        assert table.schema.field("timestamp").type == pyarrow.uint64()
        assert write(tmp_path / str(number), table) == events.tobytes()
        batch = pyarrow.record_batch(found)
        batch.validate(full=True)
        assert batch.num_rows == COUNT and table.equals(pyarrow.Table.from_batches([batch]))
        assert pyarrow.schema(found) == table.schema


def test_arrow_of_parts_and_of_nothing(kept):
    directory, events = kept
    found = fs.read(directory)
    for part in (found[5:9], found[::7], found[:0], found[found["side"] == 1]):
        assert part.to_arrow()["event_id"].to_numpy().tobytes() == part["event_id"].tobytes()
    columns = fs.read(directory, columns=["price", "side"])
    some = fs.Columns({name: values[3:9] for name, values in columns.items()})
    assert some.to_arrow()["price"].to_pylist() == list(events["price"][3:9])
    backwards = fs.Columns({"price": columns["price"][::-1]})
    assert backwards.to_arrow()["price"].to_pylist() == list(events["price"][::-1])
    assert fs.read(directory, 10**9, columns=["reserved"]).to_arrow().num_rows == 0
    with pytest.raises(TypeError, match="no array of events"):
        found.view(np.uint8).to_arrow()


def test_arrow_data_outlives_what_it_was_made_of(kept):
    """Its memory is C's: neither the array nor the log need be there any more."""
    columns = fs.read(kept[0], columns=fs.COLUMNS)
    address = columns["price"].__array_interface__["data"][0]
    table = columns.to_arrow()
    assert table["price"].chunk(0).buffers()[1].address == address, "there was no copy"
    del columns
    gc.collect()
    noise = [np.full(COUNT, number, np.int64) for number in range(30)]
    assert table["price"].to_numpy().tobytes() == kept[1]["price"].tobytes()
    del table, noise


def test_capsules_that_nobody_takes_are_freed(kept):
    columns = fs.read(kept[0], columns=["price"])
    memory = columns["price"].base
    while not isinstance(memory, fs._memory.Memory):
        memory = memory.base
    owners = ctypes.cast(memory.handle, ctypes.POINTER(ctypes.c_size_t))
    assert owners[0] == 1
    capsules = [columns.__arrow_c_array__(), columns.__arrow_c_stream__(),
                columns.__arrow_c_schema__()]
    assert owners[0] == 3
    del capsules
    assert owners[0] == 1


WITHOUT_ARROW = """
import sys
sys.modules["pyarrow"] = sys.modules["pandas"] = sys.modules["polars"] = None
import flashstrike_wal as fs
events = fs.read(sys.argv[1])
schema, array = events.__arrow_c_array__()
assert "arrow_schema" in repr(schema) and "arrow_array" in repr(array), (schema, array)
assert "arrow_array_stream" in repr(events.__arrow_c_stream__())
for convert in (events.to_arrow, events.to_pandas, events.to_polars):
    try:
        convert()
        print("it must not find it")
    except ImportError:
        pass
"""


def test_nothing_but_numpy_is_needed(kept):
    done = subprocess.run([sys.executable, "-c", WITHOUT_ARROW, kept[0]], capture_output=True,
                          text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_way_to_append(tmp_path):
    events = make_events(9)
    columns = {name: events[name] for name in fs.COLUMNS}
    with fs.Log(tmp_path, **SMALL) as log:
        log.append(events[0])
        log.append(events[1:2])
        log.append(events[2:3].reshape(()))
        log.append(**{name: events[name][3] for name in fs.NUMERIC_COLUMNS},
                   reserved=events["reserved"][3].tobytes())
        log.append_batch(events[4:5].view(fs.EventArray))
        log.append_batch({name: values[5:6] for name, values in columns.items()})
        log.append_batch({name: values[6:8].tolist() for name, values in columns.items()
                          if name != "reserved"} | {"reserved": columns["reserved"][6:8]})
        slot = log.claim()
        slot.payload = events[8].tobytes()[8:]
        slot.commit(np.uint64(9))
        assert log.append_batch({"event_id": [20, 21]}) == 2
    found = fs.read(tmp_path)
    assert found[:9].tobytes() == events.tobytes()
    assert found[9:].tobytes() == np.array([(20,) + (0,) * 8 + (bytes(21),),
                                            (21,) + (0,) * 8 + (bytes(21),)],
                                           [*fs.EVENT_DTYPE.descr[:-1], ("r", "V21")]).tobytes()


LITTLE_ROOM = """
import resource, sys
import flashstrike_wal as fs
fs.read(sys.argv[1])
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 28), -1))
for columns in (None, fs.COLUMNS):
    found = fs.read(sys.argv[1], columns=columns, threads=0)
    print(sum(found["price"].tolist()))
"""


def test_a_process_may_have_little_address_space(kept):
    directory, events = kept
    done = subprocess.run([sys.executable, "-c", LITTLE_ROOM, directory], capture_output=True,
                          text=True, timeout=120, check=False)
    assert done.stdout.split() == [str(sum(events["price"].tolist()))] * 2, done.stderr


def test_arrays_can_be_sent_to_another_process(kept):
    directory, events = kept
    found = pickle.loads(pickle.dumps(fs.read(directory)))
    assert isinstance(found, fs.EventArray) and found.tobytes() == events.tobytes()
    columns = pickle.loads(pickle.dumps(fs.read(directory, columns=["price", "reserved"])))
    assert columns["reserved"].tobytes() == events["reserved"].tobytes()
    assert columns.to_arrow()["price"].to_numpy().tobytes() == events["price"].tobytes()


@pytest.mark.parametrize("most", [1, 1023, 1024, 1025, 5000, COUNT, 2**40 - 1])
def test_batches_of_every_size(kept, most):
    directory, events = kept
    with fs.Reader(directory) as reader:
        batches = list(reader.batches(most)) if most > 1 else [reader.read(1), reader.read()]
    assert all(0 < len(batch) <= most for batch in batches[:-1])
    assert b"".join(batch.tobytes() for batch in batches) == events.tobytes()
    assert max(map(len, batches)) >= min(most, COUNT)


def test_read_says_what_retention_has_removed(tmp_path):
    with fs.Log(tmp_path, max_segments=1, max_compressed_segments=fs.KEEP_NONE, **SMALL) as log:
        log.append_batch(make_events(5 * SEGMENT_EVENTS))
    oldest = int(fs.read(tmp_path)["event_id"][0])
    assert oldest > 1
    with fails("GAP") as caught:
        fs.read(tmp_path, from_id=1)
    assert (caught.value.first_event_id, caught.value.last_event_id) == (1, oldest - 1)
    assert fs.read(tmp_path, from_id=oldest)["event_id"][0] == oldest
