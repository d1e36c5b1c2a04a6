#!/bin/sh
# Usage: tools/without_paths.sh CARGO ARGUMENT...
# Runs cargo so that what it builds does not depend on where it is built: rustc and the C compiler
# write the paths of sources into libraries and programs, for panics and debuggers, and here those
# paths begin with a name instead of a directory of this machine.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
registry=${CARGO_HOME:-$HOME/.cargo}
sysroot=$("$(dirname "$(command -v "$1")")/rustc" --print sysroot)

# Separated by the character 31, so that a path may have spaces.
unit=$(printf '\037')
flags=$(printf %s "${RUSTFLAGS:-}" | tr -s ' ' "$unit")
export CARGO_ENCODED_RUSTFLAGS="${flags:+$flags$unit}--remap-path-prefix=$registry=/cargo$unit\
--remap-path-prefix=$sysroot=/rust$unit--remap-path-prefix=$root=/flashstrike-wal"
export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$registry=/cargo"
# Nothing that is built here has the time in it; but crates in C would be built anew when this
# changes, as it does between `make build` and `make package`.
unset SOURCE_DATE_EPOCH
exec "$@"
