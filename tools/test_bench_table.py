#!/usr/bin/env python3
"""Tests of bench_table.py, with runs that are made up: what it keeps, shows and finds wrong."""

import contextlib
import copy
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import bench_table

AMD, INTEL, OTHER = "AMD EPYC 9000", "Intel(R) Xeon(R) Processor", "Kunlun K-3"
PAGE = "before\n<!-- bench: begin -->\n<!-- bench: end -->\nafter\n"
P99 = (bench_table.DURABLE, bench_table.LIBRARY, "p99")


def row(key, median, unit="ns", ratio=None, limit=None):
    names = dict(zip(("table", "subject", "figure"), key))
    target = {"text": limit, "met": True} if limit else None
    ratio = {"to": "memory floor", "median": ratio} if ratio else None
    return {"aim": "P0", **names, "unit": unit, "median": median, "ratio": ratio, "target": target}


def report(processor, date, *rows):
    """A report with these rows, and those that the table of appends needs."""
    names = (bench_table.LIBRARY, *bench_table.PEERS)
    figures = [(bench_table.PACED, name) for name in bench_table.PERCENTILES]
    figures.append((bench_table.TIGHT, "an event"))
    appends = [row((table, name, figure), 10) for table, figure in figures for name in names]
    machine = {
        "processor": processor, "processors": 2, "kernel": "6.18", "filesystem": "ext4",
        "append_processor": 0, "disk_interrupt_processor": 1, "load_before": 0,
        "taken": {"percent": 0, "wait_us": 0},
    }
    return {"date": date, "commit": "c0ffee", "quick": False, "machine": machine,
            "rows": [*rows, *appends]}


class BenchTable(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        patch = mock.patch.object(bench_table, "ROOT", self.root)
        patch.start()
        self.addCleanup(patch.stop)
        for name in bench_table.PAGES:
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(PAGE)

    def run_with(self, *arguments):
        """What it prints."""
        printed = io.StringIO()
        with mock.patch.object(sys, "argv", ["", *arguments]), contextlib.redirect_stdout(printed):
            bench_table.main()
        return printed.getvalue()

    def measure(self, made, picture="<svg/>"):
        last = self.root / bench_table.LAST
        last.mkdir(parents=True, exist_ok=True)
        (last / "bench.json").write_text(json.dumps(made))
        (last / "latency.svg").write_text(picture)

    def keep(self, made, picture="<svg/>"):
        self.measure(made, picture)
        self.run_with("--write")

    def line(self, begin):
        """The cells of the only line of README.md that begins so, after the first two."""
        lines = (self.root / "README.md").read_text().splitlines()
        found = [line for line in lines if line.startswith(f"| {begin}")]
        self.assertEqual(len(found), 1, found)
        return [cell.strip() for cell in found[0].strip("|").split("|")][2:]

    def test_runs_are_kept_by_kind_of_processor(self):
        for processor in (AMD, INTEL, OTHER):
            self.keep(report(processor, "2026-01-01"))
        kinds = sorted(path.name for path in (self.root / bench_table.KEPT).iterdir())
        self.assertEqual(kinds, ["amd", "intel", "kunlun-k-3"])

    def test_a_run_takes_the_place_of_the_last_one_of_its_kind(self):
        self.keep(report(AMD, "2026-01-01"), "old")
        kept = self.root / bench_table.KEPT / "amd"
        (kept / "removed-since.svg").touch()
        self.keep(report(AMD, "2026-01-02"), "new")
        self.assertEqual((kept / "latency.svg").read_text(), "new")
        names = sorted(path.name for path in kept.iterdir())
        self.assertEqual(names, ["bench.json", "latency.svg"])

    def test_kept_runs_stand_side_by_side(self):
        self.keep(report(INTEL, "2026-01-01", row(P99, 2e6, ratio=2.5)))
        self.keep(report(AMD, "2026-01-02", row(P99, 3e3)))
        text = (self.root / "README.md").read_text()
        self.assertIn("| compared with | AMD | Intel |", text)
        self.assertEqual(self.line("from append to durable"), ["–, 3 µs", "–, 2 ms (2.50 ×)"])
        self.assertIn("docs/bench/amd/latency.svg", text)
        self.assertTrue(text.startswith("before\n") and text.endswith("after\n"))

    def test_a_row_that_an_older_run_lacks_is_left_empty(self):
        self.keep(report(INTEL, "2026-01-01"))
        self.keep(report(AMD, "2026-01-02", row(P99, 5)))
        self.assertEqual(self.line("from append to durable"), ["–, 5 ns", ""])

    def test_the_newest_run_says_what_is_missed(self):
        self.keep(report(INTEL, "2026-01-01", row(P99, 5, ratio=1.6, limit="≤ 2 × memory floor")))
        self.assertEqual(self.line("from append to durable"), ["–, 5 ns (1.60 ×)"])
        new = row(P99, 5, ratio=1.504, limit="≤ 1.5 × memory floor")
        self.keep(report(AMD, "2026-01-02", new))
        self.assertEqual(self.line("from append to durable"),
                         ["–, 5 ns (1.50 ×)", "–, **5 ns (1.60 ×)**"])
        page = (self.root / "docs/performance.md").read_text()
        self.assertIn("| ≤ 1.5 × memory floor | 5 ns (1.50 ×) | **5 ns (1.60 ×)** |", page)

    def test_limits(self):
        for limit, median, unit, missed in (
            ("≤ 16 ms", 16e6, "ns", False), ("≤ 16 ms", 16.1e6, "ns", True),
            ("≤ 50 ms", 50, "ms", False), ("≤ 50 ms", 51, "ms", True),
            ("≤ 0", 0, "", False), ("≤ 0", 1, "", True),
            ("≤ 0.5 % of one", 0.6, "% of one", True),
            ("≥ 0.9 × the disk", 0.9, "", False), ("≥ 0.9 × the disk", 0.89, "", True),
        ):
            with self.subTest(limit=limit, median=median):
                made = row(P99, median, unit, ratio=median)
                self.assertEqual(bench_table.is_missed(made, limit), missed)

    def test_a_faster_peer_is_named(self):
        made = report(AMD, "2026-01-01")
        self.keep(made)
        self.assertIn("No peer is faster", (self.root / "README.md").read_text())
        faster = copy.deepcopy(made)
        for each in faster["rows"]:
            if (each["subject"], each["figure"]) == ("okaywal", "p99"):
                each["median"] = 9
        self.keep(faster)
        self.assertIn("at p99 (10 ns): okaywal 9 ns.", (self.root / "README.md").read_text())

    def test_check_finds_a_page_that_was_edited(self):
        self.keep(report(AMD, "2026-01-01", row(P99, 5, limit="≤ 1 ms")))
        self.run_with("--check")
        for name in bench_table.PAGES:
            page = self.root / name
            before = page.read_text()
            page.write_text(before.replace("5 ns", "4 ns"))
            self.assertRaisesRegex(SystemExit, name, self.run_with, "--check")
            page.write_text(before)

    def test_a_quick_run_is_shown_but_not_kept(self):
        self.keep(report(INTEL, "2026-01-01"))
        before = (self.root / "README.md").read_text()
        self.measure({**report(AMD, "2026-01-02"), "quick": True})
        self.assertIn("| compared with | AMD | Intel |", self.run_with())
        self.assertRaisesRegex(SystemExit, "quick", self.run_with, "--write")
        self.assertEqual((self.root / "README.md").read_text(), before)
        self.assertFalse((self.root / bench_table.KEPT / "amd").exists())


if __name__ == "__main__":
    unittest.main()
