"""A log, or a part of it, in one call."""

import ctypes
import os
import warnings
from collections.abc import Iterable
from ctypes import byref
from dataclasses import dataclass
from typing import SupportsIndex, overload

from . import _abi, _arguments, _events, _reports
from ._abi import LIB, SUPPORT
from ._errors import NotFoundError, check, error
from ._events import EVENT_DTYPE, Columns, EventArray
from ._memory import Growing
from ._reader import Reader, _nonzero

#: Events that one call of C reads. Signals are seen in between.
_PIECE = 1 << 18
_LAST_TIME = 2**64 - 1


@overload
def read(dir: _arguments.Path, from_id: SupportsIndex | None = None,
         to_id: SupportsIndex | None = None, *, from_time: _arguments.Time | None = None,
         to_time: _arguments.Time | None = None, columns: None = None, verify: bool = True,
         threads: SupportsIndex | None = None) -> EventArray: ...


@overload
def read(dir: _arguments.Path, from_id: SupportsIndex | None = None,
         to_id: SupportsIndex | None = None, *, from_time: _arguments.Time | None = None,
         to_time: _arguments.Time | None = None, columns: Iterable[str], verify: bool = True,
         threads: SupportsIndex | None = None) -> Columns: ...


def read(dir: _arguments.Path, from_id: SupportsIndex | None = None,
         to_id: SupportsIndex | None = None, *, from_time: _arguments.Time | None = None,
         to_time: _arguments.Time | None = None, columns: Iterable[str] | None = None,
         verify: bool = True, threads: SupportsIndex | None = None) -> EventArray | Columns:
    """The events of a log, or a range of them, in one array. The log may be open for writing, here
    or elsewhere, or not at all.

    Takes the memory of the result and some 6 MB and two segments for each thread.

    Args:
        dir: path of the directory.
        from_id, to_id: the first and the last id wanted, both included.
        from_time, to_time: the same for timestamps: nanoseconds, a datetime with a time zone, or a
            numpy.datetime64 (UTC). Exact if timestamps rise from event to event; see
            :meth:`Reader.seek_time` for what is found if they do not.
        columns: names of the fields wanted, of :data:`COLUMNS`; None = whole events.
        verify: False: do not verify checksums.
        threads: threads of the library that read ahead; None = as many as there are processors.

    Returns: an :class:`EventArray`, shape ``(n,)``, or :class:`Columns` of that length, the
    caller's own. For a DataFrame in little memory:
    ``read(dir, columns=NUMERIC_COLUMNS).to_pandas()``.

    Raises: :class:`CorruptError` (damage, and nothing is returned; see :class:`Reader` to read
    around it), :class:`GapError` (retention has removed events from `from_id` on),
    :class:`NotFoundError`, :class:`LockedError`, :class:`NoSpaceError`,
    :class:`PermissionDeniedError` or :class:`DiskError`; MemoryError. A user who may read the
    directory but not the log's active directory gets what is durable, and a UserWarning.
    """
    names = None if columns is None else _events.checked_names(columns)
    first = None if from_id is None else _arguments.integer(from_id, "from_id")
    since = None if from_time is None else _arguments.nanoseconds(from_time, "from_time")
    until = None if to_time is None else _arguments.nanoseconds(to_time, "to_time")
    last = _nonzero(to_id, "to_id")
    count = _processors() if threads is None else _arguments.integer(threads, "threads", 32)
    if until is not None and until < _LAST_TIME:
        behind = _first_id(dir, until + 1)
        if behind is not None:
            last = min(last or behind, behind - 1)
            if last == 0:
                return _nothing(names)
    with Reader(dir, verify=verify, threads=count, to_id=last or None) as reader:
        _begin(reader, dir, first, since)
        found = _whole(reader) if names is None else _columns(reader, names)
        if reader.metrics().active_denied:
            warnings.warn(f"this user may not read the active directory of {os.fsdecode(dir)}: "
                          "events that are not durable yet are missing", stacklevel=2)
        return found


def _processors() -> int:
    return min(len(os.sched_getaffinity(0)), _abi.READER_MAX_THREADS)


def _first_id(dir: _arguments.Path, time: int) -> int | None:
    """Id of the first event of this time or a later one."""
    with Reader(dir) as reader:
        reader.seek_time(time)
        found = reader.read(1)
        return int(found["event_id"][0]) if len(found) else None


