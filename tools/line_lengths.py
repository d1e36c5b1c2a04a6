#!/usr/bin/env python3
"""Fails if a line of the repository is longer than 100 columns, in comments and pages too.

rustfmt keeps code within that width, but wraps neither comments nor long string literals.

Allowed are generated files and generated parts of pages (between `<!-- name: begin -->` and
`<!-- name: end -->`), the rows of Markdown tables, and lines with a single word so long that no
line break would help, such as a link.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 100
LONG_WORD = 80
# Folders that the build, the tests and the tools make.
MADE = {".git", ".venv", "__pycache__", "artifacts", "build", "corpus", "target"}
ENDINGS = (".rs", ".c", ".h", ".cpp", ".hpp", ".py", ".sh", ".md", ".txt", ".cmake", ".in", ".toml")
BEGIN, END = re.compile(r"<!-- \w+: begin -->"), re.compile(r"<!-- \w+: end -->")


def files(folder):
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in MADE:
            yield from files(path)
        elif path.name == "Makefile" or path.name.endswith(ENDINGS):
            yield path


def long_lines(path):
    is_page, is_generated = path.suffix == ".md", False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if is_page and BEGIN.search(line):
            is_generated = True
        elif is_page and END.search(line):
            is_generated = False
        is_row = is_page and line.lstrip().startswith("|")
        longest_word = max(map(len, line.split()), default=0)
        if len(line) > LIMIT and not is_generated and not is_row and longest_word < LONG_WORD:
            yield number, len(line)


def main():
    found = [(path, *line) for path in files(ROOT) for line in long_lines(path)]
    for path, number, columns in found:
        print(f"{path.relative_to(ROOT)}:{number}: {columns} columns", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
