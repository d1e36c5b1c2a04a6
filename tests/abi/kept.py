#!/usr/bin/env python3
"""The releases whose ABI is kept: tests/abi/VERSION has the header of each, and its library.

    kept.py LIBRARY    keeps LIBRARY and today's header, as the version of Cargo.toml

Of one ABI are the releases whose major and minor numbers are equal (docs/abi.md).
"""

import lzma
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TODAY = ROOT / "include" / "flashstrike_wal.h"
LIBRARY = "libflashstrike_wal.so.xz"
SKIPPED = 77  # to ctest


def version_today():
    return re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]


def kept_versions():
    """The kept versions of today's ABI, the oldest first."""
    minor = version_today().rsplit(".", 1)[0]
    found = [path.name for path in HERE.glob(f"{minor}.*") if path.is_dir()]
    return sorted(found, key=lambda name: int(name.rsplit(".", 1)[1]))


def kept_header(version):
    return HERE / version / TODAY.name


def unpack_library(version, directory):
    """The library of a kept version, as a file in `directory`."""
    unpacked = directory / f"libflashstrike_wal-{version}.so"
    unpacked.write_bytes(lzma.decompress((HERE / version / LIBRARY).read_bytes()))
    return unpacked


def skip_without_kept():
    if not kept_versions():
        print(f"skipped: {version_today()} begins a new ABI, and no release of it is kept yet")
        sys.exit(SKIPPED)


def keep(library):
    directory = HERE / version_today()
    directory.mkdir(exist_ok=True)
    (directory / TODAY.name).write_bytes(TODAY.read_bytes())
    stripped = directory / "stripped"
    subprocess.run(["strip", "--strip-all", "-o", stripped, library], check=True)
    packed = lzma.compress(stripped.read_bytes(), preset=9 | lzma.PRESET_EXTREME)
    stripped.unlink()
    (directory / LIBRARY).write_bytes(packed)
    print(f"{directory.relative_to(ROOT)}: {len(packed)} bytes")


if __name__ == "__main__":
    keep(Path(sys.argv[1]).resolve())
