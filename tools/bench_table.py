#!/usr/bin/env python3
"""Makes the performance sections of README.md and docs/performance.md from runs of `make bench`.

    bench_table.py            print the sections as they would be with the last run
    bench_table.py --write    keep the last run: copy its report and pictures to docs/bench/KIND,
                              in place of the last one kept there, and write the sections
    bench_table.py --check    fail if the sections are not those of the kept runs

KIND is the kind of processor, `amd` or `intel`: a machine is one or the other, so the runs that
the sections show side by side are kept by that name.

A figure misses its aim if it is beyond the limit that the newest run has for it.
"""

import json
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- bench: begin -->\n", "<!-- bench: end -->\n"
LAST, KEPT = Path("target/bench"), Path("docs/bench")
REPORT = "bench.json"
NOTHING = "–"  # where an older run lacks a row
MAKERS = {"amd": "AMD", "intel": "Intel"}

LIBRARY = "flashstrike-wal"
# What survives of the appends that have returned: after SIGKILL, and after a power cut.
SURVIVES = {
    LIBRARY: ("yes", "up to the watermark"),
    "timer floor": ("", ""),
    "memory floor": ("", ""),
    "floor beside a busy disk": ("", ""),
    "block buffer": ("no", "no"),
    "mapped file + fdatasync": ("yes", "up to the last sync, in no order"),
    "write per event": ("yes", "no"),
    "raft-engine": ("yes", "no"),
    "okaywal": ("no", "no"),
}
PEERS = [name for name in SURVIVES if "floor" not in name and name != LIBRARY]
PERCENTILES = ("p50", "p99", "p99.9", "p99.99")

PACED = "Latency at a million a second"
RESTED = "Latency at 10,000 a second after an idle spell"
TIGHT = "Throughput: a tight loop"
CALLS = "What the append thread did, for a million events"
SUSTAINED = "Sustained: what the log takes and makes durable"
DURABLE = "Time to durable, a million events a second"
DURABLE_MET = "Time to durable, beside the disk met at any moment"
SINGLE = "Time to durable, one event after an idle spell"
AT_REST = "Footprint, of logs at rest"
ALONE_AFTER_REST = "one write and sync after the same rest"


def percentiles(table, subject, names):
    return {name: (table, subject, name) for name in names}


# The figures shown for each processor, in groups: what the group is, what it is compared with, and
# table, subject and figure of each of its rows.
GROUPS = (
    ("append, a million events a second", "the same stores into memory",
     percentiles(PACED, LIBRARY, PERCENTILES)),
    ("append, 10,000 a second after a minute of rest", "the same stores into memory",
     percentiles(RESTED, LIBRARY, PERCENTILES)),
    ("append as fast as possible, 16 segments prepared, an event", "the same stores into memory",
     {"one a call": (TIGHT, LIBRARY, "an event"),
      "256 a call": (TIGHT, f"{LIBRARY}, 256 a call", "an event")}),
    ("on the appending thread, ten million events", "",
     {name: ("On the append thread", LIBRARY, name)
      for name in ("system calls", "allocations", "page faults")}),
    ("made durable, as many as possible", "the disk's own rate",
     {"no compression": (SUSTAINED, LIBRARY, "durable"),
      "with it": (SUSTAINED, f"{LIBRARY}, compressing", "durable")}),
    ("durable and compressed, as many as possible", "",
     {"engine pinned": (SUSTAINED, f"{LIBRARY}, compressing", "all of it compressed"),
      "not pinned": (SUSTAINED, f"{LIBRARY}, compressing, engine not pinned",
                     "all of it compressed")}),
    ("from append to durable, a million events a second", "one write and sync by itself",
     percentiles(DURABLE, LIBRARY, ("p50", "p99"))),
    ("the same", "writes and syncs by themselves, met at any moment",
     percentiles(DURABLE_MET, LIBRARY, ("p50", "p99"))),
    ("one event after a rest, waited for until durable", ALONE_AFTER_REST,
     percentiles(SINGLE, "sleeping persister, wait_durable", ("p50", "p99"))),
    ("the same, polled for", ALONE_AFTER_REST,
     percentiles(SINGLE, "sleeping persister, polled", ("p50", "p99"))),
    ("the same, polled for, with `FS_WAL_FLAG_SPIN`", ALONE_AFTER_REST,
     percentiles(SINGLE, "spinning persister, polled", ("p50", "p99"))),
    ("open after SIGKILL", "10 small segments",
     {"1,000 small segments": ("Open after SIGKILL", "1000 segments", "open")}),
    ("a log at rest", "",
     {"processor": (AT_REST, "one log", "processor"),
      "memory beside the active set": (AT_REST, "one log", "other memory")}),
)


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
    if unit == "events/s":
        return f"{short(value / 1e6)} M/s"
    return f"{short(value)} {unit.removesuffix(' of one')}".strip()


