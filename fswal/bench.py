"""What `fswal export` and `fswal backup` take beside their floors, in one run, in turns (P12).

bench.py FSWAL [--dir=DIRECTORY] [--out=DIRECTORY] [--events=N] [--rounds=N]

The floor of an export is reading and checking the same events and keeping none of them; that of a
backup is `cp`, and a sync. A core's events a second are those by processor time, of all threads.
Peaks are VmHWM, as the kernel tells who waits for a process. Prints medians and ranges, and writes
export.json.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import flashstrike_wal as fs

READ = """
import sys, flashstrike_wal as fs
with fs.Reader(sys.argv[1]) as reader:
    for batch in reader.batches():
        pass
"""


def order_flow(rng, first, count, before):
    """Events that look like those of an engine: ids and times rise, prices stay near."""
    events = np.zeros(count, fs.EVENT_DTYPE)
    events["event_id"] = np.arange(first, first + count)
    gaps = rng.exponential(1000, count)
    events["timestamp"] = before["timestamp"] + np.cumsum(gaps).astype(np.uint64)
    events["price"] = before["price"] + np.cumsum(rng.integers(-1, 2, count))
    events["quantity"] = 100 * rng.integers(1, 20, count)
    events["user_id"] = rng.zipf(1.3, count) % 5000
    events["order_id"] = events["event_id"] - rng.integers(0, 500, count).clip(max=first - 1)
    events["type"] = rng.choice([0, 1, 2, 3], count, p=[0.45, 0.05, 0.1, 0.4])
    events["side"] = rng.integers(0, 2, count)
    return events


def record(path, count):
    rng = np.random.default_rng(7)
    last = {"timestamp": np.uint64(1_795_910_220_000_000_000), "price": 10_000}
    with fs.Log(path, max_segments=fs.KEEP_ALL, compression=False) as log:
        for first in range(1, count + 1, 1_000_000):
            events = order_flow(rng, first, min(1_000_000, count + 1 - first), last)
            last = events[-1]
            log.append_batch(events)


class Bench:
    def __init__(self, count):
        self.count, self.found, self.peaks = count, {}, {}

    def run(self, name, *command):
        """One turn: wall time and processor time of a process, and its peak."""
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{name}: ended with {process.returncode}")
        taken = {"wall": time.perf_counter() - began, "cpu": used.ru_utime + used.ru_stime}
        self.found.setdefault(name, []).append(taken)
        self.peaks[name] = max(self.peaks.get(name, 0), used.ru_maxrss * 1024)

    def rates(self, name, by):
        """Million events a second, of each turn."""
        return [self.count / turn[by] / 1e6 for turn in self.found[name]]


def turns(bench, fswal, log, folder):
    """One turn of each. What a turn has made is removed before the next one, which then takes the
    same memory: new memory is slow where the machine is a virtual one and its host has to give it.
    """
    made = folder / "made"
    bench.run("read and check", sys.executable, "-c", READ, log)
    for kind in ("parquet", "arrow"):
        of_kind = made.with_suffix(f".{kind}")
        bench.run(f"export, {kind}", fswal, "export", log, of_kind)
        of_kind.unlink()
    bench.run("cp and sync", "sh", "-c", 'cp -r "$1" "$2" && sync "$2"/*', "sh", log, made)
    shutil.rmtree(made)
    bench.run("backup", fswal, "backup", log, made)
    shutil.rmtree(made)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("fswal")
    options.add_argument("--dir", default=None)
    options.add_argument("--out", default=None)
    options.add_argument("--events", type=int, default=10_000_000)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    # What this process has is counted to a child's peak until it becomes another program.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if given.dir:
        os.makedirs(given.dir, exist_ok=True)
    bench = Bench(given.events)
    with tempfile.TemporaryDirectory(dir=given.dir) as name:
        log = Path(name, "log")
        subprocess.run([sys.executable, __file__, "record", log, str(given.events)], check=True)
        for _ in range(given.rounds):
            turns(bench, os.path.abspath(given.fswal), log, Path(name))
    for name in bench.found:
        wall, cpu = bench.rates(name, "wall"), bench.rates(name, "cpu")
        print(f"{name:18} {statistics.median(wall):6.2f} M/s ({min(wall):.2f} to {max(wall):.2f}), "
              f"{statistics.median(cpu):6.2f} M/s a core, peak {bench.peaks[name] / 1e6:.0f} MB")

    def of(name, by):
        return statistics.median(bench.rates(name, by))

    rows = {
        "export, parquet, million events a second a core": (of("export, parquet", "cpu"), ">= 5"),
        "backup, beside cp": (of("backup", "wall") / of("cp and sync", "wall"), ">= 0.8"),
        "peak of either, MB": (
            max(bench.peaks[name] for name in ("export, parquet", "backup")) / 1e6, "<= 128"),
    }
    for name, (value, aim) in rows.items():
        print(f"{name:50} {value:8.2f}   aim {aim}")
    print(f"(peaks below {own / 1e6:.0f} MB are this script's own)")
    if given.out:
        os.makedirs(given.out, exist_ok=True)
        Path(given.out, "export.json").write_text(
            json.dumps({"seconds": bench.found, "peaks": bench.peaks, "rows": rows}, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["record"]:
        record(sys.argv[2], int(sys.argv[3]))
    else:
        main()
