#!/usr/bin/env python3
"""The table of docs/durability.md, from what the tests of a run wrote down.

    durability_table.py            print the table of the last run
    durability_table.py --check    the same, and fail if a row is missing, too small, or not all 0
    durability_table.py --write    put the table into docs/durability.md
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "durability.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"

# Every row there must be, in the table's order, and how often at least the fault is caused.
LEAST = {
    "power-cuts-ext4": 150,
    "power-cuts-xfs": 150,
    "simulated-crashes": 14_000,
    "simulated-faults": 6_000,
    "kills-random": 500,
    "kills-at-calls": 200,
    "recovery-kills": 200,
    "open-kills": 3_000,
    "call-failures": 300,
    "call-failures-open": 200,
    "recovery-read-errors": 100,
    "bit-flips": 5_000,
    "fuzz-directories": 1_000,
    "fuzz-bytes": 10_000,
    "parallel-replay": 200,
    "retention-floor": 100,
    "retention-gap": 20,
    "hold-races": 60,
    "snapshot-crashes": 1_500,
    "snapshot-kills": 60,
    "followers-in-a-storm": 30,
    "followers-and-losses": 10,
    "two-writers": 200,
    "clean-up-jobs": 60,
}
LOSSES = ("lost", "invented", "undetected")


def rows():
    """The rows of the last run, by name, in order."""
    files = (ROOT / "target" / "durability").glob("*.json")
    found = {path.stem: json.loads(path.read_text()) for path in files}
    order = list(LEAST) + sorted(set(found) - set(LEAST))
    return {name: found[name] for name in order if name in found}


def table(found):
    lines = [
        "| fault | tried | lost | invented | undetected | planted bugs, all found | test |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    for row in found.values():
        planted = "; ".join(row["planted"])
        numbers = " | ".join(f"{row[key]:,}" for key in ("tried", *LOSSES))
        lines.append(f"| {row['fault']} | {numbers} | {planted} | `{row['test']}` |")
    return "\n".join(lines) + "\n"


def complaints(found):
    for name, least in LEAST.items():
        if name not in found:
            yield f"{name}: not tried (the test says why: it needs root, or a tool)"
        elif found[name]["tried"] < least:
            yield f"{name}: tried {found[name]['tried']} times, must be {least}"
    for name, row in found.items():
        yield from (f"{name}: {row[key]} {key}" for key in LOSSES if row[key])


def main():
    found = rows()
    print(table(found))
    if "--write" in sys.argv:
        before, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(before + BEGIN + table(found) + END + rest.split(END)[1])
    if "--check" in sys.argv:
        wrong = list(complaints(found))
        print("\n".join(wrong))
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
