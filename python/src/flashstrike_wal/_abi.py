"""The C ABI as it is: structs, functions, statuses. Nothing is checked here, and misuse can crash.

The package is built on this, and tests use it to misuse the library. Everybody else uses the
package. A test compares every declaration with ``flashstrike_wal.h``.

The library is the one beside this file, or the one that ``FLASHSTRIKE_WAL_LIB`` names.
"""

import ctypes
import os
from ctypes import (
    CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_uint64,
    c_void_p,
)
from pathlib import Path
from typing import Any

from ._version import __version__

HERE = Path(__file__).resolve().parent

#: Names of the statuses by their number.
STATUS_NAMES = (
    "OK", "INVALID_ARGUMENT", "NOT_FOUND", "LOCKED", "PERMISSION", "NO_SPACE", "IO", "CORRUPT",
    "OUT_OF_ORDER", "WOULD_BLOCK", "TIMEOUT", "POISONED", "GAP", "UNSUPPORTED", "INTERNAL", "END",
    "CLOSED",
)
STATUS = {name: code for code, name in enumerate(STATUS_NAMES)}
OK, WOULD_BLOCK, TIMEOUT, END = (STATUS[name] for name in ("OK", "WOULD_BLOCK", "TIMEOUT", "END"))
INVALID_ARGUMENT, CLOSED = STATUS["INVALID_ARGUMENT"], STATUS["CLOSED"]

KEEP_ALL, KEEP_NONE = 2**32 - 1, 2**32 - 2
FLAG_ACCEPT_LOSS, FLAG_ALLOW_ANY_FILESYSTEM, FLAG_NO_COMPRESSION, FLAG_SPIN = 1, 2, 4, 8
BACKPRESSURE_BLOCK, BACKPRESSURE_FAIL_FAST = 0, 1
SYNC_CONTINUOUS, SYNC_INTERVAL, SYNC_ROTATION = 0, 1, 2
CHECK_ONE_WRITER, CHECK_SLOTS = 1, 2
READER_FOLLOW, READER_SALVAGE, READER_NO_VERIFY, READER_DURABLE_ONLY = 1, 2, 4, 8
READER_MAX_THREADS = 16
LOG_ERROR, LOG_WARN, LOG_INFO = 1, 2, 3
STATE_OPEN, STATE_FAILED, STATE_CLOSED = 1, 2, 3
FOREVER = 2**64 - 1
EVENT_SIZE = 64

LogFunction = CFUNCTYPE(None, c_void_p, c_int32, c_char_p)


class MetaState(Structure):
    last_segment_index: int
    last_offset: int
    last_event_id: int
    _fields_ = [
        ("last_segment_index", c_uint32), ("last_offset", c_uint32), ("last_event_id", c_uint64),
    ]


class Config(Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("num_blocks", c_uint32), ("max_segments", c_uint32),
        ("max_compressed_segments", c_uint32), ("prepared_segments", c_uint32),
        ("flags", c_uint32), ("backpressure", c_uint32), ("sync_mode", c_uint32),
        ("sync_interval_ns", c_uint64), ("retention_floor", c_uint64), ("active_dir", c_char_p),
        ("log", LogFunction), ("log_user", c_void_p), ("persister_cpus", c_uint64),
        ("worker_cpus", c_uint64), ("worker_nice", c_int32), ("reserved", c_uint32),
        ("max_held_bytes", c_uint64), ("max_snapshots", c_uint32), ("checks", c_uint32),
        ("sample_appends", c_uint32), ("reserved2", c_uint32),
    ]


class ReaderConfig(Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("flags", c_uint32), ("threads", c_uint32),
        ("reserved", c_uint32), ("end_event_id", c_uint64), ("spin_ns", c_uint64),
        ("hold", c_char_p),
    ]


class ReaderMetrics(Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("threads", c_uint32), ("active_denied", c_uint32),
        ("reserved", c_uint32), ("segments_opened", c_uint64), ("blocks_verified", c_uint64),
        ("bytes", c_uint64), ("events", c_uint64), ("damages", c_uint64), ("open_ns", c_uint64),
        ("read_ns", c_uint64), ("decompress_ns", c_uint64), ("verify_ns", c_uint64),
        ("wait_ns", c_uint64),
    ]


