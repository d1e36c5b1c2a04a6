"""Options of a log, from Python to ``fs_wal_config``."""

import ctypes
import logging
from collections.abc import Callable, Iterable
from typing import Any, Literal, SupportsIndex, TypedDict

from . import _abi, _arguments

Backpressure = Literal["block", "fail_fast"]
SyncMode = Literal["continuous", "interval", "rotation"]
LogTarget = Callable[[int, str], object] | logging.Logger | logging.LoggerAdapter[Any]


class Options(TypedDict, total=False):
    """What :class:`Log` takes besides the directory. What is left out, or None, has the default.

    RETENTION: old events are DELETED. The defaults keep the last 160 segments, 10.5 million events.
    Set `max_segments` and `max_compressed_segments` to what you need.

    num_blocks: Blocks of 256 events in a segment, 16 to 261,120. Default 256.
    max_segments: Plain segments to keep, or ``KEEP_ALL``. Default 32.
    max_compressed_segments: Compressed segments to keep, or ``KEEP_ALL``, or ``KEEP_NONE``.
        Default 128.
    prepared_segments: Segments to keep prepared ahead of the writer, 1 to 64. Default 4.
    accept_loss: Where recovery would refuse to open, open at the last event that can be proved.
    allow_any_filesystem: Open also where space cannot be reserved, or a power cut may take
        whole files.
    compression: False: compress nothing.
    spin: The persister spins instead of sleeping: a whole core, and events durable sooner.
    backpressure: What an append does when the disk is slow and no segment is ready: "block", the
        default, waits; "fail_fast" raises WouldBlockError.
    sync_mode: When events are made durable: "continuous", the default: as soon as there are any;
        "interval": every `sync_interval_ns`; "rotation": when their segment is full.
    sync_interval_ns: For "interval". Default 10 ms.
    retention_floor: Event id: nothing at or above it is deleted. Default: no floor.
    active_dir: Directory, best on tmpfs, for the active directory. Default /dev/shm.
    persister_cpus: Processors, by number, of the log's own thread. Default: see
        ``fs_wal_config``.
    worker_cpus: Processors of the threads that logs share.
    worker_nice: Nice value of all these threads, -20 to 19. Default: that of the thread that
        opens.
    max_held_bytes: Bytes that holds and snapshots may keep beyond the limits. Default: no
        limit.
    max_snapshots: Snapshots to keep. Default 2.
    sample_appends: One in so many appends is timed. Default: none.
    log: Function of a level of `logging` and a text, or a logger: gets what happens to the log.
        One call at a time, on a thread of Python's, or in the call that opens or closes the log.
    """

    num_blocks: SupportsIndex | None
    max_segments: SupportsIndex | None
    max_compressed_segments: SupportsIndex | None
    prepared_segments: SupportsIndex | None
    accept_loss: bool
    allow_any_filesystem: bool
    compression: bool
    spin: bool
    backpressure: Backpressure
    sync_mode: SyncMode
    sync_interval_ns: SupportsIndex | None
    retention_floor: SupportsIndex | None
    active_dir: _arguments.Path | None
    persister_cpus: Iterable[int] | None
    worker_cpus: Iterable[int] | None
    worker_nice: int | None
    max_held_bytes: SupportsIndex | None
    max_snapshots: SupportsIndex | None
    sample_appends: SupportsIndex | None
    log: LogTarget | None


_NUMBERS = {
    "num_blocks": 32, "max_segments": 32, "max_compressed_segments": 32, "prepared_segments": 32,
    "sync_interval_ns": 64, "retention_floor": 64, "max_held_bytes": 64, "max_snapshots": 32,
    "sample_appends": 32,
}
_FLAGS = {
    "accept_loss": (True, _abi.FLAG_ACCEPT_LOSS),
    "allow_any_filesystem": (True, _abi.FLAG_ALLOW_ANY_FILESYSTEM),
    "compression": (False, _abi.FLAG_NO_COMPRESSION),
    "spin": (True, _abi.FLAG_SPIN),
}
_CHOICES = {
    "backpressure": {"block": _abi.BACKPRESSURE_BLOCK, "fail_fast": _abi.BACKPRESSURE_FAIL_FAST},
    "sync_mode": {"continuous": _abi.SYNC_CONTINUOUS, "interval": _abi.SYNC_INTERVAL,
                  "rotation": _abi.SYNC_ROTATION},
}


def _number(name: str, value: Any) -> int:
    number = _arguments.integer(value, name, _NUMBERS[name])
    if number == 0:
        # In C, 0 is the default. Who writes 0 here may mean something else.
        raise ValueError(f"{name} is 0: leave it out for the default"
                         + (", or give KEEP_NONE" if name == "max_compressed_segments" else ""))
    return number


def _cpus(name: str, value: Any) -> int:
    if isinstance(value, (int, str, bytes)):
        raise TypeError(f"{name} must be several processor numbers, such as [{value!r}]")
    mask = 0
    for cpu in value:
        number = _arguments.integer(cpu, name)
        if number > 63:
            raise ValueError(f"{name} has processor {number}: it can name 0 to 63")
        mask |= 1 << number
    if not mask:
        raise ValueError(f"{name} names no processor: leave it out for the default")
    return mask


def _nice(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"worker_nice must be an integer, not {type(value).__name__}")
    if not -20 <= value <= 19:
        raise ValueError(f"worker_nice is {value}: it must be from -20 to 19")
    return value


def config(options: Options) -> Any:
    """``fs_wal_config`` of the options, but for the log function."""
    found = _abi.Config()
    _abi.LIB.fs_wal_config_init(ctypes.byref(found), ctypes.sizeof(found))
    flags = 0
    for name, value in options.items():
        if name not in Options.__annotations__:
            raise TypeError(f"there is no option {name!r}: see help(flashstrike_wal.Options)")
        if name in _FLAGS:
            set_by, bit = _FLAGS[name]
            flags |= bit if _arguments.flag(value, name) is set_by else 0  # type: ignore[arg-type]
        elif name in _CHOICES:
            text: Any = value
            setattr(found, name, _arguments.choice(text, name, _CHOICES[name]))
        elif value is None or name == "log":
            continue
        elif name in _NUMBERS:
            setattr(found, name, _number(name, value))
        elif name == "worker_nice":
            setattr(found, name, _nice(value))
        elif name == "active_dir":
            setattr(found, name, _arguments.path(value, name))  # type: ignore[arg-type]
        else:
            setattr(found, name, _cpus(name, value))
    setattr(found, "flags", flags)
    return found
