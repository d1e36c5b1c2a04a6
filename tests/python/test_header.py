"""The header, the exported symbols, and the declarations that programs rely on."""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from flashstrike_wal import _abi
from support import ROOT

HEADER = ROOT / "include" / "flashstrike_wal.h"

# Copied from the contract, so that a change of the header cannot change what it is checked against.
FUNCTIONS = """
void fs_wal_config_init(fs_wal_config *, uint32_t);
fs_wal_status fs_wal_open(const char *, const fs_wal_config *, fs_wal **);
fs_wal_status fs_wal_append(fs_wal *, const fs_request_event *);
fs_wal_status fs_wal_append_batch(fs_wal *, const fs_request_event *, size_t, size_t *);
fs_wal_status fs_wal_claim(fs_wal *, fs_request_event **);
fs_wal_status fs_wal_commit(fs_wal *, uint64_t);
fs_wal_status fs_wal_meta(const fs_wal *, fs_wal_meta_state *);
fs_wal_status fs_wal_durable(const fs_wal *, fs_wal_meta_state *);
fs_wal_status fs_wal_sync(fs_wal *);
fs_wal_status fs_wal_wait_durable(fs_wal *, uint64_t, uint64_t);
fs_wal_status fs_wal_set_retention_floor(fs_wal *, uint64_t);
fs_wal_status fs_wal_recovery_report(const fs_wal *, fs_wal_recovery_report_t *);
fs_wal_status fs_wal_metrics(const fs_wal *, fs_wal_metrics_t *);
fs_wal_status fs_wal_metrics_of(const char *, fs_wal_metrics_t *);
fs_wal_status fs_wal_durable_fd(fs_wal *, int *);
fs_wal_status fs_wal_metrics_prometheus(const fs_wal *, char *, size_t, size_t *);
fs_wal_status fs_wal_metrics_prometheus_of_all(
    const fs_wal *const *, size_t, char *, size_t, size_t *);
fs_wal_status fs_wal_shutdown(fs_wal *);
fs_wal_status fs_wal_reader_open(const char *, const fs_wal_reader_config *, fs_wal_reader **);
fs_wal_status fs_wal_reader_next(fs_wal_reader *, fs_request_event *);
fs_wal_status fs_wal_reader_next_batch(fs_wal_reader *, const fs_request_event **, size_t *);
fs_wal_status fs_wal_reader_seek(fs_wal_reader *, uint64_t);
fs_wal_status fs_wal_reader_wait(fs_wal_reader *, uint64_t);
fs_wal_status fs_wal_reader_seek_time(fs_wal_reader *, uint64_t);
fs_wal_status fs_wal_reader_metrics(fs_wal_reader *, fs_wal_reader_metrics_t *);
void fs_wal_reader_close(fs_wal_reader *);
fs_wal_status fs_wal_verify(const char *, fs_wal_verify_report_t *);
const char * fs_wal_status_string(fs_wal_status);
const char * fs_wal_last_error(void);
fs_wal_status fs_wal_last_error_detail(fs_wal_error_detail *);
const char * fs_wal_version(void);
"""

STRUCTS = {
    "fs_request_event": (64, 8, {
        "event_id": 0, "timestamp": 8, "price": 16, "quantity": 24, "user_id": 32, "order_id": 36,
        "type": 40, "order_type": 41, "side": 42, "reserved": 43}),
    "fs_wal_meta_state": (16, 8, {
        "last_segment_index": 0, "last_offset": 4, "last_event_id": 8}),
    "fs_wal_config": (None, 8, {
        "struct_size": 0, "num_blocks": 4, "max_segments": 8, "max_compressed_segments": 12,
        "prepared_segments": 16, "flags": 20, "backpressure": 24, "sync_mode": 28,
        "sync_interval_ns": 32, "retention_floor": 40, "active_dir": 48}),
    "fs_wal_reader_config": (None, 8, {
        "struct_size": 0, "flags": 4, "threads": 8, "reserved": 12, "end_event_id": 16,
        "spin_ns": 24, "hold": 32}),
    "fs_wal_segment_header": (64, 8, {
        "magic": 0, "version": 2, "header_size": 3, "segment_index": 4, "block_count": 8,
        "event_count": 12, "first_event_id": 16, "last_event_id": 24, "created_ts_ns": 32,
        "closed_ts_ns": 40, "header_checksum": 48, "last_chained_checksum": 56}),
    "fs_wal_block_header": (64, 8, {
        "first_event_id": 0, "last_event_id": 8, "block_checksum": 16, "chained_checksum": 24,
        "header_checksum": 32, "block_index": 40, "event_count": 44, "reserved0": 46,
        "durable_event_id": 48, "reserved1": 56}),
}

CONSTANTS = {
    **{f"FS_WAL_ERR_{name}": code for name, code in _abi.STATUS.items()
       if name not in ("OK", "END")},
    "FS_WAL_OK": 0, "FS_WAL_END": 15, "FS_WAL_KEEP_ALL": 2**32 - 1, "FS_WAL_KEEP_NONE": 2**32 - 2,
    "FS_WAL_FLAG_ACCEPT_LOSS": 1, "FS_WAL_FLAG_ALLOW_ANY_FILESYSTEM": 2,
    "FS_WAL_FLAG_NO_COMPRESSION": 4, "FS_WAL_FLAG_SPIN": 8, "FS_WAL_BACKPRESSURE_BLOCK": 0,
    "FS_WAL_BACKPRESSURE_FAIL_FAST": 1, "FS_WAL_SYNC_CONTINUOUS": 0, "FS_WAL_SYNC_INTERVAL": 1,
    "FS_WAL_SYNC_ROTATION": 2, "FS_WAL_READER_FOLLOW": 1, "FS_WAL_READER_SALVAGE": 2,
    "FS_WAL_READER_NO_VERIFY": 4, "FS_WAL_READER_DURABLE_ONLY": 8, "FS_WAL_SEGMENT_MAGIC": 0x4653,
    "FS_WAL_FORMAT_VERSION": 1, "FS_WAL_SEGMENT_HEADER_SIZE": 64, "FS_WAL_BLOCK_HEADER_SIZE": 64,
    "FS_WAL_EVENTS_PER_BLOCK": 256, "FS_WAL_BLOCK_SIZE": 16448, "FS_WAL_MIN_BLOCKS": 16,
    "FS_WAL_MAX_BLOCKS": 261120, "FS_WAL_VERSION_MAJOR": 0, "FS_WAL_VERSION_MINOR": 1,
    "FS_WAL_VERSION_PATCH": 0,
}

