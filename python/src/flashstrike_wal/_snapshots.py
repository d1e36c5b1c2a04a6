"""Snapshots and holds, by directory: the log may be open here, elsewhere, or not at all."""

import ctypes
import io
import time
from ctypes import byref
from types import TracebackType
from typing import Any, SupportsIndex

from . import _abi, _arguments, _lifetime, _reports
from ._abi import LIB
from ._errors import WouldBlockError, check


def _name(value: str) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"a hold's name must be a str, not {type(value).__name__}")
    if "\0" in value:
        raise ValueError(f"the name has a NUL character in it: {value!r}")
    return value.encode()


class _SnapshotFile(io.RawIOBase, _lifetime.Tracked):
    """A raw stream with a handle of the library's."""

    _handle: _lifetime.Handle

    def _own(self, pointer: int | None, what: str) -> None:
        self._handle = _lifetime.Handle(pointer or 0, LIB.fs_wal_snapshot_close, what)
        self._track()

    def _forked(self) -> None:
        self._handle.forked(usable=False)

    def close(self) -> None:
        if hasattr(self, "_handle"):
            self._handle.close()
        super().close()


class SnapshotWriter(_SnapshotFile):
    """Begins a snapshot: the engine's state after the event `event_id` and before the next one.

    A binary stream: write the state, for instance by ``pickle.dump(books, snapshot)``, then
    :meth:`commit`. Closed without a commit, nothing of it is left; so a context manager that an
    exception leaves drops it. Any process of the log's own user can take one, beside the engine.

    Threads: one at a time; others wait.

    Raises: :class:`NotFoundError` (no log there), :class:`LockedError` (somebody writes a snapshot
    of this event), :class:`CorruptError`, :class:`PermissionDeniedError`, :class:`NoSpaceError`
    or :class:`DiskError`.
    """

    def __init__(self, dir: _arguments.Path, event_id: SupportsIndex) -> None:
        super().__init__()
        self.event_id = _arguments.integer(event_id, "event_id")
        out = ctypes.c_void_p()
        check(LIB.fs_wal_snapshot_create(_arguments.path(dir), self.event_id, byref(out)))
        self._own(out.value, "the snapshot")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Adds bytes, all of them, compressed. After a failure it cannot be committed."""
        view = memoryview(data)
        if not view.c_contiguous:
            raise ValueError("the bytes must be contiguous")
        kept = bytes(view) if view.readonly else (ctypes.c_char * view.nbytes).from_buffer(view)
        with self._handle as pointer:
            check(LIB.fs_wal_snapshot_write(pointer, kept, view.nbytes))
        return view.nbytes

    def commit(self, timeout: float | None = None) -> None:
        """Makes it durable and gives it its name; the log's writer then removes older ones.

        A snapshot is never ahead of its log: this waits until the event is durable, at most
        `timeout` seconds (None: without limit).

        Raises: :class:`WouldBlockError` (still not durable: call it again, or close it),
        :class:`CorruptError` (the log was cut since, or is another one), :class:`GapError` (events
        that follow are gone: set a hold before), :class:`NotFoundError`, :class:`NoSpaceError`,
        :class:`LockedError`, :class:`PermissionDeniedError`, :class:`DiskError` or
        :class:`ClosedError`. All but the first end the snapshot."""
        limit = _arguments.timeout_ns(timeout)
        deadline = None if timeout is None else time.monotonic_ns() + limit
        while True:
            with self._handle as pointer:
                status = LIB.fs_wal_snapshot_commit(pointer)
                if status not in (_abi.WOULD_BLOCK, _abi.CLOSED, _abi.INVALID_ARGUMENT):
                    self._handle.taken()
                if status != _abi.WOULD_BLOCK:
                    check(status)
                    break
                if deadline is not None and time.monotonic_ns() >= deadline:
                    raise WouldBlockError(
                        f"event {self.event_id} is not durable, and a snapshot is never ahead of "
                        "its log: try again", code=status)
            time.sleep(0.001)
        self.close()


class SnapshotReader(_SnapshotFile):
    """Opens the newest good snapshot whose event is at or below `at_most` (None: the newest).

    A binary stream: ``state = pickle.load(io.BufferedReader(snapshot))``, or ``snapshot.read()``
    for all bytes. ``info`` says after which event it is; replay goes on behind it:
    ``read(dir, from_id=snapshot.info.event_id + 1)``.

    Snapshots that are not good are passed over, and counted in ``info.passed_over``. Threads: one
    at a time; others wait.

    Raises: :class:`NotFoundError` (there is none), :class:`CorruptError`, :class:`GapError` or
    :class:`DiskError` (there are some and none is good), :class:`PermissionDeniedError` or
    :class:`NoSpaceError`.
    """

    def __init__(self, dir: _arguments.Path, at_most: SupportsIndex | None = None) -> None:
        super().__init__()
        limit = 0
        if at_most is not None:
            limit = _arguments.integer(at_most, "at_most")
            if limit == 0:
                raise ValueError("at_most is 0, which is no event id: give None for the newest")
        info = _abi.SnapshotInfo(struct_size=ctypes.sizeof(_abi.SnapshotInfo))
        out = ctypes.c_void_p()
        check(LIB.fs_wal_snapshot_open(_arguments.path(dir), limit, byref(info), byref(out)))
        self._own(out.value, "the snapshot")
        self.info: _reports.SnapshotInfo = _reports.report(_reports.SnapshotInfo, info)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Reads the next bytes; 0 = all is read."""
        view = memoryview(buffer).cast("B")
        if not len(view):
            return 0
        got = ctypes.c_size_t()
        with self._handle as pointer:
            target = (ctypes.c_char * len(view)).from_buffer(view)
            status = LIB.fs_wal_snapshot_read(pointer, target, len(view), byref(got))
            if status == _abi.END:
                return 0
            check(status)
        return got.value


