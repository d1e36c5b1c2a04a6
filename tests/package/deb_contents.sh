#!/bin/sh
# Usage: deb_contents.sh DIRECTORY
# The Debian packages of the directory: lintian finds no error, each has what it should, and sizes
# are printed.
set -eu
cd "$1"
fail() { echo "$*" >&2; exit 1; }

lintian --fail-on error --allow-root --tag-display-limit 0 ./*.deb || fail "lintian found errors"

has() {
    dpkg-deb --contents "$1"_*.deb | awk '{ print $6 }' >contents
    shift
    for path in "$@"; do
        grep -qE "^\./usr/$path$" contents || fail "not in the package: $path; but: $(cat contents)"
    done
}
lib='lib/x86_64-linux-gnu'
has libflashstrike-wal0.* "$lib/libflashstrike_wal\.so\.0\.[0-9]+" \
    "$lib/libflashstrike_wal\.so\.0\.[0-9]+\.[0-9]+" 'share/doc/libflashstrike-wal0.*/copyright'
if grep -qE 'libflashstrike_wal\.(so|a)$' contents; then fail "development files beside the library"; fi
has libflashstrike-wal-dev "$lib/libflashstrike_wal\.(so|a)" 'include/flashstrike_wal\.hp?p?' \
    "$lib/pkgconfig/flashstrike_wal\.pc" "$lib/cmake/flashstrike_wal/flashstrike_wal-config\.cmake"
has flashstrike-wal-tools bin/fswal
rm contents

for package in *.deb *.ddeb *.tar.gz; do
    printf '%10d bytes  %s\n' "$(stat -c %s "$package")" "$package"
done
