#!/bin/sh
# Run the Python tests: run.sh [pytest arguments]
#
# They run against the package `flashstrike_wal`, built as a wheel and installed into .venv.
# FLASHSTRIKE_WAL_LIB names the library (default: that of `make build`), FLASHSTRIKE_READ_SEGMENT
# the C program read_segment (without it, its comparison is skipped).
#
# run.sh --wheel DIRECTORY only builds the wheel.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv="$root/.venv"

if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
fi
# Install only when requirements.txt differs from the copy made at the last installation.
if ! cmp -s "$here/requirements.txt" "$venv/requirements.installed"; then
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.installed"
fi

# Absolute, because the tests run from their own directory.
FLASHSTRIKE_WAL_LIB=$(realpath -m \
    "${FLASHSTRIKE_WAL_LIB:-$root/build/lib/libflashstrike_wal.so}")
export FLASHSTRIKE_WAL_LIB
if [ "${1:-}" = --wheel ]; then
    PYTHON="$venv/bin/python" exec "$root/python/build_wheel.sh" "$(realpath -m "$2")"
fi
if [ -n "${FLASHSTRIKE_READ_SEGMENT:-}" ]; then
    FLASHSTRIKE_READ_SEGMENT=$(realpath -m "$FLASHSTRIKE_READ_SEGMENT")
    export FLASHSTRIKE_READ_SEGMENT
fi
FLASHSTRIKE_WHEELS="$venv/wheel"
export FLASHSTRIKE_WHEELS
PYTHON="$venv/bin/python" "$root/python/build_wheel.sh" "$FLASHSTRIKE_WHEELS"
"$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps \
    "$FLASHSTRIKE_WHEELS"/*.whl
# From here on it is the wheel's library that counts.
unset FLASHSTRIKE_WAL_LIB
cd "$here"
exec "$venv/bin/python" -m pytest -p no:cacheprovider "$@"