class Run:
    """A run of the benchmark, and its rows by table, subject and figure."""

    def __init__(self, report):
        self.report, self.machine = report, report["machine"]
        keys = ("table", "subject", "figure")
        self.rows = {tuple(row[key] for key in keys): row for row in report["rows"]}
        words = re.findall(r"[a-z0-9]+", self.machine["processor"].lower())
        makers = [word for word in words if word in MAKERS]
        self.kind = makers[0] if makers else "-".join(words)
        self.title = MAKERS.get(self.kind, self.machine["processor"])

    def conditions(self):
        """When and where it was made."""
        report, machine = self.report, self.machine
        interrupts = machine["disk_interrupt_processor"]
        disk = "" if interrupts is None else f", interrupts of the disk on {interrupts}"
        return (
            f"- {self.title}: {report['date']}, commit `{report['commit']}`; "
            f"{machine['processor']}, {machine['processors']} processors, "
            f"Linux {machine['kernel']}, {machine['filesystem']}; appends on processor "
            f"{machine['append_processor']}{disk}; load {machine['load_before']:.1f} before the "
            f"run; [the host took](docs/performance.md#memory-that-the-host-takes-back) "
            f"{machine['taken']['percent']:.2g} % of the memory that was left alone for a second."
        )


def newest(runs):
    return max(runs, key=lambda run: run.report["date"])


def aim(runs, key):
    """The limit that the newest run with this row has for it; empty if there is none."""
    having = [run for run in runs if key in run.rows]
    target = newest(having).rows[key]["target"] if having else None
    return target["text"] if target else ""


def is_missed(row, limit):
    sign, least_or_most, unit = re.match(r"([≤≥]) ([\d.]+) ?(.*)", limit).groups()
    if unit.startswith("×"):
        value = round(row["ratio"]["median"], 2)
    else:
        value = row["median"] / (1e6 if row["unit"] == "ns" else 1)
    return value > float(least_or_most) if sign == "≤" else value < float(least_or_most)


def figure(run, limit, key):
    """What a run has measured, in bold if it is beyond the limit."""
    if key not in run.rows:
        return NOTHING
    row = run.rows[key]
    text = shown(row["median"], row["unit"])
    if row["ratio"]:
        ratio = row["ratio"]["median"]
        text += f" ({f'{ratio:.2f}' if ratio < 10 else short(ratio)} ×)"
    return f"**{text}**" if limit and is_missed(row, limit) else text


def figures(runs, keys):
    """A cell for each run, with these figures."""
    for run in runs:
        texts = [figure(run, aim(runs, key), key) for key in keys]
        yield ", ".join(texts) if set(texts) != {NOTHING} else ""


