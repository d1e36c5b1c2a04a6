#!/bin/sh
# An engine that has our sources in its tree: by add_subdirectory, by FetchContent, twice, before
# and after find_package. None of our examples or tests is built there.
. "$SOURCE/tests/package/helpers.sh"
install_and_move

# engine BUILD_DIRECTORY WAYS ARGUMENT...
engine() {
    build=$1 ways=$2
    shift 2
    configure "$build" "$SOURCE/tests/package/superproject" -DWAYS="$ways" \
        -DFLASHSTRIKE_WAL_SOURCE="$SOURCE" -DFLASHSTRIKE_WAL_CARGO_TARGET_DIR="$CARGO_DIR" \
        -DCMAKE_PREFIX_PATH="$PWD/moved" "$@"
    "$CMAKE" --build "$build" >"$build.txt" 2>&1 || { cat "$build.txt"; exit 1; }
    run_engine "$build/engine"
    run_engine "$build/static_engine"
    loads_none "$build/static_engine"
}
engine source add_subdirectory
loads_shared source/engine "$PWD/source/"
"$CMAKE" --install source --prefix "$PWD/with_ours" >/dev/null
[ -e "$(echo with_ours/lib*/libflashstrike_wal.so)" ] || fail "the library was not installed"

engine twice "add_subdirectory;add_subdirectory;find_package;fetch_content" \
    -DFLASHSTRIKE_WAL_INSTALL=OFF
loads_shared twice/engine "$PWD/twice/"
"$CMAKE" --install twice --prefix "$PWD/without_ours" >/dev/null
[ ! -e without_ours ] || fail "installed, though it was told not to: $(find without_ours)"
if find source twice -name demo -o -name 'test_c_*' | grep .; then
    fail "examples or tests were built inside another project"
fi

engine fetched "fetch_content;fetch_content" -DBUILD_SHARED_LIBS=OFF -DLIBRARY_KIND_CHOSEN=ON
loads_none fetched/engine

engine found "find_package;add_subdirectory;find_package"
loads_shared found/engine "$PWD/moved/"
