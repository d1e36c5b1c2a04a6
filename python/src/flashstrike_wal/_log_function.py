"""From the library's log function to a function in Python.

The library's threads call C, which keeps the lines; a thread of Python's takes them out and calls
the function. So no thread of the library ever enters the interpreter, which may be about to end,
and a slow function delays nobody.
"""

import ctypes
import logging
import threading
import traceback
from collections.abc import Callable
from typing import Any

from ._abi import LOG_ERROR, LOG_INFO, LOG_WARN, SUPPORT

LEVELS = {LOG_ERROR: logging.ERROR, LOG_WARN: logging.WARNING, LOG_INFO: logging.INFO}


def as_function(target: object) -> Callable[[int, str], object]:
    """A function of a level of `logging` and a text."""
    if isinstance(target, (logging.Logger, logging.LoggerAdapter)):
        logger: Any = target
        return lambda level, text: logger.log(level, "%s", text)
    if not callable(target):
        raise TypeError(f"log must be a function of a level and a text, or a logging.Logger, "
                        f"not {type(target).__name__}")
    return target


class LogLines:
    """The lines of one log, on their way to its function."""

    def __init__(self, directory: bytes, target: object) -> None:
        self._function = as_function(target)
        self.handle: int = SUPPORT.fsp_log_lines_new(directory)
        if not self.handle:
            raise MemoryError("no memory for log lines")
        # One at a time calls the function. Reentrant: it may close the log.
        self._turn = threading.RLock()
        self._thread = threading.Thread(
            target=self._run, name="flashstrike-wal-log", daemon=True)
        self._thread.start()

    @property
    def put(self) -> int:
        """Address of the C function for the library."""
        return ctypes.cast(SUPPORT.fsp_log_lines_put, ctypes.c_void_p).value or 0

    def _run(self) -> None:
        try:
            while SUPPORT.fsp_log_lines_wait(self.handle):
                self.deliver()
        finally:
            SUPPORT.fsp_log_lines_release(self.handle)

    def deliver(self, timeout: float = -1) -> None:
        """Calls the function with every line that there is. A failure of it is printed."""
        if not self._turn.acquire(timeout=timeout):
            return
        try:
            while address := SUPPORT.fsp_log_lines_take(self.handle):
                try:
                    line = ctypes.string_at(address).decode(errors="replace")
                finally:
                    SUPPORT.fsp_free(address)
                try:
                    self._function(LEVELS.get(ord(line[0]) - ord("0"), logging.INFO), line[1:])
                except Exception:
                    traceback.print_exc()
        finally:
            self._turn.release()

    def close(self, timeout: float = -1) -> None:
        """The log is closed: delivers the rest, and ends the thread."""
        SUPPORT.fsp_log_lines_close(self.handle)
        self.deliver(timeout)
        if threading.current_thread() is not self._thread:
            self._thread.join(None if timeout < 0 else timeout)
        SUPPORT.fsp_log_lines_release(self.handle)
