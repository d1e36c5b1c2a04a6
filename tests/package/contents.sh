#!/bin/sh
# Usage: contents.sh SOURCE PACKAGES
# The packages: lintian finds nothing, each has what it should and no path of this machine. Prints
# their sizes.
set -eu
source=$(cd "$1" && pwd)
cd "$2"
fail() { echo "$*" >&2; exit 1; }

# Of two warnings neither can be helped: one asks for the number of a bug in Debian's own tracker,
# the other is about what CPack adds.
lintian --fail-on error,warning --allow-root --tag-display-limit 0 \
    --suppress-tags initial-upload-closes-no-bugs,maintscript-calls-ldconfig ./*.deb ||
    fail "lintian found something"

unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
# has PACKAGE PATTERN...: it has such files, as they are named in /usr.
has() {
    package=$1
    shift
    mkdir "$unpacked/$package"
    dpkg-deb --extract "$package"_*.deb "$unpacked/$package"
    (cd "$unpacked/$package/usr" && find . -type f -o -type l) >"$unpacked/contents"
    for path in "$@" "share/doc/$package/copyright" "share/doc/$package/changelog\.Debian\.gz"; do
        grep -qE "^\./$path$" "$unpacked/contents" ||
            fail "$package has no $path, but $(cat "$unpacked/contents")"
    done
}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$source/Cargo.toml" | head -n 1)
library=libflashstrike-wal${version%.*}
lib='lib/x86_64-linux-gnu'
has "$library" "$lib/libflashstrike_wal\.so\.${version%.*}" "$lib/libflashstrike_wal\.so\.$version"
has "$library-dbgsym" 'lib/debug/\.build-id/../.*\.debug'
has libflashstrike-wal-dev "$lib/libflashstrike_wal\.(so|a)" 'include/flashstrike_wal\.hp?p?' \
    "$lib/pkgconfig/flashstrike_wal\.pc" "$lib/cmake/flashstrike_wal/flashstrike_wal-config\.cmake"
has flashstrike-wal-tools bin/fswal 'share/man/man1/fswal\.1\.gz' \
    share/bash-completion/completions/fswal
has flashstrike-wal-tools-dbgsym 'lib/debug/\.build-id/../.*\.debug'

# The debug information is that of the library, by its build id, and is in no other package.
id=$(readelf --notes "$unpacked/$library/usr/$lib/libflashstrike_wal.so.$version" |
    sed -n 's/.*Build ID: \(..\)\(.*\)/\1\/\2/p')
[ -f "$unpacked/$library-dbgsym/usr/lib/debug/.build-id/$id.debug" ] ||
    fail "no debug information for build id $id"

mkdir "$unpacked/tarball"
tar --extract --gzip --file flashstrike-wal-*.tar.gz --directory "$unpacked/tarball" \
    --strip-components=1
for path in lib/libflashstrike_wal.a "lib/libflashstrike_wal.so.$version" bin/fswal \
    lib/pkgconfig/flashstrike_wal.pc share/man/man1/fswal.1 share/doc/flashstrike_wal/LICENSE; do
    [ -f "$unpacked/tarball/$path" ] || fail "the tarball has no $path"
done

for path in "$source/" "${CARGO_HOME:-$HOME/.cargo}/"; do
    if grep -raF "$path" -l "$unpacked"; then fail "these name $path"; fi
done
(cd "$unpacked/$library/usr/$lib" && wc -c "libflashstrike_wal.so.$version")
wc -c ./*.deb ./*.tar.gz
