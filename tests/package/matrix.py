#!/usr/bin/env python3
"""Programs in every dialect get at the library in every way, and run.

    matrix.py [--planted]

A cell is a compiler, a dialect of C or C++, what is taken of the library (shared, static, loader,
headers), and the way to it (find_package, pkg-config, FetchContent, add_subdirectory, Makefile).
Cells are chosen so that every two of these values that go together meet in one; with
FLASHSTRIKE_TORTURE set, all there are. Each is a project of its own, built against one installed
prefix or our sources, whose library cargo has built already. Its program must say what it should,
and load the library that it should.

With --planted: what is wrong on purpose must be found.

Environment: CMAKE, SOURCE, BUILD, CARGO_DIR as in helpers.sh.
"""

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

CMAKE, BUILD, CARGO_DIR = (os.environ[name] for name in ("CMAKE", "BUILD", "CARGO_DIR"))
SOURCE = Path(os.environ["SOURCE"])
HERE = SOURCE / "tests/package/matrix"
sys.path.insert(0, str(SOURCE / "tests/headers"))
import check  # noqa: E402

LINKAGES = ["shared", "static", "loader", "headers"]
WAYS = ["find_package", "pkg-config", "FetchContent", "add_subdirectory", "Makefile"]
OUR_SOURCES = {"FetchContent", "add_subdirectory"}
WARNINGS = "-Wall -Wextra -Wpedantic -Werror"
CONSUMER = SOURCE / "examples_c/consumer/main.cpp"
EVENTS_RECORDED = 1000  # by the example record


class Cell(NamedTuple):
    compiler: str
    dialect: str
    linkage: str
    way: str

    def pairs(self):
        """Every two of its values."""
        return set(itertools.combinations(enumerate(self), 2))

    def is_cxx(self):
        return self.dialect.startswith("c++")

    def program(self):
        """The source. The wrapper is there from C++17 on."""
        wrapped = self.is_cxx() and self.dialect not in check.CXX_BEFORE_THE_WRAPPER
        if self.linkage in ("shared", "static"):
            return CONSUMER if wrapped else HERE / "linked.c"
        return HERE / (f"{self.linkage}.cpp" if wrapped and self.linkage == "headers"
                       else f"{self.linkage}.c")


class Failure(Exception):
    pass


