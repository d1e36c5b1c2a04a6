#!/usr/bin/env python3
"""Runs the commands of a console that a page shows, and compares what they print.

    console.py FILE [NAME=VALUE...]

Lines that begin with "$ " are commands, for one bash; what follows is what they print. "..." is
any output. Before the commands run, each NAME in them is replaced.
"""

import re
import subprocess
import sys
from pathlib import Path


def read(text):
    """The commands with what each prints."""
    steps = []
    lines = [line for line in text.splitlines() if not line.startswith("# ANCHOR")]
    for line in lines:
        if line.startswith("$ "):
            steps.append([line.removeprefix("$ "), []])
        elif steps[-1][0].endswith("\\"):
            steps[-1][0] += "\n" + line
        else:
            steps[-1][1].append(line)
    return steps


def script(steps):
    """A bash script that ends the output of each command with a line of its own."""
    ends = 'rc=$?; [ $rc = 0 ] || echo "(ends with $rc)"; echo "<end>"'
    return "".join(f"{{ {command}\n}} 2>&1; {ends}\n" for command, _ in steps)


def lines_of(printed):
    """Without bash's own words for a process that was killed, which have its number."""
    return [line for line in printed.splitlines() if not re.match(r"bash: line \d+: +\d+ ", line)]


def main():
    file, *names = sys.argv[1:]
    steps = read(Path(file).read_text())
    for step in steps:
        for name, value in (pair.split("=", 1) for pair in names):
            step[0] = step[0].replace(name, value)
    done = subprocess.run(["bash"], input=script(steps), stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL, check=False)
    printed = [lines_of(part) for part in done.stdout.split("<end>\n")]
    for (command, expected), lines in zip(steps, printed, strict=False):
        failed = bool(lines) and lines[-1].startswith("(ends with ")
        if expected == ["..."] and not failed or lines == expected:
            continue
        print(f"$ {command}\nprints:", *lines, "instead of:", *expected, sep="\n")
        sys.exit(1)
    if len(printed) != len(steps) + 1:
        sys.exit(f"the shell ended after {len(printed) - 1} of {len(steps)} commands")


if __name__ == "__main__":
    main()
