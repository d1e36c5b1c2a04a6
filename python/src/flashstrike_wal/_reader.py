"""Readers: a place in a log, from which events come in batches."""

import asyncio
import ctypes
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from ctypes import byref
from types import TracebackType
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from . import _abi, _arguments, _events, _lifetime, _reports
from ._abi import LIB, SUPPORT
from ._errors import WalError, check, closed, error
from ._events import EVENT_DTYPE, EventArray
from ._memory import Growing
from ._snapshots import Hold

#: Events in a batch, if nothing else is asked for: 4 MB.
BATCH = 1 << 16
#: A follower mostly gets a few events. They are read into memory that the reader keeps.
_FEW = 1 << 10
_MOVE_HOLD_EVERY = 1.0
_NEXT_BATCH = ctypes.cast(LIB.fs_wal_reader_next_batch, ctypes.c_void_p).value


class Reader(_lifetime.Tracked):
    """Opens the log in `dir` for reading, at its oldest event. The log may be open for writing,
    here or elsewhere, or not at all. It changes nothing there, and never delays the writer.

    Iterate over it for batches: ``for batch in reader``, or ``async for``. A batch is an
    :class:`EventArray`, shape ``(n,)`` with n from 1 to 65,536, and the caller's own copy: the
    library's buffers are valid only until its next call, and a copy costs a nanosecond or two an
    event where reading and verifying one costs ten times that; so nothing that a program keeps can
    become invalid. Iteration ends at the end of the log. After an exception it can go on.

    Args:
        dir: path of the directory.
        follow: do not end: wait for more, through rotations, crashes and new opens of the log. The
            log need not be there yet.
        salvage: read around damage: each is raised once, as :class:`CorruptError` with the range
            that is lost, and the next read goes on behind it.
        verify: False: do not verify checksums.
        durable_only: give an event when the durable watermark has passed it.
        threads: threads of the library, at most 16, that open, decompress and verify ahead.
        to_id: the last id wanted; None = to the end of the log.
        hold: name of a hold (see :class:`Hold`) to begin at and to move along. To call
            :meth:`read` or :meth:`wait` again, or to go on iterating, is to be done with the
            events that were given before; past those it moves, at most once a second and in
            :meth:`close`. So a consumer that is started again goes on by itself, and sees again
            at most the batch that it may not have finished.
        spin_ns: how long a follower spins before it sleeps. Default 20,000.

    Threads: any thread may call, one at a time; others wait. In a forked child a reader goes on by
    itself, without its threads, and moves no hold; one that another thread was using is closed.

    Raises: :class:`NotFoundError` (there is no log), :class:`InvalidArgumentError`,
    :class:`PermissionDeniedError`, :class:`NoSpaceError` or :class:`DiskError`; with a hold also
    what :class:`Hold` raises.
    """

    def __init__(
        self, dir: _arguments.Path, *, follow: bool = False, salvage: bool = False,
        verify: bool = True, durable_only: bool = False, threads: SupportsIndex = 0,
        to_id: SupportsIndex | None = None, hold: str | None = None,
        spin_ns: SupportsIndex | None = None,
    ) -> None:
        self._directory = _arguments.path(dir)
        self._follow = _arguments.flag(follow, "follow")
        flags = _abi.READER_FOLLOW if self._follow else 0
        flags |= _abi.READER_SALVAGE if _arguments.flag(salvage, "salvage") else 0
        flags |= 0 if _arguments.flag(verify, "verify") else _abi.READER_NO_VERIFY
        flags |= _abi.READER_DURABLE_ONLY if _arguments.flag(durable_only, "durable_only") else 0
        config = _abi.ReaderConfig(
            ctypes.sizeof(_abi.ReaderConfig), flags, _arguments.integer(threads, "threads", 32), 0,
            _nonzero(to_id, "to_id"), _nonzero(spin_ns, "spin_ns"))
        self._hold = None if hold is None else Hold(self._directory, hold)
        out = ctypes.c_void_p()
        try:
            # A follower opens the log by its path again and again.
            place = _arguments.place(self._directory) if self._follow else self._directory
            check(LIB.fs_wal_reader_open(place, byref(config), byref(out)))
            self._handle = _lifetime.Handle(out.value or 0, LIB.fs_wal_reader_close, "the reader")
            self._source = _abi.Source(_NEXT_BATCH, out.value, None, 0)
            self._few = np.empty(_FEW, EVENT_DTYPE)
            self._failure: WalError | None = None
            #: When a follower ends; never, unless it follows a log of this process.
            self._ends_when: Callable[[], bool] = bool
            self._finished = self._given = 0
            self._hold_moved = time.monotonic()
            self._executor: ThreadPoolExecutor | None = None
            self._job: Future[EventArray] | None = None
            self._track()
            if self._hold:
                self.seek(self._hold.event_id)
        except BaseException:
            if self._hold:
                self._hold.close()
            raise

    # Reading

    def read(self, max_events: SupportsIndex = BATCH, timeout: float | None = 0) -> EventArray:
        """The next events, at most `max_events`, as the caller's own array, shape ``(n,)``.

        It is empty at the end of the log, and, of a follower, when there is none within `timeout`
        seconds (None: without limit). It does not wait to fill the array.

        Raises: :class:`CorruptError`, :class:`GapError` (retention was faster than the reader;
        raised once), :class:`NotFoundError` (another log has taken the place of the followed one),
        :class:`LockedError`, :class:`NoSpaceError`, :class:`PermissionDeniedError`,
        :class:`DiskError` or :class:`ClosedError`. Events before a failure are returned first."""
        limit = _arguments.integer(max_events, "max_events", 40)
        if limit == 0:
            raise ValueError("max_events is 0")
        left = _arguments.timeout_ns(timeout)
        if left and not self._follow:
            raise ValueError("only a reader with follow=True waits: leave the timeout out")
        deadline = None if timeout is None else time.monotonic_ns() + left
        self._pass()
        while True:
            with self._handle as pointer:
                found = self._take(limit)
                if len(found):
                    self._given = int(found["event_id"][-1])
                    return found
                if deadline is not None:
                    left = max(deadline - time.monotonic_ns(), 0)
                if self._ends_when():
                    return self._take(limit)  # what came before it ended
                if not self._follow or left == 0:
                    return found
                status = LIB.fs_wal_reader_wait(pointer, min(left, _lifetime.SLICE_NS))
                if status not in (_abi.OK, _abi.TIMEOUT):
                    raise error(status)

    def _take(self, limit: int) -> EventArray:
        """What there is now. In the block of the handle."""
        if self._failure:
            failure, self._failure = self._failure, None
            raise failure
        few, count = min(limit, _FEW), ctypes.c_size_t()
        status = self._fill(_events.address_of(self._few), few, count)
        filled = count.value
        if status == 0 and filled == few < limit:
            found, status = self._take_more(limit)
            filled = len(found)
        else:
            found = self._few[:filled].copy()
        if status not in (_abi.OK, _abi.END, _abi.WOULD_BLOCK):
            self._failure = error(status)
            if not filled:
                failure, self._failure = self._failure, None
                raise failure
        return found.view(EventArray)

    def _take_more(self, limit: int) -> tuple[NDArray[np.void], int]:
        """The few that were read, and what follows; and why no more did."""
        events, at, status, count = Growing(EVENT_DTYPE, BATCH), _FEW, 0, ctypes.c_size_t()
        ctypes.memmove(events.memory.address, _events.address_of(self._few), self._few.nbytes)
        while status == 0 and at < limit:
            room = min(limit - at, BATCH)
            try:
                events.reserve(at + room)
            except MemoryError:
                break  # These were read already; the next call has the rest.
            address = events.memory.address + at * _abi.EVENT_SIZE
            status = self._fill(address, room, count)
            at += count.value
        return events.finish(at), status

    def _fill(self, address: int, room: int, count: ctypes.c_size_t) -> int:
        return int(SUPPORT.fsp_fill(byref(self._source), address, room, byref(count)))

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until a follower has an event to give, or a failure; False after `timeout`
        seconds (None: without limit)."""
        if not self._follow:
            raise ValueError("only a reader with follow=True waits")
        left = _arguments.timeout_ns(timeout)
        deadline = None if timeout is None else time.monotonic_ns() + left
        self._pass()
        while True:
            with self._handle as pointer:
                if self._failure or self._source.left:
                    return True
                if deadline is not None:
                    left = max(deadline - time.monotonic_ns(), 0)
                status = LIB.fs_wal_reader_wait(pointer, min(left, _lifetime.SLICE_NS))
                if status not in (_abi.OK, _abi.TIMEOUT):
                    # The next read raises it; the library may say it once only.
                    self._failure = error(status)
            if status != _abi.TIMEOUT:
                return True
            if left <= _lifetime.SLICE_NS:
                return False

    def seek(self, event_id: SupportsIndex) -> None:
        """Moves, forwards or back, to the first event whose id is `event_id` or higher.

        When retention has removed it, the next read raises :class:`GapError` once, and the one
        after it gives the oldest event there is; with 0 that comes at once."""
        number = _arguments.integer(event_id, "event_id")
        with self._handle as pointer:
            self._forget()
            check(LIB.fs_wal_reader_seek(pointer, number))

    def seek_time(self, time: _arguments.Time) -> None:
        """Moves to the first event whose timestamp is `time` or later: nanoseconds, a datetime
        with a time zone, or a numpy.datetime64 (UTC).

        Exact if timestamps rise from event to event. If they do not, the reader still begins with
        an event of that time or a later one; but there may be others before it."""
        number = _arguments.nanoseconds(time, "time")
        with self._handle as pointer:
            self._forget()
            check(LIB.fs_wal_reader_seek_time(pointer, number))

    def _forget(self) -> None:
        """What was read and not given."""
        self._source.left, self._failure = 0, None

    def metrics(self) -> _reports.ReaderMetrics:
        """What the reader has done so far."""
        struct = _abi.ReaderMetrics(struct_size=ctypes.sizeof(_abi.ReaderMetrics))
        with self._handle as pointer:
            check(LIB.fs_wal_reader_metrics(pointer, byref(struct)))
        return _reports.report(_reports.ReaderMetrics, struct)

    # Iteration

    def batches(self, max_events: SupportsIndex = BATCH,
                timeout: float | None = None) -> Iterator[EventArray]:
        """Iterates over batches of at most `max_events`, up to the end of the log; of a follower,
        until there was nothing new for `timeout` seconds (None: for ever)."""
        while len(batch := self.read(max_events, timeout if self._follow else 0)):
            yield batch

    def __iter__(self) -> "Reader":
        return self

    def __next__(self) -> EventArray:
        batch = self.read(BATCH, None if self._follow else 0)
        if not len(batch):
            raise StopIteration
        return batch

    def __aiter__(self) -> "Reader":
        return self

    async def __anext__(self) -> EventArray:
        """The next batch. A thread of its own waits and reads, so that the loop goes on meanwhile.
        When the task is cancelled, no event is lost: the next call has them."""
        while True:
            # Only a job that began after the end has found all there is.
            ended = self._job is None and self._ends_when()
            if self._job is None:
                self._job = self._start_job()
            job = self._job
            await _until_done(job)
            if self._job is not job:
                continue  # Another task has taken what this one waited for.
            self._job = None
            batch = job.result()
            if len(batch):
                return batch
            if not self._follow or ended:
                raise StopAsyncIteration

    def _start_job(self) -> "Future[EventArray]":
        """Reads on a thread of its own; in slices, so that the interpreter can end."""
        slice_ = _lifetime.SLICE_NS / 1e9 if self._follow else 0
        try:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(1, "flashstrike-wal-follow")
            return self._executor.submit(self.read, BATCH, slice_)
        except RuntimeError:
            why = "the reader was closed" if self.closed else "the interpreter is ending"
            raise closed(why) from None

    # Hold and close

    def _pass(self) -> None:
        """The caller has come back: it is done with what it has."""
        self._finished = self._given
        if self._hold and time.monotonic() - self._hold_moved >= _MOVE_HOLD_EVERY:
            self._move_hold()
            self._hold_moved = time.monotonic()

    def _move_hold(self) -> None:
        if self._hold and self._finished:
            self._hold.move(self._finished + 1)

    @property
    def closed(self) -> bool:
        return self._handle.closing

    def close(self) -> None:
        """Closes it. Its hold moves past the events that were given, except those of the last read
        that gave any, if no other has followed: they may not be finished. A second call does
        nothing.

        Raises what :meth:`Hold.move` raises; it is closed all the same."""
        if self._executor:
            self._executor.shutdown(wait=False)
        self._handle.close()
        if self._hold:
            try:
                self._move_hold()
            finally:
                self._hold.close()
                self._hold = None

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _forked(self) -> None:
        self._handle.forked(usable=True)
        self._hold = self._executor = self._job = None

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self._handle.close()

    def __repr__(self) -> str:
        kind = "follower" if self._follow else "reader"
        state = "closed" if self.closed else "open"
        return f"<Reader {self._directory.decode(errors='backslashreplace')!r}, {kind}, {state}>"


def _nonzero(value: SupportsIndex | None, name: str) -> int:
    """0 for None, which is what C means by 0."""
    if value is None:
        return 0
    number = _arguments.integer(value, name)
    if number == 0:
        raise ValueError(f"{name} is 0: leave it out for the default")
    return number


async def _until_done(job: "Future[EventArray]") -> None:
    """Waits for a job of another thread. When this is cancelled, or its loop ends, the job goes on
    and nobody complains."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def tell() -> None:
        if not done.done():
            done.set_result(None)

    def tell_loop(_: object) -> None:
        try:
            loop.call_soon_threadsafe(tell)
        except RuntimeError:
            pass  # The loop is closed.

    job.add_done_callback(tell_loop)
    await done
