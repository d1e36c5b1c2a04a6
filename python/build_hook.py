"""Puts the library into the wheel, and a small library that it compiles from native/*.c.

FLASHSTRIKE_WAL_LIB names the library (`make wheel` sets it); CC the compiler, by default cc.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TAG = "py3-none-manylinux_2_34_x86_64"
GLIBC = (2, 34)
FLAGS = ["-std=gnu11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread", "-Wall",
         "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-Wl,-z,defs", "-Wl,-z,relro,-z,now"]


def check_glibc(path):
    """The tag promises that the library needs no newer glibc."""
    text = subprocess.run(["readelf", "--version-info", "--wide", path], check=True,
                          capture_output=True, text=True).stdout
    needed = {tuple(map(int, version.split("."))) for version in
              re.findall(r"Name: GLIBC_([\d.]+)", text)}
    if max(needed) > GLIBC:
        raise SystemExit(f"{path} needs glibc {max(needed)}, and {TAG} promises {GLIBC}")


class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        if version == "editable":
            raise SystemExit("an editable install would have no library: install the wheel")
        named = os.environ.get("FLASHSTRIKE_WAL_LIB")
        if not named or not Path(named).is_file():
            raise SystemExit(f"FLASHSTRIKE_WAL_LIB names no library ({named}): use `make wheel`")
        self.made = Path(tempfile.mkdtemp())
        library = self.made / "libflashstrike_wal.so"
        shutil.copy(named, library)
        subprocess.run(["strip", "--strip-unneeded", library], check=True)
        support = self.made / "libflashstrike_wal_python.so"
        sources = sorted(Path(self.root, "native").glob("*.c"))
        subprocess.run([os.environ.get("CC", "cc"), *FLAGS, "-o", support, *sources], check=True)
        for path in (library, support):
            check_glibc(path)
            build_data["force_include"][str(path)] = f"flashstrike_wal/{path.name}"
        build_data["tag"], build_data["pure_python"] = TAG, False

    def finalize(self, version, build_data, artifact_path):
        shutil.rmtree(self.made)
