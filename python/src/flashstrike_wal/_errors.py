"""Exceptions: one class for each status of the library, with the detail as attributes."""

import ctypes
from typing import Any

from . import _abi

# Statuses of normal flow: the library has no words for them, and its last error is another one.
_WORDS = {
    _abi.WOULD_BLOCK: "cannot be done right now without waiting: try again",
    _abi.TIMEOUT: "the time given has passed",
    _abi.END: "the end of the log",
}


class WalError(Exception):
    """A call of the library has failed. Subclasses are the statuses.

    The text names the log, file, segment, offset and ids concerned, and says what to do. What is
    not known, or does not apply, is 0 or None.

    Attributes:
        status: name of the status without its prefix, such as ``"CORRUPT"``.
        code: its number.
        text: the library's words.
        os_errno: error number of the operating system; 0 = there is none.
        segment_index: segment concerned, or None.
        offset: byte offset in that segment's file, or None.
        first_event_id, last_event_id: the event ids concerned; 0 = none.
        appended: of :meth:`Log.append_batch`, how many events were appended before the failure:
            the first ones of the batch. Otherwise None.
    """

    status: str
    code: int
    text: str
    os_errno: int
    segment_index: int | None
    offset: int | None
    first_event_id: int
    last_event_id: int
    appended: int | None

    def __init__(
        self, text: str, *, code: int, os_errno: int = 0, segment_index: int | None = None,
        offset: int | None = None, first_event_id: int = 0, last_event_id: int = 0,
        appended: int | None = None,
    ) -> None:
        known = 0 <= code < len(_abi.STATUS_NAMES)
        self.status = _abi.STATUS_NAMES[code] if known else str(code)
        self.code, self.text, self.os_errno = code, text, os_errno
        self.segment_index, self.offset = segment_index, offset
        self.first_event_id, self.last_event_id = first_event_id, last_event_id
        self.appended = appended
        super().__init__(f"{self.status}: {text}")
        if isinstance(self, OSError):
            OSError.__setattr__(self, "errno", os_errno or None)

    def __str__(self) -> str:
        return f"{self.status}: {self.text}"

    def __reduce__(self) -> tuple[Any, ...]:
        names = ("os_errno", "segment_index", "offset", "first_event_id", "last_event_id",
                 "appended")
        return _again, (type(self), self.text, self.code, {n: getattr(self, n) for n in names})


def _again(kind: type[WalError], text: str, code: int, detail: dict[str, Any]) -> WalError:
    return kind(text, code=code, **detail)


class InvalidArgumentError(WalError, ValueError):
    """An argument is out of range; the text names it."""


class NotFoundError(WalError, FileNotFoundError):
    """There is no such directory, or no log in it."""


class LockedError(WalError):
    """Another owner has it open; the text gives its process id."""


class PermissionDeniedError(WalError, PermissionError):
    """The operating system denies access."""


class NoSpaceError(WalError, OSError):
    """The disk, the quota or the memory directory is full, or a limit of the process is reached.

    Try again when there is room."""


class DiskError(WalError, OSError):
    """An input or output operation failed; ``os_errno`` has the system's error number."""


class CorruptError(WalError):
    """The files contradict what must have been written; the attributes say where."""


class OutOfOrderError(WalError, ValueError):
    """The event id is not above the last one, or is 0 or 2**64 - 1. Nothing was written."""


class WouldBlockError(WalError, BlockingIOError):
    """It cannot be done right now without waiting. Try again."""


class WaitTimeoutError(WalError, TimeoutError):
    """The time given has passed."""


class PoisonedError(WalError):
    """The log has failed for good; the text is that of the first failure.

    Close it. The next open recovers what was appended."""


class GapError(WalError):
    """Retention removed events before the reader got to them: those from ``first_event_id`` to
    ``last_event_id``. Raised once; reading goes on after the gap."""


class UnsupportedError(WalError):
    """This version of the library cannot do that."""


class InternalError(WalError):
    """A defect in the library. Please report it, with the text."""


class ClosedError(WalError, ValueError):
    """It was closed, or it belongs to the parent of this forked process."""


_CLASSES: dict[str, type[WalError]] = {
    "INVALID_ARGUMENT": InvalidArgumentError, "NOT_FOUND": NotFoundError, "LOCKED": LockedError,
    "PERMISSION": PermissionDeniedError, "NO_SPACE": NoSpaceError, "IO": DiskError,
    "CORRUPT": CorruptError, "OUT_OF_ORDER": OutOfOrderError, "WOULD_BLOCK": WouldBlockError,
    "TIMEOUT": WaitTimeoutError, "POISONED": PoisonedError, "GAP": GapError,
    "UNSUPPORTED": UnsupportedError, "INTERNAL": InternalError, "CLOSED": ClosedError,
}


def last_error_detail() -> _abi.ErrorDetail:
    detail = _abi.ErrorDetail(struct_size=ctypes.sizeof(_abi.ErrorDetail))
    if _abi.LIB.fs_wal_last_error_detail(ctypes.byref(detail)):
        return _abi.ErrorDetail()
    return detail


def error(code: int, appended: int | None = None) -> WalError:
    """The exception for a status that a call has just returned on this thread."""
    known = 0 <= code < len(_abi.STATUS_NAMES)
    kind = _CLASSES.get(_abi.STATUS_NAMES[code] if known else "", WalError)
    if code in _WORDS:
        return kind(_WORDS[code], code=code, appended=appended)
    text = _abi.LIB.fs_wal_last_error().decode(errors="replace")
    detail = last_error_detail()
    if detail.status != code:
        # The failure left no words of its own, and these are another one's.
        return kind(f"no detail is known (status {code})", code=code, appended=appended)
    return kind(
        text, code=code, os_errno=detail.os_errno, appended=appended,
        segment_index=detail.segment_index if detail.has_segment_index else None,
        offset=detail.offset if detail.has_offset else None,
        first_event_id=detail.first_event_id, last_event_id=detail.last_event_id)


def check(code: int) -> None:
    """Raises the exception for any status but OK."""
    if code:
        raise error(code)


def closed(what: str) -> ClosedError:
    return ClosedError(what, code=_abi.CLOSED)
