#!/bin/sh
# find_package finds an installed package that was moved; an engine builds with it and runs.
# Environment: CMAKE, SOURCE, BUILD.
set -eu
"$CMAKE" --install "$BUILD" --prefix "$PWD/installed" >/dev/null
mv installed moved
for name in LICENSE THIRD_PARTY_LICENSES.md; do
    find moved -name "$name" -size +0 | grep -q . || { echo "$name is missing" >&2; exit 1; }
done

configure() {
    "$CMAKE" -S "$SOURCE/tests/package/engine" -B "$1" -DCMAKE_PREFIX_PATH="$PWD/moved" \
        -DWANTED_VERSION="$2"
}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$SOURCE/Cargo.toml" | head -n 1)
configure engine "$version"
"$CMAKE" --build engine
engine/engine | grep -q "^flashstrike_wal $version: 1\$"
ldd engine/engine | grep -q "libflashstrike_wal.so.${version%%.*} => $PWD/moved/"

if configure too_new 99.0 >log.txt 2>&1; then
    echo "a version that is not installed was found" >&2
    exit 1
fi