def run(command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


# --- which cells ---------------------------------------------------------------------------------


def dialects():
    """What each compiler calls each dialect that it knows, under our name. Prints what is not."""
    names = {}
    for compiler in check.COMPILERS:
        known = set(check.Compiler(compiler, SOURCE).known([[flag] for flag in itertools.chain(
            *check.C, *check.CXX)]))
        for flags in check.C + check.CXX:
            flag = next((flag for flag in flags if flag in known), None)
            if flag:
                names[compiler, flags[0]] = flag
            else:
                print(f"impossible: {compiler} and {flags[0]}, which it does not know")
    return names


def all_cells(names):
    """The full product: whatever a compiler knows goes with every linkage and every way."""
    return [Cell(*known, linkage, way) for known in names for linkage in LINKAGES for way in WAYS]


def pairs_of(cells):
    return set().union(*(cell.pairs() for cell in cells))


def choose(cells):
    """Some of them, with every pair: again and again the first that has the most new ones, and of
    those one whose values were chosen least."""
    missing, chosen, times = pairs_of(cells), [], Counter()
    while missing:
        chosen.append(max(cells, key=lambda cell: (len(cell.pairs() & missing),
                                                   -sum(times[value] for value in cell))))
        missing -= chosen[-1].pairs()
        times.update(chosen[-1])
    return chosen


def left_out(cells, chosen):
    """The pairs of `cells` that are in none of the chosen, in words."""
    return [" and ".join(value for _, value in pair)
            for pair in sorted(pairs_of(cells) - pairs_of(chosen))]


# --- one cell ------------------------------------------------------------------------------------


class Bench:
    """What all cells are built with: the prefix, a log to be read, the compilers."""

    def __init__(self, directory, names):
        self.directory, self.names = directory, names
        self.prefix = directory / "prefix"
        run([CMAKE, "--install", BUILD, "--prefix", self.prefix])
        self.library = next(self.prefix.glob("lib*/libflashstrike_wal.so"))
        self.version = re.search(r'^version = "(.*)"', (SOURCE / "Cargo.toml").read_text(), re.M)[1]
        run([Path(BUILD) / "examples_c/record", directory / "recorded"])

    def flags(self, cell):
        """The dialect, and a macro with the year that it has."""
        flag = f"-std={self.names[cell.compiler, cell.dialect]}"
        compiler, language = self.compiler(cell), "c++" if cell.is_cxx() else "c"
        macros = run([compiler, flag, "-x", language, "-dM", "-E", "/dev/null"])
        year = re.search(r"#define (?:__cplusplus|__STDC_VERSION__) (\w+)", macros)[1]
        return f"{flag} {WARNINGS} -DDIALECT={year} -include {HERE / 'dialect.h'}"

    def compiler(self, cell):
        cc, cxx = check.COMPILERS[cell.compiler]
        return cxx if cell.is_cxx() else cc

    def build(self, cell, source, directory):
        """The program of a cell."""
        if cell.way == "pkg-config":
            return self.build_with_pkg_config(cell, source, directory)
        if cell.way == "Makefile":
            run(["make", "-f", HERE / "Makefile", f"PREFIX={self.prefix}", f"PROGRAM={source}",
                 f"LINKAGE={cell.linkage}", f"COMPILE={self.compiler(cell)} {self.flags(cell)}"],
                cwd=directory)
            return directory / "program"
        cc, cxx = check.COMPILERS[cell.compiler]
        language = "CXX" if cell.is_cxx() else "C"
        run([CMAKE, "-S", HERE, "-B", directory / "build", f"-DCMAKE_C_COMPILER={cc}",
             f"-DCMAKE_CXX_COMPILER={cxx}", f"-DCMAKE_{language}_FLAGS={self.flags(cell)}",
             f"-DLANGUAGE={language}", f"-DPROGRAM={source}", f"-DWAY={cell.way}",
             f"-DLINKAGE={cell.linkage}", f"-DSOURCE={SOURCE}",
             f"-DCMAKE_PREFIX_PATH={self.prefix}",
             f"-DFLASHSTRIKE_WAL_CARGO_TARGET_DIR={CARGO_DIR}"])
        run([CMAKE, "--build", directory / "build", "--target", "program"])
        return directory / "build/program"

    def build_with_pkg_config(self, cell, source, directory):
        words = {"shared": ["--libs"], "static": ["--libs", "--static"]}.get(cell.linkage, [])
        flags = run(["pkg-config", "--cflags", *words, "flashstrike_wal"],
                    env=os.environ | {"PKG_CONFIG_PATH": str(self.library.parent / "pkgconfig")})
        flags = flags.split()
        if cell.linkage == "static":  # the linker takes the shared one where both are
            flags = ["-Wl,-Bstatic", *flags, "-Wl,-Bdynamic"]
        if cell.linkage == "loader":
            flags.append("-ldl")
        run([self.compiler(cell), *self.flags(cell).split(), source, "-o", "program", *flags],
            cwd=directory)
        return directory / "program"

    def look_at(self, cell, program, directory):
        """What it says, and which library it loads."""
        # CMake has written into the program where the library is.
        paths = {"LD_LIBRARY_PATH": str(self.library.parent)} \
            if cell.way in ("pkg-config", "Makefile") else {}
        arguments = {"headers": [self.directory / "recorded/FS.00000000.wal"],
                     "loader": ["log", self.library]}.get(cell.linkage, ["log"])
        said = run([program, *arguments], cwd=directory, env=os.environ | paths)
        events = EVENTS_RECORDED if cell.linkage == "headers" else 1
        if said != f"flashstrike_wal {self.version}: {events}\n":
            raise Failure(f"says: {said}")
        loaded = re.findall(r"libflashstrike_wal\S* => (\S+)",
                            run(["ldd", program], env=os.environ | paths))
        where = directory if cell.way in OUR_SOURCES else self.prefix
        right = [path.startswith(f"{where}/") for path in loaded]
        if right != ([True] if cell.linkage == "shared" else []):
            raise Failure(f"loads {loaded}")

    def complaint(self, cell, source=None):
        """What is wrong with a cell, or nothing."""
        directory = self.directory / "-".join(cell)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        # In a C++ project the C source is one of C++.
        copy = directory / ("program.cpp" if cell.is_cxx() else "program.c")
        copy.write_text(source or cell.program().read_text())
        try:
            self.look_at(cell, self.build(cell, copy, directory), directory)
            shutil.rmtree(directory)  # some have a library of their own
            return ""
        except Failure as failure:
            return f"{' '.join(cell)}: {failure}"


# --- the tests -----------------------------------------------------------------------------------


class Wrong(Bench):
    """Builds something else than the cell, or with another flag behind its own."""

    def __init__(self, bench, flag="", **changes):
        self.__dict__.update(bench.__dict__)
        self.flag, self.changes = flag, changes

    def flags(self, cell):
        return f"{super().flags(cell)} {self.flag}"

    def build(self, cell, source, directory):
        return super().build(cell._replace(**self.changes), source, directory)


def planted(bench, cells):
    """Faults that must be found. Those that were not."""
    shared = Cell("gcc", "c99", "shared", "Makefile")
    static, found = shared._replace(linkage="static"), shared._replace(way="find_package")
    text = shared.program().read_text()
    faults = {
        "a pair that is left out": "\n".join(left_out(cells, choose(cells)[:-1])),
        "other words": bench.complaint(shared, text.replace("flashstrike_wal %s", "wal %s")),
        "an event too many": bench.complaint(shared, text.replace("events++", "events += 2")),
        "a warning": bench.complaint(shared, text + "static int unused;\n"),
        "another dialect": Wrong(bench, flag="-std=c11").complaint(shared),
        "the static library for the shared one": Wrong(bench, linkage="static").complaint(shared),
        "the shared library for the static one": Wrong(bench, linkage="shared").complaint(static),
        "our sources for the installed library":
            Wrong(bench, way="add_subdirectory").complaint(found),
    }
    for fault, said in faults.items():
        print(f"{fault}:\n{said}\n")
    return [f"not found: {fault}" for fault, said in faults.items() if not said]


def main():
    tools = [*itertools.chain(*check.COMPILERS.values()), "pkg-config", "make"]
    absent = [tool for tool in tools if not shutil.which(tool)]
    if absent:
        print(f"skipped: {' and '.join(absent)} not installed")
        sys.exit(check.SKIPPED)
    names = dialects()
    cells = all_cells(names)
    bench = Bench(Path.cwd(), names)
    if sys.argv[1:] == ["--planted"]:
        wrong = planted(bench, cells)
    else:
        chosen = cells if "FLASHSTRIKE_TORTURE" in os.environ else choose(cells)
        wrong = [f"in no cell: {pair}" for pair in left_out(cells, chosen)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for cell, said in zip(chosen, pool.map(bench.complaint, chosen)):
                print("wrong:" if said else "right:", *cell, flush=True)
                wrong += [said] * bool(said)
        print(f"{len(chosen)} of {len(cells)} cells")
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
