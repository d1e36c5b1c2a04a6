"""flashstrike-wal: a write-ahead log for matching engines.

An engine appends every request before it acts on it. When :meth:`Log.append` has returned, the
request survives the death of the process at any later instruction; when the durable watermark has
passed it, a power cut too.

    import flashstrike_wal as fs

    with fs.Log("wal", max_compressed_segments=fs.KEEP_ALL) as log:
        log.append(event_id=log.meta().last_event_id + 1, price=10_050, quantity=3)
        log.sync()
    events = fs.read("wal")                # a numpy array; also to_pandas(), to_polars(), Arrow

Ids and positions are integers; times in names that end in ``_ns`` and in timestamps are in
nanoseconds; timeouts are in seconds. Arrays that the package returns are the caller's own. Failures
of the library are :class:`WalError`, by status; arguments that are wrong are TypeError or
ValueError. Any thread may call anything.
"""

from . import _abi
from ._abi import EVENT_SIZE, KEEP_ALL, KEEP_NONE
from ._errors import (
    ClosedError, CorruptError, DiskError, GapError, InternalError, InvalidArgumentError,
    LockedError, NoSpaceError, NotFoundError, OutOfOrderError, PermissionDeniedError,
    PoisonedError, UnsupportedError, WaitTimeoutError, WalError, WouldBlockError,
)
from ._events import COLUMNS, EVENT_DTYPE, NUMERIC_COLUMNS, Columns, EventArray
from ._log import Log, metrics_prometheus
from ._options import Options
from ._read import Status, metrics_of, read, status, verify
from ._reader import Reader
from ._reports import (
    Damage, Latency, Meta, Metrics, ReaderMetrics, RecoveryReport, Ring, SnapshotInfo, Timing,
    VerifyReport, Worker,
)
from ._slot import Slot
from ._snapshots import Hold, SnapshotReader, SnapshotWriter, remove_hold
from ._version import __version__


def library_version() -> str:
    """The version of the library that is in use."""
    return str(_abi.LIB.fs_wal_version().decode())


__all__ = [
    "COLUMNS", "EVENT_DTYPE", "EVENT_SIZE", "KEEP_ALL", "KEEP_NONE", "NUMERIC_COLUMNS",
    "ClosedError", "Columns", "CorruptError", "Damage", "DiskError", "EventArray", "GapError",
    "Hold", "InternalError", "InvalidArgumentError", "Latency", "LockedError", "Log", "Meta",
    "Metrics", "NoSpaceError", "NotFoundError", "Options", "OutOfOrderError",
    "PermissionDeniedError", "PoisonedError", "Reader", "ReaderMetrics", "RecoveryReport", "Ring",
    "Slot", "SnapshotInfo", "SnapshotReader", "SnapshotWriter", "Status", "Timing",
    "UnsupportedError", "VerifyReport", "WaitTimeoutError", "WalError", "Worker",
    "WouldBlockError", "__version__", "library_version", "metrics_of", "metrics_prometheus",
    "read", "remove_hold", "status", "verify",
]
