"""The package in use: following, waiting, holds, snapshots, the log function, reports, forks."""

import io
import logging
import os
import pickle
import select
import signal
import threading
import time

import numpy as np
import pytest

import flashstrike_wal as fs
from support import SEGMENT_EVENTS, SMALL, Writer, fails, make_events, wait_until


@pytest.fixture
def log(tmp_path):
    with fs.Log(tmp_path / "wal", **SMALL) as opened:
        yield opened


def test_a_follower_waits_and_sees_every_event(log):
    events = make_events(5 * SEGMENT_EVENTS + 9)
    with log.follow() as reader:
        assert len(reader.read()) == 0 and not reader.wait(0.01)
        assert len(reader.read(timeout=0.01)) == 0

        def write():
            for start in range(0, len(events), 997):
                log.append_batch(events[start : start + 997])

        writer = threading.Thread(target=write)
        writer.start()
        found = []
        while sum(map(len, found)) < len(events):
            found.append(reader.read(1000, timeout=120))
            assert 0 < len(found[-1]) <= 1000
        writer.join()
        assert np.concatenate(found).tobytes() == events.tobytes()
        assert list(reader.batches(timeout=0.01)) == []
        log.append(event_id=2**40)
        assert reader.wait() and reader.read()["event_id"][0] == 2**40


@pytest.mark.parametrize("durable_only", [False, True])
def test_a_follower_of_a_log_ends_with_it(log, durable_only):
    reader = log.follow(3, durable_only=durable_only)
    log.append_batch(make_events(10))
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(np.concatenate(list(reader))["event_id"]))
    thread.start()
    wait_until(lambda: reader._given == 10, "the follower has seen what there is")
    log.append_batch(make_events(10, 11))
    log.close()
    thread.join(120)
    assert seen == list(range(3, 21))


def test_durable_only(log, tmp_path):
    with fs.Log(tmp_path / "other", sync_mode="rotation", **SMALL) as other:
        other.append_batch(make_events(100))
        with other.follow(durable_only=True) as reader:
            assert len(reader.read()) == 0
            other.sync()
            assert len(reader.read(timeout=120)) == 100