class Hold(_lifetime.Tracked):
    """Opens the hold `name` of the log in `dir`: a retention floor of its own that lasts, also when
    nobody has it open. Nothing at or above its id is deleted.

    A hold that there is stands where it stood; a new one begins at `event_id` (None: the oldest
    event there is). Names are 1 to 64 of ``A-Z a-z 0-9 _ -``. Only the log's own user can set it.
    Closing it leaves it in place; :func:`remove_hold` removes it.

    Threads: one at a time; others wait.

    Raises: :class:`LockedError` (open elsewhere), :class:`GapError` (events from there on are gone,
    or it was broken because of ``max_held_bytes``), :class:`NotFoundError`,
    :class:`CorruptError` (remove it and begin anew), :class:`InvalidArgumentError` (the name),
    :class:`PermissionDeniedError`, :class:`NoSpaceError` or :class:`DiskError`.
    """

    def __init__(self, dir: _arguments.Path, name: str,
                 event_id: SupportsIndex | None = None) -> None:
        number = 0 if event_id is None else _arguments.integer(event_id, "event_id")
        if event_id is not None and number == 0:
            raise ValueError("event_id is 0, which is no event id: give None for the oldest event")
        out = ctypes.c_void_p()
        check(LIB.fs_wal_hold_open(_arguments.path(dir), _name(name), number, byref(out)))
        self.name = name
        self._handle = _lifetime.Handle(out.value or 0, LIB.fs_wal_hold_close, f"the hold {name}")
        self._track()

    def move(self, event_id: SupportsIndex) -> None:
        """Everything below `event_id` may go. It never goes back."""
        number = _arguments.integer(event_id, "event_id")
        with self._handle as pointer:
            check(LIB.fs_wal_hold_move(pointer, number))

    @property
    def event_id(self) -> int:
        """Where it stands: nothing at or above this id is deleted."""
        found = ctypes.c_uint64()
        with self._handle as pointer:
            check(LIB.fs_wal_hold_get(pointer, byref(found)))
        return found.value

    def close(self) -> None:
        """The hold stays, and holds. A second call does nothing."""
        self._handle.close()

    def _forked(self) -> None:
        self._handle.forked(usable=False)

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self._handle.close()

    def __enter__(self) -> "Hold":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def remove_hold(dir: _arguments.Path, name: str) -> None:
    """Removes the hold, if nobody has it open. What it held may go from now on.

    Raises: :class:`NotFoundError` (there is none), :class:`LockedError`,
    :class:`PermissionDeniedError` or :class:`DiskError`."""
    check(LIB.fs_wal_hold_remove(_arguments.path(dir), _name(name)))
