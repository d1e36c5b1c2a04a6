# What the package tests share; they read it first. Environment, of all of them:
#   CMAKE      the program
#   SOURCE     the repository
#   BUILD      where it is built
#   CARGO_DIR  cargo's directory, shared, so that cargo does not build the library again
set -eu

version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$SOURCE/Cargo.toml" | head -n 1)

fail() {
    echo "$*" >&2
    exit 1
}

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
    done
}

# refused WORDS COMMAND...: the command fails, and says why.
refused() {
    words=$1
    shift
    if ("$@") >refused.txt 2>&1; then fail "succeeded: $*"; fi
    # CMake wraps its messages.
    tr -s ' \n' '  ' <refused.txt | grep -qF "$words" || {
        cat refused.txt
        fail "this does not say '$words': $*"
    }
}

# Installs the build into ./installed and moves it to ./moved.
install_and_move() {
    "$CMAKE" --install "$BUILD" --prefix "$PWD/installed" >/dev/null
    mv installed moved
}

# configure BUILD_DIRECTORY SOURCE_DIRECTORY ARGUMENT...
configure() {
    build=$1 source=$2
    shift 2
    "$CMAKE" -S "$source" -B "$build" "$@" >"$build.txt" 2>&1 || { cat "$build.txt"; exit 1; }
}

# Configures the repository itself, without its tests.
configure_library() {
    build=$1
    shift
    configure "$build" "$SOURCE" -DFLASHSTRIKE_WAL_CARGO_TARGET_DIR="$CARGO_DIR" \
        -DFLASHSTRIKE_WAL_BUILD_TESTS=OFF -DFLASHSTRIKE_WAL_BUILD_EXAMPLES=OFF "$@"
}

# The engine records an event and reads it back.
run_engine() {
    rm -rf log
    said=$("$1")
    [ "$said" = "flashstrike_wal $version: 1" ] || fail "$1: $said"
}

# loads_shared PROGRAM DIRECTORY: it loads the library of that directory, by its SONAME.
loads_shared() {
    soname=libflashstrike_wal.so.${version%.*}
    ldd "$1" | grep -q "$soname => $2" || fail "$1 does not load $soname of $2: $(ldd "$1")"
}

loads_none() {
    if ldd "$1" | grep flashstrike_wal; then fail "$1 loads the shared library"; fi
}