class RecoveryReport(Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("clean", c_uint32), ("memory_locked", c_uint32),
        ("hot_segments", c_uint32), ("cold_segments", c_uint32), ("reserved", c_uint32),
        ("generation", c_uint64), ("last_event_id", c_uint64), ("durable_event_id", c_uint64),
        ("events_carried_over", c_uint64), ("events_accepted", c_uint64),
        ("events_kept_aside", c_uint64), ("wal_filesystem", c_uint64),
        ("active_filesystem", c_uint64), ("decision", c_char * 64), ("notes", c_char * 256),
        ("active_path", c_char * 256), ("wal_filesystem_name", c_char * 16),
        ("active_filesystem_name", c_char * 16), ("placement", c_uint32),
        ("pinned_processor", c_uint32),
    ]


class Damage(Structure):
    _fields_ = [
        ("kind", c_uint32), ("segment_index", c_uint32), ("offset", c_uint64),
        ("file_offset", c_uint64), ("first_event_id", c_uint64), ("last_event_id", c_uint64),
        ("os_errno", c_int32), ("has_segment_index", c_uint32), ("file", c_char * 64),
    ]


class VerifyReport(Structure):
    damage_count: int
    _fields_ = [
        ("struct_size", c_uint32), ("hot_segments", c_uint32), ("cold_segments", c_uint32),
        ("open_segments", c_uint32), ("foreign_files", c_uint32), ("kept_aside_files", c_uint32),
        ("blocks", c_uint64), ("events", c_uint64), ("bytes", c_uint64),
        ("first_event_id", c_uint64), ("last_event_id", c_uint64),
        ("durable_event_id", c_uint64), ("damage_count", c_uint64), ("damages", Damage * 16),
        ("on_disk_event_id", c_uint64), ("newest", c_uint32), ("is_copy", c_uint32),
        ("active_path", c_char * 256),
    ]


class ErrorDetail(Structure):
    status: int
    os_errno: int
    segment_index: int
    offset: int
    first_event_id: int
    last_event_id: int
    has_segment_index: int
    has_offset: int
    _fields_ = [
        ("struct_size", c_uint32), ("status", c_int32), ("os_errno", c_int32),
        ("segment_index", c_uint32), ("offset", c_uint64), ("first_event_id", c_uint64),
        ("last_event_id", c_uint64), ("has_segment_index", c_uint32), ("has_offset", c_uint32),
    ]


class SnapshotInfo(Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("reserved", c_uint32), ("event_id", c_uint64),
        ("created_ns", c_uint64), ("size", c_uint64), ("passed_over", c_uint32),
        ("reserved2", c_uint32),
    ]


class Timing(Structure):
    _fields_ = [("count", c_uint64), ("total_ns", c_uint64), ("max_ns", c_uint64)]


class Ring(Structure):
    _fields_ = [
        ("fill", c_uint64), ("capacity", c_uint64), ("full", c_uint64), ("empty", c_uint64),
    ]


class Worker(Structure):
    _fields_ = [("steps", c_uint64), ("work_ns", c_uint64), ("idle_ns", c_uint64)]


class Latency(Structure):
    _fields_ = [
        ("count", c_uint64), ("p50_ns", c_uint64), ("p90_ns", c_uint64), ("p99_ns", c_uint64),
        ("p999_ns", c_uint64),
    ]


