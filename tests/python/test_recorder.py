"""The recorder in use: every way to append, watermark, reopen, replay, seek."""

import ctypes
import logging
import os

import numpy as np
import pytest

import flashstrike_wal
from flashstrike_wal import (
    KEEP_ALL, KEEP_NONE, Log, Meta, Reader, _abi, metrics_prometheus, read,
)
from flashstrike_wal._abi import LIB
from flashstrike_wal._errors import check
from support import SEGMENT_EVENTS, SMALL, fails, make_events, segment_files, wait_for_segments
from support import wait_until


def offset_after(count):
    """Byte offset just past event number `count` of a segment, by the format."""
    block, slot = divmod(count - 1, 256)
    return 64 + block * 16448 + 64 + (slot + 1) * 64


def test_version_and_status_strings():
    assert flashstrike_wal.library_version() == "0.1.0"
    texts = [LIB.fs_wal_status_string(code) for code in range(17)]
    assert all(texts) and len(set(texts)) == 17
    assert LIB.fs_wal_status_string(-1) and LIB.fs_wal_status_string(999)


def test_config_init_writes_no_more_than_the_given_size():
    buffer = ctypes.create_string_buffer(b"\xaa" * 64, 64)
    config = ctypes.cast(buffer, ctypes.POINTER(_abi.Config))
    LIB.fs_wal_config_init(config, 32)
    assert config.contents.struct_size == 32
    assert buffer.raw[32:] == b"\xaa" * 32


def test_a_new_log_is_empty(tmp_path):
    with Log(tmp_path / "wal", **SMALL) as wal:
        assert wal.meta() == wal.durable() == Meta(0, 0, 0)
        assert wal.recovery_report().clean is True
    assert len(read(tmp_path / "wal")) == 0


@pytest.mark.parametrize("count", [1, 255, 256, 257, SEGMENT_EVENTS])
def test_meta_points_just_past_the_last_event(tmp_path, count):
    with Log(tmp_path, **SMALL) as wal:
        wal.append_batch(make_events(count))
        assert wal.meta() == Meta(0, offset_after(count), count)
        wal.sync()
        assert wal.durable() == wal.meta()


def test_meta_moves_to_the_next_segment(tmp_path):
    with Log(tmp_path, **SMALL) as wal:
        wal.append_batch(make_events(SEGMENT_EVENTS + 3))
        assert wal.meta() == Meta(1, offset_after(3), SEGMENT_EVENTS + 3)


def test_every_way_to_append_gives_the_same_log(tmp_path):
    events = make_events(3 * SEGMENT_EVENTS, step=3)
    third = SEGMENT_EVENTS + 100
    with Log(tmp_path, **SMALL) as wal:
        for number in range(third):
            wal.append(events[number : number + 1])
        assert wal.append_batch(events[third : 2 * third]) == third
        for event in events[2 * third :]:
            slot = wal.claim()
            slot.payload = event.tobytes()[8:]
            slot.commit(event["event_id"])
        assert wal.meta().last_event_id == events["event_id"][-1]
    assert read(tmp_path).tobytes() == events.tobytes()


def test_an_empty_batch_is_accepted(tmp_path):
    with Log(tmp_path, **SMALL) as wal:
        assert wal.append_batch(make_events(0)) == 0
        assert wal.meta() == Meta(0, 0, 0)


def test_an_abandoned_claim_leaves_no_trace(tmp_path):
    events = make_events(4)
    with Log(tmp_path, **SMALL) as wal:
        wal.claim().payload = b"\xee" * 56
        wal.append(events[:1])
        wal.claim().payload = b"\xdd" * 56
        slot = wal.claim()
        slot.payload = events[1:2].tobytes()[8:]
        slot.commit(2)
        wal.claim().payload = b"\xcc" * 56
        wal.append_batch(events[2:])
        wal.claim().payload = b"\xbb" * 56
    assert read(tmp_path).tobytes() == events.tobytes()


def test_events_are_durable_when_sync_or_wait_says_so(tmp_path):
    with Log(tmp_path, sync_mode="rotation", **SMALL) as wal:
        wal.append_batch(make_events(10))
        wal.sync()
        assert wal.durable().last_event_id == 10
        wal.append_batch(make_events(10, 11))
        wal.wait_durable(20, 120)  # asks for the sync: no other would come
        assert wal.durable().last_event_id == 20
        wal.wait_durable(5, 0)


