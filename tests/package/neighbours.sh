#!/bin/sh
# An engine that has an LZ4, an xxHash and a Rust library of its own, linked statically beside ours,
# in either order. Each uses its own: the engine's functions of those names end the program when
# ours calls them, and both Rust libraries catch a panic.
. "$SOURCE/tests/package/helpers.sh"
need rustc nm
here=$SOURCE/tests/package/neighbours
rustc --edition 2021 --crate-type staticlib -C opt-level=1 -o libother.a "$here/other.rs"
nm -g --defined-only "$BUILD/object/from_cargo.a" 2>/dev/null |
    sed -nE 's/.* T ((LZ4|XXH)[A-Za-z0-9_]*)$/OWN(\1)/p' | sort -u >own_names.inc
[ "$(wc -l <own_names.inc)" -gt 50 ] || fail "the archive has only $(cat own_names.inc)"
cc -std=c11 -O1 -I. -c "$here/own_names.c" -o own_names.o
ar crs libown.a own_names.o
install_and_move
include=$(dirname "$(find moved -name flashstrike_wal.h)")
ours=$(find moved -name libflashstrike_wal.a)

link() {
    program=$1
    shift
    c++ -std=c++17 "-I$include" "$here/engine.cpp" -o "$program" "$@" -lpthread -ldl -lm
    run_engine "$program"
    loads_none "$program"
}
link ./ours_first "$ours" libother.a libown.a
link ./ours_last libother.a libown.a "$ours"
link ./collected -Wl,--gc-sections libown.a "$ours" libother.a
# The shared library beside them: what the engine exports does not reach into it either.
c++ -std=c++17 "-I$include" "$here/engine.cpp" -o exporting -rdynamic libother.a libown.a \
    "-L$(dirname "$ours")" -lflashstrike_wal -lpthread -ldl -lm
LD_LIBRARY_PATH=$(dirname "$ours") run_engine ./exporting
