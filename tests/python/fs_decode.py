#!/usr/bin/env python3
"""Decode and verify a segment, meta, identity or directory, without the library.

    fs_decode.py DIR_OR_FILE [--events] [--verify] [--disk-only]

Without options: a line for each file. --events: one line for each event. --verify: continue after
a damaged file and report every one. --disk-only: use the WAL directory alone, as after a reboot.
Exit status 1 when anything is wrong; the message names the file and the offset.
"""

import argparse
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import lz4.frame

from fs_format import (
    BLOCK_SIZE, EVENT_SIZE, EVENTS_PER_BLOCK, HEADER_SIZE, U64_MAX, BlockHeader, Event,
    FormatError, Identity, Meta, SegmentHeader, event_ids, expect_checksum, parse_name, xxh64,
)


@dataclass
class Segment:
    index: int
    where: str
    sealed: bool
    events: bytes
    ended: bool = False  # an open segment with room left: the log ends here
    cold: bool = False

    @property
    def count(self):
        return len(self.events) // EVENT_SIZE


@dataclass
class Log:
    segments: list = field(default_factory=list)
    durable_id: int = 0  # D: the highest id known to be on stable storage
    meta: Meta = None
    identity: Identity = None
    notes: list = field(default_factory=list)
    errors: list = field(default_factory=list)

    def events(self):
        """All events, packed, in order."""
        return b"".join(segment.events for segment in self.segments)


def check_rising(ids, previous, where, offset):
    for number, event_id in enumerate(ids):
        if not previous < event_id < U64_MAX:
            raise FormatError(where, offset + number * EVENT_SIZE,
                              f"event id {event_id} after {previous}")
        previous = event_id


def sealed_block(data, number, chained, previous, where):
    """Check a block of a closed segment against its header; return header and packed events."""
    start = HEADER_SIZE + number * BLOCK_SIZE
    header = BlockHeader.decode(data[start : start + HEADER_SIZE], where, start)
    body = start + HEADER_SIZE
    events = covered_slice(data, start, header)
    if header.block_index != number:
        raise FormatError(where, start + 40, f"block index {header.block_index}, not {number}")
    expect_checksum(where, start + 16, f"block {number}", header.block_checksum, xxh64(events))
    expect_checksum(where, start + 24, f"block {number} chained", header.chained_checksum,
                    xxh64(events, chained))
    ids = event_ids(events)
    check_rising(ids, previous, where, body)
    if (header.first_event_id, header.last_event_id) != (ids[0], ids[-1]):
        raise FormatError(where, start, f"block {number} says ids {header.first_event_id}.."
                          f"{header.last_event_id}, its events {ids[0]}..{ids[-1]}")
    return header, events