def test_closing_wakes_whoever_waits(log):
    reader, outcomes = log.follow(), []

    def waits(call):
        try:
            call()
        except fs.ClosedError as error:
            outcomes.append(str(error))

    calls = [lambda: reader.read(timeout=None), lambda: log.wait_durable(99), reader.wait]
    threads = [threading.Thread(target=waits, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    reader.close()
    log.close()
    for thread in threads:
        thread.join(120)
    assert len(outcomes) == 3 and all("closed" in words for words in outcomes)


@pytest.mark.parametrize("wait", ["wait_durable", "follow"])
def test_ctrl_c_interrupts_a_wait(log, wait):
    reader = log.follow()
    wait = (lambda: log.wait_durable(99)) if wait == "wait_durable" else (lambda: next(reader))
    timer = threading.Timer(0.05, lambda: signal.raise_signal(signal.SIGINT))
    # Where the tests run in the background of a shell it is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            timer.start()
            wait()
    finally:
        signal.signal(signal.SIGINT, before)
    log.append_batch(make_events(1))
    assert len(next(reader)) == 1


def test_a_signal_handler_may_use_what_it_interrupts(log):
    reader, seen = log.follow(), []

    def handler(*_):
        log.append(event_id=log.meta().last_event_id + 1)
        log.close()
        reader.close()
        seen.append(True)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(fs.ClosedError):
            log.wait_durable(99)
        assert seen
    finally:
        signal.signal(signal.SIGALRM, before)


def test_threads_append_one_after_the_other(log):
    """The library allows one writer; the package makes the others wait."""
    lock, given = threading.Lock(), [0]

    def work():
        for _ in range(300):
            with lock:
                given[0] += 1
                log.append(event_id=given[0])

    def race(number):
        for event_id in range(number, 10_000, 4):
            try:
                log.append(event_id=1000 + event_id)
            except fs.OutOfOrderError:
                pass

    for targets in ([threading.Thread(target=work) for _ in range(4)],
                    [threading.Thread(target=race, args=(n,)) for n in range(4)]):
        for thread in targets:
            thread.start()
        for thread in targets:
            thread.join()
    assert log.metrics().appended_events == len(fs.read(log.directory))
    ids = fs.read(log.directory)["event_id"]
    assert np.all(ids[1:] > ids[:-1]) and list(ids[:1200]) == list(range(1, 1201))


def test_a_reader_with_a_hold_goes_on_where_its_consumer_had_finished(log, monkeypatch):
    monkeypatch.setattr(fs._reader, "_MOVE_HOLD_EVERY", 0)
    log.append_batch(make_events(1000))

    def stands():
        with log.hold("h") as hold:
            return hold.event_id

    with fs.Reader(log.directory, hold="h") as reader:
        assert len(reader.read(100)) == 100
        with fails("LOCKED"):
            log.hold("h")
        reader.read(100)
    assert stands() == 101, "the last batch may not be finished"
    with pytest.raises(ZeroDivisionError), fs.Reader(log.directory, hold="h") as reader:
        assert reader.read(50)["event_id"][0] == 101
        reader.read(50)
        raise ZeroDivisionError
    assert stands() == 151
    reader = fs.Reader(log.directory, hold="h")
    reader.read(100)
    del reader
    assert stands() == 151, "nor was that of a reader that was forgotten"
    with fs.Reader(log.directory, hold="h", follow=True) as reader:
        assert reader.read(50)["event_id"][0] == 151 and reader.wait(0)
    assert stands() == 201, "who waits for more has finished"
    with fs.Reader(log.directory, hold="h") as reader:
        assert [len(batch) for batch in reader] == [800]
    assert stands() == 1001, "and so has who came to the end"
    fs.remove_hold(log.directory, "h")
    with fails("NOT_FOUND"):
        fs.remove_hold(log.directory, "h")


def test_a_hold_keeps_events(tmp_path):
    options = {"max_segments": 1, "max_compressed_segments": fs.KEEP_NONE}
    with fs.Log(tmp_path, **SMALL, **options) as log:
        log.append_batch(make_events(100))
        with log.hold("backup") as hold:
            assert hold.event_id == 1
            log.append_batch(make_events(5 * SEGMENT_EVENTS, 101))
            hold.move(2 * SEGMENT_EVENTS)
            hold.move(5)
            assert hold.event_id == 2 * SEGMENT_EVENTS
    assert fs.read(tmp_path)["event_id"][0] == SEGMENT_EVENTS + 1


def test_snapshots(log):
    log.append_batch(make_events(100))
    state = {"bids": list(range(1000)), "text": "ä" * 100_000}
    with log.create_snapshot() as snapshot:
        pickle.dump(state, snapshot)
        snapshot.commit()
    assert snapshot.closed
    with log.create_snapshot(50) as dropped:
        dropped.write(bytearray(b"x" * 100))
    with log.open_snapshot() as found:
        assert found.info.event_id == 100 and found.info.passed_over == 0
        assert pickle.load(io.BufferedReader(found)) == state
    with log.open_snapshot(at_most=100) as found:
        assert len(found.read()) == found.info.size
        assert found.read() == b""
    with fails("NOT_FOUND"):
        log.open_snapshot(99)
    ahead = log.create_snapshot(200)
    with fails("WOULD_BLOCK", "event 200 is not durable"):
        ahead.commit(timeout=0.01)
    log.append_batch(make_events(100, 101))
    ahead.commit()
    assert log.open_snapshot().info.event_id == 200


def test_the_log_function(tmp_path, caplog, capsys):
    told, logger = [], logging.getLogger("engine.wal")
    caplog.set_level(logging.DEBUG)
    with fs.Log(tmp_path / "a", log=lambda *line: told.append(line), **SMALL):
        assert (logging.INFO, f"{tmp_path}/a: open") in told, "all of it when open returns"
    assert "shut down" in told[-1][1], "and when close does"
    with fs.Log(tmp_path / "b", log=logger, **SMALL):
        pass
    assert any("shut down" in record.message and record.name == "engine.wal"
               for record in caplog.records)
    with fs.Log(tmp_path / "c", log=lambda *_: 1 / 0, **SMALL) as log:
        log.append_batch(make_events(1))
    assert "ZeroDivisionError" in capsys.readouterr().err
    told.clear()
    with pytest.raises(fs.LockedError), fs.Log(tmp_path / "d", **SMALL):
        fs.Log(tmp_path / "d", log=lambda *line: told.append(line), **SMALL)
    assert any("lock" in text or "open" in text for _, text in told)
    assert not [t for t in threading.enumerate() if "flashstrike" in t.name]


def test_a_slow_log_function_loses_lines_and_says_so(tmp_path):
    told, go = [], threading.Event()

    def slow(level, text):
        go.wait()
        told.append((level, text))

    lines = fs._log_function.LogLines(b"the log", slow)
    for number in range(5000):
        fs._abi.SUPPORT.fsp_log_lines_put(lines.handle, 3, b"line %d" % number)
    go.set()
    lines.close()
    # Where lines are missing, a line says how many.
    expected = lost = 0
    for level, text in told:
        if text.startswith("the log: "):
            assert level == logging.WARNING and "messages are lost" in text
            expected, lost = expected + int(text.split()[2]), lost + 1
        else:
            assert (level, text) == (logging.INFO, f"line {expected}")
            expected += 1
    assert expected == 5000 and lost


def test_the_log_function_may_close_the_log(tmp_path):
    opened = threading.Event()

    def function(_level, _text):
        if opened.wait(0):
            log.close()

    log = fs.Log(tmp_path, log=function, max_segments=1, max_compressed_segments=fs.KEEP_NONE,
                 **SMALL)
    opened.set()
    with pytest.raises(fs.ClosedError):
        for number in range(10_000):
            log.append_batch(make_events(SEGMENT_EVENTS, number * SEGMENT_EVENTS + 1))
    log.close()


def test_reports(log):
    log.append_batch(make_events(1234))
    log.sync()
    assert log.durable() == log.meta() and log.durable().last_event_id == 1234

    def status_if_open():
        found = fs.status(log.directory)
        # Not while the log's threads have had no processor for a second.
        return found if found.state == "open" else None

    found = wait_until(status_if_open, "open")
    assert found.metrics is not None
    assert found.metrics.writer_pid == os.getpid() == log.metrics().writer_pid
    assert log.metrics().sync.count > 0 and len(log.metrics().integrity_failures) == 16
    assert found.metrics.appended_events == 1234
    with fs.Reader(log.directory) as reader:
        list(reader)
        assert reader.metrics().events == 1234 and reader.metrics().active_denied is False
    log.close()
    assert fs.status(log.directory) == fs.Status("closed", None)
    assert fs.verify(log.directory).newest == "on disk"
    with fails("NOT_FOUND"):
        fs.status(log.directory + b"/absent")


def test_the_status_of_a_killed_log(wal_dir):
    writer = Writer(wal_dir, "idle")
    writer.wait_for(1000)
    writer.kill()
    wait_until(lambda: fs.status(wal_dir).state == "writer died", "a second without a sign")
    assert fs.status(wal_dir).metrics.appended_event_id == 1000


def test_the_durable_descriptor(log):
    descriptor = log.durable_fd()
    try:
        log.append_batch(make_events(10))
        while log.durable().last_event_id < 10:
            assert select.select([descriptor], [], [], 120)[0]
            os.eventfd_read(descriptor)
    finally:
        os.close(descriptor)


def in_child(function):
    """What `function` says in a forked child, which must end by itself."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write_end, repr(function()).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        said = pipe.read().decode()
    assert os.waitpid(child, 0)[1] == 0
    return said


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_in_a_forked_child(log, tmp_path):
    log.append_batch(make_events(10))
    hold, reader = log.hold("h"), fs.Reader(log.directory)
    assert len(reader.read(4)) == 4
    slot, snapshot = log.claim(), log.create_snapshot()

    def closed(call):
        try:
            call()
        except fs.ClosedError as error:
            return "parent" in str(error)
        return False

    calls = [lambda: log.append(event_id=11), log.meta, log.sync, lambda: slot.commit(11),
             lambda: hold.event_id, lambda: snapshot.write(b"x"), log.claim, log.metrics]
    assert in_child(lambda: [closed(call) for call in calls]) == str([True] * len(calls))
    assert in_child(lambda: reader.read()["event_id"].tolist()) == "[5, 6, 7, 8, 9, 10]"
    assert in_child(lambda: [each.close() for each in (log, hold, reader, snapshot)]) == (
        "[None, None, None, None]")
    with fs.Log(tmp_path / "mine", **SMALL) as mine:
        mine.append_batch(make_events(3))
    assert in_child(lambda: len(fs.read(tmp_path / "mine"))) == "3"
    slot.commit(11)
    assert hold.event_id == 1 and log.meta().last_event_id == 11 and len(reader.read()) == 7


def test_a_forgotten_log_is_closed_with_a_warning(tmp_path):
    log = fs.Log(tmp_path, **SMALL)
    log.append_batch(make_events(10))
    with pytest.warns(ResourceWarning, match="unclosed <Log"):
        del log
    with fs.Log(tmp_path, **SMALL) as log:
        assert log.recovery_report().clean
