#!/usr/bin/env python3
"""The functions in flashstrike_wal_loader.h are those of flashstrike_wal.h, all of them.

    tools/loader_table.py --write              writes the generated parts of the loader anew
    tools/loader_table.py --check [LIBRARY]    fails if they are not as they would be written, or if
                                               the library exports other functions
"""

import re
import subprocess
import sys
from pathlib import Path

INCLUDE = Path(__file__).resolve().parent.parent / "include"
HEADER, LOADER = INCLUDE / "flashstrike_wal.h", INCLUDE / "flashstrike_wal_loader.h"
DECLARATION = re.compile(
    r"^(?:FS_WAL_MUST_CHECK\s)?"
    r"(?P<type>(?:const )?\w+ \*?)fs_wal_(?P<name>\w+)\((?P<arguments>[^;]*)\);", re.M)


def functions():
    text = HEADER.read_text(encoding="utf-8")
    found = [(f["type"], f["name"], " ".join(f["arguments"].split()))
             for f in DECLARATION.finditer(text)]
    # A declaration that is written in another way must not be passed over.
    called = set(re.findall(r"^[A-Za-z][^/\n;]*\bfs_wal_(\w+)\(", text, re.M))
    if not found or called != {name for _, name, _ in found}:
        sys.exit(f"{HEADER.name}: not understood: {called ^ {name for _, name, _ in found}}")
    return found


def field(kind, name, arguments):
    line = f"    {kind}(*{name})({arguments});"
    if len(line) <= 100:
        return line
    parts, lines = arguments.split(", "), []
    indent = " " * (line.index(")(") + 2)
    for part in parts:
        comma = f"{part}, " if part is not parts[-1] else f"{part});"
        if lines and len(lines[-1] + comma.rstrip()) <= 100:
            lines[-1] += comma
        else:
            lines.append((indent if lines else line[:len(indent)]) + comma)
    return "\n".join(text.rstrip() for text in lines)


def written(text):
    parts = {
        "fields": "\n".join(field(*function) for function in functions()),
        "table": "\n".join(f'    {{"fs_wal_{name}", offsetof(fs_wal_api, {name})}},'
                           for _, name, _ in functions()),
    }
    for part, lines in parts.items():
        begin, end = f"/* {part}: begin */", f"/* {part}: end */"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        indent = before[before.rindex("\n") + 1:]
        text = f"{before}{begin}\n{lines}\n{indent}{end}{after}"
    return text


def exported(library):
    listed = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True,
                            check=True).stdout
    return set(re.findall(r" T fs_wal_(\w+)(?:@.*)?$", listed, re.M))


def main():
    text = LOADER.read_text(encoding="utf-8")
    if sys.argv[1:] == ["--write"]:
        LOADER.write_text(written(text), encoding="utf-8")
    elif sys.argv[1:2] == ["--check"]:
        if written(text) != text:
            sys.exit(f"{LOADER.name} has not the functions of {HEADER.name}: run "
                     "tools/loader_table.py --write")
        names = {name for _, name, _ in functions()}
        for library in sys.argv[2:]:
            if exported(library) != names:
                sys.exit(f"{library} and {HEADER.name} differ: {exported(library) ^ names}")
    else:
        sys.exit(__doc__)


main()
