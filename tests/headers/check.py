#!/usr/bin/env python3
"""The headers compile without a warning in every dialect that a compiler knows.

    check.py gcc|clang ROOT

Each header of ROOT/include alone, and all of them twice, in one order and in the other: those that
end in .h in C from C99 and in C++ from C++11, those that end in .hpp in C++ from C++17. The C++
tests too, so that templates are instantiated. Then what must be refused: the status of a call that
is marked FS_WAL_MUST_CHECK ignored, and an event type that is none.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COMPILERS = {"gcc": ("gcc", "g++"), "clang": ("clang", "clang++")}
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
# By the names that compilers give them, the final one first.
C = [["c99"], ["c11"], ["c17"], ["c23", "c2x"], ["c2y"]]
CXX = [["c++11"], ["c++14"], ["c++17"], ["c++20"], ["c++23", "c++2b"], ["c++26", "c++2c"]]
C_BEFORE_NODISCARD = {"c99", "c11", "c17"}
CXX_BEFORE_THE_WRAPPER = {"c++11", "c++14"}
CXX_TESTS = [("wrapper.cpp", []), ("own_events.cpp", []), ("statuses.cpp", []),
             ("statuses.cpp", ["-fno-exceptions"]), ("no_exceptions.cpp", ["-fno-exceptions"])]
SKIPPED = 77  # to ctest

IGNORED = "#include <flashstrike_wal.h>\nvoid f(fs_wal *wal) {{ {}; }}\n"
OWN_TYPE = """#include <flashstrike_wal.hpp>
#include <string>
{}
void f(flashstrike::wal::Log& log, const Event& event) {{ log.append(event); }}
"""
# Event types that are none, and what the compiler says of them.
NO_EVENTS = [
    ("struct Event { unsigned long id; };", "an event has 64 bytes"),
    ("struct Event { char bytes[64]; };", "begins with its id"),
    ("struct Event { unsigned long words[4]; std::string text; };", "copied as bytes"),
    ("struct Event { unsigned long id; private: unsigned long a; public: unsigned long b[6]; };",
     "one layout"),
]


class Compiler:
    """One of COMPILERS, and where the headers are."""

    def __init__(self, name, root):
        self.cc, self.cxx = COMPILERS[name]
        self.root = root

    def run(self, standard, source, options=()):
        """Compiles `source`, a text. The complaints, empty if there are none."""
        cxx = standard.startswith("c++")
        command = [self.cxx if cxx else self.cc, f"-std={standard}", "-x", "c++" if cxx else "c",
                   "-S", "-o", "/dev/null", *WARNINGS, *options, f"-I{self.root / 'include'}",
                   f"-I{self.root / 'tests/cpp'}", "-"]
        done = subprocess.run(command, input=source, capture_output=True, text=True)
        return "" if done.returncode == 0 else done.stderr or "failed without a word"

    def known(self, dialects):
        """The names of the dialects that it knows."""
        for names in dialects:
            yield from [name for name in names if not self.run(name, "extern int x;\n")][:1]

    def version(self):
        text = subprocess.run([self.cc, "--version"], capture_output=True, text=True).stdout
        return text.splitlines()[0]


def including(*headers):
    return "".join(f"#include <{header}>\n" for header in headers) + "extern int x;\n"


def clean_cases(standard, root):
    """What must compile: a label, the source and options."""
    headers = sorted(path.name for path in (root / "include").glob("*.h"))
    wrapper = standard.startswith("c++") and standard not in CXX_BEFORE_THE_WRAPPER
    if wrapper:
        headers += sorted(path.name for path in (root / "include").glob("*.hpp"))
        for name, options in CXX_TESTS:
            yield f"{name} {' '.join(options)}", f'#include "{name}"\n', options
    for header in headers:
        yield header, including(header), []
    yield "all, twice", including(*headers, *headers), []
    yield "all, twice, in reverse", including(*reversed(headers * 2)), []
    used = "fs_wal_status s = fs_wal_sync(wal); (void)s"
    if wrapper or not standard.startswith("c++") and standard not in C_BEFORE_NODISCARD:
        used = "(void)fs_wal_sync(wal)"
    yield "ignored on purpose", IGNORED.format(used), []


def refused_cases(standard):
    """What must not compile: the source, and what the compiler must say."""
    yield IGNORED.format("fs_wal_sync(wal)"), "unused-"
    if standard.startswith("c++") and standard not in CXX_BEFORE_THE_WRAPPER:
        for declaration, words in NO_EVENTS:
            yield OWN_TYPE.format(declaration), words
        good = "struct Event { unsigned long words[8]; };"
        yield OWN_TYPE.format(good).replace("append", "try_append"), "unused-"


def complaint(compiler, standard, case):
    """What is wrong with one case, or nothing."""
    if len(case) == 3:
        label, source, options = case
        said = compiler.run(standard, source, options)
        return said and f"{standard}: {label} does not compile:\n{said}"
    source, words = case
    said = compiler.run(standard, source)
    return "" if words in said else f"{standard}: not refused with {words!r}:\n{source}{said}"


def main():
    name, root = sys.argv[1], Path(sys.argv[2]).resolve()
    absent = [program for program in COMPILERS[name] if not shutil.which(program)]
    if absent:
        print(f"skipped: {' and '.join(absent)} not installed")
        sys.exit(SKIPPED)
    compiler = Compiler(name, root)
    standards = [*compiler.known(C), *compiler.known(CXX)]
    if not {"c99", "c++11", "c++17"} <= set(standards):
        sys.exit(f"{compiler.version()} does not even know C99, C++11 and C++17: {standards}")
    cases = [(compiler, standard, case) for standard in standards
             for case in [*clean_cases(standard, root), *refused_cases(standard)]]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [said for said in pool.map(lambda case: complaint(*case), cases) if said]
    print("\n".join(wrong))
    print(f"{compiler.version()}, {' '.join(standards)}: {len(cases)} cases, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