def test_continuous_sync_moves_the_watermark_by_itself(tmp_path):
    with Log(tmp_path, **SMALL) as wal:
        wal.append_batch(make_events(10))
        wait_until(lambda: wal.durable().last_event_id == 10, "the watermark moves")
        assert wal.durable() == wal.meta()


def test_reopening_goes_on_in_the_last_segment(tmp_path):
    events = make_events(300)
    for start in (0, 100, 200):
        with Log(tmp_path, **SMALL) as wal:
            assert wal.meta().last_event_id == start
            assert wal.recovery_report().clean is True
            wal.append_batch(events[start : start + 100])
            assert wal.meta() == Meta(0, offset_after(start + 100), start + 100)
    assert segment_files(tmp_path) == (["FS.00000000.wal"], [])
    assert read(tmp_path).tobytes() == events.tobytes()


def test_a_full_last_segment_is_followed_by_a_new_one(tmp_path):
    events = make_events(SEGMENT_EVENTS + 1)
    with Log(tmp_path, **SMALL) as wal:
        wal.append_batch(events[:-1])
    with Log(tmp_path, **SMALL) as wal:
        wal.append(events[-1:])
        assert wal.meta() == Meta(1, offset_after(1), SEGMENT_EVENTS + 1)
    assert read(tmp_path).tobytes() == events.tobytes()


@pytest.fixture(scope="module")
def long_log(tmp_path_factory):
    """Cold and hot segments, ids 10, 20, 30 and so on."""
    directory = tmp_path_factory.mktemp("long")
    events = make_events(5 * SEGMENT_EVENTS + 77, 10, 10)
    with Log(directory, max_segments=2, max_compressed_segments=KEEP_ALL, **SMALL) as wal:
        wal.append_batch(events)
        wait_for_segments(directory, range(4, 6), range(4))
    return directory, events


def test_next_and_next_batch_give_the_same(long_log):
    directory, events = long_log
    with Reader(directory) as reader:
        single = b"".join(event.tobytes() for event in reader.batches(1))
        assert len(reader.read(1)) == len(reader.read()) == 0
    assert single == events.tobytes() == read(directory).tobytes()


