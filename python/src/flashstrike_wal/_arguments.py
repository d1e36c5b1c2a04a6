"""Arguments from Python are checked here, before the library sees them.

What C would cut, round or ignore is refused: a number that is no integer or does not fit, a path
with a NUL in it, a time without a time zone.
"""

import operator
import os
from datetime import datetime, timedelta, timezone
from typing import SupportsIndex, TypeAlias

import numpy as np

from ._abi import FOREVER

#: A path, as ``open`` takes it.
Path: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
#: A time: nanoseconds, or something that has a point on the UTC time line.
Time: TypeAlias = SupportsIndex | datetime | np.datetime64

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def path(value: Path, name: str = "dir") -> bytes:
    """The bytes of a path."""
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise TypeError(f"{name} must be a path (str, bytes or os.PathLike), "
                        f"not {type(value).__name__}")
    found = os.fsencode(value)
    if b"\0" in found:
        raise ValueError(f"{name} has a NUL character in it: {found!r}")
    if not found:
        raise ValueError(f"{name} is empty")
    return found


def place(path: bytes) -> bytes:
    """The path, the same wherever the process goes: there another log may have this one."""
    return path if os.path.isabs(path) else os.path.join(os.getcwdb(), path)


def integer(value: SupportsIndex, name: str, bits: int = 64) -> int:
    """An unsigned integer of so many bits. A bool is none, nor is a float that is whole."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer, not a bool")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}") from None
    if not 0 <= number < 1 << bits:
        raise ValueError(f"{name} is {number}: it must be from 0 to 2**{bits} - 1")
    return number


def flag(value: bool, name: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def choice(value: str, name: str, choices: dict[str, int]) -> int:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is {value!r}: it must be one of {', '.join(map(repr, choices))}")
    return choices[value]


def nanoseconds(value: Time, name: str) -> int:
    """Nanoseconds since 1970 of a time."""
    if isinstance(value, datetime):
        if value != value:  # pandas.NaT
            raise ValueError(f"{name} is not a time")
        if value.tzinfo is None:
            raise ValueError(f"{name} is a datetime without a time zone: give it one")
        extra = int(getattr(value, "nanosecond", 0))  # a pandas Timestamp has more digits
        since = value - _EPOCH
        whole = timedelta(since.days, since.seconds, since.microseconds)
        return integer(whole // timedelta(microseconds=1) * 1000 + extra, name)
    if isinstance(value, np.datetime64):
        if np.isnat(value):
            raise ValueError(f"{name} is not a time")
        found = value.astype("datetime64[ns]")
        if found.astype(value.dtype) != value:
            raise ValueError(f"{name} is {value}: it does not fit into nanoseconds since 1970")
        return integer(int(found.astype(np.int64)), name)
    if not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer of nanoseconds, a datetime with a time zone or "
                        f"a numpy.datetime64, not {type(value).__name__}")
    return integer(value, name)


def timeout_ns(seconds: float | None, name: str = "timeout") -> int:
    """Seconds as nanoseconds; None = without limit."""
    if seconds is None:
        return FOREVER
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float, np.number)):
        raise TypeError(f"{name} must be seconds or None, not {type(seconds).__name__}")
    if not seconds >= 0:
        raise ValueError(f"{name} is {seconds}: it must not be below 0")
    return min(int(min(float(seconds), 1e10) * 1e9), FOREVER - 1)
