"""What the package costs beside the same calls from C, in one run, in turns (P9).

bench.py [--dir=DIRECTORY] [--out=DIRECTORY] [--events=N] [--rounds=N]

Batches: the events are in memory, and only the calls are timed. Reading: the floors are a loop in C
that takes every batch and keeps nothing, and a copy of the result in memory. Peaks are those of a
process of its own. Prints a table of medians and ranges, and writes python.json.
"""

import argparse
import ctypes
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import flashstrike_wal as fs
from flashstrike_wal import _abi

BATCHES = (256, 4096, 65_536)

C = r"""
#include <stddef.h>
#include <stdint.h>
typedef int32_t (*append_batch)(void *, const void *, size_t, size_t *);
typedef int32_t (*next_batch)(void *, const void **, size_t *);
int32_t append_all(append_batch call, void *wal, const char *events, size_t count, size_t batch)
{
    int32_t status = 0;
    for (size_t at = 0; at < count && status == 0; at += batch)
        status = call(wal, events + at * 64, count - at < batch ? count - at : batch, NULL);
    return status;
}
size_t read_all(next_batch call, void *reader)
{
    const void *events;
    size_t count, all = 0;
    while (call(reader, &events, &count) == 0)
        all += count;
    return all;
}
"""

PEAK = """
import sys, flashstrike_wal as fs
def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status")
                if line.startswith("VmHWM"))
before = peak()
found = fs.read(sys.argv[1])
print(peak() - before - found.nbytes)
"""


def compiled(folder: str) -> ctypes.CDLL:
    source, library = Path(folder, "loops.c"), Path(folder, "loops.so")
    source.write_text(C)
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", "-o", library, source],
                   check=True)
    loops = ctypes.CDLL(str(library))
    loops.append_all.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
                                 ctypes.c_size_t, ctypes.c_size_t]
    loops.read_all.argtypes, loops.read_all.restype = [ctypes.c_void_p] * 2, ctypes.c_size_t
    return loops


def address(function: Any) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class Bench:
    """Rounds of everything, in turns."""

    def __init__(self, folder: str, loops: ctypes.CDLL, count: int) -> None:
        self.folder, self.loops, self.count = folder, loops, count
        self.found: dict[str, list[float]] = {}
        self.turn = 0

    def note(self, name: str, taken: float, events: int) -> None:
        self.found.setdefault(name, []).append(taken / events * 1e9)

    def append(self, batch: int) -> None:
        """What the active set holds, so that it is the call that is measured, not the disk."""
        events = np.zeros(15 * 65_536, fs.EVENT_DTYPE)
        events["event_id"] = np.arange(1, len(events) + 1)
        parts = [events[at : at + batch] for at in range(0, len(events), batch)]

        def in_python(log: fs.Log) -> None:
            for part in parts:
                log.append_batch(part)

        def in_c(log: fs.Log) -> None:
            self.loops.append_all(address(_abi.LIB.fs_wal_append_batch), log._handle,
                                  events.__array_interface__["data"][0], len(events), batch)

        turns = [("Python", in_python), ("C", in_c)]
        for name, work in turns if self.turn % 2 else reversed(turns):
            with fs.Log(os.path.join(self.folder, "append"), prepared_segments=16) as log:
                time.sleep(0.2)
                self.note(f"append, {batch} a call: {name}", seconds(lambda: work(log)),
                          len(events))
            shutil.rmtree(os.path.join(self.folder, "append"))

    def read(self) -> None:
        path, threads = os.path.join(self.folder, "read"), len(os.sched_getaffinity(0))

        def in_c() -> None:
            with fs.Reader(path, threads=threads) as reader, reader._handle as pointer:
                assert self.loops.read_all(
                    address(_abi.LIB.fs_wal_reader_next_batch), pointer) == self.count

        def frame() -> None:
            fs.read(path, columns=fs.NUMERIC_COLUMNS).to_pandas()

        works: list[tuple[str, Callable[[], object]]] = [
            ("C, which keeps nothing", in_c), ("an array", lambda: fs.read(path)),
            ("columns", lambda: fs.read(path, columns=fs.NUMERIC_COLUMNS)),
            ("a DataFrame", frame),
        ]
        for name, work in works:
            # Touched and freed just before, so that it is not the host of a virtual machine that
            # is measured, which takes ten times as long to give a page as the guest.
            np.ones(self.count * 9)
            self.note(f"read: {name}", seconds(work), self.count)
        found = fs.read(path)
        np.ones(self.count * 9)
        self.note("read: a copy of the array", seconds(found.copy), self.count)
        if len(found) != self.count or found["event_id"][-1] != self.count:
            raise SystemExit("it read something else")

    def write(self) -> None:
        with fs.Log(os.path.join(self.folder, "read"), max_segments=fs.KEEP_ALL,
                    compression=False) as log:
            for first in range(1, self.count + 1, 1_000_000):
                ids = np.arange(first, min(first + 1_000_000, self.count + 1))
                log.append_batch({"event_id": ids, "timestamp": ids * 1000, "price": ids % 1000})


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--dir", default=None)
    options.add_argument("--out", default=None)
    options.add_argument("--events", type=int, default=10_000_000)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    import pandas  # before the clock runs

    if given.dir:
        os.makedirs(given.dir, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        bench = Bench(folder, compiled(folder), given.events)
        bench.write()
        for bench.turn in range(given.rounds):
            for batch in BATCHES:
                bench.append(batch)
            bench.read()
        said = subprocess.run([sys.executable, "-c", PEAK, os.path.join(folder, "read")],
                              check=True, capture_output=True, text=True).stdout
    show(bench.found, int(said), given.out, pandas.__version__)


def show(found: dict[str, list[float]], peak: int, out: str | None, pandas: str) -> None:
    medians = {name: statistics.median(taken) for name, taken in found.items()}
    for name, taken in found.items():
        print(f"{name:32} {medians[name]:7.2f} ns an event ({min(taken):.2f} to {max(taken):.2f})")
    rows = {
        f"batch append, {batch} a call, beside C": (
            medians[f"append, {batch} a call: Python"] / medians[f"append, {batch} a call: C"],
            "<= 1.2")
        for batch in BATCHES
    } | {
        "read, million events a second": (1000 / medians["read: an array"], ">= 20"),
        "a DataFrame, beside read": (
            medians["read: a DataFrame"] / medians["read: an array"], "<= 1.5"),
        "peak memory beside the result, MB": (peak / 1e6, "<= 64"),
    }
    for name, (value, aim) in rows.items():
        print(f"{name:40} {value:8.2f}   aim {aim}")
    if out:
        os.makedirs(out, exist_ok=True)
        Path(out, "python.json").write_text(json.dumps(
            {"ns": found, "rows": rows, "numpy": np.__version__, "pandas": pandas}, indent=1))


if __name__ == "__main__":
    main()
