#!/usr/bin/env python3
"""Makes the performance section of README.md from the report of `make bench`.

    bench_table.py            print the section of the last run
    bench_table.py --write    keep the last run: copy its report and pictures to docs/bench, and
                              write its section into README.md
    bench_table.py --check    fail if the section in README.md is not that of the kept run
"""

import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAST = ROOT / "target" / "bench"
KEPT = ROOT / "docs" / "bench"
PAGE = ROOT / "README.md"
BEGIN, END = "<!-- bench: begin -->\n", "<!-- bench: end -->\n"
REPORT = "bench.json"

LIBRARY = "flashstrike-wal"
# What survives of the appends that have returned: after SIGKILL, and after a power cut.
SURVIVES = {
    "timer floor": ("", ""),
    "memory floor": ("", ""),
    "floor beside a busy disk": ("", ""),
    LIBRARY: ("yes", "up to the watermark"),
    "block buffer": ("no", "no"),
    "mapped file + fdatasync": ("yes", "up to the last sync, in no order"),
    "write per event": ("yes", "no"),
    "raft-engine": ("yes", "no"),
    "okaywal": ("no", "no"),
}
PERCENTILES = ("p50", "p99", "p99.9", "p99.99")
PACED = "Latency at a million a second"
TIGHT = "Throughput: a tight loop"
CALLS = "What the append thread did, for a million events"


def short(value):
    """About three digits, with commas between thousands."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.3f}"


def shown(value, unit):
    """A value with its unit; long times in µs, ms or s instead of ns."""
    if unit == "ns":
        for size, name in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
            if value >= size:
                return f"{short(value / size)} {name}"
    return f"{short(value)} {unit}".strip()


def figures(report, table):
    """The rows of one table, by subject and figure."""
    return {(row["subject"], row["figure"]): row for row in report["rows"] if row["table"] == table}


def comparison(report):
    """The table of appends: those of the library, of the floors and of its peers."""
    tight, paced, calls = (figures(report, table) for table in (TIGHT, PACED, CALLS))
    lines = [
        "| | tight loop | its median block | p50 | p99 | p99.9 | p99.99 "
        "| system calls, a million events | after SIGKILL | after a power cut |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|---|",
    ]
    for subject, survives in SURVIVES.items():
        tight_figures = ("an event", "in the median block of 256")
        cells = [tight.get((subject, figure)) for figure in tight_figures]
        cells += [paced.get((subject, figure)) for figure in PERCENTILES]
        cells += [calls.get((subject, "system calls"))]
        texts = [shown(row["median"], row["unit"]) if row else "" for row in cells]
        name = f"**{subject}**" if subject == LIBRARY else subject
        lines.append("| " + " | ".join((name, *texts, *survives)) + " |")
    return lines


def aims(report):
    """The table of all figures that have an aim."""
    lines = ["| | figure | measured | aim | |", "|---|---|---:|---|---|"]
    for row in report["rows"]:
        if row["target"]:
            measured = shown(row["median"], row["unit"])
            if row["ratio"]:
                measured += f" = {row['ratio']['median']:.2f} ×"
            verdict = "met" if row["target"]["met"] else "**missed**"
            figure = f"{row['table']}: {row['subject']}, {row['figure']}"
            cells = (row["aim"], figure, measured, row["target"]["text"], verdict)
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def worse(report):
    """A text for every figure in which a peer is better than the library. Floors are not peers."""
    peers = [name for name in SURVIVES if "floor" not in name and name != LIBRARY]
    for table, names in ((TIGHT, ("an event",)), (PACED, PERCENTILES)):
        found = figures(report, table)
        for figure in names:
            mine = found[LIBRARY, figure]["median"]
            better = [peer for peer in peers if found[peer, figure]["median"] < mine]
            if better:
                what = "in the tight loop" if figure == "an event" else f"at {figure}"
                times = [shown(found[peer, figure]["median"], "ns") for peer in better]
                rest = ", ".join(f"{peer} {time}" for peer, time in zip(better, times))
                yield f"{what} ({shown(mine, 'ns')}): {rest}"


def conditions(report):
    """When, where and how the figures were measured."""
    machine, date, commit = report["machine"], report["date"], report["commit"]
    taken, interrupts = machine["taken"], machine["disk_interrupt_processor"]
    where = f"Appends ran on processor {machine['append_processor']}"
    if interrupts is not None:
        where += f"; processor {interrupts} handled the interrupts of the disk"
    return (
        f"`make bench` on {date}, commit `{commit}`: {machine['processor']}, "
        f"{machine['processors']} processors, Linux {machine['kernel']}, {machine['filesystem']}; "
        f"load {machine['load_before']:.1f} before the run. When memory was left alone for a "
        f"second, the host took {taken['percent']:.2g} % of its pages, and the next store into one "
        f"of them [took a median of {taken['wait_us']:.0f} µs]"
        f"(docs/performance.md#memory-that-the-host-takes-back). {where}. The figures are medians "
        "of rounds in which all contestants took turns, with 64-byte events. The percentiles are "
        "at a million events a second, during rotation, sync and compression. Do not compare times "
        "of different machines or runs; compare their ratios."
    )


def section(report):
    slower = list(worse(report))
    peers = "A peer is faster " + "; ".join(slower) + "." if slower else "No peer is faster."
    missed = sum(1 for row in report["rows"] if row["target"] and not row["target"]["met"])
    return "\n".join([
        conditions(report),
        "",
        *comparison(report),
        "",
        f"{peers} A block buffer is as fast as the floor while its block fills, but up to 256 "
        "events die with the process. The rows of the others include the cost of a sync only where "
        "they sync.",
        "",
        "![Latency by percentile](docs/bench/latency.svg)",
        "",
        f"The aims; {missed} figures miss theirs "
        "([known reasons](docs/performance.md#aims-that-are-missed), "
        "[how it is measured](benches/README.md)):",
        "",
        *aims(report),
        "",
    ])


def keep(report):
    if report["quick"]:
        sys.exit("a quick run must not be kept: run make bench without QUICK")
    KEPT.mkdir(exist_ok=True)
    for path in (LAST / REPORT, *LAST.glob("*.svg")):
        shutil.copy(path, KEPT)
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + section(report) + END + rest.split(END)[1])


def check():
    kept = section(json.loads((KEPT / REPORT).read_text()))
    if PAGE.read_text().split(BEGIN)[1].split(END)[0] != kept:
        sys.exit("README.md: the performance section is not that of the report in docs/bench")


def main():
    if "--check" in sys.argv:
        return check()
    report = json.loads((LAST / REPORT).read_text())
    if "--write" in sys.argv:
        keep(report)
    print(section(report))


if __name__ == "__main__":
    main()
