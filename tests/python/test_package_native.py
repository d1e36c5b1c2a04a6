"""The C part of the package, under the compiler's sanitizers, and as Python declares it."""

import ctypes
import re
import shutil
import subprocess

import pytest

from flashstrike_wal import _abi
from support import HERE, ROOT

NATIVE = ROOT / "python" / "native"

needs_cc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


@needs_cc
@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_sanitizers_find_nothing(tmp_path, sanitizer):
    program = tmp_path / "driver"
    flags = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread",
             f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", f"-I{NATIVE}"]
    subprocess.run(["gcc", *flags, "-o", program, HERE / "native_driver.c",
                    *NATIVE.glob("*.c")], check=True)
    # Without random addresses: gcc's thread sanitizer does not know all that kernels give.
    done = subprocess.run(["setarch", "--addr-no-randomize", program], capture_output=True,
                          text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_binding_has_the_functions_of_the_package_s_header():
    text = re.sub(r"/\*.*?\*/", "", (NATIVE / "support.h").read_text(), flags=re.S)
    found = re.findall(r"FSP_EXPORT[^;(]*?(fsp_\w+)\(((?:[^;()]|\([^()]*\))*)\);", text)
    declared = {}
    for name, arguments in found:
        plain = re.sub(r"\([^()]*\)", "", arguments)
        declared[name] = 0 if plain.strip() == "void" else plain.count(",") + 1
    assert {name: len(given) for name, (_, given) in _abi.SUPPORT_SIGNATURES.items()} == declared


@needs_cc
def test_the_binding_has_the_layout_of_the_package_s_header(tmp_path):
    structs = {"fsp_column": _abi.Column, "fsp_arrow_column": _abi.ArrowColumn,
               "fsp_source": _abi.Source}
    lines = ['#include "support.h"']
    for name, struct in structs.items():
        lines.append(f'_Static_assert(sizeof({name}) == {ctypes.sizeof(struct)}, "{name}");')
        lines += [f'_Static_assert(offsetof({name}, {field}) == {getattr(struct, field).offset}, '
                  f'"{field}");' for field, _ in struct._fields_]
    source = tmp_path / "layout.c"
    source.write_text("\n".join(lines) + "\n")
    subprocess.run(["gcc", "-fsyntax-only", f"-I{NATIVE}", source], check=True)
