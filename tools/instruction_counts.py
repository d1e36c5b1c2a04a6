#!/usr/bin/env python3
"""Counts the instructions of an append with valgrind, and compares with docs/performance.md.

    instruction_counts.py CALLS            count and print
    instruction_counts.py CALLS --check    the same, and fail if a count is above that in the page
    instruction_counts.py CALLS --write    write the counts into the page

CALLS is the program that is built from tests/instructions/calls.c.

If the library was built by the compiler that the page names, a count may be LEEWAY_SAME above that
in the page, so that a single test and branch more in a call is found. Another compiler may choose
other instructions, so the leeway is LEEWAY_OTHER.
"""

import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- instructions: begin -->\n", "<!-- instructions: end -->\n"
EVENTS = 65_536
LEEWAY_SAME = 1.0  # instructions
LEEWAY_OTHER = 0.10  # of the count
SKIPPED = 77  # to ctest

# Label in the table, argument of CALLS, and the functions whose instructions are counted.
WAYS = (
    ("`fs_wal_append`", "append", ("fs_wal_append",)),
    ("`fs_wal_append_batch`, 256 a call", "batch", ("fs_wal_append_batch",)),
    ("`fs_wal_claim` + `fs_wal_commit`", "claim", ("fs_wal_claim", "fs_wal_commit")),
)


def count(calls, way, functions):
    """Instructions per event within these functions; those of other threads are not counted."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=out"]
        command += [f"--toggle-collect={name}" for name in functions]
        command += [str(calls), way, str(EVENTS)]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
        total = re.search(r"^totals: (\d+)", (Path(scratch) / "out").read_text(), re.M)
    if not total or int(total[1]) < EVENTS:
        sys.exit(f"{way}: nothing was counted. Do the functions {functions} still exist?")
    return int(total[1]) / EVENTS


def compiler(calls):
    """The compiler that built the library which CALLS loads, from the library file."""
    loaded = subprocess.run(["ldd", calls], capture_output=True, text=True, check=True).stdout
    library = Path(re.search(r"=> (\S*libflashstrike_wal\S*)", loaded)[1])
    version = re.search(rb"rustc version (\d+\.\d+\.\d+)", library.read_bytes())[1]
    return "rustc " + version.decode()


def table(counts, by):
    lines = [f"| call | instructions an event, {by} |", "|---|---:|"]
    lines += [f"| {label} | {counts[label]:.1f} |" for label, _, _ in WAYS]
    return "\n".join(lines) + "\n"


def recorded():
    """The counts in the page by label, and the compiler that they are for."""
    text = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    rows = re.findall(r"^\| (.+) \| ([\d.]+) \|$", text, re.M)
    return {label: float(value) for label, value in rows}, re.search(r"rustc [\d.]+", text)[0]


def complaints(counts, by):
    limits, limits_by = recorded()
    for label, value in counts.items():
        limit, leeway = limits[label], LEEWAY_SAME
        if by != limits_by:
            leeway = max(LEEWAY_SAME, limit * LEEWAY_OTHER)
        if value > limit + leeway:
            yield (f"{label}: {value:.1f} instructions per event by {by}, but {limit} by "
                   f"{limits_by} in docs/performance.md. Find what was added; if it is needed, "
                   "use --write")


def main():
    calls = Path(sys.argv[1]).resolve()
    if platform.machine() != "x86_64":
        print("skipped: the counts in docs/performance.md are for x86-64")
        sys.exit(SKIPPED)
    counts = {label: count(calls, way, functions) for label, way, functions in WAYS}
    by = compiler(calls)
    print(table(counts, by))
    if "--write" in sys.argv:
        before, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(before + BEGIN + table(counts, by) + END + rest.split(END)[1])
    if "--check" in sys.argv:
        wrong = list(complaints(counts, by))
        print("\n".join(wrong))
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
