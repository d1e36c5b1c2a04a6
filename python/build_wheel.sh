#!/bin/sh
# Build the wheel: build_wheel.sh DIRECTORY
#
# PYTHON is an interpreter that has hatchling. FLASHSTRIKE_WAL_LIB names the library. The directory
# then has this wheel and no other.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
rm -f "$1"/flashstrike_wal-*.whl
"${PYTHON:-python3}" -m pip wheel --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation --wheel-dir "$1" "$here"
