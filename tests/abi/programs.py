#!/usr/bin/env python3
"""Old programs with the new library, and new programs with the old library.

    programs.py LIBRARY

Builds program.c with the header of each kept release, with today's, and with that of a later
version, whose structs are longer; and runs each with the library of each kept release and with
LIBRARY, today's. Each pair must agree on how much of each struct the library writes.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from header import Header
from kept import TODAY, kept_header, kept_versions, skip_without_kept, unpack_library

SOURCE = Path(__file__).resolve().parent / "program.c"
WRITTEN = re.compile(r"^(\w+) (\d+) of (\d+)$", re.M)


def build(name, header, library, scratch):
    """A program that includes `header`, a text, and is linked with `library`."""
    include, program = scratch / f"include-{name}", scratch / f"program-{name}"
    include.mkdir()
    (include / TODAY.name).write_text(header)
    later = ["-DLATER"] if name == "later" else []
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", *later, f"-I{include}",
                    SOURCE, library, "-o", program], check=True)
    return program


def needed(program):
    """The name under which a program looks for the library."""
    shown = subprocess.run(["readelf", "-d", program], check=True, capture_output=True, text=True)
    return re.search(r"\(NEEDED\).*\[(libflashstrike_wal\.[^]]*)\]", shown.stdout)[1]


def run(program, library, scratch):
    """What the library writes of each struct, and how long that is for the program."""
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        (Path(directory) / needed(program)).symlink_to(library)
        done = subprocess.run([program], cwd=directory, capture_output=True, text=True,
                              env={**os.environ, "LD_LIBRARY_PATH": directory})
    if done.returncode != 0:
        sys.exit(f"{program.name} with {library.name} ends with {done.returncode}: {done.stderr}")
    return {name: (int(written), int(of)) for name, written, of in WRITTEN.findall(done.stdout)}


def main():
    skip_without_kept()
    today = Header(TODAY.read_text())
    with tempfile.TemporaryDirectory(dir=".") as directory:
        scratch = Path(directory).resolve()
        libraries = {"today": Path(sys.argv[1]).resolve()}
        programs = {"today": build("today", today.text, libraries["today"], scratch),
                    "later": build("later", today.grown().text, libraries["today"], scratch)}
        for version in kept_versions():
            libraries[version] = unpack_library(version, scratch)
            header = kept_header(version).read_text()
            programs[version] = build(version, header, libraries[version], scratch)
        for library_name, library in libraries.items():
            # The program of a later version knows all that any library knows.
            known = {name: written
                     for name, (written, _) in run(programs["later"], library, scratch).items()}
            # Options are only read.
            reports = [name for name in today.growing() if not name.endswith("_config")]
            if sorted(known) != sorted(reports):
                sys.exit(f"the program has not tried each of {reports}: {known}")
            for program_name, program in programs.items():
                for name, (written, of) in run(program, library, scratch).items():
                    if written != min(of, known[name]):
                        sys.exit(f"{name}: the library of {library_name} knows {known[name]} bytes "
                                 f"and the program of {program_name} {of}, but {written} were "
                                 "written")
                print(f"program of {program_name}, library of {library_name}: agreed")


if __name__ == "__main__":
    main()
