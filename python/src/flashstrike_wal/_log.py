"""A log that is open for writing."""

import ctypes
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from ctypes import byref
from types import TracebackType
from typing import Any, SupportsIndex, TypeVar, Unpack

import numpy as np

from . import _abi, _arguments, _events, _lifetime, _options, _reports
from ._abi import LIB
from ._errors import InvalidArgumentError, check, closed, error
from ._events import EVENT_DTYPE
from ._log_function import LogLines
from ._reader import Reader
from ._snapshots import Hold, SnapshotReader, SnapshotWriter
from ._slot import Slot

#: A batch is appended in pieces, between which signals are seen.
_PIECE = 1 << 18
_S = TypeVar("_S", bound=ctypes.Structure)


class Log(_lifetime.Tracked):
    """Opens the log in the directory `dir` for writing: makes the directory if it is not there,
    locks it, recovers what an earlier process left, and starts the library's threads.

    Use it as a context manager, or call :meth:`close`. A log that is forgotten is closed with a
    ResourceWarning; one that is open when the interpreter ends is closed then. In a forked child,
    calls on a log of the parent's raise :class:`ClosedError`.

    Args:
        dir: path of the directory: ``str``, ``bytes`` or ``os.PathLike``.
        **options: see :class:`Options`. An option that does not exist is a TypeError.

    Threads: any thread may call any method at any time. Appends of several threads come one after
    the other, in no particular order, and ids must still rise. Waiting calls can be interrupted by
    signals (Ctrl-C).

    Raises: :class:`LockedError` (another owner has it open), :class:`CorruptError` (see
    `accept_loss`), :class:`UnsupportedError`, :class:`NoSpaceError`,
    :class:`PermissionDeniedError`, :class:`NotFoundError` (its parent directory is not there),
    :class:`InvalidArgumentError` or :class:`DiskError`.
    """

    def __init__(self, dir: _arguments.Path, **options: Unpack[_options.Options]) -> None:
        self._handle: int | None = None
        self._lines: LogLines | None = None
        self._directory = _arguments.path(dir)
        self._path = _arguments.place(self._directory)
        config = _options.config(options)
        # One thread at a time appends. Reentrant, so that a signal handler may append.
        self._writer = threading.RLock()
        self._gate = _lifetime.Gate()
        self._why_closed = "the log was closed"
        #: Nothing of it will change any more: whoever follows it may end.
        self._ended = False
        self._staging = np.zeros(1, EVENT_DTYPE)
        self._staging_bytes = self._staging.view(np.uint8).data
        self._staging_address = _events.address_of(self._staging)
        self._count = ctypes.c_size_t()
        self._count_pointer = byref(self._count)
        self._slot: Slot | None = None
        target = options.get("log")
        if target is not None:
            self._lines = LogLines(self._directory, target)
            config.log = _abi.LogFunction(self._lines.put)
            config.log_user = self._lines.handle
        handle = ctypes.c_void_p()
        failure = LIB.fs_wal_open(self._directory, byref(config), byref(handle))
        if failure:
            exception = error(failure)
            if self._lines:
                self._lines.close()
            raise exception
        self._handle = handle.value
        self._track()
        if self._lines:
            self._lines.deliver()

    # Appending

    def append(self, event: np.void | np.ndarray[Any, np.dtype[np.void]] | None = None,
               **fields: SupportsIndex | bytes) -> None:
        """Appends one event, which is copied. When this has returned, the event survives the death
        of the process at any later instruction; see :meth:`wait_durable` for power cuts.

        Args:
            event: an event of :data:`EVENT_DTYPE`: one record, or an array of one.
            **fields: instead of `event`, its fields by name: ``log.append(event_id=1, price=5)``.
                Those left out are 0. ``reserved`` is 21 bytes.

        Raises: :class:`OutOfOrderError` (the id is not above the last one),
        :class:`WouldBlockError` (only with ``backpressure="fail_fast"``), :class:`NoSpaceError`,
        :class:`PoisonedError`, :class:`ClosedError`; TypeError or ValueError for what is no event.
        Unless it returns, nothing was appended.
        """
        with self._writer:
            if event is None:
                _events.pack(self._staging_bytes, fields)
            elif fields:
                raise TypeError("give an event or fields, not both")
            else:
                self._staging[0] = _events.one(event)
            status = LIB.fs_wal_append(self._open_handle(), self._staging_address)
            self._slot = None
            if status:
                raise error(status)

    def append_batch(self, events: object) -> int:
        """Appends events in order, in less time than one by one. Returns their number.

        Args:
            events: an array of :data:`EVENT_DTYPE`, shape ``(n,)`` and contiguous, which is not
                copied first. Or columns: a mapping of names to arrays of integers, or a frame of
                pandas, polars or pyarrow. ``event_id`` is needed; columns left out are 0. The
                values must fit; floats are refused.

        Raises: what :meth:`append` raises, for the first event that was not appended; the
        exception's ``appended`` is the number of those before it, which are in the log for good.
        Ctrl-C comes between pieces of 262,144 events; :meth:`meta` says what was appended.
        """
        batch = _events.as_batch(events)
        address, done, total = _events.address_of(batch), 0, len(batch)
        with self._writer:
            self._open_handle()
            self._slot = None
            while done < total:
                status = LIB.fs_wal_append_batch(
                    self._open_handle(), address + done * _abi.EVENT_SIZE,
                    min(_PIECE, total - done), self._count_pointer)
                done += self._count.value
                if status:
                    raise error(status, appended=done)
        return done

    def claim(self) -> Slot:
        """Claims the next event's place in the log, to be filled in place and committed.

        The slot is guarded: when it is not the claimed one any more, after a commit, another
        append or claim, or close, using it raises :class:`InvalidArgumentError`. A claim that is
        not committed leaves no trace. Raises what :meth:`append` raises."""
        with self._writer:
            place = ctypes.c_void_p()
            check(LIB.fs_wal_claim(self._open_handle(), byref(place)))
            self._slot = Slot(self, place.value or 0)
            return self._slot

    def _commit(self, slot: Slot, event_id: SupportsIndex, payload: bytes) -> None:
        number = _arguments.integer(event_id, "event_id")
        with self._writer:
            self._check_claimed(slot)
            ctypes.memmove(slot.place, payload, len(payload))
            status = LIB.fs_wal_commit(self._open_handle(), number)
            if status:
                raise error(status)
            self._slot = None

    def _check_claimed(self, slot: Slot) -> None:
        self._open_handle()
        if self._slot is not slot:
            raise InvalidArgumentError("this slot is not claimed any more",
                                       code=_abi.INVALID_ARGUMENT)

    # Durability

    def meta(self) -> _reports.Meta:
        """The last event appended, and where it lies. Never waits."""
        return self._place(LIB.fs_wal_meta)

    def durable(self) -> _reports.Meta:
        """The last event on stable storage: it and all before it survive a power cut. Never
        waits."""
        return self._place(LIB.fs_wal_durable)

    def sync(self) -> None:
        """Makes everything that was appended before this call durable, and returns when it is.

        Raises: :class:`PoisonedError` (a write or sync has failed: what is above the watermark may
        never survive a power cut), :class:`ClosedError` (also when another thread closes it)."""
        self.wait_durable(self.meta().last_event_id)

    def wait_durable(self, event_id: SupportsIndex, timeout: float | None = None) -> None:
        """Waits until the event is durable, which need not be appended yet; asks for a sync when
        none would come soon.

        Args:
            event_id: an integer.
            timeout: in seconds; None = without limit; 0 = only looks.

        Raises: :class:`WaitTimeoutError`, :class:`PoisonedError` or :class:`ClosedError` (also
        when another thread closes the log meanwhile)."""
        wanted = _arguments.integer(event_id, "event_id")
        limit = _arguments.timeout_ns(timeout)
        deadline = None if timeout is None else time.monotonic_ns() + limit
        while True:
            left = limit if deadline is None else max(deadline - time.monotonic_ns(), 0)
            piece = min(left, _lifetime.SLICE_NS)
            status = self._call(LIB.fs_wal_wait_durable, wanted, piece)
            if status != _abi.TIMEOUT or piece == left:
                check(status)
                return

    def durable_fd(self) -> int:
        """A descriptor, an eventfd, for an event loop: it becomes readable each time the durable
        watermark has moved, when the log fails, and a last time when it is closed. Reading its 8
        bytes (``os.eventfd_read``) is to have seen that; then ask :meth:`durable`.

        Each call makes one of its own, non-blocking and close-on-exec. The caller closes it
        (``os.close``), before or after the log."""
        descriptor = ctypes.c_int()
        check(self._call(LIB.fs_wal_durable_fd, byref(descriptor)))
        return descriptor.value

    # Retention, snapshots, readers

    def set_retention_floor(self, event_id: SupportsIndex) -> None:
        """Nothing at or above this id is deleted from now on; 0 = no floor."""
        number = _arguments.integer(event_id, "event_id")
        check(self._call(LIB.fs_wal_set_retention_floor, number))

    def create_snapshot(self, event_id: SupportsIndex | None = None) -> SnapshotWriter:
        """Begins a snapshot of the engine's state after this event; None = after the last event
        appended. See :class:`SnapshotWriter`."""
        last = self.meta().last_event_id
        return SnapshotWriter(self._path, last if event_id is None else event_id)

    def open_snapshot(self, at_most: SupportsIndex | None = None) -> SnapshotReader:
        """Opens the newest good snapshot; see :class:`SnapshotReader`."""
        self._call(LIB.fs_wal_meta, byref(_abi.MetaState()))
        return SnapshotReader(self._path, at_most)

    def hold(self, name: str, event_id: SupportsIndex | None = None) -> Hold:
        """Opens a hold; see :class:`Hold`."""
        self._call(LIB.fs_wal_meta, byref(_abi.MetaState()))
        return Hold(self._path, name, event_id)

    def follow(self, from_id: SupportsIndex | None = None, *, durable_only: bool = False,
               spin_ns: SupportsIndex | None = None) -> Reader:
        """A reader that follows this log, for ``for`` and ``async for``, in batches. It ends when
        the log was closed in this process and everything was given.

        Args:
            from_id: the first id wanted; None = the oldest that is kept. For what is appended from
                now on: ``log.meta().last_event_id + 1``.
            durable_only: give an event when the durable watermark has passed it.
            spin_ns: see :class:`Reader`.
        """
        self._call(LIB.fs_wal_meta, byref(_abi.MetaState()))
        reader = Reader(self._path, follow=True, durable_only=durable_only, spin_ns=spin_ns)
        try:
            if from_id is not None:
                reader.seek(from_id)
        except BaseException:
            reader.close()
            raise
        reader._ends_when = lambda: self._ended
        return reader

    # Reports

    @property
    def directory(self) -> bytes:
        """The path it was opened with."""
        return self._directory

    def recovery_report(self) -> _reports.RecoveryReport:
        """What opening it found and did."""
        return _reports.report(_reports.RecoveryReport, self._filled(
            _abi.RecoveryReport, LIB.fs_wal_recovery_report))

    def metrics(self) -> _reports.Metrics:
        """Its counters now. Never waits."""
        return _reports.report(_reports.Metrics, self._filled(_abi.Metrics, LIB.fs_wal_metrics))

    def metrics_prometheus(self) -> str:
        """The same in the Prometheus text format. For a scrape of several logs use
        :func:`metrics_prometheus`."""
        return metrics_prometheus([self])

    def _filled(self, kind: type[_S], function: Any) -> _S:
        struct = kind(struct_size=ctypes.sizeof(kind))
        check(self._call(function, byref(struct)))
        return struct

    def _place(self, function: Any) -> _reports.Meta:
        state = _abi.MetaState()
        check(self._call(function, byref(state)))
        return _reports.Meta(state.last_segment_index, state.last_offset, state.last_event_id)

    # Closing

    @property
    def closed(self) -> bool:
        return self._gate.shut

    def close(self) -> None:
        """Shuts the log down: makes everything appended durable, releases the lock. A second call
        does nothing. The log's log function has got every line when this returns.

        Other threads' appends that have begun are waited for; their other calls, and all that
        begin later, raise :class:`ClosedError`.

        Raises what went wrong: :class:`PoisonedError`, :class:`DiskError`, :class:`NoSpaceError`
        or :class:`PermissionDeniedError`. It is closed all the same."""
        self._close(None)

    def _close(self, patience: float | None) -> None:
        wait = -1 if patience is None else patience
        # Nobody begins a call from here on.
        if not self._gate.close(patience) or not self._writer.acquire(timeout=wait):
            return
        try:
            handle, self._handle = self._handle, None
            self._slot = None
            status = 0 if handle is None else LIB.fs_wal_shutdown(handle)
            failure = error(status) if status else None
            self._ended = True
        finally:
            self._writer.release()
        lines, self._lines = self._lines, None
        if lines:
            lines.close(wait)
        if failure:
            raise failure

    def _call(self, function: Any, *arguments: object) -> int:
        """Any call but the writer's. Its failure is to be read at once, on this thread."""
        if not self._gate.enter():
            raise closed(self._why_closed)
        try:
            return int(function(self._handle, *arguments))
        finally:
            self._gate.leave()

    def _open_handle(self) -> int:
        """For the writer's calls, which hold its lock."""
        handle = self._handle
        if handle is None or self._gate.shut:
            raise closed(self._why_closed)
        return handle

    def _forked(self) -> None:
        self._handle = self._lines = self._slot = None
        self._writer, self._gate = threading.RLock(), _lifetime.Gate()
        self._gate.shut = self._ended = True
        self._why_closed = "the log belongs to the parent of this process"

    def _interpreter_ends(self) -> None:
        self._close(_lifetime.PATIENCE)

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            try:
                warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
            finally:
                self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<Log {self._directory.decode(errors='backslashreplace')!r}, {state}>"

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def metrics_prometheus(logs: Sequence[Log]) -> str:
    """The counters of several logs in one text of the Prometheus format, each with its own label
    ``log``, the path it was opened with. No log may be in it twice."""
    if not isinstance(logs, Sequence) or not all(isinstance(log, Log) for log in logs):
        raise TypeError("logs must be several open logs, such as [log]")
    if len({log.directory for log in logs}) < len(logs):
        raise ValueError("two of the logs have the same path, which is their label")
    with ExitStack() as inside:
        handles = []
        for log in logs:
            if not log._gate.enter():
                raise closed(log._why_closed)
            inside.callback(log._gate.leave)
            handles.append(log._handle)
        array, needed = (ctypes.c_void_p * len(handles))(*handles), ctypes.c_size_t()
        check(LIB.fs_wal_metrics_prometheus_of_all(array, len(handles), None, 0, byref(needed)))
        # Numbers may have grown meanwhile.
        buffer = ctypes.create_string_buffer(needed.value + 4096)
        check(LIB.fs_wal_metrics_prometheus_of_all(
            array, len(handles), buffer, len(buffer), byref(needed)))
        return buffer.value.decode(errors="surrogateescape")
