"""A thin ctypes binding of libflashstrike_wal.so: every call, nothing added.

FLASHSTRIKE_WAL_LIB names the library. A status other than OK becomes a WalError with the code and
the library's error message. Events are 64 bytes: numpy structured arrays of EVENT_DTYPE, or
anything else that exposes contiguous memory of that size.
"""

import atexit
import ctypes
import os
from ctypes import POINTER, byref, c_char, c_char_p, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from typing import NamedTuple

import numpy as np

STATUS_NAMES = (
    "OK", "INVALID_ARGUMENT", "NOT_FOUND", "LOCKED", "PERMISSION", "NO_SPACE", "IO", "CORRUPT",
    "OUT_OF_ORDER", "WOULD_BLOCK", "TIMEOUT", "POISONED", "GAP", "UNSUPPORTED", "INTERNAL", "END",
    "CLOSED",
)
STATUS = {name: code for code, name in enumerate(STATUS_NAMES)}

KEEP_ALL, KEEP_NONE = 2**32 - 1, 2**32 - 2
ACCEPT_LOSS, ALLOW_ANY_FILESYSTEM, NO_COMPRESSION, SPIN = 1, 2, 4, 8
BACKPRESSURE_BLOCK, BACKPRESSURE_FAIL_FAST = 0, 1
SYNC_CONTINUOUS, SYNC_INTERVAL, SYNC_ROTATION = 0, 1, 2
READER_FOLLOW, READER_SALVAGE, READER_NO_VERIFY, READER_DURABLE_ONLY = 1, 2, 4, 8
LOG_ERROR, LOG_WARN, LOG_INFO = 1, 2, 3
EVENT_SIZE = 64

EVENT_DTYPE = np.dtype([
    ("event_id", "<u8"), ("timestamp", "<u8"), ("price", "<i8"), ("quantity", "<i8"),
    ("user_id", "<u4"), ("order_id", "<u4"), ("type", "u1"), ("order_type", "u1"), ("side", "u1"),
    ("reserved", "u1", 21),
])
assert EVENT_DTYPE.itemsize == EVENT_SIZE


class Meta(NamedTuple):
    last_segment_index: int
    last_offset: int
    last_event_id: int


class MetaState(ctypes.Structure):
    _fields_ = [("last_segment_index", c_uint32), ("last_offset", c_uint32),
                ("last_event_id", c_uint64)]

    def values(self):
        return Meta(self.last_segment_index, self.last_offset, self.last_event_id)


LogFunction = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p)


class Config(ctypes.Structure):
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


class ReaderConfig(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("flags", c_uint32)]


class RecoveryReport(ctypes.Structure):
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


class Damage(ctypes.Structure):
    _fields_ = [
        ("kind", c_uint32), ("segment_index", c_uint32), ("offset", c_uint64),
        ("file_offset", c_uint64), ("first_event_id", c_uint64), ("last_event_id", c_uint64),
        ("os_errno", c_int32), ("has_segment_index", c_uint32), ("file", c_char * 64),
    ]


class VerifyReport(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("hot_segments", c_uint32), ("cold_segments", c_uint32),
        ("open_segments", c_uint32), ("foreign_files", c_uint32), ("kept_aside_files", c_uint32),
        ("blocks", c_uint64), ("events", c_uint64), ("bytes", c_uint64),
        ("first_event_id", c_uint64), ("last_event_id", c_uint64),
        ("durable_event_id", c_uint64), ("damage_count", c_uint64), ("damages", Damage * 16),
        ("on_disk_event_id", c_uint64), ("newest", c_uint32), ("is_copy", c_uint32),
        ("active_path", c_char * 256),
    ]


class ErrorDetail(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32), ("status", c_int32), ("os_errno", c_int32),
        ("segment_index", c_uint32), ("offset", c_uint64), ("first_event_id", c_uint64),
        ("last_event_id", c_uint64), ("has_segment_index", c_uint32), ("has_offset", c_uint32),
    ]


