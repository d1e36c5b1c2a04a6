#!/usr/bin/env python3
"""Plants bugs in flashstrike_wal_read.h, and expects read_damaged.c to find each of them.

Usage: read_planted.py COMPILER LIBRARY [NAME...], in a scratch directory
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = ROOT / "include" / "flashstrike_wal_read.h"

# What to plant: a name, what stands in the header exactly once, and what stands there instead.
BUGS = [
    ("no chain in closed segments", "if (fs_wal_read_xxh64(events, size, walk->chained_) !=",
     "if (false && fs_wal_read_xxh64(events, size, walk->chained_) !="),
    ("no chain in open segments",
     "fs_wal_read_xxh64(events, size, walk->chained_) == header.chained_checksum) {",
     "true) {"),
    ("any version", "out->version == FS_WAL_FORMAT_VERSION", "out->version != 0"),
    ("one block less", "if (walk->block_ == walk->block_limit_)",
     "if (walk->block_ + 1 >= walk->block_limit_)"),
    ("D is below itself", "id <= walk->durable_id_ || *count < proven",
     "id < walk->durable_id_ || *count < proven"),
    ("stamps are not asked", "durable_id = stamp > durable_id ? stamp : durable_id;", ";"),
    ("no checksums of a frame's blocks", "if (sums && fs_wal_read_xxh32(", "if (false && "
     "fs_wal_read_xxh32("),
    ("no content checksum", "if (header->content_checksum &&\n        fs_wal_read_load32_",
     "if (false &&\n        fs_wal_read_load32_"),
    ("a frame's fault harms nothing", "if (walk->fault_ && walk->fault_at_ < offset",
     "if (walk->fault_ && walk->fault_at_ + 1000000 < offset"),
    ("a lost segment ends the log",
     "if (later == FS_WAL_END)\n            return fs_wal_read_stop_(log);\n        if (later",
     "if (later != FS_WAL_ERR_INTERNAL)\n            return fs_wal_read_stop_(log);\n"
     "        if (later"),
    ("the hot file always counts", "if (!files->has_cold || !files->has_hot)\n        return "
     "files->has_cold;", "return !files->has_hot;"),
    ("closed headers are never old",
     "if (was_closed && !(log->has_no_identity && fs_wal_read_is_reopened_(files, &walk->header)))",
     "if (was_closed)"),
    ("a name in any spelling", "(length > 15 && name[3] == '0') ||", ""),
]
# What read_damaged.c cannot show, and its golden values do.
NOT_BY_DAMAGE = {"a name in any spelling"}


def run(program, *arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False,
                          timeout=500)


def build(compiler, library, source, includes, program):
    library = pathlib.Path(library)
    subprocess.run(
        [compiler, "-std=c11", "-O1", "-w", *(f"-I{path}" for path in includes), str(source),
         str(library), f"-Wl,-rpath,{library.parent}", "-o", program], check=True)


def main():
    compiler, library, *wanted = sys.argv[1:]
    text = HEADER.read_text(encoding="utf-8")
    include = pathlib.Path("include")
    include.mkdir(exist_ok=True)
    run(sys.executable, str(ROOT / "tests/headers/golden_lines.py"),
        str(ROOT / "tests/golden/format.json"), "lines")
    missed = []
    for name, right, wrong in BUGS:
        if wanted and name not in wanted:
            continue
        if text.count(right) != 1:
            sys.exit(f"{name}: what it replaces stands in the header {text.count(right)} times")
        (include / HEADER.name).write_text(text.replace(right, wrong), encoding="utf-8")
        by_damage = name not in NOT_BY_DAMAGE
        source = ROOT / "tests" / "headers" / ("read_damaged.c" if by_damage else "read_files.c")
        build(compiler, library, source, [include, ROOT / "include"], "./planted")
        subprocess.run("rm -rf closed copied killed golden", shell=True, check=True)
        arguments = ["1000"] if by_damage else [str(ROOT / "tests/golden"), "lines"]
        found = run("./planted", *arguments)
        caught = found.returncode == 1
        print(f"{name}: {'caught' if caught else 'MISSED'}: {found.stderr.splitlines()[-1:]}")
        if not caught:
            missed.append(name)
    sys.exit(f"not caught: {missed}" if missed else 0)


main()
