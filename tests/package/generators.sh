#!/bin/sh
# Ninja, Make and Ninja Multi-Config build the library; where nothing changed nothing is built
# again; a Debug build is for debugging; an install with --strip; compilers that cannot be right
# are refused.
. "$SOURCE/tests/package/helpers.sh"
need ninja make readelf

build() {
    "$CMAKE" --build "$@" >build.txt 2>&1 || { cat build.txt; exit 1; }
}
# built_once BUILD_DIRECTORY: a second build makes no file anew, or changes one.
built_once() {
    build "$1"
    touch built
    build "$1"
    anew=$(find "$1" -newer built -type f ! -path '*/CMakeFiles/*' ! -name '.ninja*' \
        ! -name '*.txt')
    [ -z "$anew" ] || fail "$1 built again, though nothing changed: $anew"
}

for generator in Ninja "Unix Makefiles"; do
    directory=$(echo "$generator" | tr -d ' ')
    configure "$directory" "$SOURCE/tests/package/superproject" -G "$generator" \
        -DWAYS=add_subdirectory -DFLASHSTRIKE_WAL_SOURCE="$SOURCE" \
        -DFLASHSTRIKE_WAL_CARGO_TARGET_DIR="$CARGO_DIR"
    built_once "$directory"
    run_engine "$directory/engine"
done

configure_library many -G "Ninja Multi-Config"
for config in Release Debug; do
    build many --config $config
    "$CMAKE" --install many --config $config --prefix "$PWD/$config" >/dev/null
done
built_once many
# The debug library checks itself; the release library does not have the words for it.
holds() { grep -aq 'attempt to add with overflow' "$1"; }
holds "$(echo Debug/lib*/libflashstrike_wal.so)" || fail "the Debug library is no debug build"
if holds "$(echo Release/lib*/libflashstrike_wal.so)"; then fail "Release is a debug build"; fi
for config in Debug Release; do
    configure "engine_$config" "$SOURCE/examples_c/consumer" -DCMAKE_PREFIX_PATH="$PWD/$config"
    build "engine_$config"
    run_engine "engine_$config/engine"
done

"$CMAKE" --install many --config Release --strip --prefix "$PWD/stripped" >/dev/null
if readelf -S --wide stripped/lib*/libflashstrike_wal.so | grep -E '\.(debug_info|symtab)'; then
    fail "--strip left these"
fi
mv stripped Release_stripped
configure engine_stripped "$SOURCE/examples_c/consumer" \
    -DCMAKE_PREFIX_PATH="$PWD/Release_stripped"
build engine_stripped
run_engine engine_stripped/engine

# The presets can be configured.
here=$PWD
for preset in library release debug configs; do
    (cd "$SOURCE" && "$CMAKE" --preset $preset -B "$here/preset_$preset") >preset.txt 2>&1 ||
        { cat preset.txt; fail "preset $preset"; }
done

# Another processor: this compiler is the machine's own, told to compile for another.
cat >toolchain.cmake <<'END'
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR i686)
set(CMAKE_C_FLAGS_INIT -m32)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
END
refused "64-bit x86 with glibc only" configure_library cross \
    -DCMAKE_TOOLCHAIN_FILE="$PWD/toolchain.cmake"
refused "Linux only, not on Generic" configure_library bare -DCMAKE_SYSTEM_NAME=Generic
