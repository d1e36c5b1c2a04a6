#!/usr/bin/env bash
# f29: tools/require.sh says at once all that is missing, and which Rust it wants, before anything
# is built. Uses a PATH in which cargo and id are made up.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
fake=$(mktemp -d)
trap 'rm -rf "$fake"' EXIT
for program in bash sed sort head cut dirname; do ln -s "$(command -v "$program")" "$fake/"; done
printf '#!/bin/sh\necho 1000\n' >"$fake/id"
chmod +x "$fake/id"

cargo_of_rust() {
    printf '#!/bin/sh\necho "cargo %s (x)"\n' "$1" >"$fake/cargo"
    chmod +x "$fake/cargo"
}
require() { PATH=$fake bash "$here/../../tools/require.sh" "$@" 2>&1; }
refused() {
    if said=$(require "$@"); then
        echo "require.sh $* succeeded" >&2
        exit 1
    fi
}
says() { [[ $said == *"$1"* ]] || { echo "'$1' is not in: $said" >&2; exit 1; }; }

wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$here/../../Cargo.toml")
refused sed cargo no-such-program neither-this-one
says "missing: no-such-program neither-this-one"
says "cargo is missing: install Rust $wanted or newer"
cargo_of_rust 1.65.0
refused sed cargo no-such-program
says "missing: no-such-program"
says "cargo is that of Rust 1.65.0: install Rust $wanted or newer"
for version in "$wanted" "$wanted.0" "${wanted%.*}.1000.0" 2.0.0; do
    cargo_of_rust "$version"
    require sed cargo
done
refused sed cargo no-such-program
says "missing: no-such-program. On Debian or Ubuntu: sudo apt-get install no-such-program"
