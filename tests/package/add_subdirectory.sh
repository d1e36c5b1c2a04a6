#!/bin/sh
# An engine that includes our source tree with add_subdirectory: this builds the library and the
# engine, but none of our examples or tests.
# Environment: CMAKE, SOURCE, CARGO_DIR (shared, so that cargo does not build the library again).
set -eu
"$CMAKE" -S "$SOURCE/tests/package/superproject" -B build -DFLASHSTRIKE_WAL_SOURCE="$SOURCE" \
    -DFLASHSTRIKE_WAL_CARGO_TARGET_DIR="$CARGO_DIR"
"$CMAKE" --build build
build/engine | grep -q '^flashstrike_wal .*: 1$'
if find build -name demo -o -name 'test_c_*' | grep .; then
    echo "examples or tests were built inside another project" >&2
    exit 1
fi
"$CMAKE" --install build --prefix "$PWD/installed" >/dev/null
find installed -name libflashstrike_wal.so | grep -q .
