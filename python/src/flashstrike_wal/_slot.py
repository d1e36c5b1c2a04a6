"""A claimed place in the log."""

from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from ._events import EVENT_DTYPE, NUMERIC_COLUMNS

if TYPE_CHECKING:
    from ._log import Log


class Slot:
    """The next event, to be filled and committed: ``slot["price"] = 5``, ``slot.commit(7)``.

    What is filled in is kept here, and goes into the log in :meth:`commit`: 56 bytes, so the copy
    costs nothing beside a call from Python, and no array can ever point at memory of the log that
    has become another event's. Fields that are not set are 0.

    When the slot is not the log's claimed one any more, whatever uses it raises
    :class:`InvalidArgumentError`, or :class:`ClosedError` when the log is closed.
    """

    def __init__(self, log: "Log", place: int) -> None:
        self._log = log
        #: Where the other 56 bytes of the event go.
        self.place = place + 8
        self._event = np.zeros(1, EVENT_DTYPE)

    def __setitem__(self, field: str, value: Any) -> None:
        self._log._check_claimed(self)
        if field not in NUMERIC_COLUMNS or field == "event_id":
            raise KeyError(f"{field!r}: set one of {', '.join(NUMERIC_COLUMNS[1:])}, or payload; "
                           "commit sets event_id")
        if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
            raise TypeError(f"{field} must be an integer, not {type(value).__name__}")
        try:
            self._event[field] = value.__index__()
        except OverflowError:
            raise ValueError(f"{field} is {value}: it does not fit into "
                             f"{EVENT_DTYPE[field].name}") from None

    def __getitem__(self, field: str) -> int:
        self._log._check_claimed(self)
        return int(self._event[field][0])

    @property
    def payload(self) -> bytes:
        """All 56 bytes behind the id, for an engine that has a layout of its own."""
        self._log._check_claimed(self)
        return self._event.tobytes()[8:]

    @payload.setter
    def payload(self, value: bytes) -> None:
        self._log._check_claimed(self)
        if not isinstance(value, (bytes, bytearray, memoryview)) or len(bytes(value)) != 56:
            raise ValueError("payload must be 56 bytes")
        self._event.view(np.uint8)[8:] = np.frombuffer(value, np.uint8)

    def commit(self, event_id: SupportsIndex) -> None:
        """Makes the event exist, with this id. After :class:`OutOfOrderError` the claim holds.

        Raises what :meth:`Log.append` raises, and :class:`InvalidArgumentError`."""
        self._log._commit(self, event_id, self._event.tobytes()[8:])
