#!/usr/bin/env python3
"""The performance section of README.md, from what `make bench` wrote down.

    bench_table.py            print the section of the last run
    bench_table.py --write    keep that run: its report and pictures in docs/bench, its section in README.md
    bench_table.py --check    fail if the section in README.md is not that of the run that was kept
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
# What there is after an append has returned: after SIGKILL, and after a power cut.
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
    """Some three digits, thousands apart."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.3f}"


def shown(value, unit):
    """Nanoseconds grow into greater units."""
    if unit == "ns":
        for size, name in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
            if value >= size:
                return f"{short(value / size)} {name}"
    return f"{short(value)} {unit}".strip()


def figures(report, table):
    """The rows of one table, by subject and figure."""
    return {(row["subject"], row["figure"]): row for row in report["rows"] if row["table"] == table}


def comparison(report):
    """Everyone's append beside the library's."""
    tight, paced, calls = (figures(report, table) for table in (TIGHT, PACED, CALLS))
    lines = [
        "| | tight loop | its median block | p50 | p99 | p99.9 | p99.99 | system calls, a million events "
        "| after SIGKILL | after a power cut |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|---|",
    ]
    for subject, survives in SURVIVES.items():
        cells = [tight.get((subject, figure)) for figure in ("an event", "in the median block of 256")]
        cells += [paced.get((subject, figure)) for figure in PERCENTILES]
        cells += [calls.get((subject, "system calls"))]
        texts = [shown(row["median"], row["unit"]) if row else "" for row in cells]
        name = f"**{subject}**" if subject == LIBRARY else subject
        lines.append("| " + " | ".join((name, *texts, *survives)) + " |")
    return lines


def aims(report):
    """Every figure that something is aimed for."""
    lines = ["| | figure | measured | aim | |", "|---|---|---:|---|---|"]
    for row in report["rows"]:
        if row["target"]:
            measured = shown(row["median"], row["unit"])
            if row["ratio"]:
                measured += f" = {row['ratio']['median']:.2f} ×"
            verdict = "met" if row["target"]["met"] else "**missed**"
            figure = f"{row['table']}: {row['subject']}, {row['figure']}"
            lines.append(f"| {row['aim']} | {figure} | {measured} | {row['target']['text']} | {verdict} |")
    return lines


def worse(report):
    """Where a peer is better than the library; floors are no peers."""
    peers = [name for name in SURVIVES if "floor" not in name and name != LIBRARY]
    for table, names in ((TIGHT, ("an event",)), (PACED, PERCENTILES)):
        found = figures(report, table)
        for figure in names:
            mine = found[LIBRARY, figure]["median"]
            better = [peer for peer in peers if found[peer, figure]["median"] < mine]
            if better:
                what = "in the tight loop" if figure == "an event" else f"at {figure}"
                rest = ", ".join(f"{peer} {shown(found[peer, figure]['median'], 'ns')}" for peer in better)
                yield f"{what} ({shown(mine, 'ns')}): {rest}"


def section(report):
    machine = report["machine"]
    slower = list(worse(report))
    worst = "Nowhere in this table is a peer faster." if not slower else "A peer is faster " + "; ".join(slower) + "."
    missed = sum(1 for row in report["rows"] if row["target"] and not row["target"]["met"])
    interrupts = machine["disk_interrupt_processor"]
    where = "" if interrupts is None else f"; the disk interrupts processor {interrupts}"
    return "\n".join([
        f"`make bench` on {report['date']}, commit `{report['commit']}`: {machine['processor']}, "
        f"{machine['processors']} processors, Linux {machine['kernel']}, {machine['filesystem']}; load "
        f"{machine['load_before']:.1f} before the run. Of memory left alone for a second, "
        f"{machine['taken']['percent']:.2g} % of the pages [then took]"
        f"(docs/performance.md#memory-that-the-host-takes-back) {machine['taken']['wait_us']:.0f} µs to store into "
        f"for the first time. Appends from processor {machine['append_processor']}{where}. "
        "Medians of rounds in which all took turns; 64-byte events, paced at a million a second for the "
        "percentiles, with rotation, sync and compression going on. Times of another machine, or of "
        "another run, say little; their ratios say more.",
        "",
        *comparison(report),
        "",
        worst + " A block buffer is as fast as the floor between its blocks, and loses up to 256 events with the "
        "process; what a sync costs shows in the other rows only where there is one.",
        "",
        "![Latency by percentile](docs/bench/latency.svg)",
        "",
        f"What is aimed for, {missed} figures missed ([what is known of the reasons]"
        "(docs/performance.md#aims-that-are-missed), [how it is measured](benches/README.md)):",
        "",
        *aims(report),
        "",
    ])


def keep(report):
    if report["quick"]:
        sys.exit("a quick run is not one to keep: make bench")
    KEPT.mkdir(exist_ok=True)
    for path in (LAST / REPORT, *LAST.glob("*.svg")):
        shutil.copy(path, KEPT)
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + section(report) + END + rest.split(END)[1])


def check():
    kept = section(json.loads((KEPT / REPORT).read_text()))
    if PAGE.read_text().split(BEGIN)[1].split(END)[0] != kept:
        sys.exit("README.md: the performance section is not that of docs/bench: tools/bench_table.py --write")


def main():
    if "--check" in sys.argv:
        return check()
    report = json.loads((LAST / REPORT).read_text())
    if "--write" in sys.argv:
        keep(report)
    print(section(report))


if __name__ == "__main__":
    main()
