#!/bin/sh
# read_log gives the events that read_segment gives, and finds damage.
#
# Usage: read_log.sh RECORD READ_LOG READ_SEGMENT
set -eu
record=$1 read_log=$2 read_segment=$3
"$record" log >recorded
"$read_log" log >found
"$read_segment" --events log/FS.*.wal | cut -d ' ' -f 1,2 >wanted
test -s wanted
cmp wanted found
printf x | dd of=log/FS.00000000.wal bs=1 seek=300 conv=notrunc 2>dd
status=0
"$read_log" log >found 2>errors || status=$?
test "$status" = 1
grep -q 'segment 0, offset 64: the block checksum does not match' errors
status=0
"$read_log" nowhere 2>errors || status=$?
test "$status" = 2
