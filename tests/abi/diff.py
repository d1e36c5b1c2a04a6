#!/usr/bin/env python3
"""The ABI is that of the kept releases, but for what may be added: docs/abi.md.

    diff.py LIBRARY              LIBRARY and today's header against each kept release
    diff.py LIBRARY --planted    the same with changes that are planted, each of which must be seen

abidiff compares functions and their types. The library is compiled from Rust, and its debug
information describes Rust's types, with all that is private behind a handle. So what is compared
are two libraries in C, made of the headers: they have the types that a program sees. Of today's
functions only those are in it that LIBRARY exports. That the header is what the Rust code has is
tested in tests/published/header.rs.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from header import Header
from kept import SKIPPED, TODAY, kept_header, kept_versions, skip_without_kept


def exported(library):
    """The names of the functions that a library exports."""
    shown = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                           capture_output=True, text=True)
    return re.findall(r" T (fs_wal_\w+)", shown.stdout)


def described(header, functions, scratch, name):
    """A library that has these functions, with the types of the header. It is never called."""
    source = [header.text]
    source += [f"{declaration} {{ __builtin_trap(); }}"
               for declaration in header.functions.values()]
    # Some structs are in files only: no function takes them.
    source += [f"{struct} *type_{struct};" for struct in header.structs]
    library, names = scratch / f"{name}.so", scratch / f"{name}.map"
    names.write_text("{ global: type_*; " + "".join(f"{name}; " for name in functions)
                     + "local: *; };\n")
    # In C99 the header has no assertions of its own, which a planted change would trip over.
    subprocess.run(["gcc", "-std=c99", "-w", "-g", "-fPIC", "-shared",
                    f"-Wl,--version-script={names}", "-o", library, "-xc", "-"],
                   input="\n".join(source), text=True, check=True)
    return library


def changes(old, new, functions, scratch):
    """What abidiff says of two headers, of which the new one has these functions in its library;
    nothing when the new library can take the old one's place. Structs that grow may have got more
    at their end, and functions may be new."""
    libraries = [described(old, old.functions, scratch, "old"),
                 described(new.cut_to(old), functions, scratch, "new")]
    done = subprocess.run(["abidiff", "--no-added-syms", *libraries],
                          capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr or "abidiff fails"


def padded(header, scratch):
    """Structs that grow and end in padding. A field added there would be within the struct_size of
    programs that do not know it."""
    source = header.text + "".join(
        f'_Static_assert(offsetof({name}, {header.last_field(name)}) + sizeof((({name} *)0)->'
        f'{header.last_field(name)}) == sizeof({name}), "{name} ends in padding");\n'
        for name in header.growing())
    done = subprocess.run(["gcc", "-fsyntax-only", "-xc", "-"], input=source, capture_output=True,
                          text=True)
    return "" if done.returncode == 0 else done.stderr


def changed_constants(old, new):
    """Constants are compiled into programs: none may change, but for the version."""
    return [f"{name} was {value}, and is {new.constants.get(name)}"
            for name, value in old.constants.items()
            if not name.startswith("FS_WAL_VERSION_") and new.constants.get(name) != value]


def planted(text):
    """Changes that break a program: what is done, and the header with it."""
    struct = r"(typedef struct {} \{{\n.*?)"

    def replaced(pattern, by):
        changed, count = re.subn(pattern, by, text, count=1, flags=re.S)
        assert count == 1 and changed != text, pattern
        return changed

    config, metrics = struct.format("fs_wal_config"), struct.format("fs_wal_metrics_t")
    yield "a field is longer", replaced(config + "uint32_t flags;", r"\1uint64_t flags;")
    yield "a field has another type of the same size", replaced(
        config + "uint64_t retention_floor;", r"\1const char *retention_floor;")
    yield "a field is in the middle", replaced(
        metrics + "    uint64_t appended_event_id;",
        r"\1    uint64_t added;\n    uint64_t appended_event_id;")
    yield "two fields have changed places", replaced(
        config + r"    uint32_t backpressure;\n(.*?)    uint32_t sync_mode;\n",
        r"\1    uint32_t sync_mode;\n\2    uint32_t backpressure;\n")
    yield "a field is gone", replaced(config + r"    uint32_t reserved2;\n", r"\1")
    yield "a struct that may not grow has grown", replaced(
        struct.format("fs_wal_meta_state") + r"\}", r"\1    uint64_t added;\n}")
    yield "a struct of a file has changed", replaced(
        struct.format("fs_wal_block_header") + "uint64_t chained_checksum;",
        r"\1int64_t chained_checksum;")
    yield "a parameter is another", replaced(
        r"(fs_wal_commit\(struct fs_wal \*wal), uint64_t", r"\1, uint32_t")
    yield "a parameter is added", replaced(
        r"(fs_wal_sync\(struct fs_wal \*wal)\)", r"\1, uint32_t flags)")


def allowed(header):
    """What may be done."""
    yield "nothing", header.text
    yield "structs have grown at their end", header.grown().text
    yield "a function is new", header.text.replace(
        "\nvoid fs_wal_reader_close(", "\nvoid fs_wal_new(int x);\nvoid fs_wal_reader_close(")


def try_planted(header, functions, scratch):
    """Whether what must be seen is seen, and nothing else."""
    tries = [(what, Header(text), functions, True) for what, text in planted(header.text)]
    tries += [(f"{dropped} is not exported", header,
               [name for name in functions if name != dropped], True)
              for dropped in ("fs_wal_sync", "fs_wal_reader_seek")]
    tries += [(what, Header(text), [*functions, "fs_wal_new"], False)
              for what, text in allowed(header)]
    wrong = 0
    for what, changed, symbols, is_change in tries:
        seen = changes(header, changed, symbols, scratch)
        right = bool(seen) == is_change
        wrong += not right
        print(f"{'seen' if seen else 'no change'}: {what}{'' if right else ', WRONG: ' + seen}")
    other = Header(header.text.replace("#define FS_WAL_ERR_GAP 12", "#define FS_WAL_ERR_GAP 17"))
    wrong += changed_constants(header, other) != ["FS_WAL_ERR_GAP was 12, and is 17"]
    half = header.with_fields(lambda name, fields: [*fields, "uint32_t half"])
    wrong += "fs_wal_config ends in padding" not in padded(half, scratch)
    return wrong


def main():
    if not shutil.which("abidiff"):
        print("skipped: abidiff is not installed (package abigail-tools)")
        sys.exit(SKIPPED)
    skip_without_kept()
    functions, today = exported(Path(sys.argv[1]).resolve()), Header(TODAY.read_text())
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        if "--planted" in sys.argv:
            sys.exit(1 if try_planted(today, functions, scratch) else 0)
        wrong = padded(today, scratch)
        print(wrong, end="")
        for version in kept_versions():
            old = Header(kept_header(version).read_text())
            seen = changes(old, today, functions, scratch)
            seen += "\n".join(changed_constants(old, today))
            print(f"since {version}: " + (seen or f"{len(old.functions)} functions, "
                  f"{len(old.structs)} structs and {len(old.constants)} constants are what they "
                  "were"))
            wrong += seen
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