needs_cc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


def declared_functions():
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", HEADER.read_text(), flags=re.S)
    return set(re.findall(r"\b(fs_wal_\w+)\s*\((?!\*)[^;{}]*\)\s*;", text))


def exported_symbols():
    library = Path(_abi.__file__).with_name("libflashstrike_wal.so")
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    return {line.split()[-1].split("@")[0] for line in lines
            if " A " not in line}  # the name of the version


def test_what_is_declared_is_exported_and_nothing_else():
    required = set(re.findall(r"fs_wal_\w+(?=\()", FUNCTIONS))
    assert required <= declared_functions()
    assert exported_symbols() == declared_functions()


def compile_only(source, tmp_path):
    path = tmp_path / "check.c"
    path.write_text(source)
    return subprocess.run(
        ["gcc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
         f"-I{HEADER.parent}", path], capture_output=True, text=True, check=False)


def contract_source():
    """C code that compiles only if the header has all of the above, with these types and values."""
    lines = ["#include <flashstrike_wal.h>", "#include <flashstrike_wal.h>", "#include <stddef.h>"]
    lines += FUNCTIONS.strip().splitlines()
    lines.append("_Static_assert(_Generic((fs_wal_status)0, int32_t: 1, default: 0), \"status\");")
    for name, value in CONSTANTS.items():
        lines.append(f'_Static_assert({name} == {value}u, "{name}");')
    for name, (size, alignment, offsets) in STRUCTS.items():
        if size:
            lines.append(f'_Static_assert(sizeof({name}) == {size}, "{name}");')
        lines.append(f'_Static_assert(_Alignof({name}) == {alignment}, "{name}");')
        for field, offset in offsets.items():
            lines.append(f'_Static_assert(offsetof({name}, {field}) == {offset}, "{field}");')
    return "\n".join(lines) + "\nint main(void) { return 0; }\n"


@needs_cc
def test_declarations_are_those_of_the_contract(tmp_path):
    done = compile_only(contract_source(), tmp_path)
    assert done.returncode == 0, done.stderr


@needs_cc
@pytest.mark.parametrize("old, new", [
    ("fs_wal_commit(fs_wal *, uint64_t)", "fs_wal_commit(fs_wal *, uint32_t)"),
    ("offsetof(fs_request_event, side) == 42", "offsetof(fs_request_event, side) == 43"),
    ("FS_WAL_ERR_GAP == 12u", "FS_WAL_ERR_GAP == 13u"),
])
def test_the_contract_check_can_fail(tmp_path, old, new):
    assert old in contract_source()
    assert compile_only(contract_source().replace(old, new), tmp_path).returncode != 0


@needs_cc
def test_the_binding_has_the_layout_of_the_header(tmp_path):
    names = {"fs_wal_config": _abi.Config, "fs_wal_meta_state": _abi.MetaState,
             "fs_wal_reader_config": _abi.ReaderConfig,
             "fs_wal_reader_metrics_t": _abi.ReaderMetrics,
             "fs_wal_recovery_report_t": _abi.RecoveryReport,
             "fs_wal_error_detail": _abi.ErrorDetail, "fs_wal_damage": _abi.Damage,
             "fs_wal_verify_report_t": _abi.VerifyReport,
             "fs_wal_snapshot_info": _abi.SnapshotInfo, "fs_wal_timing": _abi.Timing,
             "fs_wal_ring": _abi.Ring, "fs_wal_worker": _abi.Worker,
             "fs_wal_latency": _abi.Latency, "fs_wal_metrics_t": _abi.Metrics}
    lines = ["#include <flashstrike_wal.h>", "#include <stddef.h>"]
    for name, struct in names.items():
        lines.append(f'_Static_assert(sizeof({name}) == {ctypes.sizeof(struct)}, "{name}");')
        for field, _ in struct._fields_:
            member = getattr(struct, field)
            for measured, value in ((f"offsetof({name}, {field})", member.offset),
                                    (f"sizeof((({name} *)0)->{field})", member.size)):
                lines.append(f'_Static_assert({measured} == {value}, "{field}");')
    done = compile_only("\n".join(lines) + "\nint main(void) { return 0; }\n", tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_binding_has_the_functions_of_the_header():
    """By name and number of arguments; a wrong type of one would be seen by who calls it."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", HEADER.read_text(), flags=re.S)
    found = re.findall(r"\b(fs_wal_\w+)\s*\((?!\*)([^;{}()]*)\)\s*;", text)
    declared = {name: 0 if given.strip() == "void" else given.count(",") + 1
                for name, given in found}
    bound = {name: len(arguments) for name, (_, arguments) in _abi.SIGNATURES.items()}
    assert bound == declared


def test_the_binding_has_the_statuses_of_the_header():
    names = [_abi.LIB.fs_wal_status_string(code).decode() for code in range(17)]
    assert [name.removeprefix("FS_WAL_").removeprefix("ERR_") for name in names] == [
        *_abi.STATUS_NAMES]