class Metrics(Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("memory_locked", c_uint32), ("appended_event_id", c_uint64),
        ("durable_event_id", c_uint64), ("appended_events", c_uint64),
        ("durable_events", c_uint64), ("bytes_written", c_uint64), ("segments_created", c_uint64),
        ("segments_recycled", c_uint64), ("segments_deleted", c_uint64),
        ("hot_segments", c_uint64), ("cold_segments", c_uint64),
        ("compression_failures", c_uint64), ("compression_bytes_in", c_uint64),
        ("compression_bytes_out", c_uint64), ("would_block", c_uint64), ("no_space", c_uint64),
        ("open", Timing), ("prepare", Timing), ("rotation", Timing), ("append_wait", Timing),
        ("persist", Timing), ("sync", Timing), ("close", Timing), ("meta_flush", Timing),
        ("compression", Timing), ("prepared_segments", Ring), ("segments_to_persist", Ring),
        ("segments_to_close", Ring), ("segments_to_freeze", Ring), ("segments_to_free", Ring),
        ("poisoned", c_uint64), ("oldest_event_id", c_uint64), ("hot_bytes", c_uint64),
        ("cold_bytes", c_uint64), ("durable_lag_ns", c_uint64), ("missing_segments", c_uint64),
        ("damaged_segments", c_uint64), ("held_bytes", c_uint64), ("broken_holds", c_uint64),
        ("state", c_uint32), ("failed_errno", c_uint32), ("generation", c_uint64),
        ("writer_pid", c_uint64), ("opened_ns", c_uint64), ("heartbeat_age_ns", c_uint64),
        ("max_segments", c_uint64), ("max_compressed_segments", c_uint64),
        ("active_set_bytes", c_uint64), ("retention_floor", c_uint64),
        ("sample_appends", c_uint64), ("deletion", Timing), ("integrity_failures", c_uint64 * 16),
        ("persister", Worker), ("preparer", Worker), ("maintainer", Worker),
        ("freezers", Worker), ("coordinator", Worker), ("watcher", Worker),
        ("append_latency", Latency), ("rotation_latency", Latency),
        ("append_wait_latency", Latency), ("sync_latency", Latency), ("close_latency", Latency),
        ("compression_latency", Latency),
    ]


class Column(Structure):
    """``fsp_column`` of ``native/support.h``."""

    _fields_ = [("offset", c_size_t), ("width", c_size_t), ("values", c_void_p)]


class ArrowColumn(Structure):
    _fields_ = [("name", c_char_p), ("format", c_char_p), ("memory", c_void_p)]


class Source(Structure):
    rest: int | None
    left: int
    _fields_ = [
        ("next_batch", c_void_p), ("reader", c_void_p), ("rest", c_void_p), ("left", c_size_t),
    ]


_status, _handle, _out, _text = c_int32, c_void_p, POINTER(c_void_p), c_char_p

#: Result and arguments of every function of the header.
SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "fs_wal_config_init": (None, [POINTER(Config), c_uint32]),
    "fs_wal_open": (_status, [_text, POINTER(Config), _out]),
    "fs_wal_append": (_status, [_handle, c_void_p]),
    "fs_wal_append_batch": (_status, [_handle, c_void_p, c_size_t, POINTER(c_size_t)]),
    "fs_wal_claim": (_status, [_handle, _out]),
    "fs_wal_commit": (_status, [_handle, c_uint64]),
    "fs_wal_meta": (_status, [_handle, POINTER(MetaState)]),
    "fs_wal_durable": (_status, [_handle, POINTER(MetaState)]),
    "fs_wal_sync": (_status, [_handle]),
    "fs_wal_wait_durable": (_status, [_handle, c_uint64, c_uint64]),
    "fs_wal_set_retention_floor": (_status, [_handle, c_uint64]),
    "fs_wal_recovery_report": (_status, [_handle, POINTER(RecoveryReport)]),
    "fs_wal_durable_fd": (_status, [_handle, POINTER(c_int)]),
    "fs_wal_metrics": (_status, [_handle, POINTER(Metrics)]),
    "fs_wal_metrics_of": (_status, [_text, POINTER(Metrics)]),
    "fs_wal_metrics_prometheus": (_status, [_handle, c_void_p, c_size_t, POINTER(c_size_t)]),
    "fs_wal_metrics_prometheus_of_all": (
        _status, [POINTER(_handle), c_size_t, c_void_p, c_size_t, POINTER(c_size_t)]),
    "fs_wal_shutdown": (_status, [_handle]),
    "fs_wal_reader_open": (_status, [_text, POINTER(ReaderConfig), _out]),
    "fs_wal_reader_next": (_status, [_handle, c_void_p]),
    "fs_wal_reader_next_batch": (_status, [_handle, _out, POINTER(c_size_t)]),
    "fs_wal_reader_seek": (_status, [_handle, c_uint64]),
    "fs_wal_reader_seek_time": (_status, [_handle, c_uint64]),
    "fs_wal_reader_wait": (_status, [_handle, c_uint64]),
    "fs_wal_reader_metrics": (_status, [_handle, POINTER(ReaderMetrics)]),
    "fs_wal_reader_close": (None, [_handle]),
    "fs_wal_snapshot_create": (_status, [_text, c_uint64, _out]),
    "fs_wal_snapshot_write": (_status, [_handle, c_void_p, c_size_t]),
    "fs_wal_snapshot_commit": (_status, [_handle]),
    "fs_wal_snapshot_open": (_status, [_text, c_uint64, POINTER(SnapshotInfo), _out]),
    "fs_wal_snapshot_read": (_status, [_handle, c_void_p, c_size_t, POINTER(c_size_t)]),
    "fs_wal_snapshot_close": (None, [_handle]),
    "fs_wal_hold_open": (_status, [_text, _text, c_uint64, _out]),
    "fs_wal_hold_move": (_status, [_handle, c_uint64]),
    "fs_wal_hold_get": (_status, [_handle, POINTER(c_uint64)]),
    "fs_wal_hold_close": (None, [_handle]),
    "fs_wal_hold_remove": (_status, [_text, _text]),
    "fs_wal_verify": (_status, [_text, POINTER(VerifyReport)]),
    "fs_wal_status_string": (_text, [c_int32]),
    "fs_wal_last_error": (_text, []),
    "fs_wal_last_error_detail": (_status, [POINTER(ErrorDetail)]),
    "fs_wal_version": (_text, []),
}

