#!/usr/bin/env python3
"""Instructions an event costs the appending thread: counted by valgrind, compared with docs/performance.md.

    instruction_counts.py CALLS            count and print; CALLS is the program built from tests/instructions/calls.c
    instruction_counts.py CALLS --check    the same, and fail if a count is above the page's
    instruction_counts.py CALLS --write    put the counts into the page

A count may be above the page's by LEEWAY_SAME when the library was built by the compiler the page names: one test
and branch more in a call is found. Another compiler may choose other instructions: LEEWAY_OTHER.
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

# Label in the table, argument of CALLS, the functions whose instructions count.
WAYS = (
    ("`fs_wal_append`", "append", ("fs_wal_append",)),
    ("`fs_wal_append_batch`, 256 a call", "batch", ("fs_wal_append_batch",)),
    ("`fs_wal_claim` + `fs_wal_commit`", "claim", ("fs_wal_claim", "fs_wal_commit")),
)


def count(calls, way, functions):
    """Instructions an event, from entry to return of these functions: what other threads do is not in it."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=out"]
        command += [f"--toggle-collect={name}" for name in functions]
        done = subprocess.run(command + [str(calls), way, str(EVENTS)], cwd=scratch, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
        total = re.search(r"^totals: (\d+)", (Path(scratch) / "out").read_text(), re.M)
    if not total or int(total[1]) < EVENTS:
        sys.exit(f"{way}: nothing was counted: are {functions} still called by that name?")
    return int(total[1]) / EVENTS


def compiler(calls):
    """The compiler of the library that CALLS loads, as it signed it."""
    loaded = subprocess.run(["ldd", calls], capture_output=True, text=True, check=True).stdout
    library = re.search(r"=> (\S*libflashstrike_wal\S*)", loaded)[1]
    return "rustc " + re.search(rb"rustc version (\d+\.\d+\.\d+)", Path(library).read_bytes())[1].decode()


def table(counts, by):
    lines = [f"| call | instructions an event, {by} |", "|---|---:|"]
    lines += [f"| {label} | {counts[label]:.1f} |" for label, _, _ in WAYS]
    return "\n".join(lines) + "\n"


def recorded():
    """The page's counts by label, and the compiler they are of."""
    text = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    rows = re.findall(r"^\| (.+) \| ([\d.]+) \|$", text, re.M)
    return {label: float(value) for label, value in rows}, re.search(r"rustc [\d.]+", text)[0]


def complaints(counts, by):
    limits, limits_by = recorded()
    for label, value in counts.items():
        leeway = LEEWAY_SAME if by == limits_by else max(LEEWAY_SAME, limits[label] * LEEWAY_OTHER)
        if value > limits[label] + leeway:
            yield (f"{label}: {value:.1f} instructions an event by {by}, {limits[label]} by {limits_by} in "
                   f"docs/performance.md: what is in the way now? If it must be: --write")


def main():
    calls = Path(sys.argv[1]).resolve()
    if platform.machine() != "x86_64":
        print("the counts in docs/performance.md are of x86-64")
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
