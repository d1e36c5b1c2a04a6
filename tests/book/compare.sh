#!/bin/sh
# Usage: compare.sh RECORD COMPARE
# docs/migrating.md: two logs of the same events are the same, and others are not.
set -eu
record=$1 compare=$2
"$record" old
cp -r old new
"$record" new
"$compare" old new 1 | tee said
grep -qx '1000 events are the same' said
if "$compare" new old 1; then
    echo "missing events were not seen" >&2
    exit 1
fi
"$record" other
"$record" other
"$compare" old other 1
# A bit of an event is flipped: what is damaged does not count as the same.
printf "\1" | dd of=other/FS.00000000.wal bs=1 seek=32208 conv=notrunc 2>dd.txt
if "$compare" old other 1; then
    echo "a difference was not seen" >&2
    exit 1
fi