#: The same for ``native/support.h``.
SUPPORT_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "fsp_memory_new": (_handle, [c_size_t]),
    "fsp_memory_resize": (c_int, [_handle, c_size_t]),
    "fsp_memory_address": (c_void_p, [_handle]),
    "fsp_memory_retain": (None, [_handle]),
    "fsp_memory_release": (None, [_handle]),
    "fsp_fill": (_status, [POINTER(Source), c_void_p, c_size_t, POINTER(c_size_t)]),
    "fsp_fill_columns": (
        _status, [POINTER(Source), POINTER(Column), c_size_t, c_size_t, c_size_t,
                  POINTER(c_size_t)]),
    "fsp_split": (None, [c_void_p, c_size_t, POINTER(Column), c_size_t]),
    "fsp_log_lines_new": (_handle, [_text]),
    "fsp_log_lines_put": (None, [_handle, c_int32, _text]),
    "fsp_log_lines_wait": (c_int, [_handle]),
    "fsp_log_lines_take": (c_void_p, [_handle]),
    "fsp_log_lines_close": (None, [_handle]),
    "fsp_log_lines_release": (None, [_handle]),
    "fsp_free": (None, [c_void_p]),
    "fsp_arrow_schema": (c_void_p, [POINTER(ArrowColumn), c_size_t]),
    "fsp_arrow_array": (c_void_p, [POINTER(ArrowColumn), c_size_t, ctypes.c_int64]),
    "fsp_arrow_stream": (c_void_p, [POINTER(ArrowColumn), c_size_t, ctypes.c_int64]),
    "fsp_arrow_use": (None, [c_void_p]),
    "fsp_arrow_schema_capsule_gone": (None, [_handle]),
    "fsp_arrow_array_capsule_gone": (None, [_handle]),
    "fsp_arrow_stream_capsule_gone": (None, [_handle]),
}


def _load(path: Path, signatures: dict[str, tuple[Any, list[Any]]]) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _load_library() -> ctypes.CDLL:
    """The library; ImportError when it is not there or not of the package's version."""
    path = Path(os.environ.get("FLASHSTRIKE_WAL_LIB") or HERE / "libflashstrike_wal.so")
    try:
        library = _load(path, SIGNATURES)
    except (OSError, AttributeError) as error:
        raise ImportError(
            f"{path} is not the library of flashstrike_wal: {error}. A wheel carries it; "
            "otherwise set FLASHSTRIKE_WAL_LIB to its path, or unset it") from error
    found = library.fs_wal_version().decode()
    if found.split(".")[:2] != __version__.split(".")[:2]:
        raise ImportError(f"{path} has version {found}, this package needs {__version__}")
    return library


LIB = _load_library()
SUPPORT = _load(HERE / "libflashstrike_wal_python.so", SUPPORT_SIGNATURES)
