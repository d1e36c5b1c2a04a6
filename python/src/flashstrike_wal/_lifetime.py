"""Handles of the library, so that no call meets one that is gone.

ctypes gives up the interpreter's lock during a call, so while one thread is in a call another may
close the handle, and a new one may get the same address. And a process may fork or end at any
moment. The rules:

* A call holds the lock of its object, or counts itself in, until it returns. Closing waits for
  that. What waits long does so in slices, and looks between them, also for signals.
* In a forked child the objects of the parent's are told: what the library allows only the parent
  raises ClosedError there, and locks are new, because a thread that is not there cannot unlock.
* When the interpreter ends, logs that are still open are shut down.
"""

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from ._errors import closed

#: How long a call that waits stays away from Python: signals and `close` are seen that late.
SLICE_NS = 50_000_000
#: How long the end of the interpreter waits for a thread that is in a call.
PATIENCE = 5.0

_LIVE: "weakref.WeakSet[Any]" = weakref.WeakSet()


class Tracked:
    """An object with a handle: told of a fork, and of the interpreter's end."""

    def _track(self) -> None:
        _LIVE.add(self)

    def _forked(self) -> None:
        """In a child of the process that made it, before anything else runs there."""

    def _interpreter_ends(self) -> None:
        """Daemon threads may still run, and use it."""

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} cannot be pickled or copied: "
                        "it belongs to this process")


def _after_fork() -> None:
    for each in list(_LIVE):
        each._forked()


@atexit.register
def _at_the_end() -> None:
    for each in list(_LIVE):
        each._interpreter_ends()


os.register_at_fork(after_in_child=_after_fork)


class Gate:
    """Counts the calls that are under way, and shuts behind the last."""

    def __init__(self) -> None:
        # Reentrant: a signal handler may call what it has interrupted.
        self._changed = threading.Condition()
        self._calls: dict[int, int] = {}
        self.shut = False

    def enter(self) -> bool:
        """False when it is shut."""
        thread = threading.get_ident()
        with self._changed:
            if self.shut:
                return False
            self._calls[thread] = self._calls.get(thread, 0) + 1
            return True

    def leave(self) -> None:
        thread = threading.get_ident()
        with self._changed:
            self._calls[thread] -= 1
            if not self._calls[thread]:
                del self._calls[thread]
                self._changed.notify_all()

    def close(self, timeout: float | None = None) -> bool:
        """Lets nobody in any more, and waits until all other threads have left; False when they
        do not. (A signal handler of this thread may have interrupted a call.)"""
        thread = threading.get_ident()
        with self._changed:
            self.shut = True
            return self._changed.wait_for(lambda: self._calls.keys() <= {thread}, timeout)


class Handle:
    """A pointer that one thread at a time uses: ``with handle as pointer``. Others wait. Closing
    waits too; from a signal handler that has interrupted such a block, it happens at its end."""

    def __init__(self, pointer: int, free: Callable[[int], None], what: str) -> None:
        self._lock = threading.RLock()
        self._pointer: int | None = pointer
        self._free = free
        self._depth = 0
        self._why = f"{what} was closed"
        self._what = what
        #: What waits in slices must stop.
        self.closing = False

    def __enter__(self) -> int:
        self._lock.acquire()
        pointer = self._pointer
        if pointer is None or self.closing:
            self._lock.release()
            raise closed(self._why)
        self._depth += 1
        return pointer

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self.closing and not self._depth:
            self._free_now()
        self._lock.release()

    def close(self) -> None:
        self.closing = True
        with self._lock:
            if not self._depth:
                self._free_now()

    def taken(self) -> None:
        """The library has freed it. Inside of ``with``."""
        self.closing, self._pointer = True, None

    def _free_now(self) -> None:
        pointer, self._pointer = self._pointer, None
        if pointer is not None:
            self._free(pointer)

    def forked(self, usable: bool) -> None:
        """In a child. What another thread was using there cannot be used here."""
        idle = self._lock.acquire(blocking=False)
        self._lock, self._depth = threading.RLock(), 0
        if not (usable and idle):
            self._pointer = None
            self._why = f"{self._what} belongs to the parent of this process"
