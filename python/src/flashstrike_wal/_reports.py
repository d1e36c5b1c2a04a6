"""What the library reports, as plain frozen objects."""

import ctypes
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, TypeVar

from . import _abi

T = TypeVar("T")


class Meta(NamedTuple):
    """A place in the log: an event, and where it lies. All 0 = there is none yet."""

    #: Index of the segment that holds the event.
    last_segment_index: int
    #: Byte offset just past the event in that segment.
    last_offset: int
    #: Id of the event.
    last_event_id: int


@dataclass(frozen=True)
class Timing:
    """How often something was done and how long it took, in nanoseconds."""

    count: int
    total_ns: int
    max_ns: int


@dataclass(frozen=True)
class Ring:
    """A bounded ring between two threads."""

    fill: int
    capacity: int
    full: int
    empty: int


@dataclass(frozen=True)
class Worker:
    """What a thread of the library has done: how often it was at work, and nanoseconds."""

    steps: int
    work_ns: int
    idle_ns: int


@dataclass(frozen=True)
class Latency:
    """How long things took, in nanoseconds: up to an eighth too long, never too short."""

    count: int
    p50_ns: int
    p90_ns: int
    p99_ns: int
    p999_ns: int


@dataclass(frozen=True)
class Metrics:
    """The counters of one log at one moment: ``fs_wal_metrics_t`` of the header, by the same
    names. Counts are since the log was opened; times are in nanoseconds, sizes in bytes."""

    memory_locked: int
    appended_event_id: int
    durable_event_id: int
    appended_events: int
    durable_events: int
    bytes_written: int
    segments_created: int
    segments_recycled: int
    segments_deleted: int
    hot_segments: int
    cold_segments: int
    compression_failures: int
    compression_bytes_in: int
    compression_bytes_out: int
    would_block: int
    no_space: int
    open: Timing
    prepare: Timing
    rotation: Timing
    append_wait: Timing
    persist: Timing
    sync: Timing
    close: Timing
    meta_flush: Timing
    compression: Timing
    prepared_segments: Ring
    segments_to_persist: Ring
    segments_to_close: Ring
    segments_to_freeze: Ring
    segments_to_free: Ring
    poisoned: int
    oldest_event_id: int
    hot_bytes: int
    cold_bytes: int
    durable_lag_ns: int
    missing_segments: int
    damaged_segments: int
    held_bytes: int
    broken_holds: int
    #: ``STATE_OPEN``, ``STATE_FAILED`` or ``STATE_CLOSED``.
    state: int
    failed_errno: int
    generation: int
    writer_pid: int
    opened_ns: int
    heartbeat_age_ns: int
    max_segments: int
    max_compressed_segments: int
    active_set_bytes: int
    retention_floor: int
    sample_appends: int
    deletion: Timing
    integrity_failures: tuple[int, ...]
    persister: Worker
    preparer: Worker
    maintainer: Worker
    freezers: Worker
    coordinator: Worker
    watcher: Worker
    append_latency: Latency
    rotation_latency: Latency
    append_wait_latency: Latency
    sync_latency: Latency
    close_latency: Latency
    compression_latency: Latency


@dataclass(frozen=True)
class RecoveryReport:
    """What opening the log found and did: ``fs_wal_recovery_report_t``, by the same names."""

    clean: bool
    memory_locked: bool
    hot_segments: int
    cold_segments: int
    generation: int
    last_event_id: int
    durable_event_id: int
    events_carried_over: int
    events_accepted: int
    events_kept_aside: int
    wal_filesystem: int
    active_filesystem: int
    decision: str
    notes: str
    active_path: str
    wal_filesystem_name: str
    active_filesystem_name: str
    placement: int
    pinned_processor: int


@dataclass(frozen=True)
class ReaderMetrics:
    """What a reader has done: ``fs_wal_reader_metrics_t``, by the same names."""

    threads: int
    active_denied: bool
    segments_opened: int
    blocks_verified: int
    bytes: int
    events: int
    damages: int
    open_ns: int
    read_ns: int
    decompress_ns: int
    verify_ns: int
    wait_ns: int


DAMAGE_KINDS = (
    "", "unreadable", "frame", "trailing", "segment header", "misnamed", "block header", "block",
    "chain", "order", "truncated", "twins", "missing segment", "durable lost", "meta", "identity",
    "active",
)
NEWEST = ("not known", "on disk", "in memory", "denied", "elsewhere", "not here")


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong with a log, and where. Ids of 0 = none, or not known."""

    #: One of ``FS_WAL_DAMAGE_`` of the header, in words: "block", "missing segment", …
    kind: str
    segment_index: int | None
    offset: int
    file_offset: int
    first_event_id: int
    last_event_id: int
    os_errno: int
    file: str


@dataclass(frozen=True)
class VerifyReport:
    """What :func:`verify` checked and found: ``fs_wal_verify_report_t``, by the same names."""

    hot_segments: int
    cold_segments: int
    open_segments: int
    foreign_files: int
    kept_aside_files: int
    blocks: int
    events: int
    bytes: int
    first_event_id: int
    last_event_id: int
    durable_event_id: int
    damage_count: int
    on_disk_event_id: int
    #: Where the newest events are, one of ``FS_WAL_NEWEST_`` in words: "on disk", "in memory", …
    newest: str
    is_copy: bool
    active_path: str
    #: The first 16 damages.
    damages: tuple[Damage, ...]

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return self.damage_count == 0


@dataclass(frozen=True)
class SnapshotInfo:
    """What a snapshot says of itself."""

    #: The state is that after this event.
    event_id: int
    #: When it was begun, in nanoseconds since 1970.
    created_ns: int
    #: Bytes of the state.
    size: int
    #: How many newer ones are not good, and were passed over.
    passed_over: int


_NESTED: dict[type[ctypes.Structure], type[Any]] = {
    _abi.Timing: Timing, _abi.Ring: Ring, _abi.Worker: Worker, _abi.Latency: Latency,
}


def _value(found: Any, wanted: object) -> Any:
    if isinstance(found, ctypes.Structure):
        return report(_NESTED[type(found)], found)
    if isinstance(found, bytes):
        return found.decode(errors="surrogateescape")
    if isinstance(found, ctypes.Array):
        return tuple(found)
    return bool(found) if wanted is bool else found


def report(kind: type[T], struct: ctypes.Structure, /, **given: Any) -> T:
    """A report with the values of a C struct, by name, but for those that are given."""
    values = {field.name: _value(getattr(struct, field.name), field.type)
              for field in fields(kind) if field.name not in given}  # type: ignore[arg-type]
    return kind(**values, **given)


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else str(number)


def verify_report(struct: Any) -> VerifyReport:
    damages = tuple(
        report(Damage, each, kind=_name(DAMAGE_KINDS, each.kind),
               segment_index=each.segment_index if each.has_segment_index else None)
        for each in struct.damages[: min(struct.damage_count, len(struct.damages))])
    return report(VerifyReport, struct, damages=damages, newest=_name(NEWEST, struct.newest))