@pytest.mark.parametrize("wanted, first", [
    (0, 10), (1, 10), (10, 10), (11, 20), (2560, 2560), (2561, 2570),
    (SEGMENT_EVENTS * 10, SEGMENT_EVENTS * 10), (SEGMENT_EVENTS * 10 + 1, SEGMENT_EVENTS * 10 + 10),
    (SEGMENT_EVENTS * 45, SEGMENT_EVENTS * 45), ((SEGMENT_EVENTS * 5 + 77) * 10,) * 2,
])
def test_seek_finds_the_first_event_not_below(long_log, wanted, first):
    directory, events = long_log
    with Reader(directory) as reader:
        list(reader)
        reader.seek(wanted)
        assert reader.read(1).tobytes() == events[first // 10 - 1 : first // 10].tobytes()
        assert b"".join(batch.tobytes() for batch in reader) == events[first // 10 :].tobytes()


def test_seek_past_the_end_is_the_end(long_log):
    directory, events = long_log
    with Reader(directory) as reader:
        reader.seek(int(events["event_id"][-1]) + 1)
        assert len(reader.read(1)) == 0


def test_a_reader_sees_a_log_that_is_being_written(tmp_path):
    events = make_events(SEGMENT_EVENTS + 50)
    with Log(tmp_path, **SMALL) as wal:
        wal.append_batch(events)
        assert read(tmp_path).tobytes() == events.tobytes()


def test_metrics_text_counts_the_events(tmp_path):
    with Log(tmp_path, **SMALL) as wal:
        wal.append_batch(make_events(1234))
        wal.sync()
        lines = [line for line in wal.metrics_prometheus().splitlines() if line[0] != "#"]
    values = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}
    assert len(values) == len(lines) > 10, "names must not repeat"
    assert 1234.0 in values.values()


def test_f25_the_metrics_of_two_logs_are_one_scrape(tmp_path):
    """Each name is explained once, its samples follow, and no sample is there twice."""
    paths = [tmp_path / "a", tmp_path / "b"]
    with Log(paths[0], **SMALL) as first, Log(paths[1], **SMALL) as second:
        first.append_batch(make_events(1234))
        second.append_batch(make_events(10))
        text = metrics_prometheus([first, second])
    values, explained, name = {}, set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert name not in explained
            explained.add(name)
        elif not line.startswith("#"):
            sample, value = line.rsplit(" ", 1)
            assert sample not in values and sample.startswith(name)
            values[sample] = float(value)
    for path, events in zip(paths, [1234, 10]):
        assert values[f'fs_wal_appended_events_total{{log="{path}"}}'] == events
        assert values[f'fs_wal_poisoned{{log="{path}"}}'] == 0


def test_a_too_small_metrics_buffer_says_what_is_needed(tmp_path):
    with Log(tmp_path, **SMALL) as wal:
        needed = ctypes.c_size_t()
        buffer = ctypes.create_string_buffer(16)
        code = LIB.fs_wal_metrics_prometheus(wal._handle, buffer, 16, ctypes.byref(needed))
        assert code != 0 and needed.value > 16


def test_a_second_shutdown_of_null_is_accepted():
    assert LIB.fs_wal_shutdown(None) == 0
    LIB.fs_wal_reader_close(None)


def test_events_of_any_layout_are_kept_verbatim(tmp_path):
    """Bytes 8 to 63 belong to the engine: the library neither interprets nor changes them."""
    random = np.random.default_rng(7)
    events = make_events(1000)
    raw = events.view(np.uint8).reshape(1000, 64)
    raw[:, 8:] = random.integers(0, 256, (1000, 56), np.uint8)
    with Log(tmp_path, **SMALL) as wal:
        wal.append_batch(events)
    assert read(tmp_path).tobytes() == events.tobytes()


def test_ids_may_have_gaps_and_reach_the_limit(tmp_path):
    events = make_events(3)
    events["event_id"] = (5, 2**40, 2**64 - 2)
    with Log(tmp_path, **SMALL) as wal:
        wal.append_batch(events)
        with fails("OUT_OF_ORDER"):
            wal.append_batch(events[2:])
    assert read(tmp_path).tobytes() == events.tobytes()


def test_a_directory_name_need_not_be_utf8(tmp_path):
    directory = os.fsencode(tmp_path) + b"/\xff\xfe"
    with Log(directory, **SMALL) as wal:
        wal.append_batch(make_events(10))
    assert read(directory).tobytes() == make_events(10).tobytes()


def test_the_retention_floor_of_an_open_log(tmp_path):
    options = {**SMALL, "max_segments": 1, "max_compressed_segments": KEEP_NONE}
    with Log(tmp_path, retention_floor=1, **options) as wal:
        wal.append_batch(make_events(5 * SEGMENT_EVENTS + 1))
        wal.set_retention_floor(3 * SEGMENT_EVENTS)
    assert read(tmp_path)["event_id"][0] == 2 * SEGMENT_EVENTS + 1
    with Log(tmp_path, **options) as wal, fails("INVALID_ARGUMENT", "wal is NULL"):
        check(LIB.fs_wal_set_retention_floor(None, 1))
    assert read(tmp_path)["event_id"][0] == 5 * SEGMENT_EVENTS + 1


def test_a_log_reports_what_happens_to_it(tmp_path):
    messages = []
    with Log(tmp_path, log=lambda level, text: messages.append((level, text)), **SMALL) as wal:
        wal.append_batch(make_events(10))
        with fails("LOCKED"):
            Log(tmp_path, **SMALL)
        report = wal.recovery_report()
    assert (logging.INFO, f"{tmp_path}: open") in messages
    shut_down = f"{tmp_path}: shut down: everything up to event 10 is durable"
    assert (logging.INFO, shut_down) in messages
    recovered = f"{tmp_path}: recovered as {report.decision}: generation 1, "
    assert any(text.startswith(recovered) for _, text in messages), messages
    assert report.active_filesystem_name == "tmpfs"
