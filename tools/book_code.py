#!/usr/bin/env python3
"""The code that README.md and docs/ show is part of files that are compiled and run.

A mark before a block names the file, and the part of it that is shown:

    <!-- code: tests/book/reading.cpp, follow -->

A part is what lies between "ANCHOR: follow" and "ANCHOR_END: follow" in the file; without one the
whole file is shown. tests/book/ has these files, and its CMakeLists.txt says how they are run.

    tools/book_code.py --check    every block of code has a mark, and is what its file has
    tools/book_code.py --write    writes the blocks anew
"""

import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?:^<!-- code: (?P<file>[^,\n]+?)(?:, (?P<part>\w+))? -->\n)?"
                   r"^(?P<fence>```+)(?P<language>\w*)\n(?P<code>.*?)^(?P=fence)[ \t]*$",
                   re.M | re.S)
# Blocks that show a layout, a listing or an output.
NO_CODE = {"", "text", "diff", "asm"}
# Blocks that are checked in another way.
ELSEWHERE = {
    ("docs/python.md", "python"): "tests/python/test_package_docs.py",
    ("docs/operating.md", "console"): "fswal/tests/operating/transcripts.rs",
    ("docs/migrating.md", "console"): "fswal/tests/operating/transcripts.rs",
    ("docs/performance.md", "sh"): "by hand: they want the machine for themselves",
}


def part_of(text, part, where):
    """A part of a file, or all of it, without the marks of parts."""
    lines = text.splitlines()
    if part:
        begin = [i for i, line in enumerate(lines) if re.search(rf"\bANCHOR: {part}\b", line)]
        end = [i for i, line in enumerate(lines) if re.search(rf"\bANCHOR_END: {part}\b", line)]
        if len(begin) != 1 or len(end) != 1:
            sys.exit(f"{where}: there is not one part {part}")
        lines = lines[begin[0] + 1:end[0]]
    lines = [line for line in lines if not re.search(r"\bANCHOR(_END)?: ", line)]
    return textwrap.dedent("\n".join(lines)).strip("\n") + "\n"


def with_code(page, complaints):
    """The page with each block as its file has it."""
    name, text = str(page.relative_to(ROOT)), page.read_text()

    def block(found):
        file, part, language = found["file"], found["part"], found["language"]
        line = text.count("\n", 0, found.start()) + 1
        if not file:
            if language not in NO_CODE and (name, language) not in ELSEWHERE:
                complaints.append(f"{name}:{line}: nothing runs this {language}: see "
                                  "tools/book_code.py")
            return found[0]
        if not (ROOT / file).is_file():
            complaints.append(f"{name}:{line}: there is no {file}")
            return found[0]
        code = part_of((ROOT / file).read_text(), part, f"{name}:{line}: {file}")
        if code != found["code"]:
            complaints.append(f"{name}:{line}: {file} has other code: tools/book_code.py --write")
        mark = f"<!-- code: {file}{', ' + part if part else ''} -->"
        return f"{mark}\n{found['fence']}{language}\n{code}{found['fence']}"

    return BLOCK.sub(block, text)


def main():
    complaints = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = with_code(page, complaints)
        if sys.argv[1:] == ["--write"]:
            page.write_text(text)
    if sys.argv[1:] == ["--write"]:
        complaints = [line for line in complaints if "has other code" not in line]
    print("\n".join(complaints), end="\n" * bool(complaints), file=sys.stderr)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