def table(head, alignment, rows):
    lines = [head, alignment, *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def costs(runs):
    """The table of the figures that one asks for first, with a column for each run."""
    head = ["", "compared with", *(run.title for run in runs)]
    rows = [
        [f"{what}: {', '.join(keys)}", compared, *figures(runs, keys.values())]
        for what, compared, keys in GROUPS
    ]
    return table(head, ["---"] * len(head), rows)


def aims(runs):
    """The table of all figures that have an aim, with a column for each run. Figures of one subject
    with the same aim share a line."""
    head = ["", "figure", "aim", *(run.title for run in runs)]
    lines = {}
    for key, row in newest(runs).rows.items():
        if row["target"]:
            of_line = (row["aim"], *key[:2], row["target"]["text"])
            lines.setdefault(of_line, []).append(key)
    rows = []
    for (name, title, subject, limit), keys in lines.items():
        subjects = [] if subject == LIBRARY else [subject]
        what = f"{title}: {', '.join(subjects + [key[2] for key in keys])}"
        rows.append([name, what, limit, *figures(runs, keys)])
    return table(head, ["---"] * len(head), rows)


def comparison(run):
    """The table of appends: those of the library, of the floors and of its peers."""
    head = ["", *PERCENTILES, "tight loop", "system calls, a million events", "after SIGKILL",
            "after a power cut"]
    rows = []
    for subject, survives in SURVIVES.items():
        keys = [(PACED, subject, name) for name in PERCENTILES]
        keys += [(TIGHT, subject, "an event"), (CALLS, subject, "system calls")]
        found = [run.rows.get(key) for key in keys]
        texts = [shown(row["median"], row["unit"]) if row else "" for row in found]
        rows.append([f"**{subject}**" if subject == LIBRARY else subject, *texts, *survives])
    return table(head, ["---", *["---:"] * 6, "---", "---"], rows)


def better(run):
    """Says in which figures a peer is better than the library. Floors are not peers."""
    slower = []
    named = [(PACED, name, f"at {name}") for name in PERCENTILES]
    for title, name, where in (*named, (TIGHT, "an event", "in the tight loop")):
        medians = {peer: run.rows[title, peer, name]["median"] for peer in (LIBRARY, *PEERS)}
        mine = medians.pop(LIBRARY)
        faster = [f"{peer} {shown(median, 'ns')}" for peer, median in medians.items()
                  if median < mine]
        if faster:
            slower.append(f"{where} ({shown(mine, 'ns')}): {', '.join(faster)}")
    return f"A peer is faster {'; '.join(slower)}." if slower else "No peer is faster."


def readme(runs):
    """The section of README.md."""
    run = newest(runs)
    return "\n".join([
        "An engine pins its thread to a processor, opens a log with no option set, and appends "
        "64-byte events. Percentiles are taken while segments rotate, are synced and compressed. "
        "In brackets: how many times what the row is compared with, in the same run and in turns. "
        "**Bold** misses its aim ([why](docs/performance.md#aims-that-are-missed)). Compare the "
        "multiples of different machines, not their times.",
        "",
        *costs(runs),
        "",
        f"Beside other logs and what the machine allows, {run.title}:",
        "",
        *comparison(run),
        "",
        f"{better(run)} A block buffer is as fast as the floor while its block fills, but up to "
        "256 events die with the process. The rows of the others include the cost of a sync only "
        "where they sync.",
        "",
        f"![Latency by percentile](docs/bench/{run.kind}/latency.svg)",
        "",
        "The figures are medians of the rounds of `make bench` "
        "([how it is measured](benches/README.md)):",
        "",
        *(run.conditions() for run in runs),
        "",
    ])


def performance(runs):
    """The section of docs/performance.md."""
    return "\n".join([*aims(runs), ""])


PAGES = {"README.md": readme, "docs/performance.md": performance}


def kept():
    """The kept runs, by kind."""
    paths = sorted((ROOT / KEPT).glob(f"*/{REPORT}"))
    return {run.kind: run for run in (Run(json.loads(path.read_text())) for path in paths)}


def keep(run):
    if run.report["quick"]:
        sys.exit("a quick run must not be kept: run make bench without QUICK")
    to = ROOT / KEPT / run.kind
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for path in (ROOT / LAST / REPORT, *(ROOT / LAST).glob("*.svg")):
        shutil.copy(path, to)


def parts(name):
    """A page before its section, the section, and what follows."""
    before, rest = (ROOT / name).read_text().split(BEGIN)
    return before, *rest.split(END)


def main():
    runs = kept()
    last = None
    if "--check" not in sys.argv:
        last = Run(json.loads((ROOT / LAST / REPORT).read_text()))
        runs[last.kind] = last
    runs = [runs[kind] for kind in sorted(runs)]
    sections = {name: section(runs) for name, section in PAGES.items()}
    if "--check" in sys.argv:
        wrong = [name for name, section in sections.items() if parts(name)[1] != section]
        if wrong:
            sys.exit(f"{', '.join(wrong)}: the section is not that of the runs in docs/bench")
        return
    if "--write" in sys.argv:
        keep(last)
        for name, section in sections.items():
            before, _, after = parts(name)
            (ROOT / name).write_text(before + BEGIN + section + END + after)
    print("\n".join(sections.values()))


if __name__ == "__main__":
    main()