def decode_sealed(data, header, where, previous=0):
    """Verify a closed segment; return its events and its highest durable id."""
    if len(data) < HEADER_SIZE + header.block_count * BLOCK_SIZE:
        raise FormatError(where, len(data), f"ends before its {header.block_count} blocks do")
    events, chained, stamp = [], 0, 0
    for number in range(header.block_count):
        block, packed = sealed_block(data, number, chained, previous, where)
        if block.event_count < EVENTS_PER_BLOCK and number + 1 < header.block_count:
            raise FormatError(where, HEADER_SIZE + number * BLOCK_SIZE + 44,
                              f"block {number} is not the last and has {block.event_count} events")
        chained, previous = block.chained_checksum, block.last_event_id
        stamp = max(stamp, block.durable_event_id)
        events.append(packed)
    expect_checksum(where, 56, "last chained", header.last_chained_checksum, chained)
    packed = b"".join(events)
    ids = event_ids(packed) or [0]
    found = (len(packed) // EVENT_SIZE, ids[0], ids[-1])
    if found != (header.event_count, header.first_event_id, header.last_event_id):
        raise FormatError(where, 12, f"header says {header.event_count} events, "
                          f"{header.first_event_id}..{header.last_event_id}; blocks hold "
                          f"{found[0]}, {found[1]}..{found[2]}")
    return packed, stamp


def capacity(data):
    return max(0, len(data) - HEADER_SIZE) // BLOCK_SIZE


def covered_slice(data, start, header):
    """The packed events that the block header at `start` covers."""
    body = start + HEADER_SIZE
    return data[body : body + header.event_count * EVENT_SIZE]


def highest_stamp(data):
    """The highest durable id in the valid block headers of a segment, sealed or open."""
    highest = 0
    for number in range(capacity(data)):
        try:
            start = HEADER_SIZE + number * BLOCK_SIZE
            header = BlockHeader.decode(data[start : start + HEADER_SIZE])
            events = covered_slice(data, start, header)
        except FormatError:
            continue
        if header.block_index == number and header.block_checksum == xxh64(events):
            highest = max(highest, header.durable_event_id)
    return highest


def covered_events(data, number, chained):
    """How many events of this block a valid header covers."""
    start = HEADER_SIZE + number * BLOCK_SIZE
    try:
        header = BlockHeader.decode(data[start : start + HEADER_SIZE])
    except FormatError:
        return 0
    events = covered_slice(data, start, header)
    sums = (header.block_checksum, header.chained_checksum)
    good = header.block_index == number and sums == (xxh64(events), xxh64(events, chained))
    return header.event_count if good else 0


def decode_open(data, previous, durable_id):
    """The events of an open segment, up to where the log ends.

    `durable_id` is D. Above D an event counts only when a block header covers it. None means
    memory written in program order, where rising ids are proof enough.
    """
    events, chained = [], 0
    for number in range(capacity(data)):
        body = HEADER_SIZE + number * BLOCK_SIZE + HEADER_SIZE
        block = data[body : body + BLOCK_SIZE - HEADER_SIZE]
        covered = covered_events(data, number, chained)
        accepted = 0
        for event_id in event_ids(block):
            proven = durable_id is None or accepted < covered or event_id <= durable_id
            if not (previous < event_id < U64_MAX and proven):
                break
            previous, accepted = event_id, accepted + 1
        events.append(block[: accepted * EVENT_SIZE])
        if accepted < EVENTS_PER_BLOCK:
            return b"".join(events), True
        chained = xxh64(block, chained)
    return b"".join(events), False


def decompress(frame, where):
    """Decompress one standard LZ4 frame, with or without content size, and nothing after it."""
    decoder = lz4.frame.LZ4FrameDecompressor()
    try:
        data = decoder.decompress(frame)
    except RuntimeError as error:
        raise FormatError(where, 0, f"not a good LZ4 frame: {error}") from None
    if not decoder.eof:
        raise FormatError(where, len(frame), "the LZ4 frame is cut short")
    if decoder.unused_data:
        raise FormatError(where, len(frame) - len(decoder.unused_data), "bytes after the frame")
    return data


def read_segment_bytes(path, kind):
    data = Path(path).read_bytes()
    return decompress(data, str(path)) if kind == "cold" else data


def decode_segment(data, index, where, previous=0, durable_id=0, cold=False):
    """Decode a segment: a closed one is verified completely, an open one read to its end."""
    header = SegmentHeader.decode(data, where)
    if index is not None and header.segment_index != index:
        raise FormatError(where, 4, f"segment index {header.segment_index}, the name says {index}")
    if header.closed_ts_ns:
        events, _ = decode_sealed(data, header, where, previous)
        return Segment(header.segment_index, where, True, events, cold=cold)
    if cold:
        raise FormatError(where, 32, "a cold segment that was never closed")
    events, ended = decode_open(data, previous, durable_id)
    return Segment(header.segment_index, where, False, events, ended)


def list_segments(directory):
    """{index: {"hot": path, "cold": path}} of the segment files in a directory."""
    found = {}
    for path in Path(directory).iterdir():
        parsed = parse_name(path.name)
        if parsed:
            found.setdefault(parsed[1], {})[parsed[0]] = path
    return dict(sorted(found.items()))


def optional(path, decode, log):
    """Decode a small file; a missing or damaged one gives a note, as in recovery."""
    try:
        return decode(path.read_bytes(), str(path))
    except FileNotFoundError:
        log.notes.append(f"{path}: not there")
    except FormatError as error:
        log.notes.append(str(error))
    return None


def active_directory(directory, log):
    """The directory with the newest events of a crashed log; None when there is none."""
    identity = log.identity
    if identity is None or identity.clean:
        return None
    stat = os.stat(directory)
    if (identity.wal_dev, identity.wal_ino) != (stat.st_dev, stat.st_ino):
        log.notes.append(f"{directory}: a copy of another log's directory")
        return None
    if Path("/proc/sys/kernel/random/boot_id").read_text().strip() != identity.boot_id:
        log.notes.append(f"{directory}: not shut down before the last boot")
        return None
    if not os.path.isdir(identity.active_path):
        raise FormatError(f"{directory}/wal_identity", 0,
                          f"active directory {identity.active_path} is gone, unclean, same boot")
    return identity.active_path


def read_disk_segment(files, index, previous, log):
    """The segment on disk: the cold file if it is good, else the hot one."""
    if "cold" in files:
        try:
            data = read_segment_bytes(files["cold"], "cold")
            return decode_segment(data, index, str(files["cold"]), previous, cold=True)
        except FormatError as error:
            if "hot" not in files:
                raise
            log.notes.append(f"{error}; the hot file decides")
    data = files["hot"].read_bytes()
    return decode_segment(data, index, str(files["hot"]), previous, log.durable_id)


def read_one(files, active_path, index, previous, log):
    """One segment from both directories; the active copy may only add to the one on disk."""
    disk = read_disk_segment(files, index, previous, log) if files else None
    if active_path is None:
        return disk
    data = Path(active_path).read_bytes()
    header = SegmentHeader.decode(data, str(active_path))
    if header.segment_index != index:
        raise FormatError(active_path, 4, f"segment index {header.segment_index}, not {index}")
    events, ended = decode_open(data, previous, None)
    active = Segment(index, str(active_path), False, events, ended)
    if disk is None:
        return active
    common = min(len(disk.events), len(active.events))
    if disk.events[:common] != active.events[:common]:
        first = next(i for i in range(common) if disk.events[i] != active.events[i])
        raise FormatError(active_path, 0, f"event {first // EVENT_SIZE} contradicts {disk.where}")
    if len(disk.events) > len(active.events) and active.count:
        raise FormatError(active_path, 0, f"{active.count} events, {disk.where} has {disk.count}")
    return active if active.count else disk


def find_durable_id(segments, log):
    """D: the highest of meta's id and the durable ids in valid block headers."""
    highest = log.meta.last_event_id if log.meta else 0
    for files in segments.values():
        for kind, path in files.items():
            try:
                highest = max(highest, highest_stamp(read_segment_bytes(path, kind)))
            except FormatError:
                continue  # reported where the segment itself is decoded
    return highest


def read_directory(directory, disk_only=False, keep_going=False):
    """Read a log. Raises FormatError, or collects them in `errors` with `keep_going`."""
    directory, log = Path(directory), Log()
    log.identity = optional(directory / "wal_identity", Identity.decode, log)
    log.meta = optional(directory / "wal_meta.dat", Meta.decode, log)
    disk = list_segments(directory)
    log.durable_id = find_durable_id(disk, log)
    active_dir = None if disk_only else active_directory(directory, log)
    active = list_segments(active_dir) if active_dir else {}
    previous, last_index, ended = 0, None, False
    for index in sorted(disk.keys() | active.keys()):
        try:
            segment = read_one(disk.get(index), active.get(index, {}).get("hot"), index,
                               previous, log)
            if not segment.count:
                continue
            first = event_ids(segment.events)[0]
            gap = last_index is not None and index != last_index + 1
            if (ended or gap) and first <= log.durable_id:
                why = f"segment {last_index + 1} is missing" if gap else f"ended at id {previous}"
                raise FormatError(segment.where, 128, f"durable event {first}, but the log {why}")
            if ended or gap:
                log.notes.append(f"{segment.where}: {segment.count} events past the log's end")
                ended = True
                continue
        except FormatError as error:
            if not keep_going:
                raise
            log.errors.append(str(error))
            last_index = index
            continue
        log.segments.append(segment)
        previous, last_index, ended = event_ids(segment.events)[-1], index, segment.ended
    if log.segments and previous < log.durable_id and not log.errors:
        error = FormatError(directory, 0, f"ends at id {previous}, durable up to {log.durable_id}")
        if not keep_going:
            raise error
        log.errors.append(str(error))
    return log


def read_file(path):
    """Read a single file as a log: D is the highest durable id in its block headers."""
    parsed = parse_name(path.name)
    kind = "cold" if path.name.endswith(".lz4") else "hot"
    data = read_segment_bytes(path, kind)
    durable_id = highest_stamp(data)
    index = parsed[1] if parsed else None
    segment = decode_segment(data, index, str(path), 0, durable_id, kind == "cold")
    log = Log([segment], durable_id)
    if not segment.sealed:
        log.notes.append(f"{path}: open; in a single file a recycled segment's old events cannot "
                         "be distinguished from new ones: give the directory")
    return log


def print_events(log):
    out = sys.stdout
    for segment in log.segments:
        for start in range(0, len(segment.events), EVENT_SIZE):
            event = Event.decode(segment.events[start : start + EVENT_SIZE])
            out.write(" ".join(map(str, event[:9])) + f" {event.reserved.hex()}\n")


def print_summary(log):
    for segment in log.segments:
        ids = event_ids(segment.events) or [0]
        state = "cold" if segment.cold else "sealed" if segment.sealed else "open"
        print(f"{segment.where}: {state}, {segment.count} events, ids {ids[0]}..{ids[-1]}")
    total = sum(segment.count for segment in log.segments)
    print(f"{total} events in {len(log.segments)} segments, durable up to {log.durable_id}")


def run(arguments):
    path = Path(arguments.path)
    if path.is_dir():
        log = read_directory(path, arguments.disk_only, keep_going=arguments.verify)
    elif path.name in ("wal_meta.dat", "wal_identity"):
        kind = Meta if path.name == "wal_meta.dat" else Identity
        print(kind.decode(path.read_bytes(), str(path)))
        return 0
    else:
        log = read_file(path)
    for note in log.notes:
        print(f"note: {note}", file=sys.stderr)
    for error in log.errors:
        print(f"error: {error}", file=sys.stderr)
    (print_events if arguments.events else print_summary)(log)
    return 1 if log.errors else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", metavar="DIR_OR_FILE")
    parser.add_argument("--events", action="store_true", help="list every event")
    parser.add_argument("--verify", action="store_true", help="report every damaged file")
    parser.add_argument("--disk-only", action="store_true", help="leave out the active directory")
    try:
        return run(parser.parse_args())
    except (FormatError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