def _begin(reader: Reader, dir: _arguments.Path, first: int | None, since: int | None) -> None:
    if since is not None:
        begins = _first_id(dir, since)
        if begins is None:
            reader.seek_time(since)
            return
        first = max(first or 0, begins)
    if first is not None:
        reader.seek(first)


def _nothing(names: tuple[str, ...] | None) -> EventArray | Columns:
    nothing = Growing(EVENT_DTYPE, 0).finish(0)
    return nothing.view(EventArray) if names is None else Columns.of(nothing, names)


def _whole(reader: Reader) -> EventArray:
    events, at, count = Growing(EVENT_DTYPE, _PIECE), 0, ctypes.c_size_t()
    while True:
        events.reserve(at + _PIECE)
        with reader._handle:
            status = SUPPORT.fsp_fill(
                byref(reader._source), events.memory.address + at * EVENT_DTYPE.itemsize, _PIECE,
                byref(count))
            at += count.value
            if status == _abi.END:
                return events.finish(at).view(EventArray)
            if status:
                raise error(status)


def _columns(reader: Reader, names: tuple[str, ...]) -> Columns:
    columns = [Growing(_events.column_dtype(name), _PIECE) for name in names]
    at, count = 0, ctypes.c_size_t()
    while True:
        for column in columns:
            column.reserve(at + _PIECE)
        declared = _events.declare_columns(names, [each.memory.address for each in columns])
        with reader._handle:
            status = SUPPORT.fsp_fill_columns(
                byref(reader._source), declared, len(names), at, _PIECE, byref(count))
            at += count.value
            if status == _abi.END:
                break
            if status:
                raise error(status)
    return Columns({name: _events.shaped(name, column.finish(at))
                    for name, column in zip(names, columns)})


def verify(dir: _arguments.Path) -> _reports.VerifyReport:
    """Checks every byte of the log in `dir`, and goes on behind whatever is wrong. Changes nothing;
    the log may be open. What is wrong is in the report: look at ``ok`` and ``damages``.

    Raises only when there is nothing to report: :class:`NotFoundError`, or a failure before the
    first file."""
    struct = _abi.VerifyReport(struct_size=ctypes.sizeof(_abi.VerifyReport))
    status = LIB.fs_wal_verify(_arguments.path(dir), byref(struct))
    if not struct.damage_count:
        check(status)
    return _reports.verify_report(struct)


def metrics_of(dir: _arguments.Path) -> _reports.Metrics:
    """The counters of the log in `dir`, which any process may have open. It delays nobody.

    Of a log whose writer has died they are those of its last moment, and ``heartbeat_age_ns``
    grows. Raises :class:`NotFoundError` (there is no log, or it is closed),
    :class:`PermissionDeniedError`, :class:`CorruptError`, :class:`UnsupportedError` or
    :class:`DiskError`."""
    struct = _abi.Metrics(struct_size=ctypes.sizeof(_abi.Metrics))
    check(LIB.fs_wal_metrics_of(_arguments.path(dir), byref(struct)))
    return _reports.report(_reports.Metrics, struct)


@dataclass(frozen=True)
class Status:
    """The state of a log, as :func:`status` finds it."""

    #: "open", "failed" (it takes no more events), "closed", or "writer died": or it hangs, for
    #: nothing of it has moved for a second.
    state: str
    #: Its counters; None when it is closed.
    metrics: _reports.Metrics | None


#: An open log shows signs of life every 20 ms.
_DEAD_AFTER_NS = 10**9


def status(dir: _arguments.Path) -> Status:
    """Whether the log in `dir` is open, and how it is. Changes nothing, and delays nobody.

    Raises what :func:`metrics_of` raises; :class:`NotFoundError` when there is no log at all."""
    try:
        metrics = metrics_of(dir)
    except NotFoundError:
        with Reader(dir):
            return Status("closed", None)
    if metrics.state == _abi.STATE_FAILED:
        state = "failed"
    elif metrics.state == _abi.STATE_CLOSED:
        state = "closed"
    else:
        state = "open" if metrics.heartbeat_age_ns < _DEAD_AFTER_NS else "writer died"
    return Status(state, metrics)
