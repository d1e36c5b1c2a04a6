#!/bin/sh
# Runs the example verify on a log made by the example record.
# Usage: verify_example.sh RECORD VERIFY
set -eu
record=$1 verify=$2
"$record" log >/dev/null
"$verify" log | grep -q "all is well"
code=0
printf x | dd of=log/FS.00000000.wal bs=1 seek=200 conv=notrunc status=none
"$verify" log > report || code=$?
[ "$code" -eq 1 ]
grep -q "FS.00000000.wal: block, segment 0, offset 64 (64 in the file), events 1 to 256" report
grep -q "^the first: log/FS.00000000.wal" report
"$record" unknown >/dev/null
rm unknown/wal_identity
"$verify" unknown | grep -q "not known where the newest events are: wal_identity is missing"
code=0
"$verify" nowhere 2>/dev/null || code=$?
[ "$code" -eq 2 ]
# No log, and what cannot be read: neither is well, neither is damage.
mkdir empty
code=0
"$verify" empty 2> report || code=$?
[ "$code" -eq 2 ]
grep -q "empty: there is no log here" report
"$record" unreadable >/dev/null
rm unreadable/FS.00000000.wal
ln -s elsewhere unreadable/FS.00000000.wal
code=0
"$verify" unreadable > report || code=$?
[ "$code" -eq 3 ]
grep -q "FS.00000000.wal: unreadable" report
