#!/bin/sh
# The installed package without CMake: a compiler with the flags from pkg-config.
# Environment: CMAKE, SOURCE, BUILD.
set -eu
if ! command -v pkg-config >/dev/null; then
    echo "skipped: pkg-config is not installed"
    exit 77
fi
"$CMAKE" --install "$BUILD" --prefix "$PWD/installed" >/dev/null
mv installed moved
PKG_CONFIG_PATH=$(dirname "$(find "$PWD/moved" -name flashstrike_wal.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046  # the flags must be split into words
c++ -std=c++17 "$SOURCE/tests/package/engine/main.cpp" -o engine \
    $(pkg-config --cflags --libs flashstrike_wal)
LD_LIBRARY_PATH=$(pkg-config --variable=libdir flashstrike_wal) ./engine | grep -q ': 1$'