def load(path=None):
    """Load the library and set the types of every function."""
    path = path or os.environ.get("FLASHSTRIKE_WAL_LIB")
    if not path:
        raise OSError("FLASHSTRIKE_WAL_LIB does not name the library")
    lib = ctypes.CDLL(path)
    status = c_int32
    handle, out, text = c_void_p, POINTER(c_void_p), c_char_p
    signatures = {
        "fs_wal_config_init": (None, [POINTER(Config), c_uint32]),
        "fs_wal_open": (status, [text, POINTER(Config), out]),
        "fs_wal_append": (status, [handle, c_void_p]),
        "fs_wal_append_batch": (status, [handle, c_void_p, c_size_t, POINTER(c_size_t)]),
        "fs_wal_claim": (status, [handle, out]),
        "fs_wal_commit": (status, [handle, c_uint64]),
        "fs_wal_meta": (status, [handle, POINTER(MetaState)]),
        "fs_wal_durable": (status, [handle, POINTER(MetaState)]),
        "fs_wal_sync": (status, [handle]),
        "fs_wal_wait_durable": (status, [handle, c_uint64, c_uint64]),
        "fs_wal_set_retention_floor": (status, [handle, c_uint64]),
        "fs_wal_recovery_report": (status, [handle, POINTER(RecoveryReport)]),
        "fs_wal_metrics": (status, [handle, c_void_p]),
        "fs_wal_metrics_prometheus": (status, [handle, c_void_p, c_size_t, POINTER(c_size_t)]),
        "fs_wal_metrics_prometheus_of_all": (
            status, [POINTER(handle), c_size_t, c_void_p, c_size_t, POINTER(c_size_t)]),
        "fs_wal_shutdown": (status, [handle]),
        "fs_wal_reader_open": (status, [text, POINTER(ReaderConfig), out]),
        "fs_wal_reader_next": (status, [handle, c_void_p]),
        "fs_wal_reader_next_batch": (status, [handle, out, POINTER(c_size_t)]),
        "fs_wal_reader_seek": (status, [handle, c_uint64]),
        "fs_wal_reader_close": (None, [handle]),
        "fs_wal_verify": (status, [text, POINTER(VerifyReport)]),
        "fs_wal_status_string": (text, [c_int32]),
        "fs_wal_last_error": (text, []),
        "fs_wal_last_error_detail": (status, [POINTER(ErrorDetail)]),
        "fs_wal_version": (text, []),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


LIB = load()


# Statuses of normal flow: the library has no words for them, and its last error is another one.
WITHOUT_WORDS = {STATUS[name] for name in ("WOULD_BLOCK", "TIMEOUT", "END")}


class WalError(Exception):
    """A status other than OK. `status` is its name without prefix, `text` the library's words."""

    def __init__(self, code):
        self.code = code
        self.status = STATUS_NAMES[code] if 0 <= code < len(STATUS_NAMES) else str(code)
        words = b"" if code in WITHOUT_WORDS else LIB.fs_wal_last_error()
        self.text = words.decode(errors="replace")
        super().__init__(f"{self.status}: {self.text}" if self.text else self.status)


def check(code):
    if code:
        raise WalError(code)


def error_detail():
    detail = ErrorDetail(struct_size=ctypes.sizeof(ErrorDetail))
    check(LIB.fs_wal_last_error_detail(byref(detail)))
    return detail


def version():
    return LIB.fs_wal_version().decode()


def event_memory(events):
    """Address and number of events of a contiguous array, without copying it."""
    array = np.frombuffer(events, np.uint8) if not isinstance(events, np.ndarray) else events
    if not array.flags.c_contiguous or array.nbytes % EVENT_SIZE:
        raise ValueError("events must be contiguous and whole: 64 bytes each")
    return array.ctypes.data, array.nbytes // EVENT_SIZE


# The logs that were not shut down. They live as long: the library calls their log functions.
OPEN = set()


@atexit.register
def shut_down_open_logs():
    """The library's threads must not call a log function of an interpreter that has ended. In a
    forked child the logs are its parent's, and calls on them fail."""
    for wal in list(OPEN):
        if wal.handle:
            LIB.fs_wal_shutdown(wal.handle)
            wal.handle = None


class Wal:
    """A log open for writing. One thread appends; the other calls may come from any. The option
    `log` is a function of a level and a text; exceptions in it are printed and ignored.
    """

    def __init__(self, directory, **options):
        config = Config()
        LIB.fs_wal_config_init(byref(config), ctypes.sizeof(Config))
        for name, value in options.items():
            if name == "active_dir":
                value = os.fsencode(value)
            if name == "log":
                # Keep a reference, or ctypes would free it while the library still calls it.
                value = self.log = LogFunction(lambda _user, level, text, tell=value:
                                               tell(level, text.decode(errors="replace")))
            setattr(config, name, value)
        self.handle = c_void_p()
        check(LIB.fs_wal_open(os.fsencode(directory), byref(config), byref(self.handle)))
        OPEN.add(self)

    def append(self, event):
        address, count = event_memory(event)
        if count != 1:
            raise ValueError(f"{count} events: use append_batch")
        check(LIB.fs_wal_append(self.handle, address))

    def append_batch(self, events):
        """The number of events appended; on an error the exception's `appended` has it."""
        address, count = event_memory(events)
        appended = c_size_t()
        code = LIB.fs_wal_append_batch(self.handle, address, count, byref(appended))
        if code:
            error = WalError(code)
            error.appended = appended.value
            raise error
        return appended.value

    def claim(self):
        """Bytes 8 to 63 of the next event's slot, writable; commit sets the id."""
        slot = c_void_p()
        check(LIB.fs_wal_claim(self.handle, byref(slot)))
        payload = (ctypes.c_uint8 * (EVENT_SIZE - 8)).from_address(slot.value + 8)
        return memoryview(payload).cast("B")

    def commit(self, event_id):
        check(LIB.fs_wal_commit(self.handle, event_id))

    def _meta(self, function):
        state = MetaState()
        check(function(self.handle, byref(state)))
        return state.values()

    def meta(self):
        return self._meta(LIB.fs_wal_meta)

    def durable(self):
        return self._meta(LIB.fs_wal_durable)

    def sync(self):
        check(LIB.fs_wal_sync(self.handle))

    def wait_durable(self, event_id, timeout_ns):
        check(LIB.fs_wal_wait_durable(self.handle, event_id, timeout_ns))

    def set_retention_floor(self, event_id):
        check(LIB.fs_wal_set_retention_floor(self.handle, event_id))

    def recovery_report(self):
        report = RecoveryReport(struct_size=ctypes.sizeof(RecoveryReport))
        check(LIB.fs_wal_recovery_report(self.handle, byref(report)))
        return report

    def metrics_prometheus(self):
        needed = c_size_t()
        LIB.fs_wal_metrics_prometheus(self.handle, None, 0, byref(needed))
        buffer = ctypes.create_string_buffer(needed.value + 4096)
        check(LIB.fs_wal_metrics_prometheus(self.handle, buffer, len(buffer), byref(needed)))
        return buffer.value.decode()

    def shutdown(self):
        status = LIB.fs_wal_shutdown(self.handle)
        if status != STATUS["INVALID_ARGUMENT"]:
            self.handle = None
            OPEN.discard(self)
        check(status)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.handle:
            self.shutdown()


class Reader:
    """Events of a log in order. One thread."""

    def __init__(self, directory, flags=0):
        config = ReaderConfig(ctypes.sizeof(ReaderConfig), flags)
        self.handle = c_void_p()
        check(LIB.fs_wal_reader_open(os.fsencode(directory), byref(config), byref(self.handle)))

    def next(self):
        """The next event; None at the end."""
        event = np.zeros(1, EVENT_DTYPE)
        code = LIB.fs_wal_reader_next(self.handle, event.ctypes.data)
        if code == STATUS["END"]:
            return None
        check(code)
        return event

    def next_batch(self):
        """The next events, copied out; None at the end."""
        events, count = c_void_p(), c_size_t()
        code = LIB.fs_wal_reader_next_batch(self.handle, byref(events), byref(count))
        if code == STATUS["END"]:
            return None
        check(code)
        return np.frombuffer(ctypes.string_at(events, count.value * EVENT_SIZE), EVENT_DTYPE)

    def seek(self, event_id):
        check(LIB.fs_wal_reader_seek(self.handle, event_id))

    def __iter__(self):
        """Iterate over the events up to the end."""
        while (event := self.next()) is not None:
            yield event

    def rest(self):
        """All events up to the end, as one array."""
        batches = []
        while (batch := self.next_batch()) is not None:
            batches.append(batch)
        return np.concatenate(batches) if batches else np.zeros(0, EVENT_DTYPE)

    def close(self):
        handle, self.handle = self.handle, None
        LIB.fs_wal_reader_close(handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def metrics_of_all(wals):
    """The metrics of several logs, in one text."""
    handles = (c_void_p * len(wals))(*(wal.handle for wal in wals))
    buffer, needed = ctypes.create_string_buffer(1 << 20), c_size_t()
    check(LIB.fs_wal_metrics_prometheus_of_all(
        handles, len(wals), buffer, len(buffer), byref(needed)))
    return buffer.value.decode()


def replay(directory, flags=0):
    """All events of a log, as one array."""
    with Reader(directory, flags) as reader:
        return reader.rest()


def verify(directory):
    """The report on the damage to a log; an exception only when it cannot be checked."""
    report = VerifyReport(struct_size=ctypes.sizeof(VerifyReport))
    code = LIB.fs_wal_verify(os.fsencode(directory), byref(report))
    if report.damage_count == 0:
        check(code)
    return report


def salvage(directory):
    """All events outside the damage of a log, and the last error for each damage."""
    batches, errors = [np.zeros(0, EVENT_DTYPE)], []
    with Reader(directory, READER_SALVAGE) as reader:
        while True:
            try:
                batch = reader.next_batch()
            except WalError as error:
                errors.append((error, error_detail()))
                continue
            if batch is None:
                return np.concatenate(batches), errors
            batches.append(batch)
